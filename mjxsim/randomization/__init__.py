"""Randomization of what a simulation can get wrong about the world."""

from mjxsim.randomization.actuation import ActuationRandomization
from mjxsim.randomization.config import RandomizationConfig
from mjxsim.randomization.dictionary import FromDictionary, from_dict
from mjxsim.randomization.draws import Width
from mjxsim.randomization.frequency import Frequency
from mjxsim.randomization.physics import PhysicsRandomizer, physics_randomizer
from mjxsim.randomization.physics_config import (
    STANDARD,
    ContactPhysics,
    EnvironmentPhysics,
    ObjectPhysics,
    PhysicsRandomization,
    RobotPhysics,
)
from mjxsim.randomization.prepare import prepare
from mjxsim.randomization.pushes import PushRandomization
from mjxsim.randomization.ranges import How, Law, MaybeRange, Range, check_range
from mjxsim.randomization.schedule import LinearSchedule, SuccessSchedule
from mjxsim.randomization.sensing import SensorRandomization
from mjxsim.randomization.visual_config import STANDARD_VISUAL, VisualRandomization

__all__ = [
    "STANDARD",
    "STANDARD_VISUAL",
    "ActuationRandomization",
    "ContactPhysics",
    "EnvironmentPhysics",
    "Frequency",
    "FromDictionary",
    "How",
    "Law",
    "LinearSchedule",
    "MaybeRange",
    "ObjectPhysics",
    "PhysicsRandomization",
    "PhysicsRandomizer",
    "PushRandomization",
    "RandomizationConfig",
    "Range",
    "RobotPhysics",
    "SensorRandomization",
    "SuccessSchedule",
    "VisualRandomization",
    "Width",
    "check_range",
    "from_dict",
    "physics_randomizer",
    "prepare",
]

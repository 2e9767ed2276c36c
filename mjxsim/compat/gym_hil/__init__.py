"""gym-hil's environments by mjxsim, in its terms; see docs/gym_hil.md.

Importing `mjxsim` registers the ids; this module has the functions and classes.
"""

from mjxsim.compat.gym_hil.env import HilEnv, PandaArrangeBoxesGymEnv, PandaPickCubeGymEnv
from mjxsim.compat.gym_hil.factory import make_env, wrap_env
from mjxsim.compat.gym_hil.human import InputsControlWrapper
from mjxsim.compat.gym_hil.settings import GymRenderingSpec, Settings, make, settings_of
from mjxsim.compat.gym_hil.vector import HilVectorEnv, make_vec
from mjxsim.compat.gym_hil.viewing import PassiveViewerWrapper
from mjxsim.compat.gym_hil.wrappers import (
    EEActionWrapper,
    GripperPenaltyWrapper,
    ResetDelayWrapper,
)
from mjxsim.envs.gym_hil_ids import register

__all__ = [
    "EEActionWrapper",
    "GripperPenaltyWrapper",
    "GymRenderingSpec",
    "HilEnv",
    "HilVectorEnv",
    "InputsControlWrapper",
    "PandaArrangeBoxesGymEnv",
    "PandaPickCubeGymEnv",
    "PassiveViewerWrapper",
    "ResetDelayWrapper",
    "Settings",
    "make",
    "make_env",
    "make_vec",
    "register",
    "settings_of",
    "wrap_env",
]

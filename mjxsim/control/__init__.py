"""Controllers: pure functions from an action in [-1, 1] to the model's control vector."""

from mjxsim.control.base import (
    ControlConfig,
    Controller,
    ControlMode,
    ControlState,
    GripperMode,
    JointControlState,
    Motion,
    OscControlState,
    TcpControlState,
)
from mjxsim.control.build import build
from mjxsim.control.end_effector import EndEffectorDelta
from mjxsim.control.ik import IkConfig
from mjxsim.control.impedance import OperationalSpace, torque_driven
from mjxsim.control.joint import JointPosition, JointPositionDelta
from mjxsim.control.kinematics import Chain
from mjxsim.control.operational_space import OscConfig

__all__ = [
    "Chain",
    "ControlConfig",
    "ControlMode",
    "ControlState",
    "Controller",
    "EndEffectorDelta",
    "GripperMode",
    "IkConfig",
    "JointControlState",
    "JointPosition",
    "JointPositionDelta",
    "Motion",
    "OperationalSpace",
    "OscConfig",
    "OscControlState",
    "TcpControlState",
    "build",
    "torque_driven",
]

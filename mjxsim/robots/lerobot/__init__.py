"""How the SO arms speak LeRobot: names, units and calibration files."""

from mjxsim.robots.lerobot.calibration import Calibration, CalibrationError, MotorCalibration
from mjxsim.robots.lerobot.links import JOINTS
from mjxsim.robots.lerobot.units import LeRobotUnits, from_features, to_features

__all__ = [
    "JOINTS",
    "Calibration",
    "CalibrationError",
    "LeRobotUnits",
    "MotorCalibration",
    "from_features",
    "to_features",
]

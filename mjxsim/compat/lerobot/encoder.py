"""The calibration that a simulated SO arm has when nobody gave it one."""

import math

import numpy as np

from mjxsim.robots.lerobot import JOINTS, Calibration, LeRobotUnits, MotorCalibration
from mjxsim.robots.lerobot.servo import TICKS_PER_TURN

_MIDDLE = TICKS_PER_TURN // 2  # where LeRobot's homing puts the middle of a joint's range [ticks]
_TICKS_PER_DEGREE = (TICKS_PER_TURN - 1) / 360.0


def nominal_calibration(units: LeRobotUnits, low: np.ndarray, high: np.ndarray) -> Calibration:
    """What calibrating an ideal arm would find, whose values are zero in the middle of a turn.

    Args:
      units: of the arm.
      low: (6,) the least values it goes to [degrees, and 0-100].
      high: (6,) the greatest.
    """
    motors = {}
    for i, name in enumerate(JOINTS):
        if name == "gripper":
            closed, opened = units.gripper
            reach = math.degrees(opened - closed) / 2
        else:  # symmetrical, so that LeRobot's zero, the middle of the range, is ours
            reach = float(max(abs(low[i]), abs(high[i])))
        ticks = round(reach * _TICKS_PER_DEGREE)
        motors[name] = MotorCalibration(
            id=i + 1,
            drive_mode=0,
            homing_offset=0,
            range_min=_MIDDLE - ticks,
            range_max=_MIDDLE + ticks,
        )
    return Calibration(motors)


def as_read(calibration: Calibration, values: np.ndarray) -> np.ndarray:
    """Values (6,) as LeRobot reads them from a real arm: in whole encoder ticks."""
    ticks = calibration.to_ticks(np.asarray(values, float))
    low = [calibration.motors[name].range_min for name in JOINTS]
    high = [calibration.motors[name].range_max for name in JOINTS]
    # An encoder wraps at a turn, far beyond what the joints reach; the gripper stops at its ends.
    ticks[..., 5] = np.clip(ticks[..., 5], low[5], high[5])
    return calibration.from_ticks(ticks)

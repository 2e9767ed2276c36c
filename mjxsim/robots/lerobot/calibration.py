"""LeRobot's calibration of one arm: its file, and what encoder ticks mean under it.

The file is what `lerobot-calibrate` writes: {motor: {id, drive_mode, homing_offset, range_min,
range_max}}. Ticks are what LeRobot reads and writes, that is after the servo has subtracted
`homing_offset`. The arithmetic is that of `_normalize` and `_unnormalize` in
lerobot/motors/motors_bus.py (Apache-2.0):

    arm      degrees = (ticks - (range_min + range_max) / 2) * 360 / 4095
    gripper  value = 100 * (ticks - range_min) / (range_max - range_min), clipped to 0 to 100;
             100 minus that if drive_mode is 1

LeRobot divides a turn by 4095 and not by 4096; drive_mode does not touch degrees.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np

from mjxsim import files
from mjxsim.naming import unknown
from mjxsim.robots.lerobot.links import JOINTS
from mjxsim.robots.lerobot.servo import TICKS_PER_TURN

__all__ = ["Calibration", "CalibrationError", "MotorCalibration"]

_TICKS_PER_DEGREE = (TICKS_PER_TURN - 1) / 360.0


class CalibrationError(ValueError):
    """A calibration that cannot be right; the message is one line."""


@dataclass(frozen=True)
class MotorCalibration:
    """One motor; the fields of LeRobot's class of that name, all integers.

    Attributes:
      id: On the bus.
      drive_mode: 1 if the motor's direction is inverted, else 0.
      homing_offset: What the servo subtracts from its encoder [ticks].
      range_min: Least position [ticks].
      range_max: Greatest position [ticks].
    """

    id: int
    drive_mode: int
    homing_offset: int
    range_min: int
    range_max: int


@dataclass(frozen=True)
class Calibration:
    """An arm's motors by name, in the order of `JOINTS`."""

    motors: Mapping[str, MotorCalibration]

    def __post_init__(self) -> None:
        """Checks names and ranges.

        Raises:
          CalibrationError: a motor is missing, unknown or has an impossible value.
        """
        for name in self.motors:
            if name not in JOINTS:
                raise CalibrationError(unknown("motor", name, JOINTS))
        for name in JOINTS:
            if name not in self.motors:
                raise CalibrationError(
                    f"motor '{name}' is missing: an SO arm has {', '.join(JOINTS)}"
                )
            motor = self.motors[name]
            if motor.drive_mode not in (0, 1):
                raise CalibrationError(
                    f"motor '{name}': drive_mode must be 0 or 1, got {motor.drive_mode}"
                )
            if motor.range_min >= motor.range_max:
                raise CalibrationError(
                    f"motor '{name}': range_min must be less than range_max, got "
                    f"{motor.range_min} and {motor.range_max}"
                )
        ids = [self.motors[name].id for name in JOINTS]
        if len(set(ids)) != len(ids):
            raise CalibrationError(f"motors must have different ids, got {ids}")
        object.__setattr__(self, "motors", {name: self.motors[name] for name in JOINTS})

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Reads a file of LeRobot's.

        Raises:
          CalibrationError: there is no such file, or it is not a calibration of an SO arm; one
            line that names the file and what is wrong with it.
        """
        try:
            return cls.from_json(Path(path).read_text("utf-8"))
        except OSError as error:
            raise CalibrationError(
                f"cannot read calibration {path}: {error.strerror or error}"
            ) from error
        except (CalibrationError, UnicodeDecodeError) as error:
            raise CalibrationError(f"calibration {path}: {error}") from error

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parses the text of such a file.

        Raises:
          CalibrationError: it is not a calibration of an SO arm.
        """
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise CalibrationError(f"not JSON: {error}") from error
        if not isinstance(value, dict):
            raise CalibrationError(
                f"must be an object of motors by name, got {type(value).__name__}"
            )
        return cls.from_motors(value)

    @classmethod
    def from_motors(cls, motors: Mapping[str, object]) -> Self:
        """The same of what such a file holds, {motor: {field: integer}}.

        Raises:
          CalibrationError: it is not a calibration of an SO arm.
        """
        return cls({name: _motor(name, entry) for name, entry in motors.items()})

    def to_json(self) -> str:
        """The text of the file, laid out as LeRobot does."""
        motors = {name: asdict(motor) for name, motor in self.motors.items()}
        return json.dumps(motors, indent=4) + "\n"

    def write(self, path: Path | str) -> None:
        """Writes the file whole or not at all.

        Raises:
          OSError: the place cannot be written to; what was there is unharmed.
        """
        files.write_text(Path(path), self.to_json())

    def from_ticks(self, ticks: np.ndarray) -> np.ndarray:
        """LeRobot's values (..., 6) [degrees, and 0-100] at encoder positions (..., 6) [ticks]."""
        low, high = self._ranges()
        degrees = (ticks - (low + high) / 2) / _TICKS_PER_DEGREE
        share = 100.0 * (np.clip(ticks, low, high) - low) / (high - low)
        inverted = bool(self.motors[JOINTS[5]].drive_mode)
        gripper = 100.0 - share[..., 5:] if inverted else share[..., 5:]
        return np.concatenate([degrees[..., :5], gripper], axis=-1)

    def to_ticks(self, values: np.ndarray) -> np.ndarray:
        """Encoder positions (..., 6), int64, of LeRobot's values (..., 6) [degrees, and 0-100].

        As LeRobot does, fractions of a tick are cut off and the gripper is clipped to 0 to 100.
        """
        low, high = self._ranges()
        arm = values * _TICKS_PER_DEGREE + (low + high) / 2
        inverted = bool(self.motors[JOINTS[5]].drive_mode)
        share = np.clip(100.0 - values if inverted else values, 0.0, 100.0) / 100.0
        gripper = share * (high - low) + low
        ticks = np.concatenate([arm[..., :5], gripper[..., 5:]], axis=-1)
        return np.trunc(ticks).astype(np.int64)

    def _ranges(self) -> tuple[np.ndarray, np.ndarray]:
        motors = self.motors.values()
        low = np.array([motor.range_min for motor in motors], float)
        return low, np.array([motor.range_max for motor in motors], float)


_FIELDS = tuple(field.name for field in fields(MotorCalibration))


def _motor(name: str, entry: object) -> MotorCalibration:
    if not isinstance(entry, dict):
        raise CalibrationError(f"motor '{name}' must be an object, got {type(entry).__name__}")
    for key in entry:
        if key not in _FIELDS:
            raise CalibrationError(f"motor '{name}': {unknown('field', key, _FIELDS)}")
    for field in _FIELDS:
        if field not in entry:
            raise CalibrationError(f"motor '{name}': field '{field}' is missing")
        if type(entry[field]) is not int:  # a bool is an int to Python, but not to LeRobot
            raise CalibrationError(
                f"motor '{name}': {field} must be an integer, got {json.dumps(entry[field])}"
            )
    return MotorCalibration(**entry)

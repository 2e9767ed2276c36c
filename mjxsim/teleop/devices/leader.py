"""An SO100 or SO101 leader arm, over its serial bus through lerobot.

The bus is read in encoder ticks; what they mean is said by the arm's calibration file, as
`lerobot-calibrate` wrote it, and by the robot's own zeros and signs (`mjxsim.robots.lerobot`).
"""

import glob
import pathlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from mjxsim.robots.lerobot import JOINTS, Calibration, LeRobotUnits
from mjxsim.teleop.devices.base import Command, DeviceError
from mjxsim.teleop.devices.link import Link

_PERIOD = 0.005  # [s] between readings; one takes some milliseconds
_RETRIES = 2  # of a reading: now and then a packet is broken


class Bus(Protocol):
    """What is used of `lerobot.motors.feetech.FeetechMotorsBus`."""

    def connect(self) -> None:
        """Opens the port and asks every motor for its name."""
        ...

    def disable_torque(self) -> None:
        """Lets the arm be moved by hand."""
        ...

    def sync_read(
        self, data_name: str, motors: None = None, *, normalize: bool, num_retry: int
    ) -> Mapping[str, float]:
        """One register of every motor, by motor; ticks unless normalized."""
        ...

    def disconnect(self) -> None:
        """Closes the port."""
        ...


class _Arm:
    """A leader arm on an open bus."""

    def __init__(self, bus: Bus, calibration: Calibration, units: LeRobotUnits) -> None:
        self._bus, self._calibration, self._units = bus, calibration, units

    def read(self) -> np.ndarray:
        """Our joint angles (6,) [rad], the gripper's last as 0 closed to 1 open."""
        ticks = self._bus.sync_read("Present_Position", normalize=False, num_retry=_RETRIES)
        values = self._calibration.from_ticks(np.array([ticks[name] for name in JOINTS], float))
        return np.append(self._units.to_radians(values)[:5], values[5] / 100.0)

    def close(self) -> None:
        self._bus.disconnect()


class Leader:
    """The joints of an arm of the same kind. Its gripper is a number from 0 to 1."""

    name = "leader"

    def __init__(
        self,
        units: LeRobotUnits,
        calibration: pathlib.Path | str | None,
        port: str | None = None,
        make_bus: Callable[[str], Bus] | None = None,
    ) -> None:
        """Connects.

        Args:
          units: of the robot that follows.
          calibration: the leader's own file; LeRobot keeps it in
            ~/.cache/huggingface/lerobot/calibration/teleoperators.
          port: such as /dev/ttyACM0; the only serial port there is if None.
          make_bus: a bus on a port; lerobot's if None.

        Raises:
          DeviceError: no such port, no arm on it, or lerobot is not installed.
          CalibrationError: no calibration, or one that is not of such an arm.
        """
        if calibration is None:
            raise DeviceError(
                "a leader arm needs its calibration: --calibration FILE, as lerobot-calibrate "
                "wrote it under ~/.cache/huggingface/lerobot/calibration/teleoperators"
            )
        read = Calibration.read(calibration)
        where = port or _only_port()
        make = make_bus or _feetech

        def connect() -> _Arm:
            bus = make(where)
            bus.connect()
            try:
                bus.disable_torque()
                _check_offsets(bus, read, calibration)
            except Exception:
                bus.disconnect()
                raise
            return _Arm(bus, read, units)

        try:
            first = connect()
        except DeviceError:
            raise
        except Exception as error:  # lerobot and pyserial have no common ancestor
            line = " ".join(str(error).split())
            raise DeviceError(f"no leader arm on {where}: {line}") from error
        self._link: Link[np.ndarray] = Link("leader", first, connect, period=_PERIOD)

    def poll(self) -> Command:
        angles = self._link.newest()
        if angles is None:
            return Command()
        *joints, gripper = angles.tolist()
        return Command(joints=tuple(joints), gripper=gripper)

    def messages(self) -> tuple[str, ...]:
        return self._link.messages()

    def help(self) -> tuple[str, ...]:
        return ("move the leader arm; the robot follows",)

    def close(self) -> None:
        self._link.close()


def _check_offsets(bus: Bus, calibration: Calibration, path: pathlib.Path | str) -> None:
    """Raises DeviceError where the motors were calibrated otherwise than the file says."""
    written = bus.sync_read("Homing_Offset", normalize=False, num_retry=_RETRIES)
    for name in JOINTS:
        if int(written[name]) != calibration.motors[name].homing_offset:
            raise DeviceError(
                f"calibration {path} is not this arm's: motor {name!r} has the homing offset "
                f"{int(written[name])} and the file says "
                f"{calibration.motors[name].homing_offset}; run lerobot-calibrate"
            )


def _feetech(port: str) -> Any:
    """LeRobot's bus of six STS3215."""
    try:
        from lerobot.motors import (  # type: ignore[import-not-found]
            Motor,
            MotorNormMode,
        )
        from lerobot.motors.feetech import (  # type: ignore[import-not-found]
            FeetechMotorsBus,
        )
    except ImportError as error:
        raise DeviceError(
            'a leader arm needs lerobot: python -m pip install "lerobot[feetech]"'
        ) from error
    mode = MotorNormMode.DEGREES  # nothing is read in it
    return FeetechMotorsBus(
        port=port, motors={name: Motor(i, "sts3215", mode) for i, name in enumerate(JOINTS, 1)}
    )


def _only_port() -> str:
    """The serial port that a leader arm's board is on, if there is just one."""
    found = sorted(glob.glob("/dev/ttyACM*") + glob.glob("/dev/tty.usbmodem*"))  # noqa: PTH207
    if len(found) != 1:
        there = f"there are {', '.join(found)}" if found else "there is no serial port"
        raise DeviceError(f"which port is the leader arm on? {there}: give --port /dev/ttyACM0")
    return found[0]

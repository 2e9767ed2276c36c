"""Simulated SO arms as LeRobot's robots."""

import logging
import time
from functools import cached_property
from typing import Any

import numpy as np
from lerobot.robots import Robot
from lerobot.utils.errors import DeviceAlreadyConnectedError, DeviceNotConnectedError

from mjxsim.compat.lerobot.cell import Cell, Sight
from mjxsim.compat.lerobot.config_arms import SimArmConfig, SimSO100Config, SimSO101Config
from mjxsim.compat.lerobot.encoder import as_read, nominal_calibration
from mjxsim.compat.lerobot.pacing import FrameClock
from mjxsim.robots.lerobot import JOINTS, Calibration, from_features, to_features

_log = logging.getLogger(__name__)
_made: list["SimArm"] = []  # so that a teleoperator finds the arm that it drives


def find(robot_id: str | None) -> "SimArm":
    """The simulated arm of this process with that id, or the only one.

    Raises:
      RuntimeError: there is none, or more than one to choose from; one line.
    """
    found = [arm for arm in _made if robot_id in (None, arm.id)]
    if len(found) != 1:
        named = "" if robot_id is None else f" of id {robot_id!r}"
        raise RuntimeError(
            f"a simulated teleoperator drives one simulated arm, and this process has "
            f"{len(found)}{named}: use --robot.type=mjxsim_so100 or mjxsim_so101, and "
            "--teleop.robot_id=... to choose"
        )
    return found[0]


class SimArm(Robot):
    """One lane of a task, with an SO arm that takes joint targets in degrees and 0 to 100.

    Observations are `<joint>.pos`, in whole ticks of its calibrated encoders, and pictures by name.
    """

    config_class = SimArmConfig
    name = "mjxsim_so100"

    def __init__(self, config: SimArmConfig) -> None:
        super().__init__(config)
        self.config = config
        self.cameras: dict[str, tuple[int, int]] = dict.fromkeys(
            config.views, (config.height, config.width)
        )
        self._frames = FrameClock(config.fps)
        self._connected = False
        self._ended: float | None = None  # when success or failure was first seen
        self._seen: Sight | None = None
        _made.append(self)

    @cached_property
    def cell(self) -> Cell:
        """The world; compiled when it is first asked for."""
        clock = time.perf_counter if self.config.pacing == "wall" else self._frames
        return Cell(self.config.spec, clock, self.config.seed)

    @property
    def observation_features(self) -> dict[str, Any]:
        """Six positions, and a picture (h, w, 3) for each camera."""
        pictures = {name: (h, w, 3) for name, (h, w) in self.cameras.items()}
        return {**self.action_features, **pictures}

    @property
    def action_features(self) -> dict[str, Any]:
        """Six positions."""
        return {f"{name}.pos": float for name in JOINTS}

    @property
    def is_connected(self) -> bool:
        """Whether `connect` was called, and not `disconnect`."""
        return self._connected

    def connect(self, calibrate: bool = True) -> None:
        """Compiles the world and starts its clock.

        Raises:
          DeviceAlreadyConnectedError: it is connected.
          CalibrationError: its calibration file is not one; one line.
          ValueError: the task cannot be made; one line.
        """
        if self._connected:
            raise DeviceAlreadyConnectedError(f"{self} is already connected")
        _log.info("%s: compiling %s", self, self.config.task)
        self.cell.start()  # the world has waited for this
        if calibrate and not self.is_calibrated:
            self.calibrate()
        self._connected = True
        if self not in _made:
            _made.append(self)

    @property
    def is_calibrated(self) -> bool:
        """Whether it has a calibration file."""
        return self.calibration_fpath.is_file()

    def calibrate(self) -> None:
        """Writes what calibrating an ideal arm finds to where LeRobot keeps it."""
        low, high = self.cell.arm.limits
        nominal_calibration(self.cell.arm.units, low, high).write(self.calibration_fpath)
        self._load_calibration()
        self.__dict__.pop("_encoders", None)
        _log.info("%s: calibration saved to %s", self, self.calibration_fpath)

    def configure(self) -> None:
        """Nothing to do: the servos' constants are those of the model."""

    def read(self) -> np.ndarray:
        """Where the arm is now, (6,) [degrees, and 0-100], as its encoders say."""
        self._seen = self.cell.look()
        values = self._seen.values
        return values if self._encoders is None else as_read(self._encoders, values)

    def get_observation(self) -> dict[str, Any]:
        """See `Robot`.

        Raises:
          DeviceNotConnectedError: it is not connected.
        """
        self._check_connected()
        if self._restart_due():
            self.cell.restart()
        values = self.read()
        assert self._seen is not None
        return {**to_features(values), **self._seen.pictures}

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        """See `Robot`; what the arm is sent to, within its limits.

        Raises:
          DeviceNotConnectedError: it is not connected.
          ValueError: a joint is missing, or a value is not finite; one line.
        """
        self._check_connected()
        values = from_features({name: float(v) for name, v in action.items()})
        if self.config.max_relative_target is not None:
            now, far = self.read(), self.config.max_relative_target
            values = np.clip(values, now - far, now + far)
        sent = self.cell.command(values)
        self._frames.advance()
        return dict(to_features(sent))

    def disconnect(self) -> None:
        """Stops the clock; says so if the machine was too slow for it."""
        self._check_connected()
        self._connected = False
        _made.remove(self)
        if self.config.pacing == "wall" and self.cell.waited > 0.0:
            _log.warning(
                "%s: the world stood still for %.1f s in all, while nobody looked for long",
                self,
                self.cell.waited,
            )

    @cached_property
    def _encoders(self) -> Calibration | None:
        return Calibration.read(self.calibration_fpath) if self.is_calibrated else None

    def _check_connected(self) -> None:
        if not self._connected:
            raise DeviceNotConnectedError(f"{self} is not connected: call connect() first")

    def _restart_due(self) -> bool:
        after, seen = self.config.restart_after_s, self._seen
        if after is None or seen is None or not (seen.succeeded or seen.failed):
            self._ended = None
            return False
        now = self.cell.time
        self._ended = now if self._ended is None else self._ended
        return now - self._ended >= after


class SimSO100(SimArm):
    """A simulated SO100."""

    config_class = SimSO100Config
    name = "mjxsim_so100"


class SimSO101(SimArm):
    """A simulated SO101."""

    config_class = SimSO101Config
    name = "mjxsim_so101"

"""A keyboard, gamepad, SpaceMouse or browser as one of LeRobot's teleoperators."""

import logging
from typing import Any

import numpy as np
from lerobot.teleoperators.teleoperator import Teleoperator
from lerobot.teleoperators.utils import TeleopEvents

from mjxsim.compat.lerobot import arms
from mjxsim.compat.lerobot.cell import Cell
from mjxsim.compat.lerobot.command_line import FPS
from mjxsim.compat.lerobot.config_device import SimDeviceConfig
from mjxsim.compat.lerobot.guide import Guide
from mjxsim.robots.lerobot import JOINTS, to_features
from mjxsim.teleop.devices import Command, Device, Event, make_device

_log = logging.getLogger(__name__)
_ENDS = (Event.SUCCESS, Event.FAILURE, Event.RERECORD)


class SimDevice(Teleoperator):
    """Says where a leader arm would be if it followed the person's device; degrees and 0 to 100.

    The reset key has the scene drawn anew, for LeRobot's recorder does not say when it should be.
    """

    config_class = SimDeviceConfig
    name = "mjxsim_device"

    def __init__(self, config: SimDeviceConfig) -> None:
        super().__init__(config)
        self.config = config
        self._cell: Cell | None = None
        self._guide: Guide | None = None
        self._device: Device | None = None
        self._gripper = 1.0  # open
        self._intervening = False
        self._ended: Event | None = None
        self._episode = -1

    @property
    def action_features(self) -> dict[str, Any]:
        """Six positions."""
        return {f"{name}.pos": float for name in JOINTS}

    @property
    def feedback_features(self) -> dict[str, Any]:
        """None."""
        return {}

    @property
    def is_connected(self) -> bool:
        """Whether it has a device and an arm to drive."""
        return self._device is not None

    def connect(self, calibrate: bool = True) -> None:
        """Opens the device and takes hold of the arm, which may not be connected yet.

        Raises:
          RuntimeError: there is no such arm in this process, or no such device; one line.
        """
        del calibrate
        self._cell = arms.find(self.config.robot_id).cell
        self._guide = Guide(self._cell.arm, self.config.fps or FPS)
        self._guide.move(self._cell.state, np.zeros(7))  # compiled before anybody waits for it
        self._guide.restart()
        self._device = make_device(self.config.device)
        for line in self._device.help():
            _log.info("%s", line)

    @property
    def is_calibrated(self) -> bool:
        """These devices need no calibration."""
        return True

    def calibrate(self) -> None:
        """Nothing to do."""

    def configure(self) -> None:
        """Nothing to do."""

    def get_action(self) -> dict[str, Any]:
        """Where the joints should go now."""
        cell, guide, device = self._held()
        command = device.poll()
        for line in device.messages():
            _log.warning("%s", line)
        self._heed(command, cell)
        if self._episode != cell.episode:
            self._episode, self._gripper = cell.episode, 1.0
            guide.restart()
        if not isinstance(command.gripper, str):
            self._gripper = 2.0 * command.gripper - 1.0
        elif command.gripper != "hold":
            self._gripper = 1.0 if command.gripper == "open" else -1.0
        action = np.array([*command.linear, *command.angular, self._gripper])
        return to_features(guide.move(cell.state, action))

    def get_teleop_events(self) -> dict[Any, bool]:
        """What the person said since the last question."""
        ended, self._ended = self._ended, None
        return {
            TeleopEvents.IS_INTERVENTION: self._intervening,
            TeleopEvents.TERMINATE_EPISODE: ended is not None,
            TeleopEvents.SUCCESS: ended is Event.SUCCESS,
            TeleopEvents.RERECORD_EPISODE: ended is Event.RERECORD,
        }

    def send_feedback(self, feedback: dict[str, Any]) -> None:
        """Nothing is felt."""
        del feedback

    def disconnect(self) -> None:
        """Closes the device and lets go of the arm."""
        if self._device is not None:
            self._device.close()
        self._cell = self._guide = self._device = None

    def _heed(self, command: Command, cell: Cell) -> None:
        for event in command.events:
            if event is Event.RESET:
                cell.restart()
            elif event is Event.INTERVENE:
                self._intervening = not self._intervening
            elif event in _ENDS:
                self._ended = event
        if command.intervene is not None:
            self._intervening = command.intervene

    def _held(self) -> tuple[Cell, Guide, Device]:
        if self._cell is None or self._guide is None or self._device is None:
            raise RuntimeError(f"{self} is not connected: call connect() first")
        return self._cell, self._guide, self._device

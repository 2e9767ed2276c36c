"""A person takes over: gym-hil's human input through mjxsim's devices."""

import json
import logging
import pathlib
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from mjxsim.compat.gym_hil.checks import check_switches, finite
from mjxsim.compat.gym_hil.spaces import HilObservation
from mjxsim.compat.gym_hil.wrappers import Stepped, Wrapped, base
from mjxsim.envs.gym_env import Info
from mjxsim.teleop.devices import Command, Device, Event

OPEN, HOLD, CLOSE = 2.0, 1.0, 0.0  # of an action's last entry, as gym-hil names them

_log = logging.getLogger(__name__)


class InputsControlWrapper(gymnasium.Wrapper[HilObservation, np.ndarray, Any, Any]):
    """A person's commands instead of the policy's actions, while the person intervenes.

    `info` at every step: `is_intervention`; `teleop_action`, the action that was carried out;
    `rerecord_episode`, whether the person wants the episode again; and, when the episode ends,
    `next.success`, whether the person called it one. Calling it one gives reward 1.

    Args:
      env: what actions (4,), or (3,) without the gripper, go to.
      x_step_size: the action along x for a stick pushed all the way; so y_step_size, z_step_size.
      use_gripper: whether the person moves the gripper.
      auto_reset: whether an episode that ends starts anew within the same step.
      input_threshold: nothing heeds it, as in gym-hil.
      use_gamepad: the device is the first gamepad instead of the keyboard, where `device` is None.
      controller_config_path: see `keymap_of`.
      device: what the person holds; it is asked once per step, and closed with the environment.

    Raises:
      ValueError: one line, for a value that cannot be.
      mjxsim.teleop.devices.DeviceError: the device cannot be opened.
    """

    def __init__(
        self,
        env: Wrapped,
        x_step_size: float = 1.0,
        y_step_size: float = 1.0,
        z_step_size: float = 1.0,
        use_gripper: bool = False,
        auto_reset: bool = False,
        input_threshold: float = 0.001,
        use_gamepad: bool = True,
        controller_config_path: str | None = None,
        *,
        device: Device | None = None,
    ) -> None:
        super().__init__(env)
        check_switches(use_gripper=use_gripper, auto_reset=auto_reset, use_gamepad=use_gamepad)
        steps = (x_step_size, y_step_size, z_step_size)
        if not all(map(finite, steps)):
            raise ValueError(f"x_, y_ and z_step_size are finite numbers, got {steps}")
        if device is None:
            name = "gamepad" if use_gamepad else "keyboard"
            device = device_of(name, controller_config_path=controller_config_path)
        self.device = device
        self._steps = np.asarray(steps, np.float32)
        self.auto_reset = auto_reset
        self._use_gripper = use_gripper
        self._corrected = base(env).settings.corrected_gripper
        self._intervening = False
        for line in device.help():
            _log.info("%s", line)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[HilObservation, Info]:
        """Starts an episode, in which the policy acts until the person takes over."""
        self._intervening = False
        self.device.poll()  # what was pressed between two episodes was not meant for this one
        return self.env.reset(seed=seed, options=options)

    def step(self, action: np.ndarray) -> Stepped:
        command = self._asked()
        for event in command.events:
            if event is Event.INTERVENE:
                self._intervening = not self._intervening
        intervening = self._intervening if command.intervene is None else command.intervene
        success = Event.SUCCESS in command.events
        again = Event.RERECORD in command.events
        ended = success or again or Event.FAILURE in command.events
        if intervening:
            action = self._action(command)
        observed, reward, terminated, truncated, info = self.env.step(action)
        terminated = terminated or truncated or ended
        info["is_intervention"] = intervening
        info["teleop_action"] = np.asarray(action, np.float32)
        info["rerecord_episode"] = again
        if terminated:
            info["next.success"] = success
            if self.auto_reset:
                observed, reset_info = self.reset()
                info.update(reset_info)
        return observed, 1.0 if success else float(reward), terminated, truncated, info

    def close(self) -> None:
        """Lets go of the device."""
        self.device.close()
        super().close()

    def _asked(self) -> Command:
        """What the person wants; still, and said so, where the device talks nonsense."""
        command = self.device.poll()
        for message in self.device.messages():
            _log.warning("%s", message)
        if not command.finite:
            _log.warning("%s: a number that is not finite; holding still", self.device.name)
            return Command(intervene=command.intervene, events=command.events)
        return command

    def _action(self, command: Command) -> np.ndarray:
        linear = self._steps * np.asarray(command.linear, np.float32)
        action = np.append(linear, np.float32(self._grip(command)))
        shape = self.env.action_space.shape
        assert shape is not None
        return action[: shape[0]]  # an EEActionWrapper without the gripper takes three

    def _grip(self, command: Command) -> float:
        """Of a named wish its number in gym-hil; of a share of opening, how to get there."""
        if not self._use_gripper:
            return HOLD
        if isinstance(command.gripper, str):
            return {"open": OPEN, "hold": HOLD, "close": CLOSE}[command.gripper]
        closed = float(base(self.env).get_gripper_pose()[0]) / 255.0
        closing = (1.0 - command.gripper) - closed
        return float(HOLD + np.clip(-closing if self._corrected else closing, -1.0, 1.0))


def device_of(name: str, *, controller_config_path: str | None = None) -> Device:
    """A device by its name, with the key map of a file where one is given.

    Raises:
      ValueError: one line, for a name that does not exist or a file that cannot be read.
      mjxsim.teleop.devices.DeviceError: the device cannot be opened.
    """
    from mjxsim.teleop.devices import make_device

    return make_device(name, keymap=keymap_of(controller_config_path))


def keymap_of(path: str | None) -> Mapping[str, str] | None:
    """The key map in a JSON file: our actions and the names of keys or buttons.

    A controller configuration of gym-hil's says which number each button of a pad has. SDL knows
    that of every pad, so that such a file is read and then not needed: None.

    Raises:
      ValueError: one line that names the file and what is wrong with it.
    """
    if path is None:
        return None
    try:
        read = json.loads(pathlib.Path(path).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"controller_config_path {path!r} cannot be read: {error}") from None
    entries = read.values() if isinstance(read, dict) else ()
    if entries and all(isinstance(v, dict) and "buttons" in v for v in entries):
        _log.info("%s: SDL knows the buttons of every gamepad; nothing is taken from it", path)
        return None
    if not entries or not all(isinstance(v, str) for v in entries):
        raise ValueError(
            f"controller_config_path {path!r} must hold an object of actions and keys, such as "
            '{"open": "lefttrigger"}, or gym-hil\'s controller configuration'
        )
    return {str(k): str(v) for k, v in read.items()}

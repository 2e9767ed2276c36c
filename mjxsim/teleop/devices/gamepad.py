"""A gamepad, by SDL's names for the buttons and axes of all of them."""

import collections
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mjxsim.naming import unknown
from mjxsim.teleop.devices.base import Command, Event, Gripper
from mjxsim.teleop.devices.keymap import EVENTS, GAMEPAD, GRIPPER, MOTIONS, customized, help_lines
from mjxsim.teleop.devices.sdl import SdlEvents

if TYPE_CHECKING:
    import pygame.event

# SDL_GameControllerButton and SDL_GameControllerAxis (SDL_gamecontroller.h), by mapping name.
BUTTONS = (
    *("a", "b", "x", "y", "back", "guide", "start", "leftstick", "rightstick"),
    *("leftshoulder", "rightshoulder", "dpup", "dpdown", "dpleft", "dpright"),
    *("misc1", "paddle1", "paddle2", "paddle3", "paddle4", "touchpad"),  # not on every gamepad
)
AXES = ("leftx", "lefty", "rightx", "righty", "lefttrigger", "righttrigger")
_MOTION_AXES = ("x", "y", "z", "roll", "pitch", "yaw")
_DEAD = 0.1  # of a stick's way, as in gym-hil
_PULLED = 0.5  # of a trigger's way
_FULL = 32767.0


class Gamepad:
    """The first gamepad there is, now or later."""

    name = "gamepad"

    def __init__(self, keymap: Mapping[str, str] | None = None, events: SdlEvents | None = None):
        """Listens to `events`, which somebody else pumps; without it, pumps in `poll`.

        Raises:
          DeviceError: there is no pygame, or no display.
          ValueError: a key map with an unknown action, button or axis.
        """
        self._own = events is None
        self._events = events or SdlEvents(video=False)
        import pygame
        from pygame._sdl2 import controller

        def check(key: str) -> None:
            if key.removeprefix("-") not in (*BUTTONS, *AXES):
                raise ValueError(unknown("button or axis in the key map", key, (*BUTTONS, *AXES)))

        self._pygame, self._controller = pygame, controller
        self._keymap = customized(GAMEPAD, keymap, check)
        self._pad: controller.Controller | None = None
        self._id: int | None = None
        self._axes: dict[str, float] = {}
        self._pressed: frozenset[str] = frozenset()
        self._happened: collections.deque[Event] = collections.deque(maxlen=100)
        self._messages: collections.deque[str] = collections.deque(maxlen=100)
        controller.init()
        self._events.listen(self._hear)
        for index in range(controller.get_count()):
            self._take(index)
        if self._pad is None:
            self._messages.append("gamepad: none is connected; plug one in")

    def poll(self) -> Command:
        if self._own:
            self._events.pump()
        axes = [self._axis(self._keymap.get(name, "")) for name in _MOTION_AXES]
        held = {a for a, key in self._keymap.items() if self._down(key)}
        for action in held & MOTIONS.keys():
            axis, sign = MOTIONS[action]
            axes[axis] += sign
        grips: list[Gripper] = [GRIPPER[a] for a in sorted(held & GRIPPER.keys())]
        gripper: Gripper = grips[0] if len(grips) == 1 else "hold"
        x, y, z, roll, pitch, yaw = (min(max(v, -1.0), 1.0) for v in axes)
        return Command(
            linear=(x, y, z),
            angular=(roll, pitch, yaw),
            gripper=gripper,
            intervene="intervene" in held,
            events=tuple(self._happened.popleft() for _ in range(len(self._happened))),
        )

    def messages(self) -> tuple[str, ...]:
        return tuple(self._messages.popleft() for _ in range(len(self._messages)))

    def help(self) -> tuple[str, ...]:
        return help_lines(self._keymap)

    def close(self) -> None:
        self._events.forget(self._hear)
        if self._pad is not None:
            self._pad.quit()
            self._pad = None

    def _axis(self, key: str) -> float:
        """Of an axis by its name, which may have a sign; [-1, 1]."""
        value = self._axes.get(key.removeprefix("-"), 0.0)
        value = 0.0 if abs(value) < _DEAD else value
        return -value if key.startswith("-") else value

    def _down(self, key: str) -> bool:
        return key in self._pressed or (key in AXES[4:] and self._axis(key) > _PULLED)

    def _take(self, index: int) -> None:
        """Opens the gamepad that SDL counts as `index`."""
        if self._pad is not None:
            return
        if not self._controller.is_controller(index):
            self._messages.append(
                f"gamepad: SDL does not know the buttons of {self._controller.name_forindex(index)}"
                ": set SDL_GAMECONTROLLERCONFIG to its mapping"
            )
            return
        pad = self._controller.Controller(index)
        self._pad, self._id = pad, pad.as_joystick().get_instance_id()
        self._messages.append(f"gamepad: {pad.name} is connected")

    def _lose(self) -> None:
        assert self._pad is not None
        self._pad.quit()
        self._pad, self._id, self._axes, self._pressed = None, None, {}, frozenset()
        self._messages.append("gamepad: it was unplugged; holding still until one is back")
        for index in range(self._controller.get_count()):
            self._take(index)

    def _hear(self, event: "pygame.event.Event") -> None:
        pg = self._pygame
        if event.type == pg.CONTROLLERDEVICEADDED:
            self._take(event.device_index)
        elif event.type == pg.CONTROLLERDEVICEREMOVED and event.instance_id == self._id:
            self._lose()
        elif event.type == pg.CONTROLLERAXISMOTION and event.instance_id == self._id:
            for axis in AXES[event.axis : event.axis + 1]:  # none where SDL has a newer one
                self._axes = {**self._axes, axis: event.value / _FULL}
        elif event.type == pg.CONTROLLERBUTTONDOWN and event.instance_id == self._id:
            for button in BUTTONS[event.button : event.button + 1]:
                self._press(button)
        elif event.type == pg.CONTROLLERBUTTONUP and event.instance_id == self._id:
            self._pressed -= {*BUTTONS[event.button : event.button + 1]}

    def _press(self, button: str) -> None:
        self._pressed |= {button}
        for action, key in self._keymap.items():
            if key == button and action == "toggle":
                self._happened.append(Event.INTERVENE)
            elif key == button and action in EVENTS and action != "intervene":
                self._happened.append(EVENTS[action])

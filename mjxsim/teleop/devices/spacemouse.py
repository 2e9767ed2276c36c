"""A 3Dconnexion SpaceMouse, through pyspacemouse."""

import collections
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mjxsim.naming import unknown
from mjxsim.teleop.devices.base import Command, DeviceError, Event, Gripper
from mjxsim.teleop.devices.keymap import (
    EVENTS,
    GRIPPER,
    SPACEMOUSE,
    customized,
    help_lines,
)
from mjxsim.teleop.devices.link import Link

if TYPE_CHECKING:
    import pyspacemouse

_PERIOD = 0.004  # [s] between readings; the mouse reports every 8 ms
_REPORTS = 64  # taken in one reading at most: motion, rotation and buttons come one by one
_DEAD = 0.05  # of the cap's way, which never quite rests
_BUTTONS = 32  # more than any model has
_NO_HID = (
    "a SpaceMouse needs the HID library: apt-get install libhidapi-hidraw0, or brew install hidapi"
)


@dataclasses.dataclass(frozen=True)
class _Reading:
    axes: tuple[float, float, float, float, float, float]  # x forward, y left, z up, and about them
    buttons: tuple[int, ...]


class _Cap:
    """An open SpaceMouse."""

    def __init__(self, mouse: "pyspacemouse.SpaceMouseDevice") -> None:
        self._mouse = mouse

    def read(self) -> _Reading:
        """All reports that have come; raises when the mouse is gone."""
        state = self._mouse.read()
        for _ in range(_REPORTS):
            before = state.t
            state = self._mouse.read()
            if state.t == before:
                break
        axes = (state.x, state.y, state.z, state.roll, state.pitch, state.yaw)
        return _Reading(axes, tuple(state.buttons))

    def close(self) -> None:
        self._mouse.close()


def _open() -> _Cap:
    """The first SpaceMouse there is. Raises whatever pyspacemouse raises."""
    import pyspacemouse

    # x forward, y left, z up: the axes of a robot's base (REP 103).
    return _Cap(pyspacemouse.open(axis_convention=pyspacemouse.AxisConvention.ROS))


class SpaceMouse:
    """Six axes at once. Whoever touches it intervenes."""

    name = "spacemouse"

    def __init__(self, keymap: Mapping[str, str] | None = None) -> None:
        """Opens the first one.

        Raises:
          DeviceError: none is connected, it may not be opened, or something is not installed.
          ValueError: a key map with an unknown action or button.
        """

        def check(key: str) -> None:
            if key not in map(str, range(_BUTTONS)):
                raise ValueError(unknown("button in the key map", key, map(str, range(_BUTTONS))))

        self._keymap = customized(SPACEMOUSE, keymap, check)
        self._buttons = {int(key): action for action, key in self._keymap.items()}
        self._down: frozenset[int] = frozenset()
        self._said: collections.deque[str] = collections.deque(maxlen=100)
        try:
            import pyspacemouse  # noqa: F401 - it loads the HID library
        except ImportError as error:
            raise DeviceError(
                'a SpaceMouse needs pyspacemouse: python -m pip install "mjxsim[spacemouse]"'
            ) from error
        except (OSError, TypeError, AttributeError) as error:
            raise DeviceError(_NO_HID) from error
        try:
            first = _open()
        except Exception as error:
            line = " ".join(str(error).split())
            if "HID API" in line:  # that library is looked for only now
                raise DeviceError(_NO_HID) from error
            raise DeviceError(
                f"no SpaceMouse ({line}): plug one in, and on Linux let yourself read /dev/hidraw* "
                "by a udev rule"
            ) from error
        self._link: Link[_Reading] = Link("spacemouse", first, _open, period=_PERIOD)

    def poll(self) -> Command:
        reading = self._link.newest()
        if reading is None:
            self._down = frozenset()
            return Command(intervene=False)
        x, y, z, roll, pitch, yaw = (0.0 if abs(v) < _DEAD else v for v in reading.axes)
        down = frozenset(i for i, pressed in enumerate(reading.buttons) if pressed)
        events: list[Event] = []
        for button in sorted(down - self._down):
            action = self._buttons.get(button, "")
            if action in EVENTS:
                events.append(EVENTS[action])
        self._down = down
        grips: set[Gripper] = {
            GRIPPER[a] for b, a in self._buttons.items() if b in down and a in GRIPPER
        }
        gripper: Gripper = grips.pop() if len(grips) == 1 else "hold"
        command = Command((x, y, z), (roll, pitch, yaw), gripper, events=tuple(events))
        return dataclasses.replace(command, intervene=command.moves)

    def messages(self) -> tuple[str, ...]:
        return self._link.messages()

    def help(self) -> tuple[str, ...]:
        return ("push, lift and turn the cap", *(f"button {line}" for line in self._help()))

    def close(self) -> None:
        self._link.close()

    def _help(self) -> tuple[str, ...]:
        return help_lines({key: action for action, key in self._keymap.items()})

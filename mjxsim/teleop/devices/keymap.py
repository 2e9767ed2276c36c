"""Which key, button or axis does what: gym-hil's by default, and anybody's own."""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

from mjxsim.naming import unknown
from mjxsim.teleop.devices.base import Command, Event, Gripper

# What a key can do beside an event: an axis of the motion, and its sign.
MOTIONS: Mapping[str, tuple[int, float]] = MappingProxyType(
    {
        "forward": (0, 1.0),  # +x of the robot's base
        "back": (0, -1.0),
        "left": (1, 1.0),  # +y
        "right": (1, -1.0),
        "up": (2, 1.0),
        "down": (2, -1.0),
        "roll_left": (3, 1.0),  # about the base's x, y, z
        "roll_right": (3, -1.0),
        "pitch_down": (4, 1.0),
        "pitch_up": (4, -1.0),
        "turn_left": (5, 1.0),
        "turn_right": (5, -1.0),
    }
)
GRIPPER: Mapping[str, Gripper] = MappingProxyType({"open": "open", "close": "close"})
EVENTS: Mapping[str, Event] = MappingProxyType({event.value: event for event in Event})
ACTIONS = (*MOTIONS, *GRIPPER, *EVENTS)

# Arrows, Shift, Ctrl, Enter, Escape, Space and R are gym-hil's. There the right Ctrl is called
# "open" and closes (its issue 27); here what is called open opens.
KEYBOARD: Mapping[str, str] = MappingProxyType(
    {
        "forward": "up",
        "back": "down",
        "left": "left",
        "right": "right",
        "up": "right shift",
        "down": "left shift",
        "roll_left": "u",
        "roll_right": "o",
        "pitch_down": "i",
        "pitch_up": "k",
        "turn_left": "j",
        "turn_right": "l",
        "open": "right ctrl",
        "close": "left ctrl",
        "intervene": "space",
        "success": "return",
        "failure": "escape",
        "rerecord": "r",
        "reset": "backspace",
        "record": "c",
        "pause": "p",
        "next_lane": "]",
        "previous_lane": "[",
        "next_arm": "tab",
        "faster": "=",
        "slower": "-",
        "quit": "q",
    }
)

# Names of SDL's game controllers. An axis may have a sign; "intervene" is held.
GAMEPAD: Mapping[str, str] = MappingProxyType(
    {
        "x": "-lefty",  # the stick forward; SDL counts downwards
        "y": "leftx",  # to the right is +y, as in gym-hil
        "z": "-righty",
        "yaw": "-rightx",
        "open": "righttrigger",
        "close": "lefttrigger",
        "intervene": "rightshoulder",
        "success": "y",
        "failure": "a",
        "rerecord": "x",
        "record": "b",
        "reset": "back",
        "pause": "start",
        "toggle": "leftshoulder",  # takes the lane over for good, or hands it back
        "next_lane": "dpright",
        "previous_lane": "dpleft",
        "faster": "dpup",
        "slower": "dpdown",
        "next_arm": "rightstick",
        "quit": "guide",
    }
)

# Button numbers of a SpaceMouse, from 0.
SPACEMOUSE: Mapping[str, str] = MappingProxyType({"close": "0", "open": "1"})


def customized(
    default: Mapping[str, str], own: Mapping[str, str] | None, check: Callable[[str], object]
) -> Mapping[str, str]:
    """A device's key map with the person's changes.

    Args:
      default: action -> key.
      own: changes of it; the key "" takes an action off the device. What used the key before gives
        it up.
      check: raises ValueError for a name that is not a key's.

    Raises:
      ValueError: an unknown action or key, or one key for two actions, in a line.
    """
    if not own:
        return default
    for action, key in own.items():
        if action not in default and action not in ACTIONS:
            raise ValueError(unknown("action in the key map", action, {*default, *ACTIONS}))
        if key:
            check(key)
    users: dict[str, str] = {}
    for action, key in own.items():
        if key and key in users:
            raise ValueError(f"key {key!r} cannot mean both {users[key]!r} and {action!r}")
        users[key] = action
    merged = {a: k for a, k in default.items() if k not in users} | {**own}
    return {action: key for action, key in merged.items() if key}


@dataclasses.dataclass(frozen=True)
class Held:
    """What the actions that are pressed now come to."""

    actions: frozenset[str]

    def command(self, events: tuple[Event, ...], intervene: bool | None = None) -> Command:
        """The command of these actions; opposite ones cancel out."""
        axes = [0.0] * 6
        for action in self.actions & MOTIONS.keys():
            axis, sign = MOTIONS[action]
            axes[axis] += sign
        pressed: list[Gripper] = [GRIPPER[a] for a in sorted(self.actions & GRIPPER.keys())]
        gripper: Gripper = pressed[0] if len(pressed) == 1 else "hold"
        x, y, z, roll, pitch, yaw = axes
        return Command((x, y, z), (roll, pitch, yaw), gripper, None, intervene, events)


def help_lines(keys: Mapping[str, str]) -> tuple[str, ...]:
    """Lines such as "success: return", in the order of the map."""
    return tuple(f"{action.replace('_', ' ')}: {key}" for action, key in keys.items())

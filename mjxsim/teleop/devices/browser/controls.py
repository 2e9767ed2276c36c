"""What a page can ask for, and which key of a browser asks for it."""

from collections.abc import Collection, Mapping

from mjxsim.naming import unknown
from mjxsim.teleop.devices.base import Command, Event, Gripper

# `KeyboardEvent.code` (W3C UI Events KeyboardEvent code Values) -> control.
KeyMap = Mapping[str, str]

# Control -> (axis, sign); the robot base's axes.
_LINEAR = {"+x": (0, 1), "-x": (0, -1), "+y": (1, 1), "-y": (1, -1), "+z": (2, 1), "-z": (2, -1)}
_ANGULAR = {
    "+roll": (0, 1),
    "-roll": (0, -1),
    "+pitch": (1, 1),
    "-pitch": (1, -1),
    "+yaw": (2, 1),
    "-yaw": (2, -1),
}
EVENTS = {event.value: event for event in Event}
HELD = (*_LINEAR, *_ANGULAR, "open", "close")
CONTROLS = (*HELD, *EVENTS)

# gym-hil's keys, and more where it has none.
KEYS: KeyMap = {
    "ArrowUp": "+x",
    "ArrowDown": "-x",
    "ArrowLeft": "+y",
    "ArrowRight": "-y",
    "ShiftRight": "+z",
    "ShiftLeft": "-z",
    "ControlRight": "open",
    "ControlLeft": "close",
    "KeyJ": "+yaw",
    "KeyL": "-yaw",
    "KeyI": "+pitch",
    "KeyK": "-pitch",
    "KeyU": "+roll",
    "KeyO": "-roll",
    "Space": "intervene",
    "Enter": "success",
    "Escape": "failure",
    "Backspace": "rerecord",
    "KeyR": "reset",
    "KeyC": "record",
    "KeyP": "pause",
    "BracketRight": "next_lane",
    "BracketLeft": "previous_lane",
    "Equal": "faster",
    "Minus": "slower",
    "KeyQ": "quit",
}


def check(keys: KeyMap) -> None:
    """Raises ValueError, one line, for a key that asks for something unknown."""
    for key, control in keys.items():
        if control not in CONTROLS:
            raise ValueError(f"key {key}: {unknown('control', control, CONTROLS)}")


def command(held: Collection[str], events: tuple[Event, ...]) -> Command:
    """What is asked for by the controls that are held; opposite ones cancel."""

    def along(directions: Mapping[str, tuple[int, int]]) -> tuple[float, float, float]:
        total = [0.0, 0.0, 0.0]
        for control, (axis, sign) in directions.items():
            total[axis] += sign * (control in held)
        return total[0], total[1], total[2]

    gripper: Gripper = "hold"
    if ("open" in held) != ("close" in held):
        gripper = "open" if "open" in held else "close"
    return Command(linear=along(_LINEAR), angular=along(_ANGULAR), gripper=gripper, events=events)


def help_lines(keys: KeyMap) -> tuple[str, ...]:
    """What each key does, a line each."""
    return tuple(f"{label(key)}: {control.replace('_', ' ')}" for key, control in keys.items())


def label(key: str) -> str:
    """A key's code as a person says it: "ShiftLeft" -> "left Shift"."""
    for side in ("Left", "Right"):
        base = key.removesuffix(side)
        if base != key and base in ("Shift", "Control", "Alt", "Meta"):
            return f"{side.lower()} {'Ctrl' if base == 'Control' else base}"
    return _SIGNS.get(key) or key.removeprefix("Key").removeprefix("Digit")


_SIGNS = {
    "ArrowUp": "↑",
    "ArrowDown": "↓",
    "ArrowLeft": "←",
    "ArrowRight": "→",
    "BracketLeft": "[",
    "BracketRight": "]",
    "Equal": "=",
    "Minus": "-",
    "Escape": "Esc",
}

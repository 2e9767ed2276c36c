"""The keys of a page, by the names that browsers give them."""

import re
from collections.abc import Mapping
from types import MappingProxyType

from mjxsim.teleop.devices import keymap

# Action -> `KeyboardEvent.code`; the keys of `keymap.KEYBOARD`.
KEYS: Mapping[str, str] = MappingProxyType(
    {
        "forward": "ArrowUp",
        "back": "ArrowDown",
        "left": "ArrowLeft",
        "right": "ArrowRight",
        "up": "ShiftRight",
        "down": "ShiftLeft",
        "roll_left": "KeyU",
        "roll_right": "KeyO",
        "pitch_down": "KeyI",
        "pitch_up": "KeyK",
        "turn_left": "KeyJ",
        "turn_right": "KeyL",
        "open": "ControlRight",
        "close": "ControlLeft",
        "intervene": "Space",
        "success": "Enter",
        "failure": "Escape",
        "rerecord": "KeyR",
        "reset": "Backspace",
        "record": "KeyC",
        "pause": "KeyP",
        "next_lane": "BracketRight",
        "previous_lane": "BracketLeft",
        "next_arm": "Tab",
        "faster": "Equal",
        "slower": "Minus",
        "quit": "KeyQ",
    }
)

# W3C, UI Events KeyboardEvent code Values: the keys of a usual keyboard.
_CODE = re.compile(
    r"Key[A-Z]|Digit\d|F\d\d?|Numpad\w+|Arrow(Up|Down|Left|Right)|(Shift|Control|Alt)(Left|Right)"
    r"|Page(Up|Down)|Home|End|Insert|Delete|Enter|Escape|Backspace|Tab|Space|CapsLock|Backquote"
    r"|Backslash|IntlBackslash|Bracket(Left|Right)|Comma|Equal|Minus|Period|Quote|Semicolon|Slash"
)
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
    "PageUp": "page up",
    "PageDown": "page down",
}


def customized(own: Mapping[str, str] | None) -> Mapping[str, str]:
    """The keys with the person's changes; see `keymap.customized`.

    Raises:
      ValueError: an unknown action or key, or one key for two actions, in a line.
    """
    return keymap.customized(KEYS, own, _check)


def label(key: str) -> str:
    """A key as a person says it: "ShiftLeft" -> "left Shift"."""
    for side in ("Left", "Right"):
        base = key.removesuffix(side)
        if base != key and base in ("Shift", "Control", "Alt"):
            return f"{side.lower()} {'Ctrl' if base == 'Control' else base}"
    return _SIGNS.get(key) or key.removeprefix("Key").removeprefix("Digit")


def _check(key: str) -> None:
    if not _CODE.fullmatch(key):
        raise ValueError(
            f"unknown key {key!r} in the key map: keys are called as browsers call them "
            "(KeyboardEvent.code), such as 'KeyA', 'Enter', 'ShiftLeft' or 'PageUp'"
        )

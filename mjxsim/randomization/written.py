"""How plain dictionaries write things: sections of keys, pairs of numbers, and what is left open.

`...` as a value stands for the standard one, and a set of keys, as in {"mass_range"}, for a section
in which each of them is left open.
"""

from collections.abc import Mapping, Set
from numbers import Real
from types import EllipsisType
from typing import TypeGuard

import numpy as np

from mjxsim.naming import unknown

__all__ = ["check_keys", "is_number", "is_open", "pair_of", "section_of"]


def is_open(value: object) -> TypeGuard[EllipsisType]:
    """Whether a value stands for the standard one."""
    return value is ...


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a real number, of Python or NumPy, and no switch."""
    return isinstance(value, Real) and not isinstance(value, bool)


def section_of(value: object, valid: tuple[str, ...]) -> dict[str, object] | None:
    """A section's values by key, not looked at yet; None for what is no section."""
    if is_open(value):
        return dict.fromkeys(valid, ...)
    if isinstance(value, Set) and not isinstance(value, Mapping):
        return dict.fromkeys(sorted(map(str, value)), ...)
    return {str(k): v for k, v in value.items()} if isinstance(value, Mapping) else None


def check_keys(what: str, given: Mapping[str, object], valid: tuple[str, ...]) -> None:
    """Raises ValueError, one line with the nearest valid one, for a key that does not exist."""
    for key in given:
        if key not in valid:
            raise ValueError(unknown(what, key, valid))


def pair_of(name: str, value: object, *, number: bool = False) -> tuple[float, float]:
    """Low and high of [low, high]; of one number, where that is allowed, it twice.

    Raises:
      ValueError: one line that begins with `name`, for anything else.
    """
    if number and is_number(value):
        return float(value), float(value)
    numbers = list(value) if isinstance(value, list | tuple | np.ndarray) else []
    if len(numbers) != 2 or not all(map(is_number, numbers)):
        wanted = "a number or [low, high]" if number else "[low, high]"
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    return float(numbers[0]), float(numbers[1])

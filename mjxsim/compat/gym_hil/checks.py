"""What keywords must be: one line of error for those that are not."""

from collections.abc import Mapping
from typing import Any, TypeGuard

import numpy as np

from mjxsim.naming import unknown


def merged(given: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords with those of `wrapper_kwargs` among them, which count before those beside it."""
    given = dict(given)
    more = given.pop("wrapper_kwargs", None)
    if more is not None and not isinstance(more, Mapping):
        raise ValueError(f"wrapper_kwargs is a dictionary of keywords, got {more!r}")
    return {**given, **(more or {})}


def positive(value: object) -> bool:
    """Whether it is a finite number above 0."""
    return finite(value) and value > 0.0


def finite(value: object) -> TypeGuard[float]:
    """Whether it is a number, and a finite one."""
    return isinstance(value, int | float | np.number) and bool(np.isfinite(value))


def whole(value: object) -> bool:
    """Whether it is an integer."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_switches(**given: object) -> None:
    """Raises ValueError, one line, unless each is True or False: "no" would count as true."""
    for name, value in given.items():
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{name} is True or False, got {value!r}")


def check(name: str, value: str | None, valid: tuple[str | None, ...]) -> None:
    """Raises ValueError, one line, unless `value` is among `valid`."""
    if value not in valid:
        raise ValueError(unknown(name, str(value), [str(v) for v in valid]))

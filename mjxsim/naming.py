"""One-line errors for names and counts; for unknown names with the nearest valid one."""

import difflib
from collections.abc import Iterable


def check_names(what: str, given: object) -> None:
    """Raises ValueError, one line, unless `given` is a tuple of names; one name alone is not."""
    if not isinstance(given, tuple | list) or not all(isinstance(name, str) for name in given):
        raise ValueError(f"{what} must be a tuple of names such as ('one',), got {given!r}")


def check_count(what: str, given: object) -> None:
    """Raises ValueError, one line, unless `given` is a whole number from 1."""
    if not isinstance(given, int) or isinstance(given, bool):
        raise ValueError(f"{what} must be a whole number, got {given!r}")
    if given < 1:
        raise ValueError(f"{what} must be at least 1, got {given}")


def unknown(what: str, name: str, valid: Iterable[str]) -> str:
    """A line such as: unknown task 'pick_cub': did you mean 'pick_cube'? valid: pick_cube, reach.

    Long lists of valid names are cut to the twelve nearest.
    """
    names = sorted(valid)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    guess = f" did you mean {near[0]!r}?" if near else ""
    if len(names) > 12:
        shown = difflib.get_close_matches(name, names, n=12, cutoff=0.0) or names[:12]
        return f"unknown {what} {name!r}:{guess} nearest of {len(names)}: {', '.join(shown)}"
    return f"unknown {what} {name!r}:{guess} valid: {', '.join(names)}"

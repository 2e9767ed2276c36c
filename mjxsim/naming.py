"""One-line errors for unknown names, with the nearest valid one."""

import difflib
from collections.abc import Iterable


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

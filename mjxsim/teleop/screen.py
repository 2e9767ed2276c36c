"""Whether a window can be opened here."""

import os
import sys


def why_none() -> str | None:
    """Why no window can be opened on this machine, in a few words; None if it seems that one can.

    On Linux a display is an X server or a Wayland compositor, named in the environment.
    """
    if sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return None
    return "no display: neither DISPLAY nor WAYLAND_DISPLAY is set"


def named() -> str:
    """The displays that the environment names: "DISPLAY=:0"."""
    names = ("DISPLAY", "WAYLAND_DISPLAY")
    return " and ".join(f"{name}={os.environ[name]}" for name in names if os.environ.get(name))

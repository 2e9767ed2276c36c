"""SDL's events, which one thread takes from the queue and whoever listens gets.

SDL wants its events taken on the thread that opened the window, on macOS the main one; the devices
are asked on the control thread. So they listen here, and keep what they heard.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from mjxsim.teleop.devices.base import DeviceError
from mjxsim.teleop.screen import named, why_none

if TYPE_CHECKING:
    import pygame.event

    Listener = Callable[["pygame.event.Event"], None]

_DRIVER = "SDL_VIDEODRIVER"
_UNSEEN = ("dummy", "offscreen")  # that SDL takes where nothing else can be opened
NO_PYGAME = 'this needs pygame: python -m pip install "mjxsim[teleop]"'


class SdlEvents:
    """The queue of this process's SDL events."""

    def __init__(self, *, video: bool = True) -> None:
        """Starts SDL, with a display or, for a gamepad alone, without one.

        Raises:
          DeviceError: pygame is not installed, or there is no display.
        """
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        # A gamepad is heard even where no window of ours has the focus.
        os.environ.setdefault("SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS", "1")
        try:
            import pygame
        except ImportError as error:
            raise DeviceError(NO_PYGAME) from error
        chosen = _DRIVER in os.environ  # by whoever knows what they do
        try:
            if chosen:
                pygame.display.init()
            elif video:
                _open_display()
            else:
                _open_unseen()
        except pygame.error as error:
            raise DeviceError(
                f"no display ({error}): use --headless with --device gamepad, spacemouse, leader "
                "or browser, or a virtual display: xvfb-run python -m mjxsim.teleop ..."
            ) from error
        self._listeners: list[Listener] = []

    def listen(self, listener: "Listener") -> None:
        """Gives every event from now on to `listener`, on the thread that calls `pump`."""
        self._listeners.append(listener)

    def forget(self, listener: "Listener") -> None:
        """Gives no more to it."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def pump(self) -> None:
        """Hands on what has come; on the thread that opened the display."""
        import pygame

        for event in pygame.event.get():
            for listener in list(self._listeners):
                listener(event)


def _open_display() -> None:
    """Starts SDL on a display that somebody sees; raises pygame.error where there is none."""
    import pygame

    # Without one SDL draws where nobody looks, and waits for keys that nobody can press.
    if why := why_none():
        raise pygame.error(why.removeprefix("no display: "))
    before = pygame.display.get_init() and pygame.display.get_driver() in _UNSEEN
    if before:  # a gamepad's, which started SDL alone and is heard through the display as well
        pygame.display.quit()
    pygame.display.init()
    if pygame.display.get_driver() in _UNSEEN:
        pygame.display.quit()
        if before:
            _open_unseen()
        raise pygame.error(f"{named()} cannot be opened")


def _open_unseen() -> None:
    """Starts SDL without a display, if it has not been started with one."""
    import pygame

    os.environ[_DRIVER] = "dummy"
    try:
        pygame.display.init()
    finally:
        del os.environ[_DRIVER]  # else it looks like the person's choice to whoever comes next

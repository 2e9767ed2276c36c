"""A keyboard, through the window that has the focus."""

import collections
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mjxsim.teleop.devices.base import Command, DeviceError, Event
from mjxsim.teleop.devices.keymap import EVENTS, KEYBOARD, Held, customized, help_lines
from mjxsim.teleop.devices.sdl import SdlEvents

if TYPE_CHECKING:
    import pygame.event

_SIZE = (420, 90)  # [pixels] of the window that the keyboard opens where there is none


class Keyboard:
    """Keys move while they are held; a key that was only tapped moves for one control step."""

    name = "keyboard"

    def __init__(self, keymap: Mapping[str, str] | None = None, events: SdlEvents | None = None):
        """Listens to `events`, which somebody else pumps; without it, opens a small window itself.

        In the latter case `poll` is for the thread that made the keyboard.

        Raises:
          DeviceError: there is no display, or no pygame.
          ValueError: a key map with an unknown action or key.
        """
        self._own = events is None
        self._events = events or SdlEvents()
        import pygame

        def check(key: str) -> None:
            try:
                pygame.key.key_code(key)
            except ValueError:
                raise ValueError(
                    f"unknown key {key!r} in the key map: keys are called as SDL calls them, such "
                    "as 'a', 'return', 'left shift' or 'page up'"
                ) from None

        self._pygame = pygame
        self._keymap = customized(KEYBOARD, keymap, check)
        self._actions = {pygame.key.key_code(key): a for a, key in self._keymap.items()}
        self._held: frozenset[str] = frozenset()  # replaced whole, so that two threads may look
        self._tapped: collections.deque[str] = collections.deque(maxlen=100)
        self._happened: collections.deque[Event] = collections.deque(maxlen=100)
        self._messages: collections.deque[str] = collections.deque(maxlen=100)
        if self._own and pygame.display.get_surface() is None:
            try:
                pygame.display.set_mode(_SIZE)
            except pygame.error as error:
                raise DeviceError(f"no window for the keyboard: {error}") from error
            pygame.display.set_caption("mjxsim keyboard: keep this window in front")
        self._events.listen(self._hear)

    def poll(self) -> Command:
        if self._own:
            self._events.pump()
        tapped = {self._tapped.popleft() for _ in range(len(self._tapped))}
        happened = tuple(self._happened.popleft() for _ in range(len(self._happened)))
        return Held(self._held | tapped).command(happened)

    def messages(self) -> tuple[str, ...]:
        return tuple(self._messages.popleft() for _ in range(len(self._messages)))

    def help(self) -> tuple[str, ...]:
        return help_lines(self._keymap)

    def close(self) -> None:
        self._events.forget(self._hear)

    def _hear(self, event: "pygame.event.Event") -> None:
        pygame = self._pygame
        if event.type == pygame.QUIT:
            self._happened.append(Event.QUIT)
        elif event.type == pygame.WINDOWFOCUSLOST:
            if self._held:
                self._messages.append("keyboard: the window lost the focus; holding still")
            self._held = frozenset()  # their release will not be heard
        elif event.type == pygame.KEYDOWN and event.key in self._actions:
            action = self._actions[event.key]
            if action in EVENTS:
                self._happened.append(EVENTS[action])
            else:
                self._held |= {action}
                self._tapped.append(action)
        elif event.type == pygame.KEYUP and event.key in self._actions:
            self._held -= {self._actions[event.key]}

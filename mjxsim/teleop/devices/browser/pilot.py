"""Who drives of the pages that are open, and what they hold. It knows no network."""

import collections
import dataclasses
import threading
from collections.abc import Collection, Sequence

from mjxsim.teleop.devices.base import Command, Event
from mjxsim.teleop.devices.keymap import EVENTS, Held

_FORGET = 60.0  # [s] after which a page that says nothing is forgotten
_MOST = 64  # events and messages that may wait


@dataclasses.dataclass
class _Page:
    report: int = -1  # number of its newest report
    press: int = -1  # number of the last press that was taken
    seen: float = 0.0  # [s] when it was last heard


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a page is told in return."""

    driving: bool  # whether it is the one that drives
    press: int  # the last of its presses that was taken


class Pilot:
    """The last page that was opened, or on which something was pressed, drives.

    An action counts while it is held, once it was pressed on the page that drives: one that was
    held before, on a page that takes over or comes back, does nothing until it is pressed again.

    Reports may come late, twice or in another order; each page numbers its reports and its presses,
    and repeats a press until it is told that it was taken. All times are [s] of one clock. Methods
    may be called from any thread.

    Args:
      timeout: [s] of silence after which everything is let go.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._lock = threading.Lock()
        self._pages: dict[str, _Page] = {}
        self._driver: str | None = None
        self._lost = False
        self._active: set[str] = set()  # pressed and not let go since
        self._held: frozenset[str] = frozenset()  # as the driver's newest report says
        self._touched: set[str] = set()  # pressed since the last poll, however shortly
        self._events: collections.deque[Event] = collections.deque(maxlen=_MOST)
        self._messages: collections.deque[str] = collections.deque(maxlen=_MOST)

    def report(
        self,
        name: str,
        number: int,
        held: Collection[str],
        presses: Sequence[tuple[int, str]],
        now: float,
    ) -> Answer:
        """Takes what a page says of itself.

        Args:
          name: of the page, its own choice.
          number: of the report, growing.
          held: the actions that are held now.
          presses: number, growing, and action of each press that is not known to be taken.
          now: [s].
        """
        with self._lock:
            self._forget(now)
            page = self._pages.get(name)
            if page is None:
                page = self._pages[name] = _Page()
                self._take_over(name)
            new = [(n, action) for n, action in sorted(presses) if n > page.press]
            if new and self._driver != name:
                self._take_over(name)
            newest = number > page.report
            page.report = max(page.report, number)
            page.press = max([page.press, *(n for n, _ in new)])
            page.seen = now
            if self._driver == name:
                if self._lost:
                    self._lost = False
                    self._messages.append("browser: connected again")
                if newest:
                    self._held = frozenset(held)
                for _, action in new:
                    self._press(action)
                self._active &= self._held
            return Answer(self._driver == name, page.press)

    def leave(self, name: str) -> None:
        """Takes that a page was closed or is not looked at."""
        with self._lock:
            self._pages.pop(name, None)
            if name == self._driver:
                self._driver = None
                self._let_go()
                self._messages.append("browser: the page that drove was left, holding still")

    def poll(self, now: float) -> Command:
        """What is asked for at `now` [s], and the events since the last call."""
        with self._lock:
            page = self._pages.get(self._driver or "")
            if page and not self._lost and now - page.seen > self._timeout:
                self._lost = True
                self._let_go()
                self._messages.append("browser: connection lost, holding still")
            held, events = self._active | self._touched, tuple(self._events)
            self._touched.clear()
            self._events.clear()
        return Held(frozenset(held)).command(events)

    def say(self, message: str) -> None:
        """Adds a message to those that wait."""
        with self._lock:
            self._messages.append(message)

    def messages(self) -> tuple[str, ...]:
        """The messages since the last call."""
        with self._lock:
            waiting = tuple(self._messages)
            self._messages.clear()
            return waiting

    def _press(self, action: str) -> None:
        if action in EVENTS:
            self._events.append(EVENTS[action])
        else:
            self._active.add(action)
            self._touched.add(action)

    def _take_over(self, name: str) -> None:
        self._messages.append(f"browser: {'another' if self._driver else 'a'} page drives now")
        self._driver, self._lost = name, False
        self._let_go()

    def _let_go(self) -> None:
        self._active.clear()
        self._touched.clear()
        self._held = frozenset()

    def _forget(self, now: float) -> None:
        silent = [n for n, page in self._pages.items() if now - page.seen > _FORGET]
        for name in silent:
            del self._pages[name]
            if name == self._driver:
                self._driver = None

"""Work that a control thread hands over without waiting for it."""

import collections
import sys
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Worker(Generic[T]):
    """A thread that works through what it is given, in order, forgetting what it cannot follow.

    Work that raises ends the worker with one line on stderr; it then takes and forgets whatever it
    is given, for nobody who only looks may end a session.

    Args:
      name: of the thread, and of who speaks on stderr.
      work: called on the thread with one item after the other.
      depth: how many items may wait; one more pushes out the oldest. With 1, the newest wins.
      finish: called on the thread when the worker is closed and all is done.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[T], None],
        *,
        depth: int = 1,
        finish: Callable[[], None] | None = None,
    ) -> None:
        self._name, self._work, self._finish = name, work, finish
        self._waiting: collections.deque[T] = collections.deque(maxlen=depth)
        self._changed = threading.Condition()
        self._closed = False
        self._dropped = 0
        self.error: Exception | None = None  # that ended it
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many items were pushed out."""
        return self._dropped

    def put(self, item: T) -> None:
        """Hands over one item; returns at once."""
        with self._changed:
            if self._closed or self.error:
                return
            self._dropped += len(self._waiting) == self._waiting.maxlen
            self._waiting.append(item)
            self._changed.notify()

    def close(self, timeout: float = 5.0) -> None:
        """Ends the thread when it has done what waits, for which it has `timeout` [s]."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)

    def _run(self) -> None:
        try:
            while (item := self._next()) is not None:
                self._work(item)
            if self._finish:
                self._finish()
        except Exception as error:
            self.error = error
            line = " ".join(str(error).split())
            print(f"{self._name} stopped: {type(error).__name__}: {line}", file=sys.stderr)

    def _next(self) -> T | None:
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            return self._waiting.popleft() if self._waiting else None

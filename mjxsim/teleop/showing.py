"""A thread that tells sinks and the terminal what the control thread has no time to tell them."""

import collections
import threading
from collections.abc import Callable, Sequence

from mjxsim.teleop import priority
from mjxsim.teleop.frame import Frame, Sink

_WAITING = 64  # frames


class Showing:
    """Shows frames in order; the oldest are dropped where more come than can be shown.

    A frame is handed over as a function that makes it, for the pictures may still be drawn.
    """

    def __init__(self, sinks: Sequence[Sink], say: Callable[[str], None]) -> None:
        """`say` takes each line for the terminal."""
        self._sinks = list(sinks)
        self._say = say
        self._lines: collections.deque[str] = collections.deque(maxlen=1000)
        self._frames: collections.deque[Callable[[], Frame]] = collections.deque(maxlen=_WAITING)
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="mjxsim-showing", daemon=True)
        self._thread.start()

    def show(self, frame: Callable[[], Frame]) -> None:
        """Shows this soon."""
        self._frames.append(frame)
        self._wake.set()

    def say(self, line: str) -> None:
        """Prints a line soon."""
        self._lines.append(line)
        self._wake.set()

    def close(self) -> None:
        """Shows what is left, and ends the sinks."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout=10.0)
        for sink in self._sinks:
            sink.close()

    def _run(self) -> None:
        priority.lower()
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._lines or self._frames:
                while self._lines:
                    self._say(self._lines.popleft())
                if self._frames:
                    self._show(self._frames.popleft()())
            if self._closing:
                return

    def _show(self, frame: Frame) -> None:
        for sink in list(self._sinks):
            try:
                sink.show(frame)
            except Exception as error:  # whatever breaks in a view, the person goes on driving
                self._sinks.remove(sink)
                self._say(f"{type(sink).__name__} shows nothing more: {error}")

"""A line to hardware that may block or break: it is opened and read on a thread of its own."""

import collections
import threading
import time
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

AGAIN = 1.0  # [s] between attempts to open what has vanished
_STALE = 0.5  # [s] after which what was last read no longer counts

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Port(Protocol[T_co]):
    """An open device."""

    def read(self) -> T_co:
        """What it says now; raises whatever it likes when it is gone."""
        ...

    def close(self) -> None:
        """Releases it; may raise."""
        ...


class Link(Generic[T]):
    """Keeps the newest reading of a port, and opens the port again when it breaks."""

    def __init__(
        self,
        name: str,
        first: Port[T],
        reopen: Callable[[], Port[T]],
        *,
        period: float,
        stale: float = _STALE,
    ) -> None:
        """Begins to read.

        Args:
          name: for messages.
          first: the port, open.
          reopen: opens it again; raises while it cannot.
          period: [s] between two readings.
          stale: [s] after which a reading no longer counts.
        """
        self._name, self._port, self._reopen = name, first, reopen
        self._period, self._stale = period, stale
        self._reading: tuple[float, T] | None = None  # replaced whole
        self._messages: collections.deque[str] = collections.deque(maxlen=100)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"mjxsim-{name}", daemon=True)
        self._thread.start()

    def newest(self) -> T | None:
        """The last reading; None if there is none, or it is old."""
        reading = self._reading
        if reading is None or time.perf_counter() - reading[0] > self._stale:
            return None
        return reading[1]

    def messages(self) -> tuple[str, ...]:
        """Lines since the last call."""
        return tuple(self._messages.popleft() for _ in range(len(self._messages)))

    def close(self) -> None:
        """Stops reading and releases the port."""
        self._closing.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        port: Port[T] | None = self._port
        while not self._closing.is_set():
            if port is None:
                port = self._try_again()
                continue
            try:
                self._reading = time.perf_counter(), port.read()
            except Exception as error:  # serial and HID libraries raise what they like
                self._reading = None
                self._messages.append(
                    f"{self._name}: it is gone ({_line(error)}); holding still until it is back"
                )
                _release(port)
                port = None
            self._closing.wait(self._period)
        if port is not None:
            _release(port)

    def _try_again(self) -> Port[T] | None:
        self._closing.wait(AGAIN)
        if self._closing.is_set():
            return None
        try:
            port = self._reopen()
        except Exception:  # not back yet, for whatever reason
            return None
        self._messages.append(f"{self._name}: it is back")
        return port


def _release(port: Port[object]) -> None:
    try:
        port.close()
    except Exception:
        return


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__

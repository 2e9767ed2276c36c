"""Keeps a simulated world in time with a clock: it is brought up to date when it is looked at."""

import math
from collections.abc import Callable


class FrameClock:
    """A clock that moves on by one frame when it is told to, for recordings that repeat.

    Args:
      fps: frames per second of its time.
    """

    def __init__(self, fps: float) -> None:
        if not fps > 0.0:
            raise ValueError(f"fps must be positive, got {fps}")
        self._fps = fps
        self._frames = 0

    def __call__(self) -> float:
        """The time [s]."""
        return self._frames / self._fps

    def advance(self) -> None:
        """A frame later."""
        self._frames += 1


class Pacer:
    """How many ticks a world owes its clock.

    Ticks are counted from the start, so that no rounding adds up and the world never drifts from
    the clock. Who does not look for longer than `longest` finds a world that waited meanwhile.

    Args:
      tick: simulated time that passes in one tick [s].
      clock: the time [s]; `time.perf_counter` for the wall's.
      longest: what is made up for at once [s].
    """

    def __init__(self, tick: float, clock: Callable[[], float], longest: float = 0.5) -> None:
        self.tick = tick
        self.lost = 0.0  # [s] that the world waited, since the start
        self._clock = clock
        self._longest = max(1, math.floor(longest / tick))
        self._start = clock()
        self._done = 0

    def due(self) -> int:
        """The ticks to take now; they count as taken."""
        # A clock of frames gives multiples of a tick up to rounding, which must not cost one.
        behind = math.floor((self._clock() - self._start) / self.tick + 1e-6) - self._done
        taken = min(behind, self._longest)
        waited = (behind - taken) * self.tick
        self._start += waited
        self.lost += waited
        self._done += taken
        return taken

    def skip(self) -> None:
        """Lets the time that passed since the last tick go by unsimulated, uncounted as lost."""
        self._start = self._clock()
        self._done = 0

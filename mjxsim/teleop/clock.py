"""A clock that asks for a control step at fixed deadlines, and says how well it was obeyed.

Deadline k is `k` periods after the first one, and not one period after whenever the last step
began: lateness does not add up, and simulated time keeps to the wall clock.
"""

import dataclasses
import math
import time
from typing import Protocol

# Waking from a sleep is late by the kernel's timer slack and a scheduling delay; the last part of a
# wait is spent asking for the time instead. [s]
SPIN = 0.0006
LATE = 0.002  # [s] a step that begins this long after its deadline is a late one
# Behind by more than this, the clock gives the time up for lost instead of rushing through the
# steps that were missed, so that the person's robot never races. [s]
MAX_BEHIND = 0.25
_WINDOW = 1.0  # [s] over which the present rate is measured
_HELD = 0.98  # share of the rate that counts as held
_AGAIN = 10.0  # [s] after which the person is told again that it is not


class TimeSource(Protocol):
    """Where the time comes from; a test has its own."""

    def now(self) -> float:
        """[s] from anywhere, never backwards."""
        ...

    def sleep(self, seconds: float) -> None:
        """Returns after at least that long; 0 lets another thread run."""
        ...


class WallTime:
    """The machine's own time."""

    def now(self) -> float:
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclasses.dataclass(frozen=True)
class Timing:
    """How a session kept time. Lateness is of a step's beginning after its deadline."""

    steps: int
    late: int  # steps that began more than `LATE` after their deadline
    jitter_p50: float  # [s] lateness
    jitter_p99: float
    jitter_worst: float
    wall: float  # [s] from the first deadline to the last step's beginning
    asked: float  # [s] that these steps should have taken
    lost: float  # [s] given up because the machine was too slow

    @property
    def drift(self) -> float:
        """[s] by which the wall clock ran ahead of the schedule; `lost` and the last lateness."""
        return self.wall - self.asked

    @property
    def share(self) -> float:
        """Of the rate asked for that was held."""
        return self.asked / self.wall if self.wall > 0.0 else 1.0

    def table(self) -> str:
        """The same in a line for the person."""
        return (
            f"{self.steps} control steps, {self.late} late; jitter p50 {1e3 * self.jitter_p50:.2f}"
            f" ms, p99 {1e3 * self.jitter_p99:.2f} ms, worst {1e3 * self.jitter_worst:.2f} ms; "
            f"drift {1e3 * self.drift:.1f} ms in {self.wall:.1f} s"
        )


class Clock:
    """Waits for deadlines. Its memory does not grow."""

    def __init__(self, dt: float, source: TimeSource | None = None) -> None:
        """`dt` [s] is one control step in simulated time."""
        self.dt = dt
        self.speed = 1.0
        self._source = source or WallTime()
        self._jitter = _Histogram()
        self._late = 0
        self._lost = 0.0
        self._asked = 0.0
        self._first: float | None = None
        self._deadline = 0.0
        self._begun = 0.0
        self._window = (0.0, 0, 0.0)  # where the present rate's window began: time, step, asked
        self._measured = 1.0 / dt
        self._shortfall = ""
        self._told = -math.inf  # [s] when the person was last told

    @property
    def period(self) -> float:
        """[s] of wall clock between two control steps."""
        return self.dt / self.speed

    @property
    def late(self) -> int:
        """Steps so far that began late."""
        return self._late

    @property
    def measured_rate(self) -> float:
        """[Hz] control steps per wall second, over the last second or so."""
        return self._measured

    def set_speed(self, speed: float) -> None:
        """Sets simulated seconds per wall second, from the next deadline on."""
        self.speed = speed
        self._window = (self._begun, self._jitter.count, self._asked)

    def wait(self) -> float:
        """Returns at the next deadline, or at once if that is over; gives how late it is [s]."""
        now = self._source.now()
        if self._first is None:
            self._first = self._deadline = self._begun = now
            self._window = (now, 0, 0.0)
        else:
            self._deadline += self.period
            self._asked += self.period
        while (left := self._deadline - now) > 0.0:
            self._source.sleep(left - SPIN if left > SPIN else 0.0)
            now = self._source.now()
        lateness = now - self._deadline
        self._jitter.add(lateness)
        self._late += lateness > LATE
        if lateness > MAX_BEHIND:
            self._lost += lateness
            self._deadline = now
        self._begun = now
        self._measure(now)
        return lateness

    def shortfall(self) -> str:
        """A line if the rate was not held over the last second or so; every ten seconds at most."""
        said, self._shortfall = self._shortfall, ""
        return said

    def timing(self) -> Timing:
        """How time was kept so far."""
        wall = 0.0 if self._first is None else self._begun - self._first
        return Timing(
            steps=self._jitter.count,
            late=self._late,
            jitter_p50=self._jitter.quantile(0.5),
            jitter_p99=self._jitter.quantile(0.99),
            jitter_worst=self._jitter.worst,
            wall=wall,
            asked=self._asked,
            lost=self._lost,
        )

    def _measure(self, now: float) -> None:
        since, step, asked = self._window
        elapsed = now - since
        if elapsed < _WINDOW:
            return
        self._measured = (self._jitter.count - step) / elapsed
        share = (self._asked - asked) / elapsed
        self._window = (now, self._jitter.count, self._asked)
        if share < _HELD and now - self._told >= _AGAIN:
            self._told = now
            self._shortfall = (
                f"this machine holds {self._measured:.1f} of the {1.0 / self.period:.1f} Hz asked "
                f"for: simulated time runs at {share:.2f} of what it should; take a lower --rate, "
                "fewer --lanes or a smaller --size"
            )


class _Histogram:
    """Counts of durations in bins of one percent's width: quantiles that need no list."""

    _SMALLEST = 1e-7  # [s]
    _RATIO = 1.01

    def __init__(self) -> None:
        self.count = 0
        self.worst = 0.0
        self._bins: dict[int, int] = {}

    def add(self, seconds: float) -> None:
        self.count += 1
        self.worst = max(self.worst, seconds)
        ratio = max(seconds, self._SMALLEST) / self._SMALLEST
        bin_ = math.ceil(math.log(ratio) / math.log(self._RATIO))
        self._bins[bin_] = self._bins.get(bin_, 0) + 1

    def quantile(self, share: float) -> float:
        """The upper end of the bin that holds it, and no more than the worst; 0 of nothing."""
        wanted, seen = share * self.count, 0
        for bin_ in sorted(self._bins):
            seen += self._bins[bin_]
            if seen >= wanted:
                return min(self._SMALLEST * self._RATIO**bin_, self.worst)
        return 0.0


def valid_rate(rate: float) -> None:
    """Raises ValueError, one line, unless `rate` [Hz] is a positive number."""
    if not (math.isfinite(rate) and rate > 0.0):
        raise ValueError(f"rate must be a positive number of Hz, got {rate}")

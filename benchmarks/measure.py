"""Timing two things against each other so that a busy machine slows both alike."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence


@dataclasses.dataclass(frozen=True)
class Sample:
    """Repeated measurements of one quantity."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Half of the measurements lie between these."""
        if len(self.values) < 2:
            return self.values[0], self.values[0]
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return low, high


@dataclasses.dataclass(frozen=True)
class Entry:
    """What one benchmark found."""

    name: str  # unique; "/" groups
    what: str  # one line for a reader
    unit: str
    ours: Sample
    reference: Sample | None = None  # the same quantity of what ours is compared with
    reference_is: str = ""
    ratio: Sample | None = None  # pair by pair
    floor: float | None = None  # the least median ratio that passes
    limit: float | None = None  # of ours, in its unit; reported and never judged


def seconds(run: Callable[[], object]) -> float:
    """Wall clock of one call [s]; the call must wait for its result."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def compare(
    ours: Callable[[], object],
    reference: Callable[[], object],
    *,
    work: float,
    repeats: int,
) -> tuple[Sample, Sample, Sample]:
    """Rates of both [units of `work` per second] and their ratios, measured in turn.

    Each pair runs back to back and gives one ratio; what disturbs the machine for longer than a
    pair disturbs both of it. Both are run once before, so that nothing compiles while measured.
    """
    ours()
    reference()
    pairs = [(seconds(ours), seconds(reference)) for _ in range(repeats)]
    return (
        Sample(tuple(work / a for a, _ in pairs)),
        Sample(tuple(work / b for _, b in pairs)),
        Sample(tuple(b / a for a, b in pairs)),
    )


def rate(run: Callable[[], object], *, work: float, repeats: int) -> Sample:
    """Rates of one thing alone [units of `work` per second], after one call to warm up."""
    run()
    return Sample(tuple(work / seconds(run) for _ in range(repeats)))


def ratios(ours: Sequence[float], reference: Sequence[float]) -> Sample:
    """Pair by pair."""
    return Sample(tuple(a / b for a, b in zip(ours, reference, strict=True)))

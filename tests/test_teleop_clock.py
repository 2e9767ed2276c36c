"""The deadline scheduler, on a clock that the test moves."""

import dataclasses
import os
import sys
import threading

import numpy as np
import pytest

from mjxsim.teleop import priority
from mjxsim.teleop.clock import LATE, MAX_BEHIND, Clock, valid_rate


@dataclasses.dataclass
class FakeTime:
    """Sleeps as an operating system does: a little too long; and every look takes its time."""

    overshoot: float = 0.0002
    time: float = 1000.0

    def now(self) -> float:
        self.time += 2e-7
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds + (self.overshoot if seconds else 1e-6)


def run(clock: Clock, source: FakeTime, steps: int, work: float = 0.0) -> None:
    for _ in range(steps):
        clock.wait()
        source.time += work


def test_ten_minutes_do_not_drift() -> None:
    source = FakeTime()
    clock = Clock(0.02, source)
    begun = source.time
    rng = np.random.default_rng(0)
    for _ in range(30_001):
        clock.wait()
        source.time += rng.uniform(0.0, 0.018)
    timing = clock.timing()
    assert timing.asked == pytest.approx(600.0)
    assert source.time - begun == pytest.approx(600.0, abs=0.02)  # the last step's own work
    assert abs(timing.drift) < 1e-4  # one look at the time
    assert timing.late == 0
    assert timing.lost == 0.0


def test_a_hiccup_is_made_up_for() -> None:
    source = FakeTime()
    clock = Clock(0.02, source)
    run(clock, source, 50)
    source.time += 0.1  # as long as five steps
    run(clock, source, 51)
    timing = clock.timing()
    assert timing.steps == 101
    assert timing.wall == pytest.approx(2.0, abs=1e-4)
    assert timing.late == 4  # of the five one began in time
    assert timing.jitter_worst == pytest.approx(0.08, abs=1e-3)
    assert timing.jitter_p50 < 1e-4
    assert timing.jitter_p99 > 0.03


def test_what_is_too_far_behind_is_given_up_and_said() -> None:
    source = FakeTime()
    clock = Clock(0.02, source)
    run(clock, source, 10)
    source.time += 2.0
    run(clock, source, 10)
    timing = clock.timing()
    assert timing.lost == pytest.approx(1.98, abs=0.01)
    assert timing.drift == pytest.approx(timing.lost, abs=1e-3)
    assert timing.lost > MAX_BEHIND


def test_a_machine_that_is_too_slow_says_by_how_much() -> None:
    source = FakeTime()
    clock = Clock(0.02, source)
    said = []
    for _ in range(700):
        clock.wait()
        source.time += 0.032
        if line := clock.shortfall():
            said.append(line)
    assert len(said) == 3, "every ten seconds"
    assert "31.2 of the 50.0 Hz" in said[-1]
    assert "0.62" in said[-1] or "0.63" in said[-1]
    assert clock.measured_rate == pytest.approx(1 / 0.032, rel=0.01)
    assert clock.timing().share == pytest.approx(0.02 / 0.032, rel=0.05)
    assert clock.late > 690


def test_a_machine_that_holds_the_rate_says_nothing() -> None:
    source = FakeTime()
    clock = Clock(0.02, source)
    run(clock, source, 500, work=0.015)
    assert clock.shortfall() == ""
    assert clock.measured_rate == pytest.approx(50.0, rel=0.01)


def test_speed_changes_the_schedule_from_there_on() -> None:
    source = FakeTime()
    clock = Clock(0.02, source)
    run(clock, source, 51)
    begun = source.time
    clock.set_speed(0.5)
    run(clock, source, 50)
    assert source.time - begun == pytest.approx(2.0, abs=1e-3)
    assert abs(clock.timing().drift) < 1e-4


def test_quantiles_are_those_of_the_list() -> None:
    source = FakeTime(overshoot=0.0)
    clock = Clock(1.0, source)
    clock.wait()
    lateness = np.random.default_rng(1).lognormal(-6.0, 1.0, 2000)
    measured = []
    for late in lateness:
        source.time += clock.period - (measured[-1] if measured else 0.0) + late
        measured.append(clock.wait())
    timing = clock.timing()
    values = np.array([0.0, *measured])
    assert timing.jitter_p99 == pytest.approx(np.quantile(values, 0.99), rel=0.03)
    assert timing.jitter_p50 == pytest.approx(np.quantile(values, 0.5), rel=0.03)
    assert timing.jitter_worst == values.max()
    assert timing.late == (values > LATE).sum()


@pytest.mark.parametrize("rate", [0.0, -5.0, float("nan"), float("inf")])
def test_rates_that_are_none(rate: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        valid_rate(rate)


def test_what_works_in_the_background_gives_way() -> None:
    if sys.platform != "linux":
        pytest.skip("a thread has a priority of its own on Linux only")

    def nice() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def child() -> int:
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.append(nice()))
        thread.start()
        thread.join()
        return found[0]

    before = nice()
    assert priority.lowered(child) == max(before, 10)
    assert nice() == before
    with pytest.raises(ValueError, match="as it was"):
        priority.lowered(lambda: _fail("as it was"))


def _fail(text: str) -> None:
    raise ValueError(text)

"""A person's loop: when each control step begins, and its cost, while two cameras are recorded.

The clock is the machine's own and nothing is waited for but deadlines, so this is the one benchmark
that takes as long as what it measures, ten minutes for the drift (`-k drift`). A machine that does
anything else shows it in the worst.
"""

import dataclasses
import os
import pathlib
from typing import Self

import jax
import numpy as np
import pytest

import mjxsim
from benchmarks.conftest import Record
from benchmarks.measure import Entry, Sample, rate
from mjxsim.envs import CameraConfig
from mjxsim.teleop import build, mapping
from mjxsim.teleop.clock import Timing
from mjxsim.teleop.config import TeleopConfig
from mjxsim.teleop.devices import Command, Event
from mjxsim.teleop.devices.scripted import Scripted
from mjxsim.teleop.eyes import drawer
from mjxsim.teleop.lanes import Lanes
from mjxsim.teleop.loop import Loop
from mjxsim.teleop.outputs import open_recorder
from mjxsim.teleop.session import Rules

HZ = 50.0
LIMIT = 5.0  # [ms] p99 of the jitter on two cores
MINUTES = 10.0  # without drift


@dataclasses.dataclass(frozen=True)
class Sessions:
    """Sessions of one lane that a script steers to and fro, ending an episode every few seconds.

    The other lanes hold; on an accelerator there are 4,096 of them.
    """

    asked: TeleopConfig
    built: build.Worlds
    batch: Lanes

    @classmethod
    def build(cls, quick: bool) -> Self:
        accelerated = jax.default_backend() != "cpu"
        asked = TeleopConfig(
            lanes=4096 if accelerated and not quick else 8,
            rate=HZ,
            size=16 if quick else 128,
            engine="auto" if accelerated else "c",
            device="scripted",
            headless=True,
        )
        built = build.worlds(asked, pictures=True)
        return cls(asked, built, build.lanes(asked, built))

    @property
    def what(self) -> str:
        """In words."""
        lanes, size = self.asked.lanes, self.asked.size
        return (
            f"teleoperation at {HZ:g} Hz of 1 of {lanes} lanes, two {size}x{size} cameras recorded"
        )

    def run(self, seconds: float, folder: pathlib.Path) -> Timing:
        """One session, recorded into `folder`."""
        recorder = open_recorder(self.asked, folder, self.built)
        loop = Loop(
            self.batch,
            Scripted(_to_and_fro(seconds), 1.0 / HZ),
            Rules(self.asked.lanes, "hold", can_record=True),
            draw=drawer(self.built.seeing),
            cameras=self.built.cameras,
            recorder=recorder,
            max_steps=round(seconds * HZ),
        )
        timing = loop.run().timing
        recorder.close()
        return timing


@pytest.fixture(scope="module")
def sessions(quick: bool) -> Sessions:
    pytest.importorskip("mjxsim.datasets")
    return Sessions.build(quick)


def test_jitter(sessions: Sessions, quick: bool, record: Record, tmp_path: pathlib.Path) -> None:
    """Each repeat is a session of its own."""
    seconds, repeats = (1.0, 1) if quick else (20.0, 5)
    timings = [sessions.run(seconds, tmp_path / str(i)) for i in range(repeats)]
    lanes, what = sessions.asked.lanes, sessions.what
    for name, values in (
        ("p50", [t.jitter_p50 for t in timings]),
        ("p99", [t.jitter_p99 for t in timings]),
        ("worst", [t.jitter_worst for t in timings]),
    ):
        record(
            Entry(
                name=f"teleop/jitter-{name}/{lanes}",
                what=f"{what}: {name} lateness of a step",
                unit="ms",
                ours=Sample(tuple(1e3 * v for v in values)),
                limit=LIMIT if name == "p99" else None,
            )
        )
    share = Sample(tuple(t.share for t in timings))
    record(Entry(f"teleop/rate/{lanes}", f"{what}: share of the rate held", "times", share))


def test_no_drift(sessions: Sessions, quick: bool, record: Record, tmp_path: pathlib.Path) -> None:
    """Ten minutes in one piece: where the clock ends, and what memory they have taken."""
    minutes = 1.0 / 60.0 if quick else MINUTES
    sessions.run(1.0, tmp_path / "first")  # compiles, and opens what is opened once
    before = _memory()
    timing = sessions.run(60.0 * minutes, tmp_path / "long")
    what = f"{sessions.what}, {minutes:.3g} minutes in one piece"
    name = f"teleop/{minutes:.3g}-minutes"
    drift = Sample((1e3 * timing.drift,))
    p99 = Sample((1e3 * timing.jitter_p99,))
    late = Sample((float(timing.late),))
    grown = Sample((_memory() - before,))
    record(Entry(f"{name}/drift", f"{what}: drift", "ms", drift, limit=1e3 / HZ))
    record(Entry(f"{name}/jitter-p99", f"{what}: p99 lateness of a step", "ms", p99, limit=LIMIT))
    record(Entry(f"{name}/late", f"{what}: steps more than 2 ms late", "steps", late))
    record(Entry(f"{name}/memory", f"{what}: memory grown", "MiB", grown))


def test_where_the_time_goes(quick: bool, record: Record) -> None:
    """What one control step waits for, apart: the batch's step, and two pictures of one lane."""
    repeats, times = (2, 3) if quick else (15, 50)
    size = 16 if quick else 128
    env = mjxsim.make(
        "pick_cube",
        engine="c",
        control="ee_delta_yaw",
        cameras=CameraConfig(("front", "wrist"), size, size),
        announce=False,
    )
    draw = drawer(env)
    assert draw is not None
    lanes = Lanes.build(dataclasses.replace(env, eyes=None), 8)
    orders = lanes.orders(mapping.wish(Command(linear=(0.0, 0.0, 0.1)), 7))
    state, seen = lanes.step(lanes.begin(), orders)

    def steps() -> None:
        nonlocal state, seen
        for _ in range(times):
            state, seen = lanes.step(state, orders)
            jax.device_get(seen)

    def pictures() -> None:
        for _ in range(times):
            np.asarray(draw(seen))

    for name, what, run in (
        ("step", "teleoperation: one step of 8 lanes, to the host", steps),
        ("pictures", f"teleoperation: two {size}x{size} pictures of one lane", pictures),
    ):
        per = Sample(tuple(1e3 / v for v in rate(run, work=times, repeats=repeats).values))
        record(Entry(f"teleop/{name}", what, "ms", per))


def _memory() -> float:
    """MiB that this process holds now; of Linux."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _to_and_fro(seconds: float) -> list[tuple[float, Command]]:
    script: list[tuple[float, Command]] = []
    for i in range(int(seconds)):
        way = 0.5 if i % 2 else -0.5
        events = (Event.SUCCESS,) if i % 5 == 4 else ()
        script.append((i + 0.1, Command(linear=(0.0, way, 0.2 * way), events=events)))
    return script

"""A person's loop: when each control step begins, and its cost, while two cameras are recorded.

The clock is the machine's own and nothing is waited for but deadlines, so this is the one benchmark
that takes as long as what it measures. A machine that does anything else shows it in the worst.
"""

import dataclasses
import pathlib

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


def test_jitter(quick: bool, record: Record, tmp_path: pathlib.Path) -> None:
    """The script moves to and fro and ends an episode every few seconds; the other lanes hold.

    On an accelerator the batch is 4,096 lanes. Each repeat is a session of its own.
    """
    pytest.importorskip("mjxsim.datasets")
    accelerated = jax.default_backend() != "cpu"
    lanes = 4096 if accelerated and not quick else 8
    seconds, repeats = (1.0, 1) if quick else (20.0, 5)
    size = 16 if quick else 128
    engine = "auto" if accelerated else "c"
    asked = TeleopConfig(
        lanes=lanes, rate=HZ, size=size, engine=engine, device="scripted", headless=True
    )
    built = build.worlds(asked, pictures=True)
    batch = build.lanes(asked, built)
    draw = drawer(built.seeing)
    timings: list[Timing] = []
    for i in range(repeats):
        recorder = open_recorder(asked, tmp_path / str(i), built)
        rules = Rules(lanes, "hold", can_record=True)
        loop = Loop(
            batch,
            Scripted(_to_and_fro(seconds), 1.0 / HZ),
            rules,
            draw=draw,
            cameras=built.cameras,
            recorder=recorder,
            max_steps=round(seconds * HZ),
        )
        timings.append(loop.run().timing)
        recorder.close()
    what = f"teleoperation at {HZ:g} Hz of 1 of {lanes} lanes, two {size}x{size} cameras recorded"
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


def _to_and_fro(seconds: float) -> list[tuple[float, Command]]:
    script: list[tuple[float, Command]] = []
    for i in range(int(seconds)):
        way = 0.5 if i % 2 else -0.5
        events = (Event.SUCCESS,) if i % 5 == 4 else ()
        script.append((i + 0.1, Command(linear=(0.0, way, 0.2 * way), events=events)))
    return script

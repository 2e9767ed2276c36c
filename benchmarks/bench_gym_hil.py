r"""gym-hil's own environments against ours, in steps per second of CPU time, one after the other.

    MJXSIM_GYM_HIL_PYTHON=/path/to/gym_hil/bin/python python -m pytest benchmarks/bench_gym_hil.py

gym-hil steps one world in one thread, in an interpreter of its own. Ours are the worlds of one
native vector environment, on all cores: its rate is per second of wall time, and per second of CPU
time beside it, so that threads are not counted as speed.
"""

import os
import resource
import time
from collections.abc import Callable

import jax
import numpy as np
import pytest

from benchmarks.bench_peers import GYM_HIL, in_turn, printed
from benchmarks.conftest import Record
from benchmarks.measure import Entry
from mjxsim.compat import gym_hil
from mjxsim.rendering.gl import platform

CAMERAS_FLOOR = 100.0  # times gym-hil's steps per CPU-second, with two cameras on two cores
ON_CPU = jax.default_backend() == "cpu"

_PROGRAM = """
import sys, time
import gymnasium, gym_hil
env = gymnasium.make("gym_hil/PandaPickCubeBase-v0", image_obs=sys.argv[2] == "1")
env.reset(seed=0)
env.action_space.seed(0)
steps = int(sys.argv[1])
for timed in (False, True):
    start = time.process_time()
    for _ in range(steps):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            env.reset()
print(steps / (time.process_time() - start))
"""


def cpu() -> float:
    """Seconds of CPU time of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def ours(
    num_envs: int, steps: int, images: bool, clock: Callable[[], float]
) -> Callable[[], float]:
    """Measures world steps per second of a clock: random actions, episodes that start anew."""
    vec = gym_hil.make_vec(
        "gym_hil/PandaPickCubeBase-v0",
        num_envs,
        "c",
        wrapped=False,
        image_obs=images,
        announce=False,
    )
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, num_envs, 7)).astype(np.float32)
    vec.reset(seed=0)

    def run() -> float:
        start = clock()
        for action in actions:
            vec.step(action)
        return num_envs * steps / (clock() - start)

    run()
    return run


@pytest.mark.skipif(GYM_HIL is None, reason="MJXSIM_GYM_HIL_PYTHON names no interpreter")
@pytest.mark.parametrize("clock", ["wall", "cpu"])
@pytest.mark.parametrize("images", [False, True], ids=["state", "two-cameras"])
def test_against_gym_hil(images: bool, clock: str, quick: bool, record: Record) -> None:
    """pick-cube through gymnasium on both sides, from state and with two cameras."""
    num_envs, steps = (4, 2) if quick else (256, 4) if images else (1024, 4)
    repeats = 1 if quick else 3
    their_steps = (2 if images else 5) if quick else (10 if images else 100)

    def theirs() -> float:
        return printed(GYM_HIL, _PROGRAM, their_steps, int(images), MUJOCO_GL=platform())

    ticks = time.perf_counter if clock == "wall" else cpu
    rate, reference, ratio = in_turn(ours(num_envs, steps, images, ticks), theirs, repeats)
    seen = "two 128x128 cameras" if images else "state"
    per = f"second on {os.cpu_count()} cores" if clock == "wall" else "CPU-second"
    record(
        Entry(
            name=f"gym_hil/{'two-cameras' if images else 'state'}/{clock}",
            what=f"C: gym-hil's pick-cube, {seen}, {num_envs} worlds, per {per}",
            unit="env steps/s",
            ours=rate,
            reference=reference,
            reference_is="gym-hil, one world, per CPU-second",
            ratio=ratio,
            floor=CAMERAS_FLOOR if images and clock == "wall" and ON_CPU else None,
        )
    )

"""What a user would pick instead, on the same machine in the same run.

gym-hil needs a MuJoCo older than the one mjxsim needs, so it is measured with an interpreter of its
own, in turn with ours:

    python -m venv /path/to/venv && /path/to/venv/bin/pip install gym-hil
    MJXSIM_GYM_HIL_PYTHON=/path/to/venv/bin/python python -m pytest benchmarks/bench_peers.py
"""

import os
import statistics
import subprocess
from collections.abc import Callable

import jax
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

import mjxsim
from benchmarks.conftest import Record
from benchmarks.measure import Entry, Sample, ratios, seconds
from benchmarks.plain import CONTROL, PlainPickCube
from mjxsim import envs

GYM_HIL = os.environ.get("MJXSIM_GYM_HIL_PYTHON")

_GYM_HIL = """
import sys, time
import gymnasium, gym_hil
env = gymnasium.make("gym_hil/PandaPickCubeBase-v0", image_obs=False)
env.reset(seed=0)
env.action_space.seed(0)
steps = int(sys.argv[1])
for timed in (False, True):
    start = time.perf_counter()
    for _ in range(steps):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            env.reset()
print(steps / (time.perf_counter() - start))
"""


def ours(num_envs: int, length: int) -> Callable[[], float]:
    """Measures environment steps/s by scan: random joint deltas, autoreset."""
    env = mjxsim.make("pick_cube", engine="c", control=CONTROL, announce=False)
    policy = envs.random_policy(env)

    @mjxsim.jit
    def play(state: envs.State, key: jax.Array) -> tuple[envs.State, jax.Array]:
        state, transitions = envs.rollout(env, policy, state, key, length)
        return state, transitions.reward.mean()

    state = mjxsim.jit(lambda k: envs.reset_batch(env, k, num_envs))(jax.random.key(0))
    calls = 0

    def run() -> None:
        nonlocal state, calls
        calls += 1
        state, _ = jax.block_until_ready(play(state, jax.random.key(calls)))

    run()
    return lambda: num_envs * length / seconds(run)


def vectorized(vec: VectorEnv, length: int) -> Callable[[], float]:
    """Measures environment steps/s of a gymnasium vector environment with random actions."""
    actions = np.random.default_rng(0).uniform(-1, 1, (length, *vec.action_space.shape))
    actions = actions.astype(np.float32)
    vec.reset(seed=0)

    def run() -> None:
        for action in actions:
            vec.step(action)

    run()
    return lambda: vec.num_envs * length / seconds(run)


def in_turn(
    a: Callable[[], float], b: Callable[[], float], repeats: int
) -> tuple[Sample, Sample, Sample]:
    """Rates of both, measured one after the other, and their ratios pair by pair."""
    pairs = [(a(), b()) for _ in range(repeats)]
    first, second = [x for x, _ in pairs], [x for _, x in pairs]
    return Sample(tuple(first)), Sample(tuple(second)), ratios(first, second)


@pytest.mark.parametrize("kind", ["sync", "async", "native"])
def test_against_plain_mujoco(kind: str, quick: bool, record: Record) -> None:
    """The same task from gymnasium's own vector environments over plain C MuJoCo.

    "native" is mjxsim's own vector environment, through gymnasium's interface too, against the
    same SyncVectorEnv.
    """
    num_envs, length, repeats = (4, 4, 2) if quick else (256, 50, 7)
    workers = 4 if quick else 16
    make = [PlainPickCube] * (workers if kind == "async" else 32)
    vec = AsyncVectorEnv(make, context="spawn") if kind == "async" else SyncVectorEnv(make)
    names = {"sync": "SyncVectorEnv", "async": "AsyncVectorEnv", "native": "SyncVectorEnv"}
    try:
        theirs = vectorized(vec, length)
        if kind == "native":
            native = mjxsim.make_vec("pick_cube", num_envs=num_envs, engine="c", control=CONTROL)
            mine, what = vectorized(native, length), "make_vec"
        else:
            mine, what = ours(num_envs, length), "scan"
        rate, reference, ratio = in_turn(mine, theirs, repeats)
    finally:
        vec.close()
    record(
        Entry(
            name=f"peers/plain/{kind}",
            what=f"C: pick_cube by {what}, {num_envs} worlds",
            unit="env steps/s",
            ours=rate,
            reference=reference,
            reference_is=f"{names[kind]} of plain C MuJoCo, {vec.num_envs} worlds",
            ratio=ratio,
        )
    )


@pytest.mark.skipif(GYM_HIL is None, reason="MJXSIM_GYM_HIL_PYTHON names no interpreter")
def test_against_gym_hil(quick: bool, record: Record) -> None:
    """gym-hil's pick-cube from state, in physics steps/s: its control step is twice as long."""
    num_envs, length, repeats = (4, 4, 1) if quick else (256, 50, 5)
    env = mjxsim.make("pick_cube", engine="c", control=CONTROL, announce=False)
    substeps = env.task.config.control_dt / env.engine.model.opt.timestep
    steps = 20 if quick else 200

    def gym_hil() -> float:
        done = subprocess.run(
            [str(GYM_HIL), "-c", _GYM_HIL, str(steps)], capture_output=True, text=True, check=True
        )
        return float(done.stdout.split()[-1])

    mine = ours(num_envs, length)
    rate, reference, ratio = in_turn(mine, gym_hil, repeats)
    simulated = env.task.config.control_dt, 0.1  # [s] in one step of each
    record(
        Entry(
            name="peers/gym_hil",
            what=f"C: simulated seconds per second, pick_cube, {num_envs} worlds",
            unit="s/s",
            ours=Sample(tuple(r * simulated[0] for r in rate.values)),
            reference=Sample(tuple(r * simulated[1] for r in reference.values)),
            reference_is="gym-hil PandaPickCube from state, one world a process",
            ratio=Sample(tuple(r * simulated[0] / simulated[1] for r in ratio.values)),
        )
    )
    assert substeps >= 1 and statistics.median(rate.values) > 0

"""MJX-JAX and MJX-Warp on an NVIDIA GPU, from a thousand worlds to 64 thousand."""

import importlib.util

import jax
import pytest

import mjxsim
from benchmarks.bench_c import staggered
from benchmarks.conftest import Record
from benchmarks.measure import Entry, rate
from mjxsim import envs
from mjxsim.envs import State

pytestmark = pytest.mark.skipif(jax.default_backend() != "gpu", reason="no GPU here")


@pytest.mark.parametrize("num_envs", [1024, 4096, 16384, 65536])
@pytest.mark.parametrize("engine", ["mjx", "warp"])
def test_environment_steps(engine: str, num_envs: int, quick: bool, record: Record) -> None:
    """Environment steps with random actions and autoreset, by scan."""
    if engine == "warp" and importlib.util.find_spec("warp") is None:
        pytest.skip("warp-lang is not installed: pip install 'mjxsim[warp]'")
    length, repeats = (4, 2) if quick else (50, 7)
    env = mjxsim.make("pick_cube", engine=engine, announce=False)
    policy = envs.random_policy(env)

    @mjxsim.jit
    def play(state: State, key: jax.Array) -> tuple[State, jax.Array]:
        state, transitions = envs.rollout(env, policy, state, key, length)
        return state, transitions.reward.mean()

    state, calls = staggered(env, num_envs), 0

    def run() -> None:
        nonlocal state, calls
        calls += 1
        state, _ = jax.block_until_ready(play(state, jax.random.key(calls)))

    record(
        Entry(
            name=f"{engine}/gpu/{num_envs}",
            what=f"{engine} on a GPU: pick_cube environment steps, {num_envs} worlds",
            unit="env steps/s",
            ours=rate(run, work=num_envs * length, repeats=repeats),
        )
    )

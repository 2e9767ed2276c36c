"""The C engine's environment steps against bare `mujoco.batch`: what jit and the task cost."""

import jax
import numpy as np
import pytest
from mujoco.batch import Batch

import mjxsim
from benchmarks.conftest import Record
from benchmarks.measure import Entry, compare
from mjxsim import envs
from mjxsim.envs import State

FLOOR = 0.7


@pytest.mark.parametrize("num_envs", [256, 1024])
def test_environment_steps(num_envs: int, quick: bool, record: Record) -> None:
    """Both start from the same states, take the same controls and use the same threads.

    The reference steps the physics and nothing else: no poses at the end, no observation, reward or
    restart, no way out of the batch.
    """
    length, repeats = (5, 2) if quick else (50, 15)
    num_envs = num_envs // 16 if quick else num_envs
    env = mjxsim.make("pick_cube", engine="c", announce=False)
    policy = envs.random_policy(env)

    def play(state: State, key: jax.Array) -> tuple[State, jax.Array, jax.Array]:
        def step(state: State, key: jax.Array) -> tuple[State, tuple[jax.Array, jax.Array]]:
            state, transition = envs.step_autoreset(env, state, policy(key, state))
            return state, (state.physics.ctrl, transition.reward)

        state, (ctrl, reward) = jax.lax.scan(step, state, jax.random.split(key, length))
        return state, ctrl, reward.mean()

    run = mjxsim.jit(play)
    state = staggered(env, num_envs)
    batch = Batch(env.engine.model, num_envs, 0)
    rows, controls = rows_of(state), np.zeros((length, num_envs, env.engine.model.nu), np.float32)
    step = 0

    def ours() -> None:
        nonlocal state, rows, controls, step
        rows, step = rows_of(state), step + 1
        state, ctrl, _ = jax.block_until_ready(run(state, jax.random.key(step)))
        controls = np.asarray(ctrl)

    def bare() -> None:
        batch.state[:] = rows
        ctrl = batch.bind("ctrl")
        for now in controls:
            ctrl[:] = now
            batch.step(nstep=env.engine.substeps)

    steps, reference, ratio = compare(ours, bare, work=num_envs * length, repeats=repeats)
    record(
        Entry(
            name=f"c/env/{num_envs}",
            what=f"C: pick_cube environment steps, random actions, {num_envs} worlds",
            unit="env steps/s",
            ours=steps,
            reference=reference,
            reference_is="bare mujoco.batch",
            ratio=ratio,
            floor=FLOOR,
        )
    )


def staggered(env: envs.Env, num_envs: int) -> State:
    """A batch whose worlds are at different times of their episode, as in a long run."""
    state = mjxsim.jit(lambda key: envs.reset_batch(env, key, num_envs))(jax.random.key(0))
    limit = env.task.config.episode_steps
    counts = jax.random.randint(jax.random.key(1), (num_envs,), 0, limit)
    return state.replace(step_count=counts)


def rows_of(state: State) -> np.ndarray:
    """The engine's complete integration states, (num_envs, nstate) float64."""
    return np.asarray(state.physics.raw["row"]).view(np.float64)

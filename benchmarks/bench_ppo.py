"""What learning leaves of the environment's speed."""

import jax

import mjxsim
from benchmarks.bench_c import staggered
from benchmarks.conftest import Record
from benchmarks.measure import Entry, compare
from mjxsim import envs
from mjxsim.envs import State
from mjxsim.learning.ppo import PPO, PPOConfig

FLOOR = 0.5


def test_learning_on_c(quick: bool, record: Record) -> None:
    """PPO updates against a random rollout of as many steps of the same environment."""
    num_envs, repeats = (16, 2) if quick else (256, 15)
    env = mjxsim.make("pick_cube", engine="c", announce=False)
    ppo = PPO(env, PPOConfig(), num_envs=num_envs, total_steps=10_000_000)
    update = mjxsim.jit(ppo.update)
    train = mjxsim.jit(ppo.init)(jax.random.key(0))
    policy, length = envs.random_policy(env), ppo.config.unroll_length

    @mjxsim.jit
    def play(state: State, key: jax.Array) -> tuple[State, jax.Array]:
        state, transitions = envs.rollout(env, policy, state, key, length)
        return state, transitions.reward.mean()

    state, calls = staggered(env, num_envs), 0

    def learn() -> None:
        nonlocal train
        train, _ = jax.block_until_ready(update(train))

    def bare() -> None:
        nonlocal state, calls
        calls += 1
        state, _ = jax.block_until_ready(play(state, jax.random.key(calls)))

    steps, reference, ratio = compare(learn, bare, work=ppo.steps_per_update, repeats=repeats)
    record(
        Entry(
            name=f"c/ppo/{num_envs}",
            what=f"C: pick_cube steps while PPO learns, {num_envs} worlds",
            unit="env steps/s",
            ours=steps,
            reference=reference,
            reference_is="a random rollout",
            ratio=ratio,
            floor=FLOOR,
        )
    )

"""Rollouts by scan."""

from collections.abc import Callable

import jax

from mjxsim.envs.autoreset import step_autoreset
from mjxsim.envs.env import Env, State, Transition

# (key, batch of states) -> actions (num_envs, action_size)
Policy = Callable[[jax.Array, State], jax.Array]


def rollout(
    env: Env, policy: Policy, state: State, key: jax.Array, length: int
) -> tuple[State, Transition]:
    """Runs `policy` for `length` control steps with autoreset.

    Returns the last state and the transitions, time first: every leaf (length, num_envs, ...).
    """

    def step(state: State, key: jax.Array) -> tuple[State, Transition]:
        return step_autoreset(env, state, policy(key, state))

    return jax.lax.scan(step, state, jax.random.split(key, length))


def random_policy(env: Env) -> Policy:
    """Uniform actions in [-1, 1]."""

    def policy(key: jax.Array, state: State) -> jax.Array:
        shape = (state.step_count.shape[0], env.action_size)
        return jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)

    return policy


def expert_policy(env: Env) -> Policy:
    """The task's scripted expert."""
    return lambda key, state: jax.vmap(env.expert)(state)

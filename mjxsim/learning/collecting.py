"""Experience from a batch of worlds, as every online learner gathers it."""

from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from mjxsim.envs import Env, State, Transition, step_autoreset
from mjxsim.learning.mesh import Shards

WIDTH = "randomization_width"  # how wide a schedule has opened ranges, 0 to 1
_FAULTS = ("diverged", "invalid_action", "contact_overflow", "constraint_overflow")

# A device's worlds and standard normal noise (n, action_size) for them -> actions, and anything
# about them that the learner wants to keep.
Decide = Callable[[State, jax.Array], tuple[jax.Array, Any]]


class Running(flax.struct.PyTreeNode):
    """A device's worlds and the episodes in progress there."""

    env_state: State  # batched
    episode_return: jax.Array  # (n,)
    episode_length: jax.Array  # int32 (n,)


def begin(
    env: Env, shards: Shards, num_envs: int, env_key: jax.Array, stagger_key: jax.Array
) -> Running:
    """This device's part of `num_envs` fresh worlds; the same worlds on any number of devices.

    They start at different times of their first episode, so that they do not all end in the same
    update ever after.
    """
    limit = env.task.config.episode_steps
    count = shards.own(jax.random.randint(stagger_key, (num_envs,), 0, limit))
    env_state = jax.vmap(env.reset)(shards.own(jax.random.split(env_key, num_envs)))
    return Running(
        env_state=env_state.replace(step_count=count),
        episode_return=jnp.zeros(count.shape),
        episode_length=jnp.zeros(count.shape, jnp.int32),
    )


def collect(
    env: Env,
    shards: Shards,
    running: Running,
    decide: Decide,
    key: jax.Array,
    *,
    num_envs: int,
    length: int,
) -> tuple[Running, Transition, Any, dict[str, jax.Array]]:
    """Steps this device's worlds `length` times.

    Returns:
      The worlds afterwards; transitions, and what `decide` kept, time first; and metrics over all
      devices, float32 (): those that `Algorithm` names, the mean `reward`, and with a schedule
      the mean `randomization_width`.
    """

    def step(running: Running, key: jax.Array) -> tuple[Running, tuple[Transition, Any, Any]]:
        noise = shards.own(jax.random.normal(key, (num_envs, env.action_size)))
        action, kept = decide(running.env_state, noise)
        env_state, transition = step_autoreset(env, running.env_state, action)
        done = transition.terminated | transition.truncated
        returns = running.episode_return + transition.reward
        lengths = running.episode_length + 1
        after = Running(env_state, jnp.where(done, 0.0, returns), jnp.where(done, 0, lengths))
        return after, (transition, kept, (done, returns, lengths))

    running, (transitions, kept, ended) = jax.lax.scan(step, running, jax.random.split(key, length))
    done, returns, lengths = ended
    total = shards.sum
    episodes = total(done.sum())
    count = jnp.maximum(episodes, 1)
    metrics = {
        "episodes": episodes.astype(jnp.float32),
        "return": total(jnp.where(done, returns, 0.0).sum()) / count,
        "success": total(jnp.where(done, transitions.metrics["success"], 0.0).sum()) / count,
        "episode_length": total(jnp.where(done, lengths, 0).sum()) / count,
        "reward": shards.mean(transitions.reward.mean()),
        **{name: total(transitions.metrics[name].sum()) for name in _FAULTS},
    }
    if WIDTH in transitions.metrics:  # a curriculum, which a person wants to follow
        metrics[WIDTH] = shards.mean(transitions.metrics[WIDTH].mean())
    return running, transitions, kept, metrics

"""Episodes of a task's scripted expert, for a learner that remembers."""

import flax.struct
import jax
import jax.numpy as jnp

from mjxsim.envs import Env, State, reset_batch
from mjxsim.learning.replay import Experience, Replay

_MAX_ROUNDS = 8  # of as many episodes as are wanted, before it is given up


class Demonstrations(flax.struct.PyTreeNode):
    """Successful episodes of the expert, as rows to sample from."""

    replay: Replay[Experience]  # one lane
    episodes: jax.Array  # int32 (), in `replay`; fewer than wanted if the expert kept failing
    tried: jax.Array  # int32 (), episodes played for them


def collect(env: Env, key: jax.Array, episodes: int, noise: float) -> Demonstrations:
    """Plays the expert until `episodes` of its episodes succeeded; pure, to be compiled.

    A perfect expert shows only the states that it passes through. Normal noise on its actions, of
    a standard deviation drawn for each episode from 0 to `noise`, shows how it recovers (Laskey et
    al. 2017); the action remembered is the noisy one that was applied.

    Args:
      env: the environment.
      key: from which starts, goals and noise are drawn.
      episodes: how many to collect.
      noise: largest standard deviation, as a share of the largest action.

    Raises:
      ValueError: the controller cannot follow an expert (when traced).
    """
    steps = env.task.config.episode_steps

    def unfinished(carry: tuple[Demonstrations, jax.Array, jax.Array]) -> jax.Array:
        found = carry[0]
        return (found.episodes < episodes) & (found.tried < _MAX_ROUNDS * episodes)

    def one_round(
        carry: tuple[Demonstrations, jax.Array, jax.Array],
    ) -> tuple[Demonstrations, jax.Array, jax.Array]:
        found, valid, key = carry
        key, play_key = jax.random.split(key)
        rows, played, succeeded = _play(env, play_key, episodes, noise)
        place = found.episodes + jnp.cumsum(succeeded) - 1
        place = jnp.where(succeeded, place, episodes)  # those beyond the last place are dropped

        def put(old: jax.Array, new: jax.Array) -> jax.Array:
            return old.at[place].set(new, mode="drop")

        rows = jax.tree.map(put, found.replay.rows, rows)
        count = jnp.minimum(found.episodes + succeeded.sum(), episodes)
        found = Demonstrations(
            found.replay.replace(rows=rows), count.astype(jnp.int32), found.tried + episodes
        )
        return found, put(valid, played), key

    # A lane per episode while they are collected.
    empty = Replay.init(Experience.blank(env), episodes, steps)
    nothing = Demonstrations(empty, jnp.int32(0), jnp.int32(0))
    start = (nothing, jnp.zeros((episodes, steps), bool), key)
    found, valid, _ = jax.lax.while_loop(unfinished, one_round, start)
    rows = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), found.replay.rows)
    return found.replace(replay=Replay.of(rows, valid.reshape(-1)))


def _play(
    env: Env, key: jax.Array, episodes: int, noise: float
) -> tuple[Experience, jax.Array, jax.Array]:
    """One round: rows and whether they belong to the episode, (episodes, steps, ...); successes."""
    reset_key, scale_key, noise_key = jax.random.split(key, 3)
    scale = noise * jax.random.uniform(scale_key, (episodes, 1))

    def step(
        carry: tuple[State, jax.Array], key: jax.Array
    ) -> tuple[tuple[State, jax.Array], tuple[Experience, jax.Array, jax.Array]]:
        state, running = carry
        action = jax.vmap(env.expert)(state)
        action += scale * jax.random.normal(key, action.shape)
        state, t = jax.vmap(env.step)(state, action)
        ends = running & (t.terminated | t.truncated)
        succeeds = ends & (t.metrics["success"] > 0)
        return (state, running & ~ends), (Experience.of(t), running, succeeds)

    start = (reset_batch(env, reset_key, episodes), jnp.ones(episodes, bool))
    keys = jax.random.split(noise_key, env.task.config.episode_steps)
    _, (rows, played, succeeds) = jax.lax.scan(step, start, keys)
    by_episode = jax.tree.map(lambda x: x.swapaxes(0, 1), (rows, played))
    return *by_episode, succeeds.any(axis=0)

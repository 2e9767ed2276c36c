"""Stepping a batch of worlds in which finished episodes start anew."""

import jax
import jax.numpy as jnp

from mjxsim.envs.env import Env, State, Transition


def reset_batch(env: Env, key: jax.Array, num_envs: int) -> State:
    """`num_envs` fresh worlds from one key; every leaf gains a leading axis."""
    return jax.vmap(env.reset)(jax.random.split(key, num_envs))


def step_autoreset(env: Env, state: State, action: jax.Array) -> tuple[State, Transition]:
    """Steps every world, then restarts those whose episode ended.

    A restarted world has a new key, start, goal and overrides; nothing of the old episode remains
    but what is drawn per session and the schedule's progress (`Env.restart`).
    `transition.next_obs` is the true last observation, before the restart; `state.obs` is what the
    next action should see.

    Args:
      env: the environment.
      state: a batch, as `reset_batch` returns.
      action: (num_envs, action_size).
    """
    state, transition = jax.vmap(env.advance)(state, action)
    state = reset_done(env, state, transition.terminated | transition.truncated)
    return jax.vmap(env.look)(state), transition


def reset_done(
    env: Env, state: State, done: jax.Array, *, new_world: bool = False, look: bool = False
) -> State:
    """Restarts the worlds where `done` (num_envs,), a few at a time.

    With `new_world` they are reset from their keys, as if they had not been before. With `look`
    their pictures are drawn, and only theirs; else that is left to do, for all worlds at once.

    Episodes end spread over time, so a step usually restarts a handful of worlds: resetting them
    in chunks costs in proportion to their number, where resetting all and selecting would cost a
    whole batch at every step.
    """
    num_envs = done.shape[0]
    chunk = max(1, -(-num_envs // 16))

    def some_left(carry: tuple[State, jax.Array]) -> jax.Array:
        return carry[1].any()

    def restart(carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
        state, left = carry
        rank = jnp.cumsum(left) - 1  # among the worlds that are left
        now = left & (rank < chunk)
        worlds = jnp.sort(jnp.where(now, jnp.arange(num_envs), num_envs - 1))[:chunk]
        ended = jax.tree.map(lambda x: x[worlds], state)
        begin = (lambda world: env.start(world.key)) if new_world else env.start_next
        fresh = jax.vmap(begin)(ended)
        fresh = jax.vmap(env.look)(fresh) if look else fresh

        # Selecting from a gather is vector code; XLA on CPU scatters one element at a time.
        def replace(old: jax.Array, new: jax.Array) -> jax.Array:
            mask = now.reshape((num_envs,) + (1,) * (old.ndim - 1))
            return jnp.where(mask, new[jnp.clip(rank, 0, chunk - 1)], old)

        return jax.tree.map(replace, state, fresh), left & ~now

    return jax.lax.while_loop(some_left, restart, (state, done))[0]

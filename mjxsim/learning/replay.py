"""A memory of transitions on the device: a ring buffer that is part of the learner's state."""

from typing import Generic, Self, TypeVar

import flax.struct
import jax
import jax.numpy as jnp

from mjxsim.envs import Env, Transition


class Experience(flax.struct.PyTreeNode):
    """One transition as an off-policy learner needs it; any leading axes."""

    obs: jax.Array  # (..., observation_size), raw
    action: jax.Array  # (..., action_size), as applied, in [-1, 1]
    reward: jax.Array  # float32 (...)
    next_obs: jax.Array  # (..., observation_size), raw, before any reset
    terminated: jax.Array  # bool (...); a truncated episode would have gone on, so it is not

    @classmethod
    def of(cls, t: Transition) -> Self:
        """What of a transition is remembered."""
        return cls(t.obs, t.action, t.reward, t.next_obs, t.terminated)

    @classmethod
    def blank(cls, env: Env) -> Self:
        """One transition of `env` that is all zeros: what a row of it looks like."""
        obs, zero = jnp.zeros(env.observation_size, jnp.float32), jnp.zeros((), jnp.float32)
        return cls(obs, jnp.zeros(env.action_size, jnp.float32), zero, obs, jnp.zeros((), bool))


R = TypeVar("R")  # a pytree of arrays: one row, or rows along two leading axes


class Replay(flax.struct.PyTreeNode, Generic[R]):
    """A ring of the newest rows in each of several lanes, one per world; a frozen pytree.

    Lanes are what worlds are: divided among devices by the leading axis.
    """

    rows: R  # leaves (lanes, slots, ...)
    position: jax.Array  # int32 (), the slot where the next row of each lane goes
    size: jax.Array  # int32 (), slots of each lane that hold something; they come first

    @classmethod
    def init(cls, row: R, lanes: int, slots: int) -> Self:
        """An empty memory for rows like `row`, of which only shapes and types are read."""
        rows = jax.tree.map(lambda x: jnp.zeros((lanes, slots, *x.shape), x.dtype), row)
        return cls(rows, jnp.int32(0), jnp.int32(0))

    @classmethod
    def of(cls, rows: R, valid: jax.Array) -> Self:
        """One lane of those `rows`, leaves (n, ...), that are `valid` (n,), in their order."""
        size = valid.sum().astype(jnp.int32)
        order = jnp.argsort(~valid, stable=True)
        return cls(jax.tree.map(lambda x: x[order][None], rows), size % valid.shape[0], size)

    @property
    def lanes(self) -> int:
        """Rings side by side."""
        return jax.tree.leaves(self.rows)[0].shape[0]

    @property
    def slots(self) -> int:
        """Rows that each lane has room for."""
        return jax.tree.leaves(self.rows)[0].shape[1]

    def add(self, rows: R) -> Self:
        """Takes in rows, leaves (n, lanes, ...), oldest first; once full, for the oldest there are.

        Raises:
          ValueError: more rows at once than there is room for (when traced).
        """
        n, slots = jax.tree.leaves(rows)[0].shape[0], self.slots
        if n > slots:
            raise ValueError(f"a replay memory of {slots} rows per lane cannot take {n} at once")
        places = (self.position + jnp.arange(n, dtype=jnp.int32)) % slots

        def put(old: jax.Array, new: jax.Array) -> jax.Array:
            return old.at[:, places].set(new.swapaxes(0, 1), unique_indices=True)

        return self.replace(
            rows=jax.tree.map(put, self.rows, rows),
            position=(self.position + n) % slots,
            size=jnp.minimum(self.size + n, slots),
        )

    def sample(self, key: jax.Array, n: int) -> R:
        """`n` rows drawn uniformly, with replacement; leaves (n, ...). It must not be empty."""
        chosen = jax.random.randint(key, (n,), 0, self.lanes * jnp.maximum(self.size, 1))
        return jax.tree.map(lambda x: x[chosen % self.lanes, chosen // self.lanes], self.rows)

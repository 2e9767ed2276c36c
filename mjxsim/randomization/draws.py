"""Many random values from one key, for ranges by their names, in one go.

A draw of a hundred values from a hundred keys takes a compiler a minute: each is a program of its
own. So all are drawn as one array of uniform numbers, a row for each name, and ranges map them.
"""

import dataclasses
import math
import zlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.randomization.ranges import Range

__all__ = ["Draw", "Needs", "Width"]

# () in [0, 1] for every range, or one for each by its name; a name that is absent is fully open.
Width = jax.Array | float | Mapping[str, jax.Array | float]


class Needs(dict[str, int]):
    """How many numbers each name takes: what a dry run with `Draw.dry` notes."""

    def draw(self, key: jax.Array, width: Width = 1.0) -> "Draw":
        """Draws them all. Each row comes from the key and its name, whatever others there are."""
        if not self:
            return Draw({}, width, {})
        names = np.array([zlib.crc32(name.encode()) for name in self], np.uint32)
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.asarray(names))
        rows = jax.vmap(lambda k: jax.random.uniform(k, (max(self.values()),)))(keys)
        return Draw(dict(zip(self, rows, strict=True)), width, {})


@dataclasses.dataclass(frozen=True, eq=False)
class Draw:
    """One draw, such that a range set or left out changes no other's value.

    Attributes:
      rows: uniform numbers in [0, 1) by name; empty in a dry run.
      width: how far ranges are opened.
      noted: what a dry run has asked for.
    """

    rows: dict[str, jax.Array]
    width: Width
    noted: dict[str, int]

    @classmethod
    def dry(cls) -> "Draw":
        """One that gives zeros, and notes what is asked of it."""
        return cls({}, 1.0, Needs())

    def uniform(self, name: str, shape: tuple[int, ...]) -> jax.Array:
        """Numbers in [0, 1), the same ones each time."""
        count = math.prod(shape)
        if name in self.rows:
            return self.rows[name][:count].reshape(shape)
        self.noted[name] = max(count, self.noted.get(name, 1))
        return jnp.zeros(shape)

    def choice(self, name: str, shape: tuple[int, ...], count: int) -> jax.Array:
        """Whole numbers below `count`, all as likely; int32."""
        return jnp.minimum(jnp.floor(self.uniform(name, shape) * count), count - 1).astype(int)

    def some(self, name: str, count: int) -> jax.Array:
        """Which of `count` things change, each with the width's probability; bool (count,)."""
        return self.uniform(f"{name}?", (count,)) < self.width_of(name)

    def width_of(self, name: str) -> jax.Array:
        """The name's width, float32 () in [0, 1]."""
        width = self.width.get(name, 1.0) if isinstance(self.width, Mapping) else self.width
        return jnp.clip(jnp.asarray(width, jnp.float32), 0.0, 1.0)

    def of(
        self, name: str, given: Range | None, nominal: jax.Array | np.ndarray | float
    ) -> jax.Array:
        """Values as `Range.draw` spreads them, one for each entry of `nominal`."""
        nominal = jnp.asarray(nominal, jnp.float32)
        if given is None:
            return nominal
        return given.place(self.uniform(name, nominal.shape), nominal, self.width_of(name))

    def full(self, name: str, given: Range, shape: tuple[int, ...]) -> jax.Array:
        """Values of a fully open range, for what has none to begin with."""
        return given.place(self.uniform(name, shape), jnp.zeros(shape))

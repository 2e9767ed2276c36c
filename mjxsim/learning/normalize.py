"""Running normalization of observations; it lives in the checkpoint with the networks."""

from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.learning.mesh import ONE_DEVICE, Shards


class Normalizer(flax.struct.PyTreeNode):
    """Mean and variance of every observation seen."""

    count: jax.Array  # float32 ()
    mean: jax.Array  # (n,)
    m2: jax.Array  # (n,), sum of squared deviations from the mean

    @classmethod
    def init(cls, size: int) -> Self:
        return cls(jnp.zeros(()), jnp.zeros(size), jnp.zeros(size))

    def update(self, batch: jax.Array, *, shards: Shards = ONE_DEVICE) -> Self:
        """Takes in observations (..., n), of each device; Chan et al. 1979, parallel variance."""
        batch = batch.reshape(-1, batch.shape[-1])
        count = jnp.float32(batch.shape[0] * shards.count)
        mean = shards.mean(batch.mean(0))
        m2 = shards.sum(((batch - mean) ** 2).sum(0))
        total = self.count + count
        delta = mean - self.mean
        return self.replace(
            count=total,
            mean=self.mean + delta * count / total,
            m2=self.m2 + m2 + delta**2 * self.count * count / total,
        )

    def part(self, entries: np.ndarray) -> Self:
        """The same for some entries (k,) of an observation alone."""
        return self.replace(mean=self.mean[entries], m2=self.m2[entries])

    def __call__(self, obs: jax.Array) -> jax.Array:
        """Observations (..., n) to zero mean and unit variance, clipped to +-10."""
        std = jnp.sqrt(self.m2 / jnp.maximum(self.count, 1.0))
        scaled = (obs - self.mean) / jnp.maximum(std, 1e-3)
        return jnp.where(self.count > 0, jnp.clip(scaled, -10.0, 10.0), obs)

"""Actor and critic networks."""

from collections.abc import Sequence
from typing import Any, cast

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp


class MLP(nn.Module):
    """A multilayer perceptron with tanh hidden layers and orthogonal weights."""

    hidden: Sequence[int]
    outputs: int
    output_scale: float

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for size in self.hidden:
            x = nn.tanh(nn.Dense(size, kernel_init=nn.initializers.orthogonal(2.0**0.5))(x))
        init = nn.initializers.orthogonal(self.output_scale)
        return nn.Dense(self.outputs, kernel_init=init)(x)


class ActorCritic(nn.Module):
    """A Gaussian policy with a standard deviation per action entry, and a value function.

    Input: normalized observations (..., observation_size). Output: `Outputs`.
    """

    hidden: Sequence[int]
    action_size: int
    initial_log_std: float

    @nn.compact
    def __call__(self, obs: jax.Array) -> "Outputs":
        mean = MLP(self.hidden, self.action_size, 0.01, name="actor")(obs)
        value = MLP(self.hidden, 1, 1.0, name="critic")(obs)[..., 0]
        init = nn.initializers.constant(self.initial_log_std)
        log_std = self.param("log_std", init, (self.action_size,))
        return Outputs(Gaussian(mean, jnp.broadcast_to(log_std, mean.shape)), value)

    def forward(self, params: Any, obs: jax.Array) -> "Outputs":
        """`apply` with the type of what it gives."""
        return cast(Outputs, self.apply(params, obs))


class Gaussian(flax.struct.PyTreeNode):
    """A diagonal normal distribution over actions."""

    mean: jax.Array  # (..., action_size)
    log_std: jax.Array  # (..., action_size)

    def sample(self, key: jax.Array) -> jax.Array:
        return self.mean + jnp.exp(self.log_std) * jax.random.normal(key, self.mean.shape)

    def log_prob(self, action: jax.Array) -> jax.Array:
        """Log density of `action` (..., action_size); (...)."""
        z = (action - self.mean) * jnp.exp(-self.log_std)
        constant = 0.5 * jnp.log(2.0 * jnp.pi)
        return -(0.5 * z**2 + self.log_std + constant).sum(-1)

    def entropy(self) -> jax.Array:
        """Differential entropy [nat]; (...)."""
        return (self.log_std + 0.5 * jnp.log(2.0 * jnp.pi * jnp.e)).sum(-1)


class Outputs(flax.struct.PyTreeNode):
    """What the network says of a batch of observations."""

    policy: Gaussian
    value: jax.Array  # (...), of the discounted return

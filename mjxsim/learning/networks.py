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

    def at(self, noise: jax.Array) -> jax.Array:
        """The action that standard normal `noise` (..., action_size) stands for."""
        return self.mean + jnp.exp(self.log_std) * noise

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


class SquashedGaussian(flax.struct.PyTreeNode):
    """A diagonal normal distribution behind a tanh: actions in (-1, 1)."""

    mean: jax.Array  # (..., action_size), before the tanh
    log_std: jax.Array  # (..., action_size), before the tanh

    def mode(self) -> jax.Array:
        """The squashed mean, which is what a deterministic policy does; (..., action_size)."""
        return jnp.tanh(self.mean)

    def at(self, noise: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The action that standard normal `noise` (..., action_size) stands for; its log density.

        Leaves (..., action_size) and (...), differentiable by the distribution's parameters.
        Haarnoja et al. 2018, appendix C; log(1 - tanh(x)^2) = 2 (log 2 - x - softplus(-2 x)) does
        not lose its digits where the tanh is flat.
        """
        x = self.mean + jnp.exp(self.log_std) * noise
        log_prob = -(0.5 * noise**2 + self.log_std + 0.5 * jnp.log(2.0 * jnp.pi))
        log_slope = 2.0 * (jnp.log(2.0) - x - jax.nn.softplus(-2.0 * x))
        return jnp.tanh(x), (log_prob - log_slope).sum(-1)


class SquashedActor(nn.Module):
    """A squashed Gaussian policy whose standard deviation depends on the observation too.

    Input: normalized observations (..., observation_size). Output: `SquashedGaussian`.
    """

    hidden: Sequence[int]
    action_size: int

    @nn.compact
    def __call__(self, obs: jax.Array) -> SquashedGaussian:
        x = obs
        for size in self.hidden:
            x = nn.relu(nn.Dense(size, kernel_init=nn.initializers.orthogonal(2.0**0.5))(x))
        init = nn.initializers.orthogonal(0.01)
        mean = nn.Dense(self.action_size, kernel_init=init, name="mean")(x)
        log_std = nn.Dense(self.action_size, kernel_init=init, name="log_std")(x)
        return SquashedGaussian(mean, jnp.clip(log_std, -5.0, 2.0))

    def forward(self, params: Any, obs: jax.Array) -> SquashedGaussian:
        """`apply` with the type of what it gives."""
        return cast(SquashedGaussian, self.apply(params, obs))


class Critic(nn.Module):
    """The value of an action, with layer normalization against extrapolation (Ball et al. 2023)."""

    hidden: Sequence[int]

    @nn.compact
    def __call__(self, obs: jax.Array, action: jax.Array) -> jax.Array:
        x = jnp.concatenate([obs, action], axis=-1)
        for size in self.hidden:
            dense = nn.Dense(size, kernel_init=nn.initializers.orthogonal(2.0**0.5))
            x = nn.relu(nn.LayerNorm()(dense(x)))
        return nn.Dense(1)(x)[..., 0]


class Critics(nn.Module):
    """Independent critics: normalized observations and actions (n, ...) to values (number, n)."""

    hidden: Sequence[int]
    number: int

    @nn.compact
    def __call__(self, obs: jax.Array, action: jax.Array) -> jax.Array:
        each = nn.vmap(
            Critic,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=None,  # pyright: ignore[reportArgumentType]
            axis_size=self.number,
        )
        return each(self.hidden, name="critics")(obs, action)

    def forward(self, params: Any, obs: jax.Array, action: jax.Array) -> jax.Array:
        """`apply` with the type of what it gives."""
        return cast(jax.Array, self.apply(params, obs, action))

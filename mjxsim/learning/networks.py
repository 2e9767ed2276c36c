"""Actor and critic networks."""

import dataclasses
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


class Seen(flax.struct.PyTreeNode):
    """What an actor sees of its world, ready for a network."""

    state: jax.Array  # (..., k) the normalized numbers
    images: dict[str, jax.Array]  # by name: uint8 (..., height, width, channels); may be empty


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """A small convolutional network for each picture, after Mnih et al. 2015 with fewer filters."""

    filters: tuple[int, ...] = (16, 32, 32)
    kernels: tuple[int, ...] = (8, 4, 3)
    strides: tuple[int, ...] = (4, 2, 1)
    features: int = 64  # of all pictures together
    # Pictures are moved by up to so many pixels while learning (Laskin et al. 2020): one that was
    # learned from is never seen again exactly so.
    shift: int = 2

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for numbers of layers that differ or a size below one."""
        lengths = {len(self.filters), len(self.kernels), len(self.strides)}
        if len(lengths) != 1:
            raise ValueError(
                "encoder filters, kernels and strides need one entry for each layer, got "
                f"{self.filters}, {self.kernels} and {self.strides}"
            )
        if min(*self.filters, *self.kernels, *self.strides, self.features) < 1 or self.shift < 0:
            raise ValueError("encoder sizes must be at least 1, and shift at least 0")
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            if kernel % stride:
                raise ValueError(
                    f"encoder kernel {kernel} must be a multiple of its stride {stride}"
                )

    def check_size(self, height: int, width: int) -> None:
        """Raise ValueError, one line, for a picture of which the layers leave nothing."""
        left = min(height, width)
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            left = (left - kernel) // stride + 1
            if left < 1:
                raise ValueError(
                    f"pictures of {height} x {width} pixels are too small for the encoder's "
                    f"kernels {self.kernels} with strides {self.strides}: draw larger ones with "
                    "--cameras.height and --cameras.width, or choose fewer layers"
                )


class Convolution(nn.Module):
    """A convolution without padding, (n, height, width, channels), as one product of matrices.

    The kernel is a multiple of the stride. Taken apart into blocks of the stride's size, a patch is
    a few whole blocks side by side. XLA's CPU backend needs some ten times as long for the gradient
    of the same thing written as a strided convolution.
    """

    filters: int
    kernel: int
    stride: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        n, height, width, channels = x.shape
        s, blocks = self.stride, self.kernel // self.stride
        rows, columns = (height - self.kernel) // s + 1, (width - self.kernel) // s + 1
        high, wide = rows + blocks - 1, columns + blocks - 1
        x = x[:, : high * s, : wide * s].reshape(n, high, s, wide, s, channels)
        x = x.swapaxes(2, 3).reshape(n, high, wide, s * s * channels)
        patches = [
            x[:, i : i + rows, j : j + columns] for i in range(blocks) for j in range(blocks)
        ]
        init = nn.initializers.orthogonal(2.0**0.5)
        return nn.Dense(self.filters, kernel_init=init)(jnp.concatenate(patches, axis=-1))


class Encoder(nn.Module):
    """Pictures of any number to features (..., `config.features`)."""

    config: EncoderConfig

    @nn.compact
    def __call__(self, images: dict[str, jax.Array]) -> jax.Array:
        c, found = self.config, []
        for name, picture in images.items():
            lead = picture.shape[:-3]
            x = picture.reshape(-1, *picture.shape[-3:]).astype(jnp.float32) / 255.0 - 0.5
            layers = zip(c.filters, c.kernels, c.strides, strict=True)
            for i, (filters, kernel, stride) in enumerate(layers):
                x = nn.relu(Convolution(filters, kernel, stride, name=f"{name}_{i}")(x))
            found.append(x.reshape(*lead, -1))
        x = nn.Dense(c.features, kernel_init=nn.initializers.orthogonal(1.0))(
            jnp.concatenate(found, axis=-1)
        )
        return nn.tanh(nn.LayerNorm()(x))


class ActorCritic(nn.Module):
    """A Gaussian policy with a standard deviation per action entry, and a value function.

    The actor takes what it sees, the critic the whole normalized observation (...,
    observation_size), of which the actor may see a part only. What it does not see, `hidden`
    entries, it can learn to tell from the pictures; its policy is given what it believes.
    """

    hidden: Sequence[int]
    action_size: int
    initial_log_std: float
    encoder: EncoderConfig | None = None  # None: there are no pictures
    unseen: int = 0  # entries of the observation to be told from the pictures

    def setup(self) -> None:
        self.actor = MLP(self.hidden, self.action_size, 0.01)
        self.critic = MLP(self.hidden, 1, 1.0)
        init = nn.initializers.constant(self.initial_log_std)
        self.log_std = self.param("log_std", init, (self.action_size,))
        if self.encoder is not None:
            self.eye = Encoder(self.encoder)
            self.teller = MLP((64,), self.unseen, 1.0)

    def __call__(self, seen: Seen, obs: jax.Array) -> "Outputs":
        """Everything, of leading axes that agree."""
        x, told = seen.state, jnp.zeros((*seen.state.shape[:-1], 0), jnp.float32)
        if self.encoder is not None:
            features = self.eye(seen.images)
            told = self.teller(jnp.concatenate([features, x], axis=-1))
            # The policy must not bend the belief to its own ends.
            x = jnp.concatenate([x, features, jax.lax.stop_gradient(told)], axis=-1)
        mean = self.actor(x)
        policy = Gaussian(mean, jnp.broadcast_to(self.log_std, mean.shape))
        return Outputs(policy, self._judge(obs), told)

    def _judge(self, obs: jax.Array) -> jax.Array:
        return self.critic(obs)[..., 0]

    def forward(self, params: Any, seen: Seen, obs: jax.Array) -> "Outputs":
        """`apply` with the type of what it gives."""
        return cast(Outputs, self.apply(params, seen, obs))

    def value(self, params: Any, obs: jax.Array) -> jax.Array:
        """The value (...) of normalized observations (..., observation_size) alone."""
        return cast(jax.Array, self.apply(params, obs, method=self._judge))


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
    told: jax.Array  # (..., unseen), what the actor believes of what it does not see


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

"""From what an environment shows to what a network takes; augmentation of pictures."""

import dataclasses
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.envs import Env, Observation, State
from mjxsim.envs.pixels import IMAGES, STATE
from mjxsim.learning.networks import Seen
from mjxsim.learning.normalize import Normalizer


@dataclasses.dataclass(frozen=True, eq=False)
class Senses:
    """What an actor sees in an environment."""

    visible: np.ndarray  # entries of the whole observation
    unseen: np.ndarray  # the others, which only a critic knows
    pictures: dict[str, tuple[int, int, int]]  # name to height, width and channels

    @classmethod
    def of(cls, env: Env) -> Self:
        """Those of an environment with or without cameras."""
        everything = np.arange(env.observation_size)
        if env.eyes is None:
            return cls(everything, everything[:0], {})
        c = env.eyes.config
        shape = (c.height, c.width, 3 * c.frames)
        visible = env.eyes.visible
        return cls(visible, np.setdiff1d(everything, visible), dict.fromkeys(c.names, shape))

    def blank(self) -> Seen:
        """Nothing, in the right shapes."""
        images = {name: jnp.zeros(shape, jnp.uint8) for name, shape in self.pictures.items()}
        return Seen(jnp.zeros(len(self.visible), jnp.float32), images)

    def take(self, normalizer: Normalizer, observation: Observation) -> Seen:
        """What `Env.observation` gives, of one world or of many."""
        if not isinstance(observation, dict):
            return Seen(normalizer(observation), {})
        images = {name: observation[f"{IMAGES}.{name}"] for name in self.pictures}
        return Seen(normalizer.part(self.visible)(observation[STATE]), images)

    def remember(self, obs: jax.Array, images: dict[str, jax.Array]) -> Seen:
        """The same from the whole normalized observation (..., n) and the pictures, as kept."""
        return Seen(obs[..., self.visible] if self.pictures else obs, images)


def shifted(worlds: State, images: dict[str, jax.Array], by: int) -> dict[str, jax.Array]:
    """Pictures (n, height, width, channels) of n worlds, each moved by up to `by` pixels.

    Their edges are repeated. Random shifts as in Laskin et al. 2020 and Kostrikov et al. 2020, but
    drawn when acting: the decision and what is learned from it saw the same picture. The draw is
    that of the world and step.
    """
    if by == 0:
        return images

    def move(key: jax.Array, step: jax.Array, picture: jax.Array) -> jax.Array:
        drawn = jax.random.randint(jax.random.fold_in(key, step), (2,), 0, 2 * by + 1)
        padded = jnp.pad(picture, ((by, by), (by, by), (0, 0)), mode="edge")
        return jax.lax.dynamic_slice(padded, (drawn[0], drawn[1], 0), picture.shape)

    return {
        name: jax.vmap(move)(worlds.key, worlds.step_count, picture)
        for name, picture in images.items()
    }

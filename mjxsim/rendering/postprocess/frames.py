"""Pictures that come late, or not at all: what a camera's stream keeps between steps."""

import flax.struct
import jax
import jax.numpy as jnp


class Frames(flax.struct.PyTreeNode):
    """The last pictures that a camera delivered, the newest first."""

    images: jax.Array  # (k + 1, height, width, 3) for delays up to k


def init(image: jax.Array, longest: int = 0) -> Frames:
    """A stream whose past is its first picture.

    Args:
      image: (height, width, 3), of any type.
      longest: the longest delay that can be asked for [pictures].
    """
    if longest < 0:
        raise ValueError(f"the longest delay must not be negative, got {longest} pictures")
    return Frames(jnp.broadcast_to(image, (longest + 1, *image.shape)))


def push(
    frames: Frames,
    key: jax.Array,
    image: jax.Array,
    *,
    drop: jax.Array | float = 0.0,
    delay: jax.Array | int = 0,
) -> tuple[Frames, jax.Array]:
    """Takes a new picture in, and gives the one to be seen.

    Args:
      frames: from `init` at an episode's start, and from here afterwards.
      key: for this step.
      image: (height, width, 3), as those before.
      drop: () probability that the new picture is lost; the last one then stands in for it.
      delay: () int32, how many pictures late the stream is; clipped to 0 .. longest.
    """
    lost = jax.random.bernoulli(key, drop)
    newest = jnp.where(lost, frames.images[0], image)
    images = jnp.concatenate([newest[None], frames.images[:-1]])
    return Frames(images), images[jnp.clip(delay, 0, images.shape[0] - 1)]

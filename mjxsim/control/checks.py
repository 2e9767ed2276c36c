"""What every controller checks of an action."""

import jax
import jax.numpy as jnp


def clipped_action(action: jax.Array, size: int) -> jax.Array:
    """Return ``action (size,)`` as float32 within [-1, 1]; NaN stays NaN.

    Raises:
      ValueError: when the shape differs, at trace time.
    """
    if action.shape != (size,):
        raise ValueError(
            f"an action of this controller has shape ({size},), got {action.shape}; "
            "use jax.vmap for a batch"
        )
    return jnp.clip(action.astype(jnp.float32), -1.0, 1.0)

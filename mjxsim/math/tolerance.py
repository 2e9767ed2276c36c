"""Shaping of distances into rewards between 0 and 1."""

import math
from typing import Literal, get_args

import jax
import jax.numpy as jnp

from mjxsim import naming

Sigmoid = Literal[
    "gaussian",
    "hyperbolic",
    "long_tail",
    "reciprocal",
    "cosine",
    "linear",
    "quadratic",
    "tanh_squared",
]
_MAY_REACH_ZERO = ("cosine", "linear", "quadratic")


def _sigmoid(distance: jax.Array, value_at_one: float, sigmoid: Sigmoid) -> jax.Array:
    """Return a bump that is 1 at ``distance`` 0 and ``value_at_one`` at ``distance`` 1."""
    if sigmoid == "gaussian":
        scale = math.sqrt(-2.0 * math.log(value_at_one))
        return jnp.exp(-0.5 * (distance * scale) ** 2)
    if sigmoid == "hyperbolic":
        return 1.0 / jnp.cosh(distance * math.acosh(1.0 / value_at_one))
    if sigmoid == "long_tail":
        return 1.0 / ((distance * math.sqrt(1.0 / value_at_one - 1.0)) ** 2 + 1.0)
    if sigmoid == "reciprocal":
        return 1.0 / (jnp.abs(distance) * (1.0 / value_at_one - 1.0) + 1.0)
    if sigmoid == "cosine":
        scaled = distance * (math.acos(2.0 * value_at_one - 1.0) / math.pi)
        return 0.5 * (1.0 + jnp.cos(jnp.pi * jnp.clip(scaled, -1.0, 1.0)))
    if sigmoid == "linear":
        return jnp.maximum(1.0 - jnp.abs(distance) * (1.0 - value_at_one), 0.0)
    if sigmoid == "quadratic":
        return jnp.maximum(1.0 - (distance * math.sqrt(1.0 - value_at_one)) ** 2, 0.0)
    return 1.0 - jnp.tanh(distance * math.atanh(math.sqrt(1.0 - value_at_one))) ** 2


def _check(
    bounds: tuple[float, float], margin: float, sigmoid: str, value_at_margin: float
) -> None:
    if sigmoid not in get_args(Sigmoid):
        raise ValueError(naming.unknown("sigmoid", sigmoid, get_args(Sigmoid)))
    if not bounds[0] <= bounds[1]:
        raise ValueError(f"bounds must be (lower, upper) with lower <= upper, got {bounds}.")
    if not margin >= 0.0:
        raise ValueError(f"margin must be at least 0, got {margin}.")
    zero_allowed = sigmoid in _MAY_REACH_ZERO
    if not (0.0 < value_at_margin < 1.0 or (zero_allowed and value_at_margin == 0.0)):
        interval = "[0, 1)" if zero_allowed else "(0, 1)"
        raise ValueError(
            f"value_at_margin must lie in {interval} for sigmoid {sigmoid!r}, "
            f"got {value_at_margin}."
        )


def tolerance(
    x: jax.Array,
    bounds: tuple[float, float] = (0.0, 0.0),
    margin: float = 0.0,
    sigmoid: Sigmoid = "gaussian",
    value_at_margin: float = 0.1,
) -> jax.Array:
    """Return 1 where ``x`` lies within ``bounds``, falling smoothly towards 0 outside.

    Re-derived in JAX from ``dm_control.utils.rewards.tolerance`` (Tassa et al., "DeepMind Control
    Suite", 2018), with the same names and values.

    Args:
      x: any shape, in the unit of ``bounds``.
      bounds: inclusive (lower, upper); either may be infinite, and they may be equal.
      margin: distance from the bounds at which the value has fallen to ``value_at_margin``, in the
        unit of ``bounds``. With 0 the value is exactly 1 inside and 0 outside.
      sigmoid: the shape of the fall.
      value_at_margin: in (0, 1); 0 also allowed for "cosine", "linear" and "quadratic".

    Returns:
      Values in [0, 1] of the shape of ``x``, float32. Gradients are finite everywhere.

    Raises:
      ValueError: for bounds out of order, a negative margin, an unknown sigmoid or a
        ``value_at_margin`` out of its range.
    """
    _check(bounds, margin, sigmoid, value_at_margin)
    lower, upper = bounds
    x = jnp.asarray(x, jnp.float32)
    if margin == 0.0:
        return jnp.where((x >= lower) & (x <= upper), jnp.float32(1.0), jnp.float32(0.0))
    # The larger overshoot, or 0 inside: no branch holds inf or NaN, so no gradient does.
    outside = jnp.maximum(jnp.maximum(lower - x, x - upper), 0.0)
    return _sigmoid(outside / margin, value_at_margin, sigmoid)


def reach_reward(distance: jax.Array, scale: float) -> jax.Array:
    """Return ``1 - tanh(distance / scale)``: 1 at the goal, 0.24 at ``scale``, 0 far away.

    The shape used by ManiSkill and robosuite for reaching (``1 - tanh(5 d)`` is a scale of 0.2 m).

    Args:
      distance: ``()`` or any shape, not negative [m, or the unit of ``scale`` for other distances].
      scale: positive.
    """
    if not scale > 0.0:
        raise ValueError(f"scale must be positive, got {scale}.")
    return 1.0 - jnp.tanh(distance / scale)

"""Inverse kinematics of one chain by damped least squares, with a fixed amount of work.

Sources: Nakamura and Hanafusa, "Inverse Kinematic Solutions with Singularity Robustness", 1986;
Buss, "Introduction to Inverse Kinematics with Jacobian Transpose, Pseudoinverse and Damped Least
Squares Methods", 2004. The damping that grows with the error is Sugihara, "Solvability-Unconcerned
Inverse Kinematics by the Levenberg-Marquardt Method", IEEE T-RO 2011.
"""

import dataclasses
import functools
import operator
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.control.kinematics import Chain, forward_and_jacobian, sum_of_three
from mjxsim.math import rotations


@dataclasses.dataclass(frozen=True)
class IkConfig:
    """How :func:`solve` searches. The defaults suit a controller that moves centimetres a step."""

    iterations: int = 2  # each is one forward pass and one 6 x 6 solve
    damping: float = 0.02  # [m, rad] singular values of the Jacobian below this are damped away
    error_damping: float = 0.5  # damping grows by this times the error: safe far from the target
    max_step: float = 0.15  # [rad, m] largest change of any joint in one iteration
    # [m/rad] how many metres of position one rad of rotation is worth. None: 1, and 0.05 for an arm
    # of fewer than six joints, which cannot have both and then gives up rotation.
    rotation_weight: float | None = None
    posture_gain: float = 0.02  # share of the way to the rest posture per iteration, in [0, 1]

    def __post_init__(self) -> None:
        """Raise ValueError where a value cannot work."""
        if self.iterations < 1:
            raise ValueError(f"ik iterations must be at least 1, got {self.iterations}")
        if not self.damping > 0.0:
            raise ValueError(f"ik damping must be positive, got {self.damping}")
        if not self.max_step > 0.0:
            raise ValueError(f"ik max_step must be positive, got {self.max_step}")
        if (self.rotation_weight or 0.0) < 0.0 or self.error_damping < 0.0:
            raise ValueError("ik rotation_weight and error_damping must be at least 0")
        if not 0.0 <= self.posture_gain <= 1.0:
            raise ValueError(f"ik posture_gain must lie in [0, 1], got {self.posture_gain}")


def pose_error(
    pos: jax.Array, mat: jax.Array, target_pos: jax.Array, target_mat: jax.Array
) -> jax.Array:
    """Return the twist ``(6,)`` [m, rad], in the world frame, that takes a pose to the target."""
    turn = sum_of_three(target_mat[:, None, :], mat[None, :, :])  # target mat^T
    turn = _fence(turn)
    return jnp.concatenate([target_pos - pos, rotations.log(rotations.from_matrix(turn))])


def solve(
    chain: Chain,
    q: jax.Array,
    target_pos: jax.Array,
    target_mat: jax.Array,
    config: IkConfig,
    rest: jax.Array | None = None,
) -> jax.Array:
    """Return joints ``(n,)`` [rad, m] that bring the chain's site towards a target pose.

    Args:
      chain: the joints and their limits; every iterate stays within the limits.
      q: ``(n,)`` where to start; the nearer to the answer the better.
      target_pos: ``(3,)`` [m], world frame.
      target_mat: ``(3, 3)``, world frame.
      config: the amount of work and the weights.
      rest: ``(n,)`` posture towards which freedom not needed for the target is pulled, when
        ``config.posture_gain`` is positive.

    The number of iterations is fixed, so the cost is, and nothing tells whether the target was
    reached: :func:`pose_error` of :func:`~mjxsim.control.kinematics.forward` does.
    """
    lower, upper = jnp.asarray(chain.lower), jnp.asarray(chain.upper)
    rotation_weight = config.rotation_weight
    if rotation_weight is None:
        rotation_weight = 1.0 if chain.size >= 6 else 0.05
    weight = jnp.array([1.0] * 3 + [rotation_weight] * 3, jnp.float32)

    def improve(_: int, q: jax.Array) -> jax.Array:
        pos, mat, jac = forward_and_jacobian(chain, q)
        error = weight * pose_error(pos, mat, target_pos, target_mat)
        jac = weight[:, None] * jac
        error, jac = _fence((error, jac))
        pull = jnp.zeros_like(q)
        if rest is not None and config.posture_gain > 0.0:
            pull = config.posture_gain * (rest - q)
        # A joint at its limit that would be driven beyond it takes no part, so that the others
        # make up for it; clipping alone would only lose its share of the motion.
        wish = add_up(jac[i] * error[i] for i in range(6))
        free = ~(((q <= lower) & (wish < 0.0)) | ((q >= upper) & (wish > 0.0)))
        jac, pull = _fence((jnp.where(free, jac, 0.0), jnp.where(free, pull, 0.0)))
        # Minimizes |J dq - error|^2 + damping^2 |dq - pull|^2.
        columns = [jac[:, i] for i in range(chain.size)]
        squared_damping = config.damping**2 + config.error_damping**2 * jnp.sum(error * error)
        gram = add_up(column[:, None] * column[None, :] for column in columns)
        gram = gram + squared_damping * np.eye(6, dtype=np.float32)
        remaining = error - add_up(column * pull[i] for i, column in enumerate(columns))
        force = solve_spd(*_fence((gram, remaining)))
        step = _fence(pull + add_up(jac[i] * force[i] for i in range(6)))
        shrink = jnp.minimum(1.0, config.max_step / (jnp.max(jnp.abs(step)) + 1e-9))
        return _fence(jnp.clip(q + shrink * step, lower, upper))

    return jax.lax.fori_loop(0, config.iterations, improve, jnp.clip(q, lower, upper))


def solve_spd(matrix: jax.Array, rhs: jax.Array) -> jax.Array:
    """Return x of ``matrix x = rhs``, ``matrix (n, n)`` symmetric positive definite.

    ``rhs`` and x are ``(n,)``, or ``(n, k)`` for k right-hand sides at once.
    Gauss-Jordan elimination, written out; such a matrix needs no pivoting. Batched on CPU it takes
    less than half the time of ``jnp.linalg.solve``, which calls LAPACK once per matrix.
    """
    size = rhs.shape[0]
    rows = jnp.concatenate([matrix, rhs.reshape(size, -1)], axis=1)
    for k in range(size):
        # The columns before k are done and no longer carried, so the first one left is column k.
        pivot = rows[k, 1:] / rows[k, 0]
        others = rows[:, 1:] - rows[:, :1] * pivot[None, :]
        is_pivot = np.arange(size)[:, None] == k
        rows = _fence(jnp.where(is_pivot, pivot[None, :], others))
    return rows.reshape(rhs.shape)


def add_up(terms: Iterable[jax.Array]) -> jax.Array:
    """Return the sum of a few arrays, written out: on CPU much faster than a short reduction."""
    return functools.reduce(operator.add, terms)


# Keeps XLA on CPU from fusing one stage into the next and recomputing it for every entry there.
_fence = jax.lax.optimization_barrier

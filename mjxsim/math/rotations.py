"""Rotations in 3-D: quaternions, matrices, rotation vectors and the 6-D representation.

Conventions, the same everywhere in mjxsim:

- A quaternion is ``(4,)``, scalar first (w, x, y, z), unit length, as in MuJoCo.
- A rotation matrix is ``(3, 3)``; its columns are the axes of the rotated frame.
- A rotation vector is ``(3,)``: the axis times the angle [rad].
- ``q`` and ``-q`` are the same rotation. Functions that return a quaternion do not choose a sign
  unless they say so.

All functions are unbatched and pure (``jax.vmap`` adds a batch), keep float32 and have finite
gradients everywhere, at the identity too, where a plain ``norm`` or ``arccos`` has none.
Products are written as multiply-and-sum and not as ``@``, so that no accelerator rounds them to
TF32 or bfloat16.
"""

import jax
import jax.numpy as jnp

# Below this squared length a Taylor series replaces sin(x)/x. The first term left out is of
# relative size x^4 / 1920 < 1e-10, far under the float32 epsilon of 1.2e-7.
_SMALL_SQUARED = 1e-4


def identity() -> jax.Array:
    """Return the identity quaternion ``(4,)``."""
    return jnp.array([1.0, 0.0, 0.0, 0.0], jnp.float32)


def safe_norm(vector: jax.Array) -> jax.Array:
    """Return the Euclidean length of ``vector (n,)`` with gradient zero, not NaN, at the origin."""
    squared = jnp.sum(vector * vector)
    positive = squared > 0.0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1.0)), 0.0)


def normalize(quat: jax.Array) -> jax.Array:
    """Return ``quat (4,)`` scaled to unit length; the zero quaternion becomes the identity."""
    squared = jnp.sum(quat * quat)
    positive = squared > 0.0
    unit = quat * jax.lax.rsqrt(jnp.where(positive, squared, 1.0))
    return jnp.where(positive, unit, jnp.array([1.0, 0.0, 0.0, 0.0], quat.dtype))


def multiply(a: jax.Array, b: jax.Array) -> jax.Array:
    """Return the Hamilton product ``a b (4,)``: first rotate by ``b``, then by ``a``."""
    aw, ax, ay, az = a
    bw, bx, by, bz = b
    return jnp.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ]
    )


def conjugate(quat: jax.Array) -> jax.Array:
    """Return the inverse rotation of the unit quaternion ``quat (4,)``."""
    return quat * jnp.array([1.0, -1.0, -1.0, -1.0], quat.dtype)


def rotate(quat: jax.Array, vector: jax.Array) -> jax.Array:
    """Return ``vector (3,)`` rotated by the unit quaternion ``quat (4,)``."""
    scalar, axis = quat[0], quat[1:]
    twice = 2.0 * jnp.cross(axis, vector)
    return vector + scalar * twice + jnp.cross(axis, twice)


def to_matrix(quat: jax.Array) -> jax.Array:
    """Return the rotation matrix ``(3, 3)`` of the unit quaternion ``quat (4,)``."""
    w, x, y, z = quat
    return jnp.stack(
        [
            jnp.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)]),
            jnp.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)]),
            jnp.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)]),
        ]
    )


def from_matrix(matrix: jax.Array) -> jax.Array:
    """Return the quaternion ``(4,)`` with w >= 0 of the rotation matrix ``matrix (3, 3)``.

    Every entry of 4 q q^T is linear in the matrix. The row with the largest diagonal entry, made
    unit, is q: the choice of Shepperd, "Quaternion from rotation matrix", 1978, without a square
    root of a small number, so accurate and differentiable at every angle.
    """
    (m00, m01, m02), (m10, m11, m12), (m20, m21, m22) = matrix
    wx, wy, wz = m21 - m12, m02 - m20, m10 - m01
    xy, xz, yz = m01 + m10, m02 + m20, m12 + m21
    outer = jnp.stack(
        [
            jnp.stack([1 + m00 + m11 + m22, wx, wy, wz]),
            jnp.stack([wx, 1 + m00 - m11 - m22, xy, xz]),
            jnp.stack([wy, xy, 1 - m00 + m11 - m22, yz]),
            jnp.stack([wz, xz, yz, 1 - m00 - m11 + m22]),
        ]
    )
    largest = jax.nn.one_hot(jnp.argmax(jnp.diagonal(outer)), 4, dtype=outer.dtype)
    quat = normalize(jnp.sum(largest[:, None] * outer, axis=0))
    return jnp.where(quat[0] < 0.0, -quat, quat)


def from_axis_angle(axis: jax.Array, angle: jax.Array | float) -> jax.Array:
    """Return the quaternion ``(4,)`` of a turn by ``angle`` [rad] about the unit ``axis (3,)``."""
    half = 0.5 * jnp.asarray(angle, axis.dtype)
    return jnp.concatenate([jnp.cos(half)[None], jnp.sin(half) * axis])


def exp(rotation_vector: jax.Array) -> jax.Array:
    """Return the quaternion ``(4,)`` of ``rotation_vector (3,)`` [rad]; inverse of :func:`log`."""
    squared = jnp.sum(rotation_vector * rotation_vector)
    small = squared < _SMALL_SQUARED
    angle = jnp.sqrt(jnp.where(small, 1.0, squared))
    scale = jnp.where(small, 0.5 - squared / 48.0, jnp.sin(0.5 * angle) / angle)
    scalar = jnp.where(small, 1.0 - squared / 8.0, jnp.cos(0.5 * angle))
    return jnp.concatenate([scalar[None], scale * rotation_vector])


def log(quat: jax.Array) -> jax.Array:
    """Return the rotation vector ``(3,)`` [rad], of length at most pi, of unit ``quat (4,)``.

    The short way round is taken: ``log(q) == log(-q)``.
    """
    quat = jnp.where(quat[0] < 0.0, -quat, quat)
    scalar, vector = quat[0], quat[1:]
    squared = jnp.sum(vector * vector)
    small = squared < _SMALL_SQUARED
    length = jnp.sqrt(jnp.where(small, 1.0, squared))
    # 2 arcsin(s) / s = 2 + s^2 / 3 + ... for small s.
    scale = jnp.where(small, 2.0 + squared / 3.0, 2.0 * jnp.arctan2(length, scalar) / length)
    return scale * vector


def difference(a: jax.Array, b: jax.Array) -> jax.Array:
    """Return the world-frame rotation vector ``(3,)`` [rad] that turns ``b`` into ``a``."""
    return log(multiply(a, conjugate(b)))


def angle_between(a: jax.Array, b: jax.Array) -> jax.Array:
    """Return the angle ``()`` [rad], in [0, pi], between two unit quaternions ``(4,)``.

    Through arctan2, not arccos, which in float32 cannot see angles below 7e-4 rad.
    """
    relative = multiply(conjugate(a), b)
    length = safe_norm(relative[1:])
    # arctan2 has a NaN gradient only at (0, 0), which no unit quaternion reaches.
    return 2.0 * jnp.arctan2(length, jnp.abs(relative[0]))


def integrate(
    quat: jax.Array, angular_velocity: jax.Array, duration: jax.Array | float
) -> jax.Array:
    """Return ``quat (4,)`` after turning at ``angular_velocity (3,)`` [rad/s] for ``duration`` [s].

    The angular velocity is in the world frame and constant. The result is renormalized, so that
    many small steps do not drift off the unit sphere.
    """
    return normalize(multiply(exp(angular_velocity * duration), quat))


def to_6d(quat: jax.Array) -> jax.Array:
    """Return the continuous 6-D representation ``(6,)``: the matrix's first two columns.

    Source: Zhou et al., "On the Continuity of Rotation Representations in Neural Networks",
    CVPR 2019. It has no sign ambiguity and no jump, so it suits observations and network outputs.
    """
    matrix = to_matrix(quat)
    return jnp.concatenate([matrix[:, 0], matrix[:, 1]])


def matrix_from_6d(representation: jax.Array) -> jax.Array:
    """Return the rotation matrix ``(3, 3)`` nearest, by Gram-Schmidt, to ``representation (6,)``.

    Source: Zhou et al., CVPR 2019, equation 15. The two halves must not be parallel or zero.
    """
    first, second = representation[:3], representation[3:]
    x = first * jax.lax.rsqrt(jnp.sum(first * first))
    rest = second - jnp.sum(x * second) * x
    y = rest * jax.lax.rsqrt(jnp.sum(rest * rest))
    return jnp.stack([x, y, jnp.cross(x, y)], axis=1)


def from_6d(representation: jax.Array) -> jax.Array:
    """Return the quaternion ``(4,)`` with w >= 0 of ``representation (6,)``; see :func:`to_6d`."""
    return from_matrix(matrix_from_6d(representation))

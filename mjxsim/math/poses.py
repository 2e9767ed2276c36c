"""Rigid poses: a position and a unit quaternion, and the group they form."""

import flax.struct
import jax
import jax.numpy as jnp

from mjxsim.math import rotations


class Pose(flax.struct.PyTreeNode):
    """A frame: where it is and how it is turned, seen from a parent frame (often the world)."""

    pos: jax.Array  # (3,) [m]
    quat: jax.Array  # (4,) unit, w x y z


def identity() -> Pose:
    """Return the pose of the parent frame itself."""
    return Pose(pos=jnp.zeros(3, jnp.float32), quat=rotations.identity())


def from_matrix(pos: jax.Array, matrix: jax.Array) -> Pose:
    """Return the pose at ``pos (3,)`` [m] with the axes of the rotation ``matrix (3, 3)``."""
    return Pose(pos=pos, quat=rotations.from_matrix(matrix))


def compose(a: Pose, b: Pose) -> Pose:
    """Return the pose, in the parent of ``a``, of the frame that ``b`` describes inside ``a``."""
    return Pose(
        pos=a.pos + rotations.rotate(a.quat, b.pos), quat=rotations.multiply(a.quat, b.quat)
    )


def inverse(pose: Pose) -> Pose:
    """Return the pose of the parent frame seen from ``pose``."""
    quat = rotations.conjugate(pose.quat)
    return Pose(pos=-rotations.rotate(quat, pose.pos), quat=quat)


def apply(pose: Pose, point: jax.Array) -> jax.Array:
    """Return ``point (3,)`` [m], given in the frame ``pose``, in the parent frame."""
    return pose.pos + rotations.rotate(pose.quat, point)


def relative(reference: Pose, pose: Pose) -> Pose:
    """Return ``pose`` seen from ``reference``, both given in the same parent frame."""
    return compose(inverse(reference), pose)

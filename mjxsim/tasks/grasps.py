"""How scripted experts grasp: from above, with the gripper turned to an object's faces."""

import math

import flax.struct
import jax
import jax.numpy as jnp

from mjxsim.math import rotations
from mjxsim.physics.base import PhysicsState
from mjxsim.tasks.handles import ArmHandle, ObjectHandle

HOVER = 0.06  # [m] above the object while the gripper is not yet over it
_ALIGNED = 0.01  # [m] how far off the axis a descent may begin
_NEAR = 0.012  # [m] from the TCP to the object to close
_TURNED = 0.15  # [rad] from the faces' direction to descend
_AT_REST = 0.2  # [rad/s]


class Grasp(flax.struct.PyTreeNode):
    """The next move towards holding an object."""

    tcp: jax.Array  # (3,) [m]
    quat: jax.Array  # (4,), gripper straight down, pads along the object's faces
    close: jax.Array  # bool (), whether the TCP is where the gripper should close


def from_above(
    arm: ArmHandle,
    thing: ObjectHandle,
    physics: PhysicsState,
    *,
    offset: jax.Array | float = 0.0,
    symmetry: float = math.pi / 2,
) -> Grasp:
    """Hover above the object, turn to its faces, descend, close.

    Args:
      arm: which arm.
      thing: a free body.
      physics: the world.
      offset: added to the object's centre, (3,) [m] world frame: where to grasp it.
      symmetry: [rad] turns about the vertical by which the object looks the same to the gripper.
    """
    position = thing.position(physics) + offset
    return from_above_at(arm, position, thing.quat(physics), physics, symmetry=symmetry)


def from_above_at(
    arm: ArmHandle,
    target: jax.Array,
    quat: jax.Array,
    physics: PhysicsState,
    *,
    symmetry: float = math.pi / 2,
) -> Grasp:
    """The same for a pose that is computed, such as that of one object among several.

    Args:
      arm: which arm.
      target: (3,) [m] where to grasp.
      quat: (4,) the object's orientation.
      physics: the world.
      symmetry: as in `from_above`.
    """
    tcp = arm.tcp(physics)
    turn = yaw_to_faces(arm, quat, physics, symmetry)
    above = jnp.linalg.norm((target - tcp)[:2]) < _ALIGNED
    # Once it is down between the pads the object's small turns no longer matter.
    down = tcp[2] < target[2] + 0.5 * HOVER
    # A controller that cannot turn the gripper leaves its last joint, the wrist's, at rest.
    settled = jnp.abs(arm.joint_velocities(physics)[-1]) < _AT_REST
    descend = above & ((jnp.abs(turn) < _TURNED) | settled | down)
    hover = target + jnp.array([0.0, 0.0, HOVER])
    return Grasp(
        tcp=jnp.where(descend, target, hover),
        quat=downwards(arm, physics, turn),
        close=jnp.linalg.norm(target - tcp) < _NEAR,
    )


def yaw_to_faces(
    arm: ArmHandle, quat: jax.Array, physics: PhysicsState, symmetry: float
) -> jax.Array:
    """The smallest turn about the vertical that brings the pads along an object's faces [rad].

    Args:
      arm: which arm.
      quat: (4,) of the object.
      physics: the world.
      symmetry: as in `from_above`.
    """
    matrix = rotations.to_matrix(quat)
    # The faces' direction is that of the object's own axis which lies flattest.
    axis = matrix[:, jnp.argmin(jnp.abs(matrix[2]))]
    across = arm.tcp_matrix(physics)[:, 1]
    turn = jnp.arctan2(axis[1], axis[0]) - jnp.arctan2(across[1], across[0])
    return turn - symmetry * jnp.round(turn / symmetry)


def downwards(arm: ArmHandle, physics: PhysicsState, turn: jax.Array | float = 0.0) -> jax.Array:
    """The orientation (4,) of a TCP that points straight down, `turn` [rad] further about z."""
    across = arm.tcp_matrix(physics)[:, 1]
    angle = jnp.arctan2(across[1], across[0]) + turn
    y = jnp.stack([jnp.cos(angle), jnp.sin(angle), jnp.zeros_like(angle)])
    z = jnp.array([0.0, 0.0, -1.0])
    return rotations.from_matrix(jnp.stack([jnp.cross(y, z), y, z], axis=1))

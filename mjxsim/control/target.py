"""The moving target of an end-effector controller."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.control.base import Motion
from mjxsim.math import Pose, rotations

Moves = Literal["position", "position_yaw", "pose"]
_SIZE: dict[Moves, int] = {"position": 3, "position_yaw": 4, "pose": 6}


@dataclasses.dataclass(frozen=True, eq=False)
class TargetIntegrator:
    """Moves a TCP target pose by actions.

    The target is integrated from the last target, not from the measured pose, so that a zero action
    holds still under load. It is kept on a leash around the measured TCP and, by position, inside
    the workspace; a target that starts outside the workspace may stay but not move further out.
    """

    motion: Moves
    root_pos: np.ndarray  # (3,) float32 [m], the robot's base in the world
    root_mat: np.ndarray  # (3, 3) float32
    workspace: tuple[np.ndarray, np.ndarray]  # lower, upper corner, (3,) float32 [m], base frame
    max_position_step: float  # [m] per control step and axis
    max_rotation_step: float  # [rad] per control step and axis
    position_leash: float  # [m]
    rotation_leash: float  # [rad]

    @property
    def size(self) -> int:
        """Action entries for the motion: three, four or six."""
        return _SIZE[self.motion]

    def advance(self, target: Pose, pos: jax.Array, mat: jax.Array, action: jax.Array) -> Pose:
        """Return the next target, world frame.

        Args:
          target: the last one.
          pos: ``(3,)`` [m] the measured TCP, world frame.
          mat: ``(3, 3)`` its orientation.
          action: the motion's entries first, in [-1, 1].
        """
        return Pose(
            pos=self._moved(target.pos, pos, action[:3]),
            quat=self._turned(target.quat, mat, action[3:6]),
        )

    def toward(self, target: Pose, motion: Motion) -> jax.Array:
        """Return the entries (size,) that move ``target`` as far as they may towards ``motion``."""
        ahead = _matvec(self.root_mat.T, motion.tcp - target.pos) / self.max_position_step
        turn = jnp.zeros(self.size - 3, jnp.float32)
        if motion.quat is not None and self.motion != "position":
            left = _matvec(self.root_mat.T, rotations.difference(motion.quat, target.quat))
            turn = left[2:] if self.motion == "position_yaw" else left
            turn = turn / self.max_rotation_step
        return jnp.clip(jnp.concatenate([ahead, turn]), -1.0, 1.0)

    def _moved(self, previous: jax.Array, measured: jax.Array, action: jax.Array) -> jax.Array:
        """Return the next target position (3,) [m]."""
        root = self.root_mat
        wanted = previous + self.max_position_step * _matvec(root, action)
        ahead = wanted - measured
        distance = rotations.safe_norm(ahead)
        excess = jnp.maximum(distance - self.position_leash, 0.0) / jnp.maximum(distance, 1e-9)
        target = wanted - excess * ahead

        lower, upper = self.workspace
        before = _matvec(root.T, previous - self.root_pos)
        inside = _matvec(root.T, target - self.root_pos)
        allowed = jnp.clip(inside, jnp.minimum(lower, before), jnp.maximum(upper, before))
        return target + _matvec(root, allowed - inside)

    def _turned(self, previous: jax.Array, measured: jax.Array, action: jax.Array) -> jax.Array:
        """Return the next target orientation (4,); ``action`` is what follows the position's."""
        if self.motion == "position":
            return previous
        upwards = self.root_mat[:, 2]
        if self.motion == "position_yaw":
            turn = self.max_rotation_step * action[0] * upwards
        else:
            turn = self.max_rotation_step * _matvec(self.root_mat, action[:3])
        wanted = rotations.multiply(rotations.exp(turn), previous)
        ahead = rotations.difference(wanted, rotations.from_matrix(measured))
        if self.motion == "position_yaw":
            # Only the yaw is leashed: giving way in tilt would change the held tilt for good.
            yaw = jnp.sum(ahead * upwards)
            correction = (jnp.clip(yaw, -self.rotation_leash, self.rotation_leash) - yaw) * upwards
        else:
            angle = rotations.safe_norm(ahead)
            excess = jnp.maximum(angle - self.rotation_leash, 0.0) / jnp.maximum(angle, 1e-9)
            correction = -excess * ahead
        turned = rotations.normalize(rotations.multiply(rotations.exp(correction), wanted))
        still = jnp.all(turn == 0.0) & jnp.all(correction == 0.0)
        return jnp.where(still, previous, turned)  # renormalizing would drift by a bit each step


def _matvec(matrix: np.ndarray, vector: jax.Array) -> jax.Array:
    """Return ``matrix (3, 3)`` times ``vector (3,)``, in full float32 on every accelerator."""
    return jnp.sum(matrix * vector[None, :], axis=1)

"""A controller that moves the tool centre point (TCP)."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.control.actuation import Actuation
from mjxsim.control.base import Motion, TcpControlState
from mjxsim.control.checks import clipped_action
from mjxsim.control.ik import IkConfig, solve
from mjxsim.control.kinematics import Chain, forward
from mjxsim.math import Pose, poses, rotations
from mjxsim.physics.base import PhysicsState

Moves = Literal["position", "position_yaw", "pose"]
_MOTION_SIZE: dict[Moves, int] = {"position": 3, "position_yaw": 4, "pose": 6}


@dataclasses.dataclass(frozen=True, eq=False)
class EndEffectorDelta:
    """Moves the TCP's target pose by the action and follows it by inverse kinematics.

    The target is integrated from the last target, not from the measured pose, so that a zero action
    holds still under load. It is kept on a leash around the measured TCP and, by position, inside
    the workspace; a target that starts outside the workspace may stay but not move further out.
    """

    chain: Chain
    actuation: Actuation
    motion: Moves
    ik: IkConfig
    rest: np.ndarray  # (n,) float32 [rad], posture towards which spare freedom is pulled
    workspace: tuple[np.ndarray, np.ndarray]  # lower, upper corner, (3,) float32 [m], base frame
    max_position_step: float  # [m] per control step and axis
    max_rotation_step: float  # [rad] per control step and axis
    position_leash: float  # [m]
    rotation_leash: float  # [rad]

    @property
    def action_size(self) -> int:
        """Three, four or six entries for the motion, and the gripper's."""
        return _MOTION_SIZE[self.motion] + self.actuation.gripper_size

    def init(self, physics: PhysicsState) -> TcpControlState:
        """Return a target that is the measured TCP pose."""
        q = self.chain.joint_positions(physics.qpos)
        return TcpControlState(joint_target=q, target=poses.from_matrix(*forward(self.chain, q)))

    def __call__(
        self, state: TcpControlState, physics: PhysicsState, action: jax.Array
    ) -> tuple[TcpControlState, jax.Array]:
        """See :class:`~mjxsim.control.base.Controller`."""
        action = clipped_action(action, self.action_size)
        measured_pos, measured_mat = forward(self.chain, self.chain.joint_positions(physics.qpos))
        target = Pose(
            pos=self._moved(state.target.pos, measured_pos, action[:3]),
            quat=self._turned(state.target.quat, measured_mat, action[3:]),
        )
        joint_target = solve(
            self.chain,
            state.joint_target,
            target.pos,
            rotations.to_matrix(target.quat),
            self.ik,
            jnp.asarray(self.rest),
        )
        joint_target = self.actuation.clip(joint_target)
        ctrl = self.actuation.ctrl(physics.ctrl, joint_target, action)
        return TcpControlState(joint_target=joint_target, target=target), ctrl

    def toward(self, state: TcpControlState, motion: Motion | tuple[Motion, ...]) -> jax.Array:
        """See :class:`~mjxsim.control.base.Controller`; what the mode cannot turn stays."""
        if isinstance(motion, tuple):
            (motion,) = motion
        root = self.chain.root_mat
        ahead = _matvec(root.T, motion.tcp - state.target.pos) / self.max_position_step
        turn = jnp.zeros(_MOTION_SIZE[self.motion] - 3, jnp.float32)
        if motion.quat is not None and self.motion != "position":
            left = _matvec(root.T, rotations.difference(motion.quat, state.target.quat))
            turn = left[2:] if self.motion == "position_yaw" else left
            turn = turn / self.max_rotation_step
        grip = jnp.where(motion.open_gripper, 1.0, -1.0)[None][: self.actuation.gripper_size]
        return jnp.concatenate([jnp.clip(jnp.concatenate([ahead, turn]), -1.0, 1.0), grip])

    def stay(self) -> jax.Array:
        """See :class:`~mjxsim.control.base.Controller`."""
        still = jnp.zeros(_MOTION_SIZE[self.motion], jnp.float32)
        return jnp.concatenate([still, jnp.ones(self.actuation.gripper_size, jnp.float32)])

    def _moved(self, previous: jax.Array, measured: jax.Array, action: jax.Array) -> jax.Array:
        """Return the next target position (3,) [m]."""
        root = self.chain.root_mat
        wanted = previous + self.max_position_step * _matvec(root, action)
        ahead = wanted - measured
        distance = rotations.safe_norm(ahead)
        excess = jnp.maximum(distance - self.position_leash, 0.0) / jnp.maximum(distance, 1e-9)
        target = wanted - excess * ahead

        lower, upper = self.workspace
        before = _matvec(root.T, previous - self.chain.root_pos)
        inside = _matvec(root.T, target - self.chain.root_pos)
        allowed = jnp.clip(inside, jnp.minimum(lower, before), jnp.maximum(upper, before))
        return target + _matvec(root, allowed - inside)

    def _turned(self, previous: jax.Array, measured: jax.Array, action: jax.Array) -> jax.Array:
        """Return the next target orientation (4,); ``action`` is what follows the position's."""
        if self.motion == "position":
            return previous
        upwards = self.chain.root_mat[:, 2]
        if self.motion == "position_yaw":
            turn = self.max_rotation_step * action[0] * upwards
        else:
            turn = self.max_rotation_step * _matvec(self.chain.root_mat, action[:3])
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

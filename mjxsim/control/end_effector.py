"""A controller that moves the tool centre point (TCP)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.control.actuation import Actuation
from mjxsim.control.base import HeldControl, Motion, TcpControlState
from mjxsim.control.checks import clipped_action
from mjxsim.control.ik import IkConfig, solve
from mjxsim.control.kinematics import Chain, forward
from mjxsim.control.target import TargetIntegrator
from mjxsim.math import poses, rotations
from mjxsim.physics.base import PhysicsState


@dataclasses.dataclass(frozen=True, eq=False)
class EndEffectorDelta(HeldControl):
    """Moves the TCP's target pose by the action and follows it by inverse kinematics."""

    chain: Chain
    actuation: Actuation
    integrator: TargetIntegrator
    ik: IkConfig
    rest: np.ndarray  # (n,) float32 [rad], posture towards which spare freedom is pulled

    @property
    def action_size(self) -> int:
        """Three, four or six entries for the motion, and the gripper's."""
        return self.integrator.size + self.actuation.gripper_size

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
        target = self.integrator.advance(state.target, measured_pos, measured_mat, action)
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
        moves = self.integrator.toward(state.target, motion)
        return jnp.concatenate([moves, self.actuation.grip(motion.open_gripper)])

    def stay(self) -> jax.Array:
        """See :class:`~mjxsim.control.base.Controller`."""
        still = jnp.zeros(self.integrator.size, jnp.float32)
        return jnp.concatenate([still, jnp.ones(self.actuation.gripper_size, jnp.float32)])

"""Controllers in joint space."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.control.actuation import Actuation
from mjxsim.control.base import HeldControl, JointControlState, Motion
from mjxsim.control.checks import clipped_action
from mjxsim.control.kinematics import Chain
from mjxsim.physics.base import PhysicsState

NO_EXPERT = (
    "a scripted expert needs an end-effector controller: control mode 'ee_delta', 'ee_delta_yaw' "
    "or 'ee_delta_pose', or 'osc', 'osc_yaw' or 'osc_pose'"
)


@dataclasses.dataclass(frozen=True, eq=False)
class JointPositionDelta(HeldControl):
    """Moves the joint targets by the action times ``max_step``.

    The change is added to the last target and not to the measured joint, so that neither gravity
    nor a contact makes the arm creep while the action is zero.
    """

    chain: Chain
    actuation: Actuation
    lower: np.ndarray  # (n,) float32 [rad], limits of the target
    upper: np.ndarray  # (n,) float32 [rad]
    max_step: float  # [rad] per control step
    leash: float  # [rad] largest distance of the target from the measured joint

    @property
    def action_size(self) -> int:
        """One entry per joint and the gripper's."""
        return self.chain.size + self.actuation.gripper_size

    def init(self, physics: PhysicsState) -> JointControlState:
        """Return a target that is the measured joint position."""
        return JointControlState(joint_target=self.chain.joint_positions(physics.qpos))

    def __call__(
        self, state: JointControlState, physics: PhysicsState, action: jax.Array
    ) -> tuple[JointControlState, jax.Array]:
        """See :class:`~mjxsim.control.base.Controller`."""
        action = clipped_action(action, self.action_size)
        measured = self.chain.joint_positions(physics.qpos)
        target = state.joint_target + self.max_step * action[: self.chain.size]
        target = jnp.clip(target, measured - self.leash, measured + self.leash)
        target = jnp.clip(target, self.lower, self.upper)
        ctrl = self.actuation.ctrl(physics.ctrl, target, action)
        return JointControlState(joint_target=target), ctrl

    def toward(self, state: JointControlState, motion: Motion | tuple[Motion, ...]) -> jax.Array:
        """See :class:`~mjxsim.control.base.Controller`."""
        raise ValueError(NO_EXPERT)

    def stay(self) -> jax.Array:
        """See :class:`~mjxsim.control.base.Controller`."""
        still = jnp.zeros(self.chain.size, jnp.float32)
        return jnp.concatenate([still, jnp.ones(self.actuation.gripper_size, jnp.float32)])


@dataclasses.dataclass(frozen=True, eq=False)
class JointPosition(HeldControl):
    """Sets the joint targets: -1 and 1 are the ends of each joint's range."""

    chain: Chain
    actuation: Actuation
    lower: np.ndarray  # (n,) float32 [rad], finite
    upper: np.ndarray  # (n,) float32 [rad], finite

    @property
    def action_size(self) -> int:
        """One entry per joint and the gripper's."""
        return self.chain.size + self.actuation.gripper_size

    def init(self, physics: PhysicsState) -> JointControlState:
        """Return a target that is the measured joint position."""
        return JointControlState(joint_target=self.chain.joint_positions(physics.qpos))

    def __call__(
        self, state: JointControlState, physics: PhysicsState, action: jax.Array
    ) -> tuple[JointControlState, jax.Array]:
        """See :class:`~mjxsim.control.base.Controller`."""
        del state  # the action alone says where to go
        action = clipped_action(action, self.action_size)
        share = 0.5 * (action[: self.chain.size] + 1.0)
        target = self.lower + share * (self.upper - self.lower)
        target = jnp.clip(target, self.lower, self.upper)
        ctrl = self.actuation.ctrl(physics.ctrl, target, action)
        return JointControlState(joint_target=target), ctrl

    def toward(self, state: JointControlState, motion: Motion | tuple[Motion, ...]) -> jax.Array:
        """See :class:`~mjxsim.control.base.Controller`."""
        raise ValueError(NO_EXPERT)

    def stay(self) -> jax.Array:
        """See :class:`~mjxsim.control.base.Controller`."""
        raise ValueError("control mode 'joint' has no action that stays: an action is a position")

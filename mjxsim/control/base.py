"""What a controller is, and its configuration."""

import dataclasses
from typing import Literal, Protocol, TypeVar

import flax.struct
import jax

from mjxsim.control.ik import IkConfig
from mjxsim.control.operational_space import OscConfig
from mjxsim.math import Pose
from mjxsim.physics.base import PhysicsState

ControlMode = Literal[
    "joint_delta",
    "joint",
    "ee_delta",
    "ee_delta_yaw",
    "ee_delta_pose",
    "osc",
    "osc_yaw",
    "osc_pose",
]
GripperMode = Literal["binary", "continuous", "none"]


@dataclasses.dataclass(frozen=True)
class ControlConfig:
    """How actions move the robot. Steps and leashes are per control step, whatever its length.

    Modes, with the size of the action before the gripper's entry, for an arm of n joints:

    - "joint_delta" (n): moves the joint targets by up to ``max_joint_step``.
    - "joint" (n): sets the joint targets; -1 and 1 are the ends of each joint's range.
    - "ee_delta" (3): moves the TCP target along the robot base's x, y, z by up to
      ``max_position_step`` each; the orientation stays as it was at the start.
    - "ee_delta_yaw" (4): the same, and turns the target about the base's z by up to
      ``max_rotation_step``.
    - "ee_delta_pose" (6): the same, and turns it by a rotation vector in the base frame whose
      entries are up to ``max_rotation_step``.
    - "osc" (3), "osc_yaw" (4), "osc_pose" (6): as the three before, but the target is followed by
      torques, compliantly, and not by joint positions; see
      :class:`~mjxsim.control.operational_space.OscConfig`, which may add entries for stiffness.
    """

    mode: ControlMode = "ee_delta"
    # "binary": above 0 opens, else closes. "continuous": -1 is closed, 1 open. "none": no entry.
    gripper: GripperMode = "binary"
    max_joint_step: float = 0.1  # [rad] for an action entry of 1
    max_position_step: float = 0.025  # [m] for an action entry of 1
    max_rotation_step: float = 0.1  # [rad] for an action entry of 1
    # A target never runs further ahead of the measured arm than this, so that pushing against
    # something does not wind it up.
    joint_leash: float = 0.4  # [rad] per joint
    position_leash: float = 0.1  # [m] distance
    rotation_leash: float = 0.5  # [rad] angle
    ik: IkConfig = IkConfig()
    osc: OscConfig = OscConfig()

    @property
    def torque(self) -> bool:
        """Whether the mode commands torques: `control.torque_driven` prepares a model for it."""
        return self.mode in ("osc", "osc_yaw", "osc_pose")

    def __post_init__(self) -> None:
        """Raise ValueError for a step or leash that is not positive."""
        positive = {
            "max_joint_step": self.max_joint_step,
            "max_position_step": self.max_position_step,
            "max_rotation_step": self.max_rotation_step,
            "joint_leash": self.joint_leash,
            "position_leash": self.position_leash,
            "rotation_leash": self.rotation_leash,
        }
        for name, value in positive.items():
            if not value > 0.0:
                raise ValueError(f"control {name} must be positive, got {value}")


class JointControlState(flax.struct.PyTreeNode):
    """What a joint controller remembers between control steps."""

    joint_target: jax.Array  # (n,) [rad], the last commanded joint positions


class TcpControlState(flax.struct.PyTreeNode):
    """What an end-effector controller remembers between control steps."""

    joint_target: jax.Array  # (n,) [rad], the last commanded joint positions
    target: Pose  # the last commanded TCP pose, world frame


class OscControlState(flax.struct.PyTreeNode):
    """What an operational-space controller remembers between control steps."""

    target: Pose  # the last commanded TCP pose, world frame
    stiffness: jax.Array  # (4,) [1/s^2], along the base's x, y, z, and of every rotation


class Motion(flax.struct.PyTreeNode):
    """What a scripted expert wants next, in terms that any end-effector controller can follow."""

    tcp: jax.Array  # (3,) [m] where the TCP should be, world frame
    open_gripper: jax.Array  # bool ()
    quat: jax.Array | None = None  # (4,) wxyz, how it should be turned; None keeps the target's


ControlState = JointControlState | TcpControlState | OscControlState
StateT = TypeVar("StateT")  # what the controller remembers: a frozen pytree


class Controller(Protocol[StateT]):
    """Turns an action into actuator controls; pure, unbatched, vmappable.

    Only ``physics.qpos``, ``physics.qvel`` and ``physics.ctrl`` are read.
    """

    @property
    def action_size(self) -> int:
        """The length of an action."""
        ...

    def init(self, physics: PhysicsState) -> StateT:
        """Return the state at the start of an episode: the target is where the arm is."""
        ...

    def __call__(
        self, state: StateT, physics: PhysicsState, action: jax.Array
    ) -> tuple[StateT, jax.Array]:
        """Return the next state and ``ctrl (nu,)`` for ``action (action_size,)`` in [-1, 1].

        Entries beyond [-1, 1] are clipped; NaN passes into ``ctrl``, where the engine counts it.
        """
        ...

    @property
    def every_substep(self) -> bool:
        """Whether :meth:`feedback` must be asked before every physics step of a control step."""
        ...

    def feedback(self, state: StateT, physics: PhysicsState, ctrl: jax.Array) -> jax.Array:
        """Return ``ctrl (nu,)``, as :meth:`__call__` gave it, brought up to date with ``physics``.

        Args:
          state: the state that :meth:`__call__` returned.
          physics: the world now, some physics steps later.
          ctrl: what :meth:`__call__` returned.
        """
        ...

    def toward(self, state: StateT, motion: Motion | tuple[Motion, ...]) -> jax.Array:
        """Return the action (action_size,) that moves the target as far as it may towards a motion.

        Raises:
          ValueError: the controller does not move the end effector.
        """
        ...

    def stay(self) -> jax.Array:
        """Return the action (action_size,) that leaves the targets where they are, gripper open.

        Raises:
          ValueError: the controller has no such action.
        """
        ...


class HeldControl:
    """A controller whose control is held for the whole control step."""

    @property
    def every_substep(self) -> bool:
        """See :class:`Controller`."""
        return False

    def feedback(self, state: object, physics: PhysicsState, ctrl: jax.Array) -> jax.Array:
        """See :class:`Controller`."""
        del state, physics
        return ctrl

"""A controller that moves the tool centre point (TCP) compliantly, by torques."""

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim.control.actuation import Actuation
from mjxsim.control.base import Motion, OscControlState
from mjxsim.control.checks import clipped_action
from mjxsim.control.dynamics import ChainDynamics, Equations, evaluate
from mjxsim.control.kinematics import Chain, forward
from mjxsim.control.operational_space import OscConfig, torque
from mjxsim.control.target import TargetIntegrator
from mjxsim.math import poses, rotations
from mjxsim.physics.base import PhysicsState
from mjxsim.robots.base import RobotSpec


@dataclasses.dataclass(frozen=True, eq=False)
class OperationalSpace:
    """Moves the TCP's target pose by the action and follows it by operational-space control.

    A joint at its limit is left to the physics to stop, and the others make up for it. A torque
    beyond an actuator's limit is clipped, joint by joint.
    """

    chain: Chain
    actuation: Actuation  # of torque motors
    integrator: TargetIntegrator
    dynamics: ChainDynamics
    config: OscConfig
    rest: np.ndarray  # (n,) float32 [rad], posture towards which spare freedom is pulled
    hold: float  # [s] see `operational_space.torque`

    @property
    def action_size(self) -> int:
        """The motion's entries, the stiffness's where it is an action, and the gripper's."""
        own = self.integrator.size + self.config.impedance_size
        return own + self.actuation.gripper_size

    @property
    def every_substep(self) -> bool:
        """See :class:`~mjxsim.control.base.Controller`."""
        return self.config.rate == "physics"

    def init(self, physics: PhysicsState) -> OscControlState:
        """Return a target that is the measured TCP pose."""
        q = self.chain.joint_positions(physics.qpos)
        target = poses.from_matrix(*forward(self.chain, q))
        return OscControlState(target, jnp.asarray(self.config.base_stiffness, jnp.float32))

    def __call__(
        self, state: OscControlState, physics: PhysicsState, action: jax.Array
    ) -> tuple[OscControlState, jax.Array]:
        """See :class:`~mjxsim.control.base.Controller`."""
        action = clipped_action(action, self.action_size)
        now, q, qd = self._equations(physics)
        target = self.integrator.advance(state.target, now.site_pos, now.site_mat, action)
        stiffness = state.stiffness
        if self.config.impedance == "action":
            entries = action[self.integrator.size :][:4]
            base = np.asarray(self.config.base_stiffness, np.float32)
            stiffness = base * jnp.float32(self.config.stiffness_span) ** entries
        state = OscControlState(target, stiffness)
        return state, self.actuation.ctrl(physics.ctrl, self._torque(state, now, q, qd), action)

    def feedback(self, state: OscControlState, physics: PhysicsState, ctrl: jax.Array) -> jax.Array:
        """See :class:`~mjxsim.control.base.Controller`."""
        return self.actuation.drive(ctrl, self._torque(state, *self._equations(physics)))

    def toward(self, state: OscControlState, motion: Motion | tuple[Motion, ...]) -> jax.Array:
        """See :class:`~mjxsim.control.base.Controller`; what the mode cannot turn stays."""
        if isinstance(motion, tuple):
            (motion,) = motion
        moves = self.integrator.toward(state.target, motion)
        usual = jnp.zeros(self.config.impedance_size, jnp.float32)
        return jnp.concatenate([moves, usual, self.actuation.grip(motion.open_gripper)])

    def stay(self) -> jax.Array:
        """See :class:`~mjxsim.control.base.Controller`."""
        still = jnp.zeros(self.integrator.size + self.config.impedance_size, jnp.float32)
        return jnp.concatenate([still, jnp.ones(self.actuation.gripper_size, jnp.float32)])

    def _equations(self, physics: PhysicsState) -> tuple[Equations, jax.Array, jax.Array]:
        """Return the equations of motion and the joints' ``(n,)`` positions and velocities."""
        q = self.chain.joint_positions(physics.qpos)
        qd = self.dynamics.joint_velocities(physics.qvel)
        return evaluate(self.dynamics, q, qd if self.config.coriolis else None), q, qd

    def _torque(
        self, state: OscControlState, now: Equations, q: jax.Array, qd: jax.Array
    ) -> jax.Array:
        """Return the torques ``(n,)``, within the actuators' limits."""
        return self.actuation.clip(
            torque(
                self.dynamics,
                now,
                q,
                qd,
                state.target.pos,
                rotations.to_matrix(state.target.quat),
                state.stiffness,
                self.config,
                self.rest,
                self.hold,
            )
        )


def torque_driven(spec: mujoco.MjSpec, robot: RobotSpec) -> None:
    """Turn the arms' position servos into torque motors (in place: an MjSpec is a builder).

    A motor's control is its torque [N m], within the servo's force limit. Passive damping, armature
    and friction stay, and so does the gripper. The "home" keyframe gets the torques that hold it.

    Raises:
      ValueError: an arm's actuator has no force limit.
    """
    servos = spec.compile()
    holding: np.ndarray | None = None
    if any(key.name == "home" for key in spec.keys):
        data = mujoco.MjData(servos)
        mujoco.mj_resetDataKeyframe(servos, data, servos.key("home").id)
        mujoco.mj_forward(servos, data)
        holding = data.qfrc_bias - data.qfrc_gravcomp
    for arm in robot.arms:
        for actuator_name, joint_name in zip(arm.actuators, arm.joints, strict=True):
            motor = spec.actuator(actuator_name)
            if not servos.actuator(actuator_name).forcelimited[0]:
                raise ValueError(
                    f"actuator {actuator_name!r} needs a forcerange to become a torque motor: "
                    "give it one in the robot's MJCF"
                )
            motor.set_to_motor()
            motor.inheritrange = 0.0
            motor.ctrllimited = mujoco.mjtLimited.mjLIMITED_TRUE
            motor.ctrlrange = motor.forcerange
            if holding is not None:
                key, actuator = spec.key("home"), servos.actuator(actuator_name).id
                key.ctrl[actuator] = holding[servos.joint(joint_name).dofadr[0]]

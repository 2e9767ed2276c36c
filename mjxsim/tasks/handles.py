"""Names resolved to indices: what tasks read of a robot and of free objects."""

import dataclasses
from typing import Self

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim.math import rotations
from mjxsim.physics.base import PhysicsState
from mjxsim.robots.base import ArmSpec
from mjxsim.tasks.base import S, Start

_FAR = (0.2, 0.25)  # [m] beyond its region an object is out of reach


@dataclasses.dataclass(frozen=True)
class ArmHandle:
    """Where an arm's parts are in a compiled model."""

    arm_qpos: np.ndarray  # (narm,) addresses in qpos
    arm_dof: np.ndarray  # (narm,) addresses in qvel
    finger_qpos: np.ndarray  # (nfinger,) addresses in qpos
    arm_actuators: np.ndarray  # (narm,) ids
    max_torque: np.ndarray | None  # (narm,) [N m] of torque motors; None for position servos
    gripper_actuator: int
    tcp_site: int
    touch: np.ndarray  # (nfinger,) addresses of the fingers' force sensors in sensordata
    closed_ctrl: float
    open_ctrl: float
    closed_qpos: float  # [m, rad] sum of the gripper's joints
    open_qpos: float

    @classmethod
    def bind(cls, arm: ArmSpec, model: mujoco.MjModel) -> Self:
        joints = [model.joint(name) for name in arm.joints]
        actuators = np.array([model.actuator(n).id for n in arm.actuators])
        is_servo = model.actuator_biasprm[actuators].any()
        fingers = [model.joint(name) for name in arm.gripper_joints]
        return cls(
            arm_qpos=np.array([j.qposadr[0] for j in joints]),
            arm_dof=np.array([j.dofadr[0] for j in joints]),
            finger_qpos=np.array([j.qposadr[0] for j in fingers]),
            arm_actuators=actuators,
            max_torque=None if is_servo else model.actuator_ctrlrange[actuators, 1],
            gripper_actuator=model.actuator(arm.gripper_actuator).id,
            tcp_site=model.site(arm.tcp_site).id,
            touch=np.array([model.sensor(n).adr[0] for n in arm.finger_touch_sensors]),
            closed_ctrl=arm.gripper_closed_ctrl,
            open_ctrl=arm.gripper_open_ctrl,
            closed_qpos=arm.gripper_closed_qpos,
            open_qpos=arm.gripper_open_qpos,
        )

    def tcp(self, physics: PhysicsState) -> jax.Array:
        """TCP position in the world [m]; (3,)."""
        return physics.site_xpos[self.tcp_site]

    def joints(self, physics: PhysicsState) -> jax.Array:
        """Arm joint positions [rad]; (narm,)."""
        return physics.qpos[self.arm_qpos]

    def joint_velocities(self, physics: PhysicsState) -> jax.Array:
        """Arm joint velocities [rad/s]; (narm,)."""
        return physics.qvel[self.arm_dof]

    def tcp_matrix(self, physics: PhysicsState) -> jax.Array:
        """TCP axes in the world, as columns; (3, 3)."""
        return physics.site_xmat[self.tcp_site]

    def opening(self, physics: PhysicsState) -> jax.Array:
        """How far the gripper is open, 0 closed to 1; ()."""
        fingers = physics.qpos[self.finger_qpos].sum()
        return (fingers - self.closed_qpos) / (self.open_qpos - self.closed_qpos)

    def touch_forces(self, physics: PhysicsState) -> jax.Array:
        """Normal force on each finger's pad [N]; (nfinger,)."""
        return physics.sensordata[self.touch]

    def proprioception(self, physics: PhysicsState) -> dict[str, jax.Array]:
        """What the robot knows of itself, scaled to order one, for an observation.

        "arm_lag" is how far the joints trail their commands; under torque control, which commands
        no joint positions, it is the torque as a share of its limit.
        """
        arm, ctrl = self.joints(physics), physics.ctrl[self.arm_actuators]
        lag = 10.0 * (ctrl - arm) if self.max_torque is None else ctrl / self.max_torque
        return {
            "arm_qpos": arm,
            "arm_qvel": self.joint_velocities(physics),
            "arm_lag": lag,
            "gripper": jnp.stack([self.opening(physics), self.commanded_opening(physics)]),
        }

    def commanded_opening(self, physics: PhysicsState) -> jax.Array:
        """How far open the gripper is told to be, 0 closed to 1; ()."""
        ctrl = physics.ctrl[self.gripper_actuator]
        return (ctrl - self.closed_ctrl) / (self.open_ctrl - self.closed_ctrl)

    def shake(self, start: Start[S], key: jax.Array, noise: float) -> Start[S]:
        """The same start with every arm joint moved by up to `noise` [rad], and held there.

        A torque motor keeps the torque of the home pose until its controller acts.
        """
        delta = jax.random.uniform(key, self.arm_qpos.shape, minval=-noise, maxval=noise)
        arm = start.qpos[self.arm_qpos] + delta
        start = start.replace(qpos=start.qpos.at[self.arm_qpos].set(arm))
        if self.max_torque is not None:
            return start
        return start.replace(ctrl=start.ctrl.at[self.arm_actuators].set(arm))


@dataclasses.dataclass(frozen=True)
class ObjectHandle:
    """Where a free body is in a compiled model."""

    body: int
    qpos: int  # address of its 7 numbers: position [m], quaternion wxyz
    dof: int  # address of its 6 velocities: linear [m/s], angular [rad/s]

    @classmethod
    def bind(cls, model: mujoco.MjModel, name: str) -> Self:
        body = model.body(name)
        joint = model.joint(body.jntadr[0])
        return cls(body=body.id, qpos=int(joint.qposadr[0]), dof=int(joint.dofadr[0]))

    def position(self, physics: PhysicsState) -> jax.Array:
        """Centre in the world [m]; (3,)."""
        return physics.xpos[self.body]

    def quat(self, physics: PhysicsState) -> jax.Array:
        """Orientation wxyz; (4,)."""
        return physics.xquat[self.body]

    def velocity(self, physics: PhysicsState) -> jax.Array:
        """Linear velocity in the world [m/s]; (3,)."""
        return physics.qvel[self.dof : self.dof + 3]

    def put(self, qpos: jax.Array, position: jax.Array, yaw: jax.Array | float = 0.0) -> jax.Array:
        """`qpos` (nq,) with the object upright at `position` (3,) [m], turned by `yaw` [rad]."""
        turned = rotations.from_axis_angle(jnp.array([0.0, 0.0, 1.0]), yaw)
        pose = jnp.concatenate([position, turned])
        return qpos.at[self.qpos : self.qpos + 7].set(pose)

    def out_of_reach(
        self, physics: PhysicsState, low: tuple[float, float], high: tuple[float, float]
    ) -> jax.Array:
        """Whether it has left the region (x, y) [m] where it started, by a wide margin; bool ()."""
        x, y, z = self.position(physics)
        beyond_x = (x < low[0] - _FAR[0]) | (x > high[0] + _FAR[0])
        beyond_y = (y < low[1] - _FAR[1]) | (y > high[1] + _FAR[1])
        return beyond_x | beyond_y | (z < -0.05)

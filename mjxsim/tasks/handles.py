"""Names resolved to indices: what tasks read of a robot and of free objects."""

import dataclasses
from typing import Self

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim.physics.base import PhysicsState
from mjxsim.robots.base import RobotSpec
from mjxsim.tasks.base import S, Start


@dataclasses.dataclass(frozen=True)
class RobotHandle:
    """Where a robot's parts are in a compiled model."""

    arm_qpos: np.ndarray  # (narm,) addresses in qpos
    arm_dof: np.ndarray  # (narm,) addresses in qvel
    finger_qpos: np.ndarray  # (nfinger,) addresses in qpos
    arm_actuators: np.ndarray  # (narm,) ids
    gripper_actuator: int
    tcp_site: int
    touch: np.ndarray  # (nfinger,) addresses of the fingers' force sensors in sensordata
    open_ctrl: float
    max_width: float  # [m] between open fingers

    @classmethod
    def bind(cls, robot: RobotSpec, model: mujoco.MjModel) -> Self:
        arm = [model.joint(name) for name in robot.arm_joints]
        fingers = [model.joint(name) for name in robot.gripper_joints]
        return cls(
            arm_qpos=np.array([j.qposadr[0] for j in arm]),
            arm_dof=np.array([j.dofadr[0] for j in arm]),
            finger_qpos=np.array([j.qposadr[0] for j in fingers]),
            arm_actuators=np.array([model.actuator(n).id for n in robot.arm_actuators]),
            gripper_actuator=model.actuator(robot.gripper_actuator).id,
            tcp_site=model.site(robot.tcp_site).id,
            touch=np.array([model.sensor(n).adr[0] for n in robot.finger_touch_sensors]),
            open_ctrl=robot.gripper_open_ctrl,
            max_width=robot.gripper_max_width,
        )

    def tcp(self, physics: PhysicsState) -> jax.Array:
        """TCP position in the world [m]; (3,)."""
        return physics.site_xpos[self.tcp_site]

    def arm(self, physics: PhysicsState) -> jax.Array:
        """Arm joint positions [rad]; (narm,)."""
        return physics.qpos[self.arm_qpos]

    def arm_velocity(self, physics: PhysicsState) -> jax.Array:
        """Arm joint velocities [rad/s]; (narm,)."""
        return physics.qvel[self.arm_dof]

    def width(self, physics: PhysicsState) -> jax.Array:
        """Opening between the fingers [m]; ()."""
        return physics.qpos[self.finger_qpos].sum()

    def touch_forces(self, physics: PhysicsState) -> jax.Array:
        """Normal force on each finger's pad [N]; (nfinger,)."""
        return physics.sensordata[self.touch]

    def proprioception(self, physics: PhysicsState) -> dict[str, jax.Array]:
        """What the robot knows of itself, scaled to order one, for an observation."""
        arm = self.arm(physics)
        return {
            "arm_qpos": arm,
            "arm_qvel": self.arm_velocity(physics),
            "arm_lag": 10.0 * (physics.ctrl[self.arm_actuators] - arm),
            "gripper": jnp.stack(
                [
                    self.width(physics) / self.max_width,
                    physics.ctrl[self.gripper_actuator] / self.open_ctrl,
                ]
            ),
        }

    def shake(self, start: Start[S], key: jax.Array, noise: float) -> Start[S]:
        """The same start with every arm joint moved by up to `noise` [rad], and held there."""
        delta = jax.random.uniform(key, self.arm_qpos.shape, minval=-noise, maxval=noise)
        arm = start.qpos[self.arm_qpos] + delta
        return start.replace(
            qpos=start.qpos.at[self.arm_qpos].set(arm),
            ctrl=start.ctrl.at[self.arm_actuators].set(arm),
        )


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

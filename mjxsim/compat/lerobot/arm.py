"""An SO arm driven and read in LeRobot's numbers: degrees, and 0 to 100 for the gripper."""

import dataclasses
from typing import Self

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.control.joint import JointPosition
from mjxsim.envs import Env
from mjxsim.naming import unknown
from mjxsim.robots.lerobot import LeRobotUnits
from mjxsim.robots.so100 import SO100_UNITS
from mjxsim.robots.so101 import SO101_UNITS

UNITS: dict[str, LeRobotUnits] = {"so100": SO100_UNITS, "so101": SO101_UNITS}


@dataclasses.dataclass(frozen=True, eq=False)
class DegreesArm:
    """The one SO arm of an environment with control mode "joint"; pure functions of one world.

    Values are (6,): five joints [degrees] and the gripper [0 to 100], in LeRobot's order.
    """

    env: Env  # its controller opens the gripper over the joint's whole range
    units: LeRobotUnits
    qpos: np.ndarray  # (6,) addresses in qpos
    actuators: np.ndarray  # (6,) addresses in ctrl
    lower: np.ndarray  # (6,) float32 [rad] what the servos take
    upper: np.ndarray  # (6,) float32 [rad]

    @classmethod
    def of(cls, env: Env) -> Self:
        """Binds an environment that was made with `units_control`.

        Raises:
          ValueError: the robot is not an SO arm, or its control mode is not "joint".
        """
        name = env.robot.name
        if name not in UNITS:
            raise ValueError(unknown("robot with LeRobot's units", name, UNITS))
        controller = env.controller
        if not isinstance(controller, JointPosition):
            raise ValueError("LeRobot's degrees are joint positions: use control mode 'joint'")
        arm, model = env.robot.arm, env.engine.model
        actuators = np.array([model.actuator(n).id for n in (*arm.actuators, arm.gripper_actuator)])
        joints = (*arm.joints, *arm.gripper_joints)
        qpos = np.array([model.joint(n).qposadr[0] for n in joints])
        gripper = model.actuator_ctrlrange[actuators[-1]]
        # Tasks open the jaw halfway, a leader arm says how far.
        closed, opened = UNITS[name].gripper
        full = dataclasses.replace(
            controller.actuation,
            gripper_mode="continuous",
            gripper_closed=max(float(gripper[0]), closed),
            gripper_open=min(float(gripper[1]), opened),
        )
        return cls(
            env=dataclasses.replace(
                env, controller=dataclasses.replace(controller, actuation=full)
            ),
            units=UNITS[name],
            qpos=qpos,
            actuators=actuators,
            lower=np.append(controller.lower, full.gripper_closed).astype(np.float32),
            upper=np.append(controller.upper, full.gripper_open).astype(np.float32),
        )

    def values(self, qpos: jax.Array) -> jax.Array:
        """Where the arm is, (..., 6), of qpos (..., nq)."""
        return self.units.from_radians(qpos[..., self.qpos]).astype(jnp.float32)

    def targets(self, ctrl: jax.Array) -> jax.Array:
        """Where the arm is told to be, (..., 6), of ctrl (..., nu)."""
        return self.units.from_radians(ctrl[..., self.actuators]).astype(jnp.float32)

    def action(self, values: jax.Array) -> jax.Array:
        """The environment's action (..., 6) that sends the arm to `values`, as far as it goes."""
        angles = jnp.clip(self.units.to_radians(values), self.lower, self.upper)
        return (2.0 * (angles - self.lower) / (self.upper - self.lower) - 1.0).astype(jnp.float32)

    @property
    def limits(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest values (6,) that the arm can be sent to."""
        ends = np.stack([self.units.from_radians(x) for x in (self.lower, self.upper)])
        return ends.min(axis=0).astype(np.float32), ends.max(axis=0).astype(np.float32)

"""From joint targets and a gripper action to the model's control vector."""

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim import naming
from mjxsim.control.base import GripperMode


@dataclasses.dataclass(frozen=True, eq=False)
class Actuation:
    """Which entries of ctrl the arm and the gripper own, and what they take."""

    arm: np.ndarray  # (n,) int, actuator ids in the order of the arm's joints
    lower: np.ndarray  # (n,) float32 [rad, m], the arm's control range
    upper: np.ndarray  # (n,) float32 [rad, m]
    gripper: int  # actuator id
    gripper_mode: GripperMode  # "none" leaves the gripper's control as it is
    gripper_open: float  # control, in the actuator's own unit
    gripper_closed: float

    @property
    def gripper_size(self) -> int:
        """The number of action entries the gripper takes, always the last ones."""
        return 0 if self.gripper_mode == "none" else 1

    def clip(self, joint_target: jax.Array) -> jax.Array:
        """Return ``joint_target (n,)`` within the actuators' control range."""
        return jnp.clip(joint_target, self.lower, self.upper)

    def ctrl(self, previous: jax.Array, joint_target: jax.Array, action: jax.Array) -> jax.Array:
        """Return ``previous (nu,)`` with the arm's and the gripper's entries replaced.

        Args:
          previous: ``(nu,)`` the control of the last step; entries of other actuators are kept.
          joint_target: ``(n,)`` [rad, m].
          action: the whole action, in [-1, 1]; its last entry is the gripper's.
        """
        size = previous.shape[0]
        values = [previous, joint_target.astype(previous.dtype)]
        source = np.arange(size)
        source[self.arm] = size + np.arange(len(self.arm))
        if self.gripper_mode != "none":
            share = 0.5 * (action[-1] + 1.0)  # 0 closed, 1 open
            if self.gripper_mode == "binary":
                share = (action[-1] > 0.0).astype(previous.dtype)
            span = self.gripper_open - self.gripper_closed
            values.append((self.gripper_closed + span * share)[None].astype(previous.dtype))
            source[self.gripper] = size + len(self.arm)
        return jnp.concatenate(values)[source]


def actuator_id(model: mujoco.MjModel, name: str) -> int:
    """Return the id of actuator ``name``; raises ValueError where ``model`` has none of it."""
    found = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_ACTUATOR, name)
    if found < 0:
        raise ValueError(
            naming.unknown("actuator", name, [model.actuator(i).name for i in range(model.nu)])
        )
    return found


def position_servos(
    model: mujoco.MjModel, actuators: tuple[str, ...], joints: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ids ``(n,)`` and control range of ``actuators``, checked to be servos of ``joints``.

    Raises:
      ValueError: where actuator i does not drive joint i, or does not take a position as control.
    """
    if len(actuators) != len(joints):
        raise ValueError(f"{len(joints)} arm joints need as many actuators, got {len(actuators)}")
    ids = np.array([actuator_id(model, name) for name in actuators], np.int32)
    for actuator, name, joint in zip(ids, actuators, joints, strict=True):
        driven = model.actuator_trntype[actuator] == int(mujoco.mjtTrn.mjTRN_JOINT) and (
            model.actuator_trnid[actuator, 0] == model.joint(joint).id
        )
        if not driven:
            raise ValueError(f"actuator {name!r} does not drive joint {joint!r}")
        gain, bias = model.actuator_gainprm[actuator, 0], model.actuator_biasprm[actuator, 1]
        if not (gain > 0.0 and gain == -bias and model.actuator_gear[actuator, 0] == 1.0):
            raise ValueError(
                f"actuator {name!r} must be a position servo of gear 1: the controllers here "
                "command joint positions, not torques"
            )
    limited = model.actuator_ctrllimited[ids].astype(bool)
    lower = np.where(limited, model.actuator_ctrlrange[ids, 0], -np.inf).astype(np.float32)
    upper = np.where(limited, model.actuator_ctrlrange[ids, 1], np.inf).astype(np.float32)
    return ids, lower, upper

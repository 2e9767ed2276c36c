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
    # (n,) float32, the arm's control range: [rad, m] of position servos, [N m, N] of torque motors.
    lower: np.ndarray
    upper: np.ndarray
    gripper: int  # actuator id
    gripper_mode: GripperMode  # "none" leaves the gripper's control as it is
    gripper_open: float  # control, in the actuator's own unit
    gripper_closed: float

    @property
    def gripper_size(self) -> int:
        """The number of action entries the gripper takes, always the last ones."""
        return 0 if self.gripper_mode == "none" else 1

    def clip(self, value: jax.Array) -> jax.Array:
        """Return ``value (n,)`` within the arm's control range."""
        return jnp.clip(value, self.lower, self.upper)

    def grip(self, is_open: jax.Array) -> jax.Array:
        """Return the gripper's entries (gripper_size,) that open it fully, or close it."""
        return jnp.where(is_open, 1.0, -1.0).astype(jnp.float32)[None][: self.gripper_size]

    def drive(self, previous: jax.Array, value: jax.Array) -> jax.Array:
        """Return ``previous (nu,)`` with the arm's entries replaced by ``value (n,)``."""
        first, count = int(self.arm[0]), len(self.arm)
        value = value.astype(previous.dtype)
        if np.array_equal(self.arm, np.arange(first, first + count)):
            return jnp.concatenate([previous[:first], value, previous[first + count :]])
        source = np.arange(len(previous))
        source[self.arm] = len(previous) + np.arange(count)
        return jnp.concatenate([previous, value])[source]

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
    ids = _drivers(model, actuators, joints)
    for actuator, name in zip(ids, actuators, strict=True):
        gain, bias = model.actuator_gainprm[actuator, 0], model.actuator_biasprm[actuator, 1]
        if not (gain > 0.0 and gain == -bias and model.actuator_gear[actuator, 0] == 1.0):
            raise ValueError(
                f"actuator {name!r} must be a position servo of gear 1: this control mode "
                "commands joint positions, not torques"
            )
    return ids, *_control_range(model, ids)


def torque_motors(
    model: mujoco.MjModel, actuators: tuple[str, ...], joints: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ids ``(n,)`` and control range of ``actuators``, checked to be motors of ``joints``.

    Raises:
      ValueError: where actuator i does not drive joint i, or does not take a torque as control.
    """
    ids = _drivers(model, actuators, joints)
    for actuator, name in zip(ids, actuators, strict=True):
        prm = model.actuator_gainprm[actuator], model.actuator_biasprm[actuator]
        motor = prm[0][0] == 1.0 and not prm[0][1:].any() and not prm[1].any()
        if not (motor and model.actuator_gear[actuator, 0] == 1.0):
            raise ValueError(
                f"actuator {name!r} must be a torque motor of gain and gear 1 for this control "
                "mode: mjxsim.control.torque_driven(spec, robot) makes it one before compiling"
            )
    return ids, *_control_range(model, ids)


def _drivers(
    model: mujoco.MjModel, actuators: tuple[str, ...], joints: tuple[str, ...]
) -> np.ndarray:
    """Return the ids ``(n,)`` of ``actuators``; raises where actuator i does not drive joint i."""
    if len(actuators) != len(joints):
        raise ValueError(f"{len(joints)} arm joints need as many actuators, got {len(actuators)}")
    ids = np.array([actuator_id(model, name) for name in actuators], np.int32)
    for actuator, name, joint in zip(ids, actuators, joints, strict=True):
        driven = model.actuator_trntype[actuator] == int(mujoco.mjtTrn.mjTRN_JOINT) and (
            model.actuator_trnid[actuator, 0] == model.joint(joint).id
        )
        if not driven:
            raise ValueError(f"actuator {name!r} does not drive joint {joint!r}")
    return ids


def _control_range(model: mujoco.MjModel, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    limited = model.actuator_ctrllimited[ids].astype(bool)
    lower = np.where(limited, model.actuator_ctrlrange[ids, 0], -np.inf).astype(np.float32)
    upper = np.where(limited, model.actuator_ctrlrange[ids, 1], np.inf).astype(np.float32)
    return lower, upper

"""Builds the controller that a configuration names, for one robot in one compiled model."""

from typing import get_args

import mujoco
import numpy as np

from mjxsim import naming
from mjxsim.control.actuation import Actuation, actuator_id, position_servos
from mjxsim.control.arms import Arms
from mjxsim.control.base import ControlConfig, Controller, ControlMode, GripperMode
from mjxsim.control.end_effector import EndEffectorDelta, Moves
from mjxsim.control.joint import JointPosition, JointPositionDelta
from mjxsim.control.kinematics import Chain
from mjxsim.robots.base import ArmSpec, RobotSpec

_MOTIONS: dict[ControlMode, Moves] = {
    "ee_delta": "position",
    "ee_delta_yaw": "position_yaw",
    "ee_delta_pose": "pose",
}


def build(config: ControlConfig, robot: RobotSpec, model: mujoco.MjModel) -> Controller:
    """Return the controller of ``config`` for ``robot``, whose names are resolved in ``model``.

    A robot with several arms gets the same controller for each, one action after the other.

    Raises:
      ValueError: for an unknown mode or gripper mode, or a name that ``model`` does not have.
    """
    if config.mode not in get_args(ControlMode):
        raise ValueError(naming.unknown("control mode", config.mode, get_args(ControlMode)))
    if config.gripper not in get_args(GripperMode):
        raise ValueError(naming.unknown("gripper mode", config.gripper, get_args(GripperMode)))

    arms = tuple(_for_arm(config, arm, model) for arm in robot.arms)
    return arms[0] if len(arms) == 1 else Arms(arms)


def _for_arm(config: ControlConfig, arm: ArmSpec, model: mujoco.MjModel) -> Controller:
    joints = tuple(arm.joints)
    chain = Chain.from_model(model, joints, arm.tcp_site)
    ids, ctrl_lower, ctrl_upper = position_servos(model, tuple(arm.actuators), joints)
    actuation = Actuation(
        arm=ids,
        lower=ctrl_lower,
        upper=ctrl_upper,
        gripper=actuator_id(model, arm.gripper_actuator),
        gripper_mode=config.gripper,
        gripper_open=float(arm.gripper_open_ctrl),
        gripper_closed=float(arm.gripper_closed_ctrl),
    )
    lower, upper = np.maximum(chain.lower, ctrl_lower), np.minimum(chain.upper, ctrl_upper)

    if config.mode == "joint_delta":
        return JointPositionDelta(
            chain, actuation, lower, upper, config.max_joint_step, config.joint_leash
        )
    if config.mode == "joint":
        if not (np.isfinite(lower).all() and np.isfinite(upper).all()):
            raise ValueError("control mode 'joint' needs a range for every arm joint")
        return JointPosition(chain, actuation, lower, upper)
    return EndEffectorDelta(
        chain=chain,
        actuation=actuation,
        motion=_MOTIONS[config.mode],
        ik=config.ik,
        rest=np.asarray(arm.home_qpos, np.float32)[: chain.size],
        workspace=(
            np.asarray(arm.workspace[0], np.float32),
            np.asarray(arm.workspace[1], np.float32),
        ),
        max_position_step=config.max_position_step,
        max_rotation_step=config.max_rotation_step,
        position_leash=config.position_leash,
        rotation_leash=config.rotation_leash,
    )

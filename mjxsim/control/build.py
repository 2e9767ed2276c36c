"""Builds the controller that a configuration names, for one robot in one compiled model."""

from typing import get_args

import mujoco
import numpy as np

from mjxsim import naming
from mjxsim.control.actuation import Actuation, actuator_id, position_servos, torque_motors
from mjxsim.control.arms import Arms
from mjxsim.control.base import ControlConfig, Controller, ControlMode, GripperMode
from mjxsim.control.dynamics import ChainDynamics
from mjxsim.control.end_effector import EndEffectorDelta
from mjxsim.control.impedance import OperationalSpace
from mjxsim.control.joint import JointPosition, JointPositionDelta
from mjxsim.control.kinematics import Chain
from mjxsim.control.target import Moves, TargetIntegrator
from mjxsim.robots.base import ArmSpec, RobotSpec

_MOTIONS: dict[ControlMode, Moves] = {
    "ee_delta": "position",
    "ee_delta_yaw": "position_yaw",
    "ee_delta_pose": "pose",
    "osc": "position",
    "osc_yaw": "position_yaw",
    "osc_pose": "pose",
}


def build(
    config: ControlConfig,
    robot: RobotSpec,
    model: mujoco.MjModel,
    control_dt: float | None = None,
) -> Controller:
    """Return the controller of ``config`` for ``robot``, whose names are resolved in ``model``.

    A robot with several arms gets the same controller for each, one action after the other.

    Args:
      config: what to build.
      robot: the names of the arms' parts.
      model: where they are; of torque motors for a torque mode, else of position servos.
      control_dt: [s] the time between two actions, for which a controller at the control rate
        holds its torques; the others need none.

    Raises:
      ValueError: for an unknown mode or gripper mode, or a name that ``model`` does not have.
    """
    if config.mode not in get_args(ControlMode):
        raise ValueError(naming.unknown("control mode", config.mode, get_args(ControlMode)))
    if config.gripper not in get_args(GripperMode):
        raise ValueError(naming.unknown("gripper mode", config.gripper, get_args(GripperMode)))

    arms = tuple(_for_arm(config, arm, model, control_dt) for arm in robot.arms)
    return arms[0] if len(arms) == 1 else Arms(arms)


def _for_arm(
    config: ControlConfig, arm: ArmSpec, model: mujoco.MjModel, control_dt: float | None
) -> Controller:
    joints = tuple(arm.joints)
    chain = Chain.from_model(model, joints, arm.tcp_site)
    actuators = torque_motors if config.torque else position_servos
    ids, ctrl_lower, ctrl_upper = actuators(model, tuple(arm.actuators), joints)
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
    integrator = TargetIntegrator(
        motion=_MOTIONS[config.mode],
        root_pos=chain.root_pos,
        root_mat=chain.root_mat,
        workspace=(
            np.asarray(arm.workspace[0], np.float32),
            np.asarray(arm.workspace[1], np.float32),
        ),
        max_position_step=config.max_position_step,
        max_rotation_step=config.max_rotation_step,
        position_leash=config.position_leash,
        rotation_leash=config.rotation_leash,
    )
    rest = np.asarray(arm.home_qpos, np.float32)[: chain.size]
    if not config.torque:
        return EndEffectorDelta(chain, actuation, integrator, config.ik, rest)
    timestep = float(model.opt.timestep)
    held = control_dt if config.osc.rate == "control" else timestep
    if held is None:
        raise ValueError("osc rate 'control' needs control_dt, the time between two actions")
    config.osc.check_rate(held)
    home = model.qpos0.copy()
    for name, q in zip((*arm.joints, *arm.gripper_joints), arm.home_qpos, strict=True):
        home[model.joint(name).qposadr[0]] = q
    dynamics = ChainDynamics.from_model(model, chain, home)
    hold = 0.5 * (held + timestep)
    return OperationalSpace(chain, actuation, integrator, dynamics, config.osc, rest, hold)

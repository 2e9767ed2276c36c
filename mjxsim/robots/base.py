"""What a robot is to the rest of mjxsim: a model file and the names of its parts.

Tasks, controllers and scenes read names from a `RobotSpec` and resolve them to indices once, at
build; none of them names a joint, geom or site of a particular robot.
"""

from dataclasses import dataclass
from pathlib import Path

import mujoco

__all__ = ["RobotSpec"]


@dataclass(frozen=True)
class RobotSpec:
    """A fixed-base arm with a two-finger gripper, described by the names in its MJCF model.

    Attributes:
      name: Registry key and the prefix used in messages.
      xml_path: MJCF file of the robot alone; its root body is the base frame.
      arm_joints: Arm hinge joints, base to tip.
      arm_actuators: Position actuators of `arm_joints`, same order; ctrl is the joint angle [rad].
      gripper_joints: Finger joints, left then right.
      gripper_actuator: The one actuator that drives the coupled fingers.
      gripper_open_ctrl: Control that opens the gripper fully [unit of the actuator].
      gripper_closed_ctrl: Control that closes it fully [unit of the actuator].
      gripper_max_width: Distance between the pads when fully open [m].
      tcp_site: Tool centre point: midway between the pads, z along the approach direction.
      hand_body: Body that carries the fingers; the wrist camera is mounted on it.
      finger_pad_geoms: Collision geoms of the left pad and of the right pad.
      finger_tip_geoms: The lowest of the pad geoms, those that would touch a table first.
      other_collision_geoms: Further collision geoms that may touch the table or an object.
      finger_touch_sensors: Scalar sensors, left then right: total normal contact force between
        that finger and anything else [N].
      home_qpos: Arm joints [rad] and then finger joints [m] at the home pose.
      workspace: Lower and upper corner of the TCP's box in the base frame [m].
    """

    name: str
    xml_path: Path
    arm_joints: tuple[str, ...]
    arm_actuators: tuple[str, ...]
    gripper_joints: tuple[str, ...]
    gripper_actuator: str
    gripper_open_ctrl: float
    gripper_closed_ctrl: float
    gripper_max_width: float
    tcp_site: str
    hand_body: str
    finger_pad_geoms: tuple[tuple[str, ...], tuple[str, ...]]
    finger_tip_geoms: tuple[str, ...]
    other_collision_geoms: tuple[str, ...]
    finger_touch_sensors: tuple[str, str]
    home_qpos: tuple[float, ...]
    workspace: tuple[tuple[float, float, float], tuple[float, float, float]]

    @property
    def home_ctrl(self) -> tuple[float, ...]:
        """Control that holds the home arm pose with the gripper open [rad, then gripper unit].

        Order: `arm_actuators`, then `gripper_actuator`, which is the order in the model file.
        """
        return (*self.home_qpos[: len(self.arm_joints)], self.gripper_open_ctrl)

    def load(self) -> mujoco.MjSpec:
        """Returns a fresh, uncompiled spec of the robot alone (base frame = world frame)."""
        return mujoco.MjSpec.from_file(str(self.xml_path))

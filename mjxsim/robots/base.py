"""What a robot is to the rest of mjxsim: a model file and the names of its parts.

Tasks, controllers and scenes read names from a `RobotSpec` and resolve them to indices once, at
build; none of them names a joint, geom or site of a particular robot.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mujoco

__all__ = ["ArmSpec", "CameraSpec", "RobotSpec", "WorkArea"]

Vec2 = tuple[float, float]
Vec3 = tuple[float, float, float]


@dataclass(frozen=True)
class ArmSpec:
    """An arm with a two-finger gripper, described by the names in the robot's MJCF model.

    Attributes:
      joints: Arm hinge joints, base to tip.
      actuators: Position actuators of `joints`, same order; ctrl is the joint angle [rad].
      gripper_joints: The joints of the fingers or the jaw.
      gripper_actuator: The one actuator that drives them.
      gripper_open_ctrl: Control that opens the gripper fully [unit of the actuator].
      gripper_closed_ctrl: Control that closes it fully [unit of the actuator].
      gripper_open_qpos: Sum of `gripper_joints` when fully open [m or rad].
      gripper_closed_qpos: Sum of `gripper_joints` when fully closed [m or rad].
      gripper_max_width: Distance between the pads when fully open [m].
      tcp_site: Tool centre point: midway between the pads that hold an object; z along the
        approach direction, y across the pads, along which the gripper closes.
      hand_body: Body that carries the fingers; the wrist camera is mounted on it.
      finger_pad_geoms: Collision geoms of the one pad and of the other.
      finger_tip_geoms: The lowest of the pad geoms, those that would touch a table first.
      other_collision_geoms: Further collision geoms that may touch the table or an object.
      finger_touch_sensors: Scalar sensors, one per pad, same order: total normal contact force
        between that finger and anything else [N].
      home_qpos: Arm joints [rad] and then gripper joints [m or rad] at the home pose, open.
      workspace: Lower and upper corner of the TCP's box in the arm's base frame [m].
      wrist_camera: Where the wrist camera sits, what it looks at, and its upwards direction, all in
        the frame of `hand_body` [m].
      camera: Name of that camera.
    """

    joints: tuple[str, ...]
    actuators: tuple[str, ...]
    gripper_joints: tuple[str, ...]
    gripper_actuator: str
    gripper_open_ctrl: float
    gripper_closed_ctrl: float
    gripper_open_qpos: float
    gripper_closed_qpos: float
    gripper_max_width: float
    tcp_site: str
    hand_body: str
    finger_pad_geoms: tuple[tuple[str, ...], tuple[str, ...]]
    finger_tip_geoms: tuple[str, ...]
    other_collision_geoms: tuple[str, ...]
    finger_touch_sensors: tuple[str, str]
    home_qpos: tuple[float, ...]
    workspace: tuple[Vec3, Vec3]
    wrist_camera: tuple[Vec3, Vec3, Vec3]
    camera: str = "wrist"

    @property
    def home_ctrl(self) -> tuple[float, ...]:
        """Control that holds the home arm pose with the gripper open [rad, then gripper unit].

        Order: `actuators`, then `gripper_actuator`, which is the order in the model file.
        """
        return (*self.home_qpos[: len(self.joints)], self.gripper_open_ctrl)


@dataclass(frozen=True)
class WorkArea:
    """Where a robot can work, for tasks whose configuration does not say; world frame [m].

    Attributes:
      table: Lower and upper x, y of the region on the table from which the robot can lift an
        object with the gripper pointing straight down.
      air: Lower and upper corner of the box in which it can hold the TCP pointing straight down.
      half_size: Half the edge of a cube that the gripper holds comfortably.
      reach: Lower and upper corner of the box in which the TCP can be without an object; `air` if
        None.
    """

    table: tuple[Vec2, Vec2]
    air: tuple[Vec3, Vec3]
    half_size: float
    reach: tuple[Vec3, Vec3] | None = None


@dataclass(frozen=True)
class CameraSpec:
    """A camera that stands in the scene.

    Attributes:
      name: For `render` and videos.
      pos: Where it is, world frame [m].
      target: What it looks at [m].
      up: What is upwards in its picture; not along its sight.
    """

    name: str
    pos: Vec3
    target: Vec3
    up: Vec3 = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class RobotSpec:
    """One or more arms in one MJCF model.

    Attributes:
      name: Registry key and the prefix used in messages.
      xml_path: MJCF file of the robot alone. World frame: z up, table top at z = 0; x forward for a
        single arm, whose base is at the origin.
      arms: The arms, in the order of their joints and actuators in the model file.
      area: Where it can work.
      table: Lower and upper x, y of the table top that is seen [m]; what is felt has no edge.
      cameras: "front", "side" and "top"; the defaults suit an arm of the Panda's size.
      edits: Applied to the spec each time it is loaded, in place.
    """

    name: str
    xml_path: Path
    arms: tuple[ArmSpec, ...]
    area: WorkArea
    table: tuple[Vec2, Vec2] = ((-0.25, -0.6), (0.85, 0.6))
    cameras: tuple[CameraSpec, ...] = (
        CameraSpec("front", (1.7, 0.0, 0.75), (0.25, 0.0, 0.28)),
        CameraSpec("side", (0.5, -1.6, 0.65), (0.3, 0.0, 0.3)),
        CameraSpec("top", (0.45, 0.0, 1.5), (0.45, 0.0, 0.0), up=(1.0, 0.0, 0.0)),
    )
    edits: tuple[Callable[[mujoco.MjSpec], object], ...] = ()

    @property
    def arm(self) -> ArmSpec:
        """The arm that a task for one arm uses: the first."""
        return self.arms[0]

    @property
    def home_qpos(self) -> tuple[float, ...]:
        """All joints at the home pose [rad, m], in the order of the model file."""
        return tuple(q for arm in self.arms for q in arm.home_qpos)

    @property
    def home_ctrl(self) -> tuple[float, ...]:
        """Control that holds the home pose with open grippers, in the order of the model file."""
        return tuple(c for arm in self.arms for c in arm.home_ctrl)

    def load(self) -> mujoco.MjSpec:
        """Returns a fresh, uncompiled spec of the robot alone (base frame = world frame)."""
        spec = mujoco.MjSpec.from_file(str(self.xml_path))
        for edit in self.edits:
            edit(spec)
        return spec

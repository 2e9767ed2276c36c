"""What the tables of constants of the SO arms are made of."""

from dataclasses import dataclass

__all__ = ["JOINTS", "Link", "Principal"]

Vec3 = tuple[float, float, float]
Vec4 = tuple[float, float, float, float]
Vec6 = tuple[float, float, float, float, float, float]

# LeRobot's names of motors 1 to 6; our joints and actuators carry them. The first five are the arm.
JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")


@dataclass(frozen=True)
class Principal:
    """Inertia about the centre of mass by its principal moments.

    Attributes:
      quat: Orientation of the principal axes in the link frame, wxyz.
      moments: [kg m^2].
    """

    quat: Vec4
    moments: Vec3


@dataclass(frozen=True)
class Link:
    """One moving link and the joint that carries it.

    Attributes:
      name: Body name.
      joint: Joint and actuator name.
      pos: Origin in the parent's frame [m].
      quat: Orientation in the parent's frame, wxyz, not necessarily normalized.
      axis: Joint axis in the link's frame.
      joint_range: [rad].
      mass: [kg].
      com: Centre of mass in the link's frame [m].
      inertia: About the centre of mass: `Principal`, or link axes, order xx yy zz xy xz yz
        [kg m^2].
    """

    name: str
    joint: str
    pos: Vec3
    quat: Vec4
    axis: Vec3
    joint_range: tuple[float, float]
    mass: float
    com: Vec3
    inertia: Principal | Vec6

"""Numbers of ALOHA 2, two ViperX 300 S arms face to face, each with unit and source.

`model.xml` states the same numbers; tests/test_aloha.py compares the compiled model with this
table entry by entry, so neither can drift from the other.

Sources:
  [menagerie] google-deepmind/mujoco_menagerie, aloha/aloha.xml and joint_position_actuators.xml
    (BSD-3-Clause). Its gains, damping and armature were identified from motions of the real arms
    (aloha/README.md).
  [mjx] mjx_aloha.patch in the same folder: what that model changes for MJX.
  [playground] google-deepmind/mujoco_playground, aloha/xmls/mjx_aloha_single.xml: the sites at the
    fingertips.
  [trossen] Trossen Robotics, "ViperX-300 6DOF", https://docs.trossenrobotics.com/
    interbotix_xsarms_docs/specifications/vx300s.html: the product of exponentials of the arm, with
    which tests/test_aloha.py compares our forward kinematics.
  [aloha2] ALOHA 2 Team, "ALOHA 2: An Enhanced Low-Cost Hardware for Bimanual Teleoperation", 2024,
    arXiv:2405.02292: the follower gripper closes with 27.9 N.

Servos: kp and damping of [menagerie], so an arm trails its command as the real one does: a joint
is 63 % of the way after 0.09 s (shoulder) to 0.17 s (wrist_angle). Dry friction (2.0 N m shoulder,
1.15 N m elbow) is left out, as in [mjx]. Three armatures are ours: 0.14 kg m^2 at the waist (there
0), which the same servo turns as the forearm; 0.05 at wrist_angle (there 0.008) and 0.02 at
wrist_rotate (there 0). The contact solver does not know of implicit damping: where timestep *
damping is not small against the inertia of a joint, the arm accelerates less than the solver
thinks, a held object drifts towards one pad, and the other lets go. With these values and the
light fingers below a cube of 0.1 kg slips 1.4 mm in 3 s of lateral shaking at 5 m/s^2 and 4 mm at
9 m/s^2, and neither pad ever lets go; with the source's armatures both let go from 3 m/s^2.

Gravity: with these gains the arm would sag by 15 mm under its own weight, and a controller that
sends the joint angles of a wanted TCP pose would be off by as much; in teleoperation the operator
closes that loop by eye. So every moving body has gravcomp = 1, as if the driver fed the arm's
weight forward. What the gripper holds still pulls it down, by 1.2 mm per N at the home pose.

Home: both grippers point forwards and 65 degrees down, a compromise. Each carries a camera above
its axis, which reaches forwards as the gripper tilts: with both grippers straight down the cameras
would meet when the TCPs are 23 cm apart, at 65 degrees when they are 10 cm apart, so that two
grippers can hold one bar 12 cm apart; at 45 degrees they would not meet at all. But the flatter the
gripper, the straighter the wrist low over the table: at 45 degrees wrist_angle passes 0, where the
two roll joints are parallel, between the table and a height of 10 cm, and every move to the side
there turns the forearm by up to half a turn. At 65 degrees it stays above 0.18 rad.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from mjxsim.robots.base import ArmSpec, CameraSpec, RobotSpec, WorkArea

__all__ = ["ALOHA"]

Vec3 = tuple[float, float, float]
Quat = tuple[float, float, float, float]


@dataclass(frozen=True)
class Link:
    """One moving arm link and the joint that carries it.

    Attributes:
      name: Body name without the side's prefix.
      joint: Joint and actuator name without the prefix.
      pos: Origin in the parent's frame [m]; all link frames are parallel at zero angles.
      axis: Joint axis in the link frame.
      joint_range: [rad]; also the control range.
      mass: [kg].
      com: Centre of mass in the link frame [m].
      inertia_quat: Principal axes in the link frame (wxyz, not normalized in the source).
      inertia: Principal moments about the centre of mass [kg m^2].
      force_limit: Actuator torque limit, symmetric [N m].
      kp: Position gain of the servo [N m / rad]; its velocity gain is 0.
      damping: Viscous damping of the joint [N m s / rad].
      armature: Rotor inertia seen at the joint [kg m^2].
    """

    name: str
    joint: str
    pos: Vec3
    axis: Vec3
    joint_range: tuple[float, float]
    mass: float
    com: Vec3
    inertia_quat: Quat
    inertia: Vec3
    force_limit: float
    kp: float
    damping: float
    armature: float


_X, _Y, _Z = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)
_TURN = (-3.14158, 3.14158)

# Source of all columns: [menagerie], but for three armatures (see Servos above); pos and axis agree
# with [trossen].
LINKS: tuple[Link, ...] = (
    Link(
        "shoulder_link",
        "waist",
        pos=(0.0, 0.0, 0.079),
        axis=_Z,
        joint_range=_TURN,
        mass=0.798614,
        com=(0.000259233, -3.3552e-06, 0.0116129),
        inertia_quat=(-0.476119, 0.476083, 0.52279, 0.522826),
        inertia=(0.00120156, 0.00113744, 0.0009388),
        force_limit=35.0,
        kp=43.0,
        damping=5.76,
        armature=0.14,
    ),
    Link(
        "upper_arm_link",
        "shoulder",
        pos=(0.0, 0.0, 0.04805),
        axis=_Y,
        joint_range=(-1.85005, 1.25664),
        mass=0.792592,
        com=(0.0206949, 4e-10, 0.226459),
        inertia_quat=(0.0, 0.0728458, 0.0, 0.997343),
        inertia=(0.00911338, 0.008925, 0.000759317),
        force_limit=144.0,
        kp=265.0,
        damping=20.0,
        armature=0.395,
    ),
    Link(
        "upper_forearm_link",
        "elbow",
        pos=(0.05955, 0.0, 0.3),
        axis=_Y,
        joint_range=(-1.76278, 1.6057),
        mass=0.322228,
        com=(0.105723, 0.0, 0.0),
        inertia_quat=(-0.000621631, 0.704724, 0.0105292, 0.709403),
        inertia=(0.00144107, 0.00134228, 0.000152047),
        force_limit=59.0,
        kp=227.0,
        damping=18.49,
        armature=0.383,
    ),
    Link(
        "lower_forearm_link",
        "forearm_roll",
        pos=(0.2, 0.0, 0.0),
        axis=_X,
        joint_range=_TURN,
        mass=0.414823,
        com=(0.0513477, 0.00680462, 0.0),
        inertia_quat=(-0.702604, -0.0796724, -0.702604, 0.0796724),
        inertia=(0.0005911, 0.000546493, 0.000155707),
        force_limit=22.0,
        kp=78.0,
        damping=6.78,
        armature=0.14,
    ),
    Link(
        "wrist_link",
        "wrist_angle",
        pos=(0.1, 0.0, 0.0),
        axis=_Y,
        joint_range=(-1.8675, 2.23402),
        mass=0.115395,
        com=(0.046743, -7.6652e-06, 0.010565),
        inertia_quat=(-0.00100191, 0.544586, 0.0026583, 0.8387),
        inertia=(5.45707e-05, 4.63101e-05, 4.32692e-05),
        force_limit=35.0,
        kp=37.0,
        damping=6.28,
        armature=0.05,
    ),
    Link(
        "gripper_link",
        "wrist_rotate",
        pos=(0.069744, 0.0, 0.0),
        axis=_X,
        joint_range=_TURN,
        mass=0.251652,
        com=(0.0395662, -2.56311e-07, 0.00400649),
        inertia_quat=(0.62033, 0.619916, -0.339682, 0.339869),
        inertia=(0.000689546, 0.000650316, 0.000468142),
        force_limit=35.0,
        kp=10.4,
        damping=1.2,
        armature=0.02,
    ),
)

# Bases. Source: [menagerie], but for y, there -0.019 m: our origin is midway between the arms.
# Its table top lies 0.9 mm below z = 0, ours at 0. The bases stand on the 20 mm extrusions of the
# frame and are bolted down, so they have no mass here.
BASE_POS: Vec3 = (-0.469, 0.0, 0.02)  # of the left arm [m]; the right one's is its mirror image
BASE_QUATS: tuple[Quat, Quat] = ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))  # left, right

# Gripper base, in the frame of gripper_link: rail, motor mount and camera. Its z points forwards
# and its y downwards. Source: [menagerie], where its euler angles are pi / 2 rounded to 1.57.
HAND_POS: Vec3 = (0.035, 0.0, 0.0)  # [m]
HAND_QUAT: Quat = (0.5, -0.5, 0.5, -0.5)
HAND_MASS = 0.42158  # [kg]
HAND_COM: Vec3 = (0.000182154, -0.0341589, -0.0106026)  # [m]
HAND_INERTIA_QUAT: Quat = (0.435286, 0.557074, -0.551539, 0.442718)
HAND_INERTIA: Vec3 = (0.00110438, 0.000790537, 0.000469727)  # [kg m^2]
# Collision capsule along the rail, x of the gripper base. Source: [mjx].
HAND_CAPSULE_RADIUS = 0.03  # [m]
HAND_CAPSULE_HALF_LENGTH = 0.055  # [m]
HAND_CAPSULE_POS: Vec3 = (0.0, 0.0, 0.015)  # [m]

# Fingers on the rail, in the frame of the gripper base: the finger at y < 0 of gripper_link, called
# left, and the other. Both slide along their own -z; 0 is where the bases touch. Source:
# [menagerie] but for the lower end of the range, there 0, where the fingertips would overlap: they
# bend inwards and meet at PAD_REACH. No pair of a scene stops one finger at the other, so the joint
# does.
FINGER_POS: tuple[Vec3, Vec3] = (
    (0.0191, -0.0141637, 0.0211727),
    (-0.0191, -0.0141637, 0.0211727),
)  # [m]
FINGER_QUATS: tuple[Quat, Quat] = ((0.5, -0.5, -0.5, 0.5), (0.5, 0.5, 0.5, 0.5))
FINGER_MASSES = (0.0862937, 0.0862932)  # [kg]
FINGER_COMS: tuple[Vec3, Vec3] = (
    (0.0143478, -0.0284791, 0.0122897),
    (0.0143711, 0.0284792, 0.0121421),
)  # [m]
FINGER_INERTIA_QUATS: tuple[Quat, Quat] = (
    (0.535486, 0.458766, -0.450407, 0.547651),
    (0.461317, 0.537615, -0.545478, 0.447894),
)
FINGER_INERTIAS: tuple[Vec3, Vec3] = (
    (5.86848e-05, 4.46887e-05, 1.8397e-05),
    (5.86828e-05, 4.46887e-05, 1.83949e-05),
)  # [kg m^2]
# The inner face of a fingertip lies this far beyond the middle at position 0 [m]. Source:
# [menagerie], vertices of vx300s_8_custom_finger_*.
PAD_REACH = 0.0078
FINGER_RANGE = (PAD_REACH, 0.041)  # [m]

# Pads, in the finger frame; y is mirrored for the right finger. The centre is the fingertip site of
# [playground]; the size is ours: what the two struts of the finger, which converge towards the tip,
# span there in [menagerie]'s mesh. A 2 x 2 grid of spheres lies inside, tangent to the inner face
# and to the four edges.
PAD_CENTRE = (0.0175, -0.0827)  # x, y [m]
PAD_HALF_SIZE = (0.0075, 0.0068)  # x, y [m]
PAD_RADIUS = 0.003  # [m]
PAD_FACE = 0.0191 + PAD_REACH  # z of the inner face [m]: FINGER_POS and PAD_REACH

# Midway between the pads, in the frame of the gripper base: FINGER_POS and PAD_CENTRE added up.
TCP_POS: Vec3 = (0.0, 0.0033363, 0.1038727)  # [m]
TCP_QUAT: Quat = (math.sqrt(0.5), 0.0, 0.0, -math.sqrt(0.5))  # x upwards of a level gripper

# Gripper servo. ctrl range (limits of the real robot's software) and kp: [menagerie]. It acts on
# the mean of the two positions, so one pad presses with half of the actuator force: 23 N on a cube
# of 35 mm; the limit gives the 27.9 N of [aloha2]. The velocity gain there, 124, sits in the joints
# here (62 each, on top of their 40), since MuJoCo's implicit integrators treat the velocity gain of
# a saturated actuator explicitly. The armature is ours, there 0.243: the lighter a finger, the
# deeper a squeezed object sinks into the pads, and the longer both hold on when it drifts (see
# Servos above). It closes on that cube in 0.05 s.
FINGER_ARMATURE = 0.02  # [kg]
FINGER_DAMPING = 102.0  # [N s / m]
GRIPPER_KP = 2000.0  # [N / m]
GRIPPER_CTRL_RANGE = (0.002, 0.037)  # [m]
GRIPPER_FORCE_LIMIT = 55.8  # [N]


def _arm(side: str) -> ArmSpec:
    fingers = [f"{side}_{finger}" for finger in ("left", "right")]
    return ArmSpec(
        joints=tuple(f"{side}_{link.joint}" for link in LINKS),
        actuators=tuple(f"{side}_{link.joint}" for link in LINKS),
        gripper_joints=tuple(f"{finger}_finger" for finger in fingers),
        gripper_actuator=f"{side}_gripper",
        gripper_open_ctrl=GRIPPER_CTRL_RANGE[1],
        gripper_closed_ctrl=GRIPPER_CTRL_RANGE[0],
        gripper_open_qpos=2 * GRIPPER_CTRL_RANGE[1],
        gripper_closed_qpos=2 * PAD_REACH,
        gripper_max_width=2 * (GRIPPER_CTRL_RANGE[1] - PAD_REACH),
        tcp_site=f"{side}_tcp",
        hand_body=f"{side}_gripper_base",
        finger_pad_geoms=(
            tuple(f"{fingers[0]}_pad_{i}" for i in range(1, 5)),
            tuple(f"{fingers[1]}_pad_{i}" for i in range(1, 5)),
        ),
        finger_tip_geoms=tuple(f"{finger}_pad_{i}" for finger in fingers for i in (1, 2)),
        other_collision_geoms=(f"{side}_hand_capsule",),
        finger_touch_sensors=(f"{fingers[0]}_finger_touch", f"{fingers[1]}_finger_touch"),
        # Solved numerically: TCP 0.319 m in front of the base and 0.2 m above the table, approach
        # 65 degrees below the horizontal, pads left and right of it, all in the plane y = 0.
        home_qpos=(
            0.0,
            -0.3961013504279523,
            0.5849437044435567,
            0.0,
            0.9456216597807098,
            0.0,
            0.037,
            0.037,
        ),
        # Reachable throughout at the home orientation (tests/test_aloha.py). The two arms' boxes
        # share |x| < 0.081, |y| < 0.2, 0.01 < z < 0.27 of the world, where they can hand over.
        workspace=((0.22, -0.2, -0.01), (0.55, 0.2, 0.25)),
        # The RealSense D405 of [menagerie], moved to just before its front, looking its way.
        wrist_camera=((0.0, -0.0811, -0.0067), (0.0, -0.0295, 0.104), (0.0, -1.0, 0.0)),
        camera=f"{side}_wrist",
    )


ALOHA = RobotSpec(
    name="aloha",
    xml_path=Path(__file__).parent / "model.xml",
    arms=(_arm("left"), _arm("right")),
    # Of the left arm; the right one's is its mirror image in x. Everywhere in `table` and `air` the
    # gripper can also point straight down, and turn by 45 degrees about the vertical.
    area=WorkArea(
        table=((-0.2, -0.15), (0.0, 0.15)),
        air=((-0.2, -0.15, 0.08), (0.0, 0.15, 0.25)),
        half_size=0.0175,
        reach=((-0.24, -0.2, 0.06), (0.07, 0.2, 0.26)),
    ),
    # The table of [menagerie]'s scene, 1.21 m x 0.76 m.
    table=((-0.605, -0.38), (0.605, 0.38)),
    cameras=(
        CameraSpec("front", (0.0, -1.35, 0.75), (0.0, 0.0, 0.14)),
        CameraSpec("side", (0.95, -1.15, 0.6), (0.05, 0.0, 0.14)),
        CameraSpec("top", (0.0, 0.0, 1.3), (0.0, 0.0, 0.0), up=(0.0, 1.0, 0.0)),
    ),
)

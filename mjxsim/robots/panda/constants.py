"""Numbers of the Franka Panda, each with unit and source, and its `RobotSpec`.

`model.xml` states the same numbers; tests/test_panda.py compares the compiled model with this
table entry by entry, so neither can drift from the other.

Sources:
  [menagerie] google-deepmind/mujoco_menagerie, franka_emika_panda/panda.xml (Apache-2.0).
  [fci] Franka Control Interface documentation, "Robot and interface specifications",
    https://frankaemika.github.io/docs/control_parameters.html: joint limits and the modified
    (Craig) Denavit-Hartenberg parameters.
  [hand] Franka Hand data sheet: continuous grasping force 70 N, travel span 80 mm.

Servo: the gains of panda.xml (4500/450, 3500/350, 2000/200) rely on large velocity gains behind a
force limit. MuJoCo's implicit integrators treat a saturated actuator's velocity gain explicitly,
and at a timestep of 0.005 s the commanded torque then flips between its limits on most steps
(measured: 130 to 300 sign changes in 300 steps after a step command of 0.05 to 0.5 rad; joint 7
never settles). We therefore use the gains of mjx_panda.xml with its passive joint damping of 40 in
joints 1 to 4. For joints 5 to 7 its 300/2 with damping 2 overshoots by 35 to 40 %; damping 4.6
(= 12 N m / 2.61 rad/s, the torque limit over the velocity limit of [fci], as 40 = 87 / 2.175 is for
joints 1 to 4) and kv 6 overshoot by at most 5 % and keep the published velocity limits.

Gravity: the real Panda compensates its own weight, so every moving body has gravcomp = 1.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from mjxsim.robots.base import ArmSpec, RobotSpec, WorkArea

__all__ = ["PANDA"]

Vec3 = tuple[float, float, float]
Vec6 = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Link:
    """One moving arm link and the joint that carries it.

    Attributes:
      name: Body name.
      pos: Origin in the parent's frame [m].
      x_rotation: Rotation about the parent's x axis [rad]; the joint axis is the link's own z.
      mass: [kg].
      com: Centre of mass in the link frame [m].
      inertia: About the centre of mass, link axes, order xx yy zz xy xz yz [kg m^2].
      joint_range: [rad].
      force_limit: Actuator torque limit, symmetric [N m].
      kp: Position gain of the servo [N m / rad].
      kv: Velocity gain of the servo [N m s / rad].
      damping: Viscous damping of the joint [N m s / rad].
    """

    name: str
    pos: Vec3
    x_rotation: float
    mass: float
    com: Vec3
    inertia: Vec6
    joint_range: tuple[float, float]
    force_limit: float
    kp: float
    kv: float
    damping: float


_RIGHT = math.pi / 2

# Source of all columns: [menagerie]; pos, x_rotation and joint_range agree with [fci]; kp, kv and
# damping as said in the module docstring.
LINKS: tuple[Link, ...] = (
    Link(
        "link1",
        pos=(0.0, 0.0, 0.333),
        x_rotation=0.0,
        mass=4.970684,
        com=(0.003875, 0.002081, -0.04762),
        inertia=(0.70337, 0.70661, 0.009117, -0.000139, 0.006772, 0.019169),
        joint_range=(-2.8973, 2.8973),
        force_limit=87.0,
        kp=1000.0,
        kv=20.0,
        damping=40.0,
    ),
    Link(
        "link2",
        pos=(0.0, 0.0, 0.0),
        x_rotation=-_RIGHT,
        mass=0.646926,
        com=(-0.003141, -0.02872, 0.003495),
        inertia=(0.007962, 0.02811, 0.025995, -0.003925, 0.010254, 0.000704),
        joint_range=(-1.7628, 1.7628),
        force_limit=87.0,
        kp=1000.0,
        kv=20.0,
        damping=40.0,
    ),
    Link(
        "link3",
        pos=(0.0, -0.316, 0.0),
        x_rotation=_RIGHT,
        mass=3.228604,
        com=(0.027518, 0.039252, -0.066502),
        inertia=(0.037242, 0.036155, 0.01083, -0.004761, -0.011396, -0.012805),
        joint_range=(-2.8973, 2.8973),
        force_limit=87.0,
        kp=750.0,
        kv=4.0,
        damping=40.0,
    ),
    Link(
        "link4",
        pos=(0.0825, 0.0, 0.0),
        x_rotation=_RIGHT,
        mass=3.587895,
        com=(-0.05317, 0.104419, 0.027454),
        inertia=(0.025853, 0.019552, 0.028323, 0.007796, -0.001332, 0.008641),
        joint_range=(-3.0718, -0.0698),
        force_limit=87.0,
        kp=750.0,
        kv=4.0,
        damping=40.0,
    ),
    Link(
        "link5",
        pos=(-0.0825, 0.384, 0.0),
        x_rotation=-_RIGHT,
        mass=1.225946,
        com=(-0.011953, 0.041065, -0.038437),
        inertia=(0.035549, 0.029474, 0.008627, -0.002117, -0.004037, 0.000229),
        joint_range=(-2.8973, 2.8973),
        force_limit=12.0,
        kp=300.0,
        kv=6.0,
        damping=4.6,
    ),
    Link(
        "link6",
        pos=(0.0, 0.0, 0.0),
        x_rotation=_RIGHT,
        mass=1.666555,
        com=(0.060149, -0.014117, -0.010517),
        inertia=(0.001964, 0.004354, 0.005433, 0.000109, -0.001158, 0.000341),
        joint_range=(-0.0175, 3.7525),
        force_limit=12.0,
        kp=300.0,
        kv=6.0,
        damping=4.6,
    ),
    Link(
        "link7",
        pos=(0.088, 0.0, 0.0),
        x_rotation=_RIGHT,
        mass=0.735522,
        com=(0.010517, -0.004252, 0.061597),
        inertia=(0.012516, 0.010027, 0.004815, -0.000428, -0.001196, -0.000741),
        joint_range=(-2.8973, 2.8973),
        force_limit=12.0,
        kp=300.0,
        kv=6.0,
        damping=4.6,
    ),
)

# Rotor inertia seen at an arm joint [kg m^2]. Source: [menagerie].
ARMATURE = 0.1

# Hand, in the frame of link 7. Source: [menagerie].
HAND_POS: Vec3 = (0.0, 0.0, 0.107)  # [m], the flange offset of [fci]
HAND_Z_ROTATION = -math.pi / 4  # [rad]
HAND_MASS = 0.73  # [kg]
HAND_COM: Vec3 = (-0.01, 0.0, 0.03)  # [m]
HAND_INERTIA: Vec3 = (0.001, 0.0025, 0.0017)  # principal, hand axes [kg m^2]
HAND_CAPSULE_RADIUS = 0.04  # [m]
HAND_CAPSULE_HALF_LENGTH = 0.06  # [m], along the hand's y
HAND_CAPSULE_POS: Vec3 = (0.0, 0.0, 0.03)  # [m]
TCP_POS: Vec3 = (0.0, 0.0, 0.1034)  # in the hand frame [m], the end-effector offset of [fci]

# Fingers, in the hand frame. The right finger is the left one turned by pi about z.
# Source: [menagerie].
FINGER_POS: Vec3 = (0.0, 0.0, 0.0584)  # [m]
FINGER_RANGE = (0.0, 0.04)  # opening of one finger along its y [m]
FINGER_MASS = 0.015  # [kg]
FINGER_COM: Vec3 = (0.0, 0.0, 0.0)  # ours: not published with the primitive inertia [m]
FINGER_INERTIA: Vec3 = (2.375e-6, 2.375e-6, 7.5e-7)  # [kg m^2]
FINGERTIP_HALF_SIZE: Vec3 = (0.00875, 0.0076, 0.00825)  # of the rubber block [m]
FINGERTIP_POS: Vec3 = (0.0, 0.00758, 0.04525)  # its centre in the finger frame [m]

# Pad spheres: ours. A 2 x 2 grid inside the fingertip block, tangent to its inner face and to
# its four edges, so the grid reaches exactly as far as the real pad.
PAD_RADIUS = 0.0035  # [m]

# Gripper servo: ours. It acts on the mean opening of the two fingers, so one pad presses with half
# of the actuator force: 1500 N/m * opening = 30 N on a 4 cm cube, at most 60 N when blocked fully
# open; GRIPPER_FORCE_LIMIT / 2 = 70 N per pad is the continuous grasping force of [hand]. Damping
# sits in the joints, not in the actuator (see Servo above). It closes on a 4 cm cube in 0.13 s.
# The armature keeps timestep * damping below the finger's inertia: the contact solver does not
# know of implicit damping, and with a light, strongly damped finger the pads let go again and
# again.
FINGER_ARMATURE = 2.0  # [kg]
FINGER_DAMPING = 250.0  # [N s / m]
GRIPPER_KP = 3000.0  # [N / m]
GRIPPER_FORCE_LIMIT = 140.0  # [N]

_ARM = ArmSpec(
    joints=tuple(f"joint{i}" for i in range(1, 8)),
    actuators=tuple(f"actuator{i}" for i in range(1, 8)),
    gripper_joints=("finger_joint1", "finger_joint2"),
    gripper_actuator="gripper",
    gripper_open_ctrl=FINGER_RANGE[1],
    gripper_closed_ctrl=FINGER_RANGE[0],
    gripper_open_qpos=2 * FINGER_RANGE[1],
    gripper_closed_qpos=2 * FINGER_RANGE[0],
    gripper_max_width=2 * FINGER_RANGE[1],
    tcp_site="tcp",
    hand_body="hand",
    finger_pad_geoms=(
        tuple(f"left_pad_{i}" for i in range(1, 5)),
        tuple(f"right_pad_{i}" for i in range(1, 5)),
    ),
    finger_tip_geoms=("left_pad_1", "left_pad_2", "right_pad_1", "right_pad_2"),
    other_collision_geoms=("hand_capsule",),
    finger_touch_sensors=("left_finger_touch", "right_finger_touch"),
    # Solved numerically: TCP at (0.5, 0, 0.2) m in the base frame, hand z straight down, hand y
    # along base -y, elbow up in the plane y = 0.
    home_qpos=(
        0.0,
        0.04589847818485012,
        0.0,
        -2.3762898924073204,
        0.0,
        2.4221883705921705,
        0.7853981633974483,
        0.04,
        0.04,
    ),
    # Every corner is reachable with the hand straight down (tests/test_panda.py).
    workspace=((0.3, -0.3, 0.01), (0.65, 0.3, 0.45)),
    wrist_camera=((0.085, 0.0, 0.02), (0.0, 0.0, 0.16), (1.0, 0.0, 0.0)),
)

PANDA = RobotSpec(
    name="panda",
    xml_path=Path(__file__).parent / "model.xml",
    arms=(_ARM,),
    # Well inside the workspace, so that an arm that has not yet turned to a corner still gets there
    # within an episode.
    area=WorkArea(
        table=((0.4, -0.2), (0.6, 0.2)),
        air=((0.4, -0.2, 0.1), (0.6, 0.2, 0.35)),
        half_size=0.02,
        reach=((0.35, -0.25, 0.08), (0.65, 0.25, 0.45)),
    ),
)

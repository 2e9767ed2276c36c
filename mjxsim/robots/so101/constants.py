"""Numbers of the SO-ARM101 follower, each with unit and source, and its `RobotSpec`.

`model.xml` states the same numbers; tests/test_so101.py compares the compiled model with this
table entry by entry, so neither can drift from the other.

Sources:
  [so101] TheRobotStudio/SO-ARM100, Simulation/SO101/so101_new_calib.xml (Apache-2.0).
  [stl] The same, Simulation/SO101/assets/*.stl: measured on slices of the jaws' meshes.
  [mount] google-deepmind/mujoco_menagerie, robotstudio_so101/so101.xml: the camera's mount.
  Servo and gravity: mjxsim/robots/lerobot/servo.py, which also says why the gains are not those of
  [so101].

Frames are those of [so101], "new calibration", except that our base lies 2.4 mm lower: on the
table, where the feet of the printed part stand.
"""

import math
from pathlib import Path

from mjxsim.robots.base import ArmSpec, CameraSpec, RobotSpec, WorkArea
from mjxsim.robots.lerobot.links import JOINTS, Link
from mjxsim.robots.lerobot.units import LeRobotUnits

__all__ = ["SO101", "SO101_UNITS"]

Vec3 = tuple[float, float, float]
Vec6 = tuple[float, float, float, float, float, float]

_HALF = math.sqrt(0.5)

# How far the printed base reaches below the origin of [so101] [m]; [stl].
FEET = 0.0024

# The base is fixed, so its inertia moves nothing; [so101].
BASE_MASS = 0.147  # [kg]
BASE_COM: Vec3 = (0.0137179, -5.19711e-05, 0.0334843 + FEET)  # [m]
BASE_INERTIA: Vec6 = (  # xx yy zz xy xz yz [kg m^2]
    0.000114686,
    0.000136117,
    0.000130364,
    -4.59787e-07,
    4.97151e-06,
    9.75275e-08,
)

# Source of all columns: [so101], without its numerical noise below 1e-7 m.
LINKS: tuple[Link, ...] = (
    Link(
        "shoulder",
        joint=JOINTS[0],
        pos=(0.0388353, 0.0, 0.0624 + FEET),
        quat=(0, 0, 1, 0),
        axis=(0, 0, 1),
        joint_range=(-1.91986, 1.91986),
        mass=0.100006,
        com=(-0.0307604, -1.66727e-05, -0.0252713),
        inertia=(8.3759e-05, 8.10403e-05, 2.39783e-05, 7.55525e-08, -1.16342e-06, 1.54663e-07),
    ),
    Link(
        "upper_arm",
        joint=JOINTS[1],
        pos=(-0.0303992, -0.0182778, -0.0542),
        quat=(0.5, -0.5, -0.5, -0.5),
        axis=(0, 0, 1),
        joint_range=(-1.74533, 1.74533),
        mass=0.103,
        com=(-0.0898471, -0.00838224, 0.0184089),
        inertia=(4.08002e-05, 0.000147318, 0.000142487, -1.97819e-05, -4.03016e-08, 8.97326e-09),
    ),
    Link(
        "lower_arm",
        joint=JOINTS[2],
        pos=(-0.11257, -0.028, 0.0),
        quat=(_HALF, 0, 0, _HALF),
        axis=(0, 0, 1),
        joint_range=(-1.69, 1.69),
        mass=0.104,
        com=(-0.0980701, 0.00324376, 0.0182831),
        inertia=(2.87438e-05, 0.000159844, 0.00014529, 7.41152e-06, 1.26409e-06, -4.90188e-08),
    ),
    Link(
        "wrist",
        joint=JOINTS[3],
        pos=(-0.1349, 0.0052, 0.0),
        quat=(_HALF, 0, 0, -_HALF),
        axis=(0, 0, 1),
        joint_range=(-1.65806, 1.65806),
        mass=0.079,
        com=(-0.000103312, -0.0386143, 0.0281156),
        inertia=(3.68263e-05, 2.5391e-05, 2.1e-05, 1.7893e-08, -5.28128e-08, 3.6412e-06),
    ),
    Link(
        "gripper",
        joint=JOINTS[4],
        pos=(0.0, -0.0611, 0.0181),
        quat=(0.0172091, -0.0172091, 0.706897, 0.706897),
        axis=(0, 0, 1),
        joint_range=(-2.74385, 2.84121),
        mass=0.087,
        com=(0.000213627, 0.000245138, -0.025187),
        inertia=(2.75087e-05, 4.33657e-05, 3.45059e-05, -3.35241e-07, -5.7352e-06, -5.17847e-08),
    ),
    Link(
        "moving_jaw",
        joint=JOINTS[5],
        pos=(0.0202, 0.0188, -0.0234),
        quat=(_HALF, _HALF, 0, 0),
        axis=(0, 0, 1),
        joint_range=(-0.17453, 1.74533),
        mass=0.012,
        com=(-0.00157495, -0.0300244, 0.0192755),
        inertia=(6.61427e-06, 1.89032e-06, 5.28738e-06, -3.19807e-07, -5.90717e-09, -1.09945e-07),
    ),
)

# The jaws, from [stl]. The inner face of each is a flight of steps parallel to the jaw; the last
# one, 10 mm long, holds small things. In the frame of the gripper (fixed jaw, reaching along -z)
# and of the moving jaw (along -y).
FIXED_FACE_X = -0.0079  # where the last step of the fixed jaw is [m]
FIXED_FACE_Z = (-0.1044, -0.0935)  # from its tip to its end [m]
MOVING_FACE_X = -0.0123  # [m]
MOVING_FACE_Y = (-0.0820, -0.0715)  # [m]
MOVING_MIDDLE_Z = 0.0188  # the plane of the jaws in the frame of the moving one [m]

# Pads: ours. Three spheres per jaw behind its last step, two at the tip and one above; a fourth
# makes each press less deep, and so lets go earlier when shaken. The lower ones are tangent to the
# tip, those of the fixed jaw to the step. The moving jaw turns, so its pads can be parallel to the
# others at one opening only: at HELD_WIDTH, for which the upper one lies 0.7 mm inside the jaw.
PAD_RADIUS = 0.003  # [m]
PAD_ROWS = 0.006  # between the lower pads and the upper one, along the jaw [m]
PAD_COLUMNS = 0.006  # between the two lower pads [m]
HELD_WIDTH = 0.025  # [m]
HELD_ANGLE = 0.1159  # gripper joint at HELD_WIDTH [rad], from the geometry

# TCP: between the rows; 18.5 mm from the fixed jaw's face, which leaves 6 mm between that jaw and a
# cube of HELD_WIDTH over which the TCP is centred. It is midway between the pads that hold an
# object of TCP_WIDTH.
TCP_WIDTH = 0.037  # [m]

# Collision capsules for what is not a pad: ours, inside the printed parts. Radius and ends [m].
PALM = (0.02, (0.0, -0.006, -0.021), (0.0, 0.006, -0.021))
FIXED_JAW = (0.007, (-0.0215, 0.0, -0.05), (-0.018, 0.0, -0.081))
MOVING_JAW = (0.006, (-0.002, -0.026, 0.0188), (-0.003, -0.06, 0.0188))

# How far tasks open the jaw: half of LeRobot's range. Wider only takes longer: a servo with half
# its torque turns at no more than half its speed.
OPEN = 0.7854  # [rad]

# The angles of [so101] are LeRobot's: LeRobot's own kinematics feed its degrees to the URDF of this
# model (lerobot/examples/so100_to_so100_EE), whose zero is the middle of every joint's range.
SO101_UNITS = LeRobotUnits(
    sign=(1, 1, 1, 1, 1), zero=(0.0, 0.0, 0.0, 0.0, 0.0), gripper=LINKS[5].joint_range
)

SO101 = RobotSpec(
    name="so101",
    xml_path=Path(__file__).parent / "model.xml",
    arms=(
        ArmSpec(
            joints=JOINTS[:5],
            actuators=JOINTS[:5],
            gripper_joints=JOINTS[5:],
            gripper_actuator=JOINTS[5],
            gripper_open_ctrl=OPEN,
            gripper_closed_ctrl=LINKS[5].joint_range[0],
            gripper_open_qpos=OPEN,
            gripper_closed_qpos=LINKS[5].joint_range[0],
            gripper_max_width=0.0706,
            tcp_site="tcp",
            hand_body="gripper",
            finger_pad_geoms=(
                tuple(f"fixed_pad_{i}" for i in range(1, 4)),
                tuple(f"moving_pad_{i}" for i in range(1, 4)),
            ),
            finger_tip_geoms=("fixed_pad_1", "fixed_pad_2", "moving_pad_1", "moving_pad_2"),
            other_collision_geoms=("palm", "fixed_jaw", "moving_jaw"),
            finger_touch_sensors=("fixed_jaw_touch", "moving_jaw_touch"),
            # Solved numerically: TCP at (0.2, 0, 0.07) m, straight down, jaws closing along x.
            home_qpos=(
                -0.0011808879592866257,
                -0.37135536634980687,
                0.4436484345163347,
                1.4985032586283689,
                0.04749862689417549,
                OPEN,
            ),
            workspace=((0.15, -0.18, 0.008), (0.3, 0.18, 0.18)),
            # Where the printed mount for a 32 x 32 mm camera puts it; [mount].
            wrist_camera=((0.0, 0.055, -0.045), (0.0, 0.0, -0.133), (0.0, 1.0, 0.0)),
        ),
    ),
    # The wrist bends by 95 degrees only, so straight down ends at a height of 0.09 m. Above it the
    # controller keeps the position and tilts the gripper outwards.
    area=WorkArea(
        table=((0.16, -0.12), (0.26, 0.12)),
        air=((0.19, -0.1, 0.045), (0.25, 0.1, 0.09)),
        half_size=HELD_WIDTH / 2,
        reach=((0.2, -0.12, 0.03), (0.28, 0.12, 0.15)),
    ),
    table=((-0.15, -0.3), (0.45, 0.3)),
    cameras=(
        CameraSpec("front", (0.75, 0.0, 0.42), (0.12, 0.0, 0.09)),
        CameraSpec("side", (0.25, -0.75, 0.35), (0.12, 0.0, 0.09)),
        CameraSpec("top", (0.2, 0.0, 0.7), (0.2, 0.0, 0.0), up=(1.0, 0.0, 0.0)),
    ),
)

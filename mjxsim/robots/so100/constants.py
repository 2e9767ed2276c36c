"""Numbers of the SO-ARM100 follower, each with unit and source, and its `RobotSpec`.

`model.xml` states the same numbers; tests/test_so100.py compares the compiled model with this
table entry by entry, so neither can drift from the other.

Sources:
  [menagerie] google-deepmind/mujoco_menagerie, trs_so_arm100/so_arm100.xml (Apache-2.0), in the
    revision that limits the servos to 3.5 N m; its first one had 35 N m and other joint ranges.
  [stl] TheRobotStudio/SO-ARM100, Simulation/SO100/assets/*.stl (Apache-2.0): measured on slices of
    the jaws' meshes.
  Servo and gravity: mjxsim/robots/lerobot/servo.py.

Frames are those of [menagerie], with its angles of 1.57079 taken as right angles, except the base:
ours is turned by 90 degrees about z, so that the arm reaches along x.
"""

import math
from pathlib import Path

from mjxsim.robots.base import ArmSpec, CameraSpec, RobotSpec, WorkArea
from mjxsim.robots.lerobot.links import JOINTS, Link, Principal
from mjxsim.robots.lerobot.units import LeRobotUnits

__all__ = ["SO100", "SO100_UNITS"]

_HALF = math.sqrt(0.5)

# Source of all columns: [menagerie]; `shoulder` in our base frame.
LINKS: tuple[Link, ...] = (
    Link(
        "shoulder",
        joint=JOINTS[0],
        pos=(0.0452, 0.0, 0.0165),
        quat=(0.5, 0.5, 0.5, 0.5),
        axis=(0, 1, 0),
        joint_range=(-1.92, 1.92),
        mass=0.119226,
        com=(-9.07886e-05, 0.0590972, 0.031089),
        inertia=Principal(
            quat=(0.363978, 0.441169, -0.623108, 0.533504),
            moments=(5.94278e-05, 5.89975e-05, 3.13712e-05),
        ),
    ),
    Link(
        "upper_arm",
        joint=JOINTS[1],
        pos=(0.0, 0.1025, 0.0306),
        quat=(_HALF, _HALF, 0, 0),
        axis=(1, 0, 0),
        joint_range=(-3.32, 0.174),
        mass=0.162409,
        com=(-1.72052e-05, 0.0701802, 0.00310545),
        inertia=Principal(
            quat=(0.50104, 0.498994, -0.493562, 0.50632),
            moments=(0.000213312, 0.000167164, 7.01522e-05),
        ),
    ),
    Link(
        "lower_arm",
        joint=JOINTS[2],
        pos=(0.0, 0.11257, 0.028),
        quat=(_HALF, -_HALF, 0, 0),
        axis=(1, 0, 0),
        joint_range=(-0.174, 3.14),
        mass=0.147968,
        com=(-0.00339604, 0.00137796, 0.0768007),
        inertia=Principal(
            quat=(0.701995, 0.0787996, 0.0645626, 0.704859),
            moments=(0.000138803, 0.000107748, 4.84242e-05),
        ),
    ),
    Link(
        "wrist",
        joint=JOINTS[3],
        pos=(0.0, 0.0052, 0.1349),
        quat=(_HALF, -_HALF, 0, 0),
        axis=(1, 0, 0),
        joint_range=(-1.66, 1.66),
        mass=0.0661321,
        com=(-0.00852653, -0.0352279, -2.34622e-05),
        inertia=Principal(
            quat=(-0.0522806, 0.705235, 0.0549524, 0.704905),
            moments=(3.45403e-05, 2.39041e-05, 1.94704e-05),
        ),
    ),
    Link(
        "gripper",
        joint=JOINTS[4],
        pos=(0.0, -0.0601, 0.0),
        quat=(_HALF, 0, _HALF, 0),
        axis=(0, 1, 0),
        joint_range=(-2.79, 2.79),
        mass=0.0929859,
        com=(0.00552377, -0.0280167, 0.000483583),
        inertia=Principal(
            quat=(0.41836, 0.620891, -0.350644, 0.562599),
            moments=(5.03136e-05, 4.64098e-05, 2.72961e-05),
        ),
    ),
    Link(
        "moving_jaw",
        joint=JOINTS[5],
        pos=(-0.0202, -0.0244, 0.0),
        quat=(0, 0, 1, 0),
        axis=(0, 0, 1),
        joint_range=(-0.174, 1.75),
        mass=0.0202444,
        com=(-0.00161745, -0.0303473, 0.000449646),
        inertia=Principal(
            quat=(0.696562, 0.716737, -0.0239844, -0.0227026),
            moments=(1.11265e-05, 8.99651e-06, 2.99548e-06),
        ),
    ),
)

# The jaws, from [stl]. The inner face of each is a flight of steps parallel to the jaw; the last
# one, 10 mm long, holds small things. In the frame of the gripper (fixed jaw) and of the moving
# jaw; both reach along -y.
FIXED_FACE_X = 0.0079  # where the last step of the fixed jaw is [m]
FIXED_FACE_Y = (-0.1064, -0.0955)  # from its tip to its end [m]
MOVING_FACE_X = -0.0123  # [m]
MOVING_FACE_Y = (-0.0820, -0.0715)  # [m]

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
PALM = (0.02, (0.0, -0.022, -0.006), (0.0, -0.022, 0.006))
FIXED_JAW = (0.007, (0.0215, -0.052, 0.0), (0.018, -0.083, 0.0))
MOVING_JAW = (0.006, (-0.002, -0.026, 0.0), (-0.003, -0.06, 0.0))

# How far tasks open the jaw: half of LeRobot's range. Wider only takes longer: a servo with half
# its torque turns at no more than half its speed.
OPEN = 0.788  # [rad]

# LeRobot's zero is the middle of every joint's range, upper arm up, forearm and gripper forward;
# the zero of [menagerie] has the upper arm forward and the forearm up. LeRobot turns the pan, seen
# from above, clockwise. Both from aligning this arm with Simulation/SO101/so101_new_calib.urdf,
# whose angles are LeRobot's degrees of either arm (lerobot/examples/so100_to_so100_EE).
SO100_UNITS = LeRobotUnits(
    sign=(-1, 1, 1, 1, 1),
    zero=(0.0, -math.pi / 2, math.pi / 2, 0.0, 0.0),
    gripper=LINKS[5].joint_range,
)

SO100 = RobotSpec(
    name="so100",
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
            gripper_max_width=0.0708,
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
            home_qpos=(0.0, -1.9999251505076192, 2.057071405742947, 1.513650071559569, 0.0, OPEN),
            workspace=((0.15, -0.18, 0.008), (0.3, 0.18, 0.18)),
            # Where the printed mount for a 32 x 32 mm camera puts it on the SO101; see there.
            wrist_camera=((0.0, -0.045, 0.055), (0.0, -0.133, 0.0), (0.0, 0.0, 1.0)),
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

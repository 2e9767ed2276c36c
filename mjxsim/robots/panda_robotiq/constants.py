"""Numbers of the Panda with the Robotiq 2F-85 of gym-hil, each with unit and source.

`model.xml` states the same numbers; tests/test_panda_robotiq.py compares the compiled model with
these tables. The arm's links are those of `robots/panda`, from the same source.

Sources:
  [gym-hil] huggingface/gym-hil 0.1.14, gym_hil/assets/panda.xml (Apache-2.0), compiled by MuJoCo.
    The gripper there is that of google-deepmind/mujoco_menagerie, robotiq_2f85 (BSD-2-Clause).

Three masses are not written in [gym-hil]: those of bodies that have only meshes, which MuJoCo takes
from the meshes' volumes at 1000 kg/m^3 (a base mount counted twice, once as seen and once as felt;
a silicone pad once). They are read from the compiled model; a silicone pad is fixed to its pad and
counted there.

The arm has torque motors and no compensation of gravity: a controller has to hold it. Nothing but
the four pads ever touches anything in [gym-hil] (counted over 400 control steps of random motion,
closing, grasping and pressing on the floor), so its meshes are not felt here.
"""

from dataclasses import dataclass
from pathlib import Path

from mjxsim.robots.base import ArmSpec, CameraSpec, RobotSpec, WorkArea

__all__ = ["GRIPPER_LINKS", "PANDA_ROBOTIQ", "GripperLink"]

Vec3 = tuple[float, float, float]

# Arm joints. Source: [gym-hil].
ARMATURE = 0.1  # [kg m^2] rotor inertia
DAMPING = 1.0  # [N m s/rad]
TORQUE_LIMITS = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)  # [N m]


@dataclass(frozen=True)
class GripperLink:
    """A moving link of one finger and the hinge that carries it; both fingers are alike.

    Attributes:
      name: Body name after "right_" or "left_"; its joint is called the same with "_joint".
      mass: [kg].
      com: Centre of mass in the link's frame [m].
      inertia: Principal moments about it, largest first [kg m^2].
      joint_range: [rad].
      armature: Rotor inertia of the joint [kg m^2].
      damping: Of the joint [N m s/rad].
    """

    name: str
    mass: float
    com: Vec3
    inertia: Vec3
    joint_range: tuple[float, float]
    armature: float = 0.0
    damping: float = 0.0


# Source: [gym-hil].
GRIPPER_LINKS = (
    GripperLink(
        "driver",
        mass=0.00899563,
        com=(0.0, 0.0177547, 0.00107314),
        inertia=(1.72352e-06, 1.60906e-06, 3.22006e-07),
        joint_range=(0.0, 0.8),
        armature=0.005,
        damping=0.1,
    ),
    GripperLink(
        "coupler",
        mass=0.0140974,
        com=(0.0, 0.00301209, 0.0232175),
        inertia=(4.16206e-06, 3.52216e-06, 8.88131e-07),
        joint_range=(-1.57, 0.0),
    ),
    GripperLink(
        "spring_link",
        mass=0.0221642,
        com=(0.0, 0.0181624, 0.0212658),
        inertia=(8.96853e-06, 6.71733e-06, 2.63931e-06),
        joint_range=(-0.29670597283, 0.8),
        damping=0.00125,
    ),
    GripperLink(
        "follower",
        mass=0.0125222,
        com=(0.0, -0.011046, 0.0124786),
        inertia=(2.67415e-06, 2.4559e-06, 6.02031e-07),
        joint_range=(-0.872664, 0.872664),
    ),
)
SPRING_STIFFNESS = 0.05  # [N m/rad] of the spring link's joint
SPRING_REFERENCE = 2.62  # [rad] where that spring is slack

BASE_MASS = 0.777441  # [kg]
BASE_MOUNT_MASS = 0.15000285516377976  # [kg], see above
PAD_MASS = 0.0035 + 0.001302811839479651  # [kg] of the pad and, see above, of its silicone

# Pads: two boxes on each finger, the one at the tip with more friction. Source: [gym-hil].
PAD_HALF_SIZE: Vec3 = (0.011, 0.004, 0.009375)  # [m]
PAD_FRICTION = {"pad1": 0.7, "pad2": 0.6}  # sliding
PAD_SOLREF = (0.004, 1.0)  # time constant [s], damping ratio
PAD_SOLIMP = (0.95, 0.99, 0.001)

# The fingers' actuator on the mean angle of the two drivers [rad]: force = gain * control -
# 100 * angle - 10 * velocity [N m], so that a control of 255 asks for 0.8 rad. Source: [gym-hil].
GRIPPER_GAIN = 0.3137255
GRIPPER_FORCE_LIMIT = 5.0  # [N m]
GRIPPER_CLOSED_CTRL = 255.0

TCP_POS: Vec3 = (0.0, 0.0, 0.145)  # of site "pinch" in the gripper's base [m]. Source: [gym-hil].

_SIDES = ("right", "left")

_ARM = ArmSpec(
    joints=tuple(f"joint{i}" for i in range(1, 8)),
    actuators=tuple(f"actuator{i}" for i in range(1, 8)),
    gripper_joints=tuple(f"{side}_{link.name}_joint" for side in _SIDES for link in GRIPPER_LINKS),
    gripper_actuator="fingers_actuator",
    gripper_open_ctrl=0.0,
    gripper_closed_ctrl=GRIPPER_CLOSED_CTRL,
    # The sum of all eight joints: a four-bar linkage's driver and coupler-side links turn one way
    # and its follower back, so that what is left is the two drivers and a little play.
    gripper_open_qpos=0.0,
    gripper_closed_qpos=1.6,
    gripper_max_width=0.0854,
    tcp_site="pinch",
    hand_body="attachment",
    finger_pad_geoms=(("right_pad1", "right_pad2"), ("left_pad1", "left_pad2")),
    finger_tip_geoms=("right_pad1", "left_pad1"),
    other_collision_geoms=(),
    finger_touch_sensors=("right_pad_touch", "left_pad_touch"),
    # The home of gym-hil's pick-cube; panda_pick_gym_env.py, _PANDA_HOME.
    home_qpos=(0.0, 0.195, 0.0, -2.43, 0.0, 2.62, 0.785) + (0.0,) * 8,
    workspace=((0.2, -0.3, 0.0), (0.6, 0.3, 0.5)),  # panda_pick_gym_env.py, _CARTESIAN_BOUNDS
    # Of panda.xml's camera handcam_rgb, which looks along the approach.
    wrist_camera=((-0.05, 0.015, 0.0), (-0.05, 0.015, 0.1), (1.0, 0.0, 0.0)),
)

PANDA_ROBOTIQ = RobotSpec(
    name="panda_robotiq",
    xml_path=Path(__file__).parent / "model.xml",
    arms=(_ARM,),
    area=WorkArea(
        table=((0.3, -0.15), (0.5, 0.15)),  # panda_pick_gym_env.py, _SAMPLING_BOUNDS
        air=((0.3, -0.15, 0.1), (0.55, 0.15, 0.4)),
        half_size=0.02,
    ),
    cameras=(CameraSpec("front", (1.3, 0.0, 0.7), (0.0, 0.0, 0.09)),),
)

"""gym-hil's scene: the arm on a checkered floor, blocks, marks of where they go, two cameras.

Source of every number: gym-hil 0.1.14, assets/scene.xml and assets/arrange_boxes_scene.xml, and
MuJoCo's defaults where those say nothing.
"""

import dataclasses
import itertools

import mujoco

from mjxsim.robots.base import RobotSpec
from mjxsim.robots.panda_robotiq.constants import PAD_FRICTION, PAD_SOLIMP, PAD_SOLREF

Vec3 = tuple[float, float, float]
Rgba = tuple[float, float, float, float]

FLOOR = "floor"
CAMERAS = ("front", "wrist")
HALF_SIZE = 0.02  # [m] of a block
BLOCK_MASS = 0.1  # [kg]

_SOLREF, _SOLIMP = (0.02, 1.0), (0.9, 0.95, 0.001)  # MuJoCo's defaults
_BOX = mujoco.mjtGeom.mjGEOM_BOX


@dataclasses.dataclass(frozen=True)
class Block:
    """A free cube.

    Attributes:
      name: Of its body, geom and joint.
      pos: Where it is at first [m].
      rgba: Its colour.
      goal: Where it should go [m], marked by a translucent square; None for no mark.
    """

    name: str
    pos: Vec3
    rgba: Rgba
    goal: Vec3 | None = None


def build(
    robot: RobotSpec,
    blocks: tuple[Block, ...],
    home: tuple[float, ...],
    timestep: float,
) -> mujoco.MjSpec:
    """Composes the scene, uncompiled.

    The bodies of gym-hil's mocap target, which is invisible there, are left out. Friction is that
    of MuJoCo's combination of the two geoms: a pad's own where a pad touches, else 1.

    Args:
      robot: `PANDA_ROBOTIQ`, or one like it.
      blocks: free bodies, in qpos order; of several, every two touch each other.
      home: (7,) [rad] the arm's joints in keyframe "home".
      timestep: [s] of the physics.
    """
    spec = robot.load()
    spec.modelname = f"{robot.name}_gym_hil"
    spec.option.timestep = timestep
    spec.option.noslip_iterations = 5  # MJX-JAX has none and leaves them out
    spec.option.noslip_tolerance = 0.0
    spec.stat.center = [0.3, 0.0, 0.4]
    spec.stat.extent = 0.8
    _add_surroundings(spec, blocks[0])
    for block in blocks:
        _add_block(spec, block)
    _add_cameras(spec, robot)
    pads = tuple(itertools.chain(*robot.arm.finger_pad_geoms))
    for block in blocks:
        _add_pair(spec, FLOOR, block.name)
        for pad in pads:
            _add_pair(spec, pad, block.name, pad=True)
    for a, b in itertools.combinations(blocks, 2):
        _add_pair(spec, a.name, b.name)
    for tip in robot.arm.finger_tip_geoms:
        _add_pair(spec, FLOOR, tip, pad=True)
    right, left = robot.arm.finger_tip_geoms
    _add_pair(spec, right, left, pad=True)
    qpos = [*home, *robot.arm.home_qpos[len(home) :]]
    for block in blocks:
        qpos += [*block.pos, 1.0, 0.0, 0.0, 0.0]
    # The arm is held by no torque until its controller acts, as in gym-hil.
    spec.add_key(name="home", qpos=qpos, ctrl=[0.0] * (len(robot.arm.actuators) + 1))
    return spec


def _add_surroundings(spec: mujoco.MjSpec, lit: Block) -> None:
    spec.visual.headlight.diffuse = [0.4, 0.4, 0.4]
    spec.visual.headlight.ambient = [0.5, 0.5, 0.5]
    spec.visual.quality.offsamples = 8
    spec.visual.global_.offwidth = 1280
    spec.visual.global_.offheight = 960
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.3, 0.5, 0.7],
        rgb2=[0.0, 0.0, 0.0],
        width=32,
        height=512,
    )
    spec.add_texture(
        name="grid",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=[0.1, 0.2, 0.3],
        rgb2=[0.2, 0.3, 0.4],
        width=512,
        height=512,
    )
    # OpenGL lights a floor at the corners of its tiles, where no highlight is to be seen.
    grid = spec.add_material(
        name="grid", texrepeat=[2, 2], texuniform=True, specular=0.0, reflectance=0.0
    )
    grid.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "grid"
    world = spec.worldbody
    specular = [0.3, 0.3, 0.3]
    world.add_light(pos=[0, 0, 3], dir=[0, 0, -1], diffuse=[1, 1, 1], specular=specular)
    # Follows the block in gym-hil; here it looks where the block is at first.
    place = [0.0, -0.5, 0.4]
    toward = [a - b for a, b in zip(lit.pos, place, strict=True)]
    world.add_light(pos=place, dir=toward, diffuse=[0.8, 0.8, 0.8], specular=specular)
    world.add_geom(
        name=FLOOR,
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[3, 3, 0.01],
        material="grid",
        contype=0,
        conaffinity=0,
    )


def _add_block(spec: mujoco.MjSpec, block: Block) -> None:
    body = spec.worldbody.add_body(name=block.name, pos=block.pos)
    body.add_freejoint(name=block.name)
    body.add_geom(
        name=block.name,
        type=_BOX,
        size=[HALF_SIZE] * 3,
        mass=BLOCK_MASS,
        rgba=block.rgba,
        contype=0,
        conaffinity=0,
    )
    if block.goal is not None:
        spec.worldbody.add_geom(
            name=f"{block.name}_goal",
            type=_BOX,
            pos=block.goal,
            size=[0.05, 0.05, 0.005],
            rgba=[*block.rgba[:3], 0.35],
            contype=0,
            conaffinity=0,
        )


def _add_cameras(spec: mujoco.MjSpec, robot: RobotSpec) -> None:
    front, wrist = CAMERAS
    turned = [0.5963678, 0.3799282, 0.3799282, 0.5963678]
    spec.worldbody.add_camera(name=front, pos=[1.3, 0.0, 0.7], quat=turned, fovy=45)
    hand = spec.body(robot.arm.hand_body)
    hand.add_camera(name=wrist, pos=[-0.05, 0.015, 0.0], quat=[0, 1, -1, 0], fovy=42.5)


def _add_pair(spec: mujoco.MjSpec, geom1: str, geom2: str, *, pad: bool = False) -> None:
    """Adds one contact pair with friction; of a pad, `geom1` or `geom2`, if it is one's."""
    slide = 1.0
    if pad:
        name = geom1 if geom1 != FLOOR else geom2
        slide = PAD_FRICTION[name.split("_")[1]]
    spec.add_pair(
        name=f"{geom1}-{geom2}",
        geomname1=geom1,
        geomname2=geom2,
        condim=3,
        friction=[slide, slide, 0.005, 0.0001, 0.0001],
        solref=PAD_SOLREF if pad else _SOLREF,
        solimp=[*(PAD_SOLIMP if pad else _SOLIMP), 0.5, 2],
    )

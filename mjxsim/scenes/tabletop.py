"""A table, a robot at its edge, and free objects on it, composed with MjSpec.

World frame = robot base frame: x forward over the table, z up, table top at z = 0.

Contacts come only from the explicit pairs made here:

  object - table      condim 3, the object's own friction
  object - fixture    condim 3, likewise
  pad - object        condim 3, `SceneOptions.pad_friction`
  pad - handle        condim 3, likewise: the parts of a fixture that are for grasping
  tip - fixture       condim 1, the rest of it
  fingertip - table   condim 1 (frictionless: it guards, nothing is manipulated through it)
  hand - object, hand - table   condim 1, likewise
  object - object     condim 3, only when asked for

Every pair costs MJX compile time and memory whether it touches or not, so a robot names few,
simple collision geoms and a scene pairs no more than a task can feel.
"""

import itertools

import mujoco
import numpy as np

from mjxsim.robots.base import ArmSpec, RobotSpec
from mjxsim.scenes.fixtures import Fixture
from mjxsim.scenes.objects import SHAPES, ObjectSpec
from mjxsim.scenes.options import SceneOptions

__all__ = ["GOAL_BODY", "TABLE_GEOM", "build"]

TABLE_GEOM = "table"
GOAL_BODY = "goal"
MATTE = "matte"  # the material of table and floor


def build(
    robot: RobotSpec,
    objects: tuple[ObjectSpec, ...] = (),
    *,
    fixtures: tuple[Fixture, ...] = (),
    goals: tuple[str, ...] = (GOAL_BODY,),
    object_contacts: bool = False,
    options: SceneOptions | None = None,
) -> mujoco.MjSpec:
    """Composes the scene.

    Bodies keep the names of `robot` (no prefix), `fixtures` and `objects`. qpos is the robot's,
    then the fixtures' joints, then one free joint (x y z, quaternion wxyz) per object. Keyframe
    "home" holds the robot's home pose, every fixture as it was made and every object at rest.
    Cameras: "front", "side", "top", and one on each of the robot's hands.

    Args:
      robot: Robot at the world origin.
      objects: Free bodies, in qpos order.
      fixtures: Bodies that are fixed to the table or jointed to it.
      goals: Names of mocap bodies, each a translucent sphere that touches nothing.
      object_contacts: Also pair every two objects.
      options: Solver options and contact parameters; None for the defaults.

    Returns:
      An uncompiled spec; `spec.compile()` gives the mjModel.

    Raises:
      ValueError: if two bodies (of robot, objects and goals) share a name, or two objects to be
        paired have shapes that MJX cannot collide (cylinder with box).
    """
    options = options or SceneOptions()
    spec = robot.load()
    names = [*(b.name for b in spec.bodies), *(o.name for o in objects), *goals]
    repeated = sorted({n for n in names if names.count(n) > 1})
    if repeated:
        raise ValueError(f"body names must differ: '{repeated[0]}' is used more than once")

    spec.modelname = f"{robot.name}_tabletop"
    options.apply(spec)
    _add_surroundings(spec, robot)
    for fixture in fixtures:
        fixture.add(spec)
    for obj in objects:
        _add_object(spec, obj)
    for name in goals:
        _add_goal(spec, name, robot)
    _add_cameras(spec, robot)
    for obj in objects:
        _add_pair(spec, TABLE_GEOM, obj.name, options, obj.friction)
    for arm in robot.arms:
        _add_arm_pairs(spec, arm, objects, options)
    for fixture in fixtures:
        _add_fixture_pairs(spec, fixture, robot, objects, options)
    if object_contacts:
        _add_object_pairs(spec, objects, options)
    _add_home_key(spec, robot, fixtures, objects)
    return spec


def _add_surroundings(spec: mujoco.MjSpec, robot: RobotSpec) -> None:
    # Together with the light below, short of white where a camera looks straight down.
    spec.visual.headlight.diffuse = [0.3, 0.3, 0.3]
    spec.visual.headlight.ambient = [0.35, 0.35, 0.35]
    spec.visual.global_.offwidth = 1280
    spec.visual.global_.offheight = 960
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.75, 0.83, 0.9],
        rgb2=[0.3, 0.38, 0.46],
        width=128,
        height=768,
    )
    spec.add_material(name=MATTE, specular=0.0, shininess=0.0)
    world = spec.worldbody
    world.add_light(
        pos=[0.6, -0.8, 2.0],
        dir=[-0.1, 0.4, -1.0],
        type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        diffuse=[0.55, 0.55, 0.55],
        castshadow=True,
    )
    # The plane is what objects and fingers touch; the slab, legs and floor are only seen.
    world.add_geom(
        name=TABLE_GEOM,
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[0, 0, 1],
        contype=0,
        conaffinity=0,
        group=3,
        rgba=[0.5, 0.5, 0.5, 0.3],
    )
    box = mujoco.mjtGeom.mjGEOM_BOX
    low, high = np.array(robot.table)
    middle, half = (low + high) / 2, (high - low) / 2
    _add_visual(world, "table_top", box, [*half, 0.02], [*middle, -0.0205], _WOOD, MATTE)
    corners = np.stack([low + 0.05, high - 0.05])
    for i, (x, y) in enumerate(itertools.product(*corners.T)):
        _add_visual(
            world, f"table_leg_{i}", box, [0.03, 0.03, 0.36], [x, y, -0.4], _DARK_WOOD, MATTE
        )
    plane = mujoco.mjtGeom.mjGEOM_PLANE
    _add_visual(world, "floor", plane, [3, 3, 0.1], [0, 0, -0.76], _FLOOR, MATTE)


_WOOD = (0.72, 0.6, 0.47, 1.0)
_DARK_WOOD = (0.45, 0.36, 0.28, 1.0)
_FLOOR = (0.6, 0.62, 0.65, 1.0)


def _add_visual(
    body: mujoco.MjsBody,
    name: str,
    shape: mujoco.mjtGeom,
    size: list[float],
    pos: list[float],
    rgba: tuple[float, float, float, float],
    material: str = "",
) -> None:
    body.add_geom(
        name=name,
        type=shape,
        size=size,
        pos=pos,
        rgba=rgba,
        contype=0,
        conaffinity=0,
        group=2,
        mass=0,
        material=material,
    )


def _add_object(spec: mujoco.MjSpec, obj: ObjectSpec) -> None:
    body = spec.worldbody.add_body(name=obj.name, pos=[*obj.pos, obj.rest_height])
    body.add_freejoint(name=f"{obj.name}_joint")
    body.add_geom(
        name=obj.name,
        type=SHAPES[obj.shape][0],
        size=[*obj.half_size, 0, 0][:3],
        mass=obj.mass,
        rgba=obj.rgba,
        friction=[obj.friction, 0.005, 0.0001],
        contype=0,
        conaffinity=0,
        group=0,
    )


def _add_goal(spec: mujoco.MjSpec, name: str, robot: RobotSpec) -> None:
    middle = np.mean(robot.area.air, axis=0)
    body = spec.worldbody.add_body(name=name, pos=middle, mocap=True)
    sphere = mujoco.mjtGeom.mjGEOM_SPHERE
    _add_visual(body, name, sphere, [0.02, 0, 0], [0, 0, 0], (0.2, 0.85, 0.3, 0.45))


def _add_cameras(spec: mujoco.MjSpec, robot: RobotSpec) -> None:
    for seen in robot.cameras:
        _add_camera(spec.worldbody, seen.name, seen.pos, seen.target, seen.up, 42)
    for arm in robot.arms:
        _add_camera(spec.body(arm.hand_body), arm.camera, *arm.wrist_camera, 75)


def _add_camera(
    body: mujoco.MjsBody,
    name: str,
    pos: tuple[float, float, float],
    target: tuple[float, float, float],
    up: tuple[float, float, float],
    fovy: float,
) -> None:
    """Adds a camera looking from `pos` at `target` [m, body frame]; `fovy` is vertical [deg]."""
    forward = np.subtract(target, pos)
    right = np.cross(forward, up)
    camera = body.add_camera(name=name, pos=pos, fovy=fovy)
    camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_XYAXES
    camera.alt.xyaxes = [*right, *np.cross(right, forward)]


def _add_pair(
    spec: mujoco.MjSpec,
    geom1: str,
    geom2: str,
    options: SceneOptions,
    friction: float | None,
) -> None:
    """Adds one pair; `friction` None makes it frictionless (condim 1)."""
    slide = 0.0 if friction is None else friction
    spec.add_pair(
        name=f"{geom1}-{geom2}",
        geomname1=geom1,
        geomname2=geom2,
        condim=1 if friction is None else 3,
        friction=[slide, slide, 0.005, 0.0001, 0.0001],
        solref=options.contact_solref,
        solimp=[*options.contact_solimp, 0.5, 2],
    )


def _add_arm_pairs(
    spec: mujoco.MjSpec, arm: ArmSpec, objects: tuple[ObjectSpec, ...], options: SceneOptions
) -> None:
    for obj in objects:
        for pad in itertools.chain(*arm.finger_pad_geoms):
            _add_pair(spec, pad, obj.name, options, options.pad_friction)
        for geom in arm.other_collision_geoms:
            _add_pair(spec, geom, obj.name, options, None)
    for geom in (*arm.finger_tip_geoms, *arm.other_collision_geoms):
        _add_pair(spec, TABLE_GEOM, geom, options, None)


def _add_fixture_pairs(
    spec: mujoco.MjSpec,
    fixture: Fixture,
    robot: RobotSpec,
    objects: tuple[ObjectSpec, ...],
    options: SceneOptions,
) -> None:
    for geom in fixture.object_geoms:
        for obj in objects:
            _add_pair(spec, geom, obj.name, options, obj.friction)
    for arm in robot.arms:
        for geom in fixture.handle_geoms:
            for pad in itertools.chain(*arm.finger_pad_geoms):
                _add_pair(spec, geom, pad, options, options.pad_friction)
        for geom in fixture.guard_geoms:
            for tip in arm.finger_tip_geoms:
                _add_pair(spec, geom, tip, options, None)


def _add_object_pairs(
    spec: mujoco.MjSpec, objects: tuple[ObjectSpec, ...], options: SceneOptions
) -> None:
    for a, b in itertools.combinations(objects, 2):
        if {a.shape, b.shape} == {"box", "cylinder"}:
            raise ValueError(
                f"objects '{a.name}' and '{b.name}': MJX cannot collide a cylinder with a box; "
                "use a capsule instead of the cylinder"
            )
        _add_pair(spec, a.name, b.name, options, options.object_friction)


def _add_home_key(
    spec: mujoco.MjSpec,
    robot: RobotSpec,
    fixtures: tuple[Fixture, ...],
    objects: tuple[ObjectSpec, ...],
) -> None:
    qpos = [*robot.home_qpos, *(q for fixture in fixtures for q in fixture.qpos)]
    for obj in objects:
        qpos += [*obj.pos, obj.rest_height, 1.0, 0.0, 0.0, 0.0]
    spec.add_key(name="home", qpos=qpos, ctrl=list(robot.home_ctrl))

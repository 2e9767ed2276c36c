"""Our pictures of every task against MuJoCo's, from every camera, at 256 x 256."""

import functools
from typing import NamedTuple

import jax
import mujoco
import numpy as np
import pictures
import pytest
from pictures import needs_gl

from mjxsim.rendering import GLRenderer, Scene, View, Visual, make_renderer
from mjxsim.robots import ROBOTS
from mjxsim.tasks import TASKS
from mjxsim.tasks.registry import robots_for

SIZE = 256  # [pixels]
PAIRS = [
    *((task, "panda" if "panda" in robots_for(task) else "aloha") for task in TASKS),
    ("pick_cube", "so100"),
]


class Case(NamedTuple):
    scene: Scene
    visual: Visual
    draw: pictures.Draw  # ours
    qpos: np.ndarray


@functools.lru_cache(maxsize=1)
def case(task: str, robot: str) -> Case:
    """A task's scene, the arms a little off their home pose."""
    kind, config = TASKS[task]
    spec = kind.scene(config().for_robot(ROBOTS[robot]), ROBOTS[robot])
    # MuJoCo draws a round shape as flat pieces: so many that they are round to a pixel.
    spec.visual.quality.numslices, spec.visual.quality.numstacks = 128, 64
    spec.visual.quality.offsamples = 0  # one sample per pixel, as here
    spec.visual.quality.shadowsize = 2048  # drawn in a quarter of the usual time
    model = spec.compile()
    scene = Scene.of(model)
    qpos = np.array(model.key("home").qpos)
    joints = len(ROBOTS[robot].home_qpos)
    qpos[:joints] += np.random.default_rng(0).uniform(-0.1, 0.1, joints)
    return Case(scene, Visual.of(scene), pictures.from_any_camera(scene, SIZE, SIZE), qpos)


@needs_gl
@pytest.mark.parametrize(("task", "robot"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_pictures_match_mujoco(task: str, robot: str) -> None:
    scene, visual, draw, qpos = case(task, robot)
    model = scene.model
    physics = pictures.world(model, qpos)
    data = pictures.posed(model, qpos)
    gl = {
        camera: make_renderer("gl", scene, View(camera, SIZE, SIZE), announce=False)
        for camera in scene.cameras
    }
    references = jax.jit(lambda *world: {camera: see(*world) for camera, see in gl.items()})
    for camera, seen in references(physics, visual).items():
        ours, reference = draw(camera, physics, visual), pictures.on_host(seen)
        depth = pictures.depth_agrees(ours, reference)
        iou, geom = pictures.worst_iou(data, camera, ours, reference)
        likeness = pictures.ssim(ours.rgb, reference.rgb)
        print(f"{camera}: depth {depth:.4f}, IoU {iou:.3f} (geom {geom}), SSIM {likeness:.4f}")
        assert pictures.inner(reference).mean() > 0.2, "of the picture is compared"
        assert depth >= 0.995
        assert iou >= 0.98
        assert likeness >= 0.95


@needs_gl
def test_the_reference_is_mujoco_itself() -> None:
    """The backend 'gl' moves MuJoCo's own scene about; `GLRenderer` lets MuJoCo do all of it."""
    scene, visual, _, qpos = case(*PAIRS[0])
    model = scene.model
    physics = pictures.world(model, qpos)
    for camera in scene.cameras:
        gl = make_renderer("gl", scene, View(camera, 120, 160), announce=False)
        with GLRenderer(model, (120, 160), camera, shadows=True) as renderer:
            expected = renderer.render(qpos, physics.mocap_pos, physics.mocap_quat)
        assert isinstance(expected, np.ndarray)
        difference = np.abs(np.asarray(gl(physics, visual).rgb, int) - expected)
        assert (difference > 2).mean() < 1e-3, "but for float32 poses"


def test_every_robot_has_its_cameras() -> None:
    for name, robot in ROBOTS.items():
        task = TASKS["reach"]
        model = task[0].scene(task[1]().for_robot(robot), robot).compile()
        cameras = {model.camera(i).name for i in range(model.ncam)}
        assert cameras == {"front", "side", "top", *(arm.camera for arm in robot.arms)}, name
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)
        down = data.cam_xmat[model.camera("top").id].reshape(3, 3)[:, 2]
        np.testing.assert_allclose(down, (0, 0, 1), atol=1e-6)

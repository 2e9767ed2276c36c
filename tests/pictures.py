"""What tests of renderers share: worlds without an engine, any camera in one program, SSIM."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from scipy import ndimage

from mjxsim.physics import Faults, PhysicsState
from mjxsim.physics.compile import cpu_options
from mjxsim.rendering import Image, NoRendererError, Scene, View, Visual, gl, render_cameras

QUICK = cpu_options() if jax.default_backend() == "cpu" else {}
Draw = Callable[[str, PhysicsState, Visual], Image]


def _no_gl() -> str:
    try:
        gl.platform()
    except NoRendererError as error:
        return str(error)
    return ""


WHY_NO_GL = _no_gl()
needs_gl = pytest.mark.skipif(bool(WHY_NO_GL), reason=WHY_NO_GL)


def posed(model: mujoco.MjModel, qpos: np.ndarray | None = None) -> mujoco.MjData:
    """C MuJoCo's world at `qpos`, by default the first keyframe or the reference pose."""
    data = mujoco.MjData(model)
    if model.nkey:
        mujoco.mj_resetDataKeyframe(model, data, 0)
    if qpos is not None:
        data.qpos[:] = qpos
    mujoco.mj_kinematics(model, data)
    mujoco.mj_camlight(model, data)
    return data


def world(model: mujoco.MjModel, qpos: np.ndarray | None = None) -> PhysicsState:
    """The same as an engine's state."""
    data = posed(model, qpos)
    fields = ("qpos", "qvel", "ctrl", "mocap_pos", "mocap_quat", "xpos", "xquat", "site_xpos")
    return PhysicsState(
        time=jnp.float32(0.0),
        site_xmat=jnp.asarray(data.site_xmat, jnp.float32).reshape(-1, 3, 3),
        sensordata=jnp.zeros(model.nsensordata, jnp.float32),
        faults=Faults.none(),
        raw={},
        **{field: jnp.asarray(getattr(data, field), jnp.float32) for field in fields},
    )


def from_any_camera(scene: Scene, height: int, width: int) -> Draw:
    """Our renderer, compiled once for all the scene's cameras."""
    names = tuple(scene.cameras)
    view = View(names[0], height, width)

    def draw(physics: PhysicsState, visual: Visual) -> Image:
        return render_cameras(scene, physics, names, view, visual)

    # Slower to run, and sooner compiled.
    program = jax.jit(draw, compiler_options=QUICK)

    def seen(name: str, physics: PhysicsState, visual: Visual) -> Image:
        images = on_host(program(physics, visual))
        return jax.tree.map(lambda x: x[names.index(name)], images)

    return seen


def on_host(image: Image) -> Image:
    """With NumPy's arrays."""
    return jax.tree.map(np.asarray, image)


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Mean structural similarity of two uint8 pictures (height, width, 3).

    Wang et al. 2004: Gaussian window of 11 x 11 with sigma 1.5, K1 = 0.01, K2 = 0.03, L = 255.
    """

    def mean(x: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(x, (1.5, 1.5, 0.0), radius=(5, 5, 0))

    a, b = a.astype(np.float64), b.astype(np.float64)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    both = mean(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((luminance * (2 * both + c2) / (var_a + var_b + c2)).mean())


def inner(image: Image, jump: float = 0.05) -> np.ndarray:
    """Pixels that lie on no edge: one geom, and no depth jump [m], in the 3 x 3 around them."""
    names, depth = image.segmentation, image.depth
    one = ndimage.minimum_filter(names, 3) == ndimage.maximum_filter(names, 3)
    step = ndimage.maximum_filter(depth, 3) - ndimage.minimum_filter(depth, 3)
    return one & (step < jump) & (names >= 0)


def depth_agrees(ours: Image, reference: Image, tolerance: float = 0.002) -> float:
    """The share of the inner pixels whose depths differ by less than `tolerance` [m]."""
    close = np.abs(ours.depth - reference.depth) < tolerance
    return float(close[inner(reference)].mean())


def worst_iou(data: mujoco.MjData, camera: str, ours: Image, reference: Image) -> tuple[float, int]:
    """The least intersection over union of a geom of 30 pixels or more, and which geom it is.

    Where MuJoCo's own rays see both of the geoms that are named, neither is wrong: at surfaces that
    coincide (to 0.1 mm), and within 1/32 of a pixel of an edge: OpenGL rounds the corners of what
    it fills to 1/256 of a pixel, and round shapes are flat pieces there.

    Args:
      data: the world, with poses of geoms and cameras.
      camera: the name of the one that took both pictures.
      ours: with names.
      reference: with names.
    """
    names = ours.segmentation.copy()
    for row, column in np.argwhere(names != reference.segmentation):
        pair = names[row, column], reference.segmentation[row, column]
        if _both_seen(data, camera, pair, row, column, names.shape):
            names[row, column] = reference.segmentation[row, column]
    worst = (1.0, -1)
    for geom, count in zip(*np.unique(reference.segmentation, return_counts=True), strict=True):
        if count < 30:
            continue
        a, b = names == geom, reference.segmentation == geom
        worst = min(worst, (float((a & b).sum() / (a | b).sum()), int(geom)))
    return worst


def _both_seen(
    data: mujoco.MjData,
    camera: str,
    pair: tuple[int, int],
    row: int,
    column: int,
    shape: tuple[int, ...],
) -> bool:
    """Whether rays around a pixel's middle meet the one and the other of two geoms first."""
    around = [(y / 32, x / 32) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    depths = np.array(
        [[_depth_of(data, camera, g, row + y, column + x, shape) for g in pair] for y, x in around]
    )
    depths[depths < 0.0] = np.inf
    if -1 in pair:  # what is behind everything
        depths[:, pair.index(-1)] = data.model.vis.map.zfar * data.model.stat.extent
    first, second = (depths <= depths[:, ::-1] + 1e-4).T
    return bool(first.any() and second.any() and np.isfinite(depths).any())


def _depth_of(
    data: mujoco.MjData, camera: str, geom: int, row: float, column: float, shape: tuple[int, ...]
) -> float:
    """How far along the camera's axis a pixel's ray meets one geom alone [m]; -1 if not at all."""
    if geom < 0:
        return -1.0
    model, eye, (height, width) = data.model, data.camera(camera), shape
    half = np.tan(np.deg2rad(model.camera(camera).fovy[0]) / 2)
    x, y = (2 * column + 1 - width) / height, (height - 2 * row - 1) / height
    ray = eye.xmat.reshape(3, 3) @ np.array([x * half, y * half, -1.0])
    pose = data.geom_xpos[geom], data.geom_xmat[geom]
    return mujoco.mju_rayGeom(*pose, model.geom_size[geom], eye.xpos, ray, model.geom_type[geom])

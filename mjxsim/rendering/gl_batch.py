"""MuJoCo's OpenGL renderer as a pure function: on the host, under `jax.pure_callback`.

`vmap` sends all worlds to the host at once, where they are drawn one after the other. It draws
meshes too. Of a `Visual` it takes all but `sky`, `rgb_low` and the `texture` fields: the sky and
the textures are the model's own.
"""

import atexit
import copy
import functools
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import flax.struct
import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim.math import rotations
from mjxsim.physics.base import PhysicsState
from mjxsim.rendering import gl
from mjxsim.rendering.render import Image, View, eye_of, placed
from mjxsim.rendering.scene import Scene
from mjxsim.rendering.visual import Visual

MAX_LIGHTS = 8  # of OpenGL's fixed lighting, with the headlight (GL_MAX_LIGHTS)

Arrays = dict[str, np.ndarray]
T = TypeVar("T")


class _World(flax.struct.PyTreeNode):
    """All that the host needs of a world; n geoms and l lights as in `Scene`, world frame."""

    geom_pos: jax.Array  # (n, 3) [m]
    geom_mat: jax.Array  # (n, 3, 3)
    size: jax.Array  # (n, 3) [m] as `shapes` takes it, which is as mjvGeom does
    rgba: jax.Array  # (n, 4)
    surface: jax.Array  # (n, 3) emission, specular, shininess
    light_pos: jax.Array  # (l, 3) [m]
    light_dir: jax.Array  # (l, 3)
    light_colours: jax.Array  # (l, 3, 3) ambient, diffuse, specular
    headlight: jax.Array  # (3, 3)
    eye_pos: jax.Array  # (3,) [m]
    eye_mat: jax.Array  # (3, 3)
    fovy: jax.Array  # () [deg]


def renderer(scene: Scene, view: View) -> Callable[[PhysicsState, Visual], Image]:
    """What draws one world by OpenGL; pure, unbatched and vmappable.

    With `view.samples` n it takes n * n samples per pixel, or as many as the driver has; depth and
    segmentation are of the pixel's middle.

    Raises:
      ValueError: the scene has patterns, or more lights than OpenGL; the view an unknown camera.
      NoRendererError: no OpenGL platform of this machine can draw.
    """
    scene.camera(view.camera)
    if scene.atlas is not None and scene.atlas.patterns > 1:
        raise ValueError(
            "renderer 'gl' has no textures but the model's: leave patterns out, or use 'jax'"
        )
    if 1 + len(scene.lights) > MAX_LIGHTS:
        raise ValueError(
            f"renderer 'gl' draws at most {MAX_LIGHTS - 1} lights and the headlight, and the scene "
            f"has {len(scene.lights)}: make it with fewer, or use renderer 'jax'"
        )
    gl.platform()  # rather here than inside a callback
    thread = _thread()
    drawer = thread.opened(scene, view)
    height, width = view.height, view.width
    shapes = {
        "rgb": jax.ShapeDtypeStruct((height, width, 3), jnp.uint8),
        "depth": jax.ShapeDtypeStruct((height, width), jnp.float32),
        "segmentation": jax.ShapeDtypeStruct((height, width), jnp.int32),
    }

    def callback(worlds: _World) -> Arrays:
        worlds = jax.tree.map(np.asarray, worlds)
        lead, n = worlds.fovy.shape, worlds.fovy.size
        flat = jax.tree.map(lambda x: x.reshape(n, *x.shape[len(lead) :]), worlds)
        images = thread.do(lambda: drawer.draw(flat))
        return {k: x.reshape(*lead, *x.shape[1:]) for k, x in images.items()}

    def draw(physics: PhysicsState, visual: Visual) -> Image:
        world = _world(scene, view, physics, visual)
        drawn = jax.pure_callback(callback, shapes, world, vmap_method="broadcast_all")
        return Image(**drawn)

    # A compiled program keeps the callback, and may outlive `draw`.
    weakref.finalize(callback, thread.later, drawer.close).atexit = False
    return draw


def _world(scene: Scene, view: View, physics: PhysicsState, visual: Visual) -> _World:
    geoms, lights = placed(scene, physics, visual), visual.lights
    camera = eye_of(scene, physics, view.camera, view, visual)
    bodies = np.array([light.body for light in scene.lights], int)
    turn = jax.vmap(rotations.rotate)
    return _World(
        geom_pos=geoms.pos,
        geom_mat=geoms.mat,
        size=visual.size,
        rgba=visual.rgba,
        surface=jnp.stack([visual.emission, visual.specular, visual.shininess], axis=1),
        light_pos=physics.xpos[bodies] + turn(physics.xquat[bodies], lights.pos),
        light_dir=turn(physics.xquat[bodies], lights.dir),
        light_colours=jnp.stack([lights.ambient, lights.diffuse, lights.specular], axis=1),
        headlight=visual.headlight,
        eye_pos=camera.pos,
        eye_mat=camera.mat,
        fovy=visual.camera_fovy[list(scene.cameras).index(view.camera)],
    )


class _Drawer:
    """An OpenGL context with a model's pictures in it; used by one thread alone."""

    def __init__(self, scene: Scene, view: View) -> None:
        model = copy.copy(scene.model)
        model.vis.global_.offheight, model.vis.global_.offwidth = view.height, view.width
        model.vis.quality.offsamples = 0 if view.samples == 1 else view.samples**2
        model.vis.headlight.active = 1  # its colours say whether it shines
        self._what, self._model = scene, model
        self._data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, self._data)
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = model.camera(view.camera).id
        self._options = mujoco.MjvOption()
        for group in ("sitegroup", "tendongroup", "jointgroup", "actuatorgroup"):
            getattr(self._options, group)[:] = 0
        self._drawn = mujoco.MjvScene(model, maxgeom=len(scene.geoms) + 100)
        self._drawn.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = view.shadows
        self._rect = mujoco.MjrRect(0, 0, view.width, view.height)
        self._context = gl.open_context(view.width, view.height)
        self._context.make_current()
        self._mjr = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._mjr)
        self._mjr.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._index = {int(geom): i for i, geom in enumerate(scene.geoms)}
        planes = model.geom_type[np.minimum(scene.geoms, model.ngeom - 1)]
        self._planes = np.flatnonzero(
            (planes == mujoco.mjtGeom.mjGEOM_PLANE) & (scene.geoms < model.ngeom)
        )

    def draw(self, worlds: _World) -> Arrays:
        """What `Image` has, of worlds whose every array has a leading axis."""
        self._context.make_current()
        n, height, width = len(worlds.fovy), self._rect.height, self._rect.width
        rgb = np.empty((n, height, width, 3), np.uint8)
        depth = np.empty((n, height, width), np.float32)
        names = np.empty((n, height, width), np.int32)
        for i in range(n):
            self._place(jax.tree.map(lambda x, i=i: x[i], worlds))
            mujoco.mjr_render(self._rect, self._drawn, self._mjr)
            mujoco.mjr_readPixels(rgb[i], depth[i], self._rect, self._mjr)
            depth[i] = self._metres(depth[i])
            names[i] = self._name()
        # OpenGL's first row is the lowest.
        found = {"rgb": rgb, "depth": depth, "segmentation": names}
        return {k: np.ascontiguousarray(x[:, ::-1]) for k, x in found.items()}

    def _place(self, world: _World) -> None:
        """Puts a world's geoms, lights and camera into what is drawn."""
        scene, model, data = self._what, self._model, self._data
        own = scene.geoms < model.ngeom
        ids = scene.geoms[own]
        data.geom_xpos[ids] = world.geom_pos[own]
        data.geom_xmat[ids] = world.geom_mat[own].reshape(-1, 9)
        model.geom_size[scene.geoms[self._planes]] = world.size[self._planes]
        camera = self._camera.fixedcamid
        data.cam_xpos[camera], data.cam_xmat[camera] = world.eye_pos, world.eye_mat.ravel()
        model.cam_fovy[camera] = world.fovy
        everything = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(
            model, data, self._options, None, self._camera, everything, self._drawn
        )
        for geom in self._drawn.geoms[: self._drawn.ngeom]:
            self._paint(geom, world)
        for i in scene.props:
            if (world.size[i] > 0.0).all():
                self._add(int(i), world)
        self._drawn.nlight = 1 + len(scene.lights)
        headlight, *lights = self._drawn.lights[: self._drawn.nlight]
        for i, (light, what) in enumerate(zip(lights, scene.lights, strict=True)):
            light.pos, light.dir = world.light_pos[i], world.light_dir[i]
            light.ambient, light.diffuse, light.specular = world.light_colours[i]
            if what.directional:
                continue
            # MuJoCo draws no light of the type "point", but a spot light of 180 degrees is one.
            light.type, light.attenuation = mujoco.mjtLightType.mjLIGHT_SPOT, what.attenuation
            light.cutoff, light.exponent = np.rad2deg(what.cutoff), what.exponent
            light.castshadow, light.headlight = what.shadow, False
        headlight.ambient, headlight.diffuse, headlight.specular = world.headlight

    def _paint(self, geom: mujoco.MjvGeom, world: _World) -> None:
        if geom.objtype != mujoco.mjtObj.mjOBJ_GEOM:
            return
        i = self._index[geom.objid]
        geom.rgba = world.rgba[i]
        geom.emission, geom.specular, geom.shininess = world.surface[i]
        if geom.type in _SIZED:
            geom.size = world.size[i]

    def _add(self, i: int, world: _World) -> None:
        """Adds a prop."""
        geom = self._drawn.geoms[self._drawn.ngeom]
        kind = _TYPES[int(self._what.kind[i])]
        mujoco.mjv_initGeom(
            geom, kind, world.size[i], world.geom_pos[i], world.geom_mat[i].ravel(), world.rgba[i]
        )
        geom.emission, geom.specular, geom.shininess = world.surface[i]
        geom.objtype, geom.objid = mujoco.mjtObj.mjOBJ_UNKNOWN, int(self._what.geoms[i])
        geom.category, geom.segid = mujoco.mjtCatBit.mjCAT_DYNAMIC, self._drawn.ngeom
        self._drawn.ngeom += 1

    def _name(self) -> np.ndarray:
        """The geoms (height, width)."""
        flags = self._drawn.flags
        ways = (mujoco.mjtRndFlag.mjRND_SEGMENT, mujoco.mjtRndFlag.mjRND_IDCOLOR)
        for flag in ways:
            flags[flag] = True
        colours = np.empty((self._rect.height, self._rect.width, 3), np.uint8)
        mujoco.mjr_render(self._rect, self._drawn, self._mjr)
        mujoco.mjr_readPixels(colours, None, self._rect, self._mjr)
        for flag in ways:
            flags[flag] = False
        code = colours.astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)
        names = np.full(self._drawn.ngeom + 1, -1, np.int32)
        for geom in self._drawn.geoms[: self._drawn.ngeom]:
            if geom.segid >= 0:
                names[geom.segid + 1] = geom.objid
        return names[code]

    def _metres(self, z: np.ndarray) -> np.ndarray:
        """Depth from the reversed depth buffer, 1 at the near plane and 0 at the far one."""
        near, far = np.float64(self._what.near), np.float64(self._what.far)
        return near * far / (near + z.astype(np.float64) * (far - near))

    def close(self) -> None:
        """Frees the context; twice is allowed."""
        if self._mjr is not None:
            self._context.make_current()
            self._mjr.free()
            self._context.free()
            self._mjr = None


class _Thread:
    """The one thread that uses OpenGL for this module: a context belongs to the thread it is in."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._open: weakref.WeakSet[_Drawer] = weakref.WeakSet()
        threading.Thread(target=self._run, name="mjxsim-gl", daemon=True).start()

    def opened(self, scene: Scene, view: View) -> _Drawer:
        """A drawer that is closed at exit, if not before."""
        drawer = self.do(lambda: _Drawer(scene, view))
        if not self._open:
            # EGL ends at exit too, if after what is registered now: contexts must be gone by then.
            atexit.unregister(self._close_all)
            atexit.register(self._close_all)
        self._open.add(drawer)
        return drawer

    def do(self, work: Callable[[], T]) -> T:
        """What `work` returns, or raises."""
        result: Future[T] = Future()

        def run() -> None:
            try:
                result.set_result(work())
            except BaseException as error:  # for whoever waits
                result.set_exception(error)

        self._asked.put(run)
        return result.result()

    def later(self, work: Callable[[], None]) -> None:
        """Does something without being waited for."""
        self._asked.put(work)

    def _run(self) -> None:
        while True:
            self._asked.get()()

    def _close_all(self) -> None:
        for drawer in list(self._open):
            self.do(drawer.close)


@functools.cache
def _thread() -> _Thread:
    return _Thread()


# A shape of `shapes.ALL` as MuJoCo's; a sphere is an ellipsoid.
_TYPES = (
    mujoco.mjtGeom.mjGEOM_PLANE,
    mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    mujoco.mjtGeom.mjGEOM_CAPSULE,
    mujoco.mjtGeom.mjGEOM_CYLINDER,
    mujoco.mjtGeom.mjGEOM_BOX,
)
_SIZED = frozenset(int(kind) for kind in (*_TYPES[1:], mujoco.mjtGeom.mjGEOM_SPHERE))

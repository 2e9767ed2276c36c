"""Which renderer draws a scene here: three behind one call."""

import dataclasses
import importlib.util
from collections.abc import Callable

import jax
import jax.numpy as jnp

from mjxsim.naming import unknown
from mjxsim.physics.base import PhysicsState
from mjxsim.rendering.render import Image, View, render_cameras
from mjxsim.rendering.scene import Scene
from mjxsim.rendering.visual import Visual

RENDERERS = ("auto", "jax", "gl", "warp")

Renderer = Callable[[PhysicsState, Visual], Image]


def choose(name: str, scene: Scene) -> tuple[str, str]:
    """The renderer that `name` means for a scene on this machine, and why, in words.

    Raises:
      ValueError: unknown name.
      RuntimeError: it is not installed, or has no device here.
    """
    if name not in RENDERERS:
        raise ValueError(unknown("renderer", name, RENDERERS))
    warp = importlib.util.find_spec("warp") is not None
    nvidia = jax.default_backend() == "gpu"
    if name == "warp" and not warp:
        raise RuntimeError("renderer 'warp' needs warp-lang: pip install 'mjxsim[warp]'")
    if name != "auto":
        return name, "as asked"
    if scene.primitive:
        return "jax", "it casts rays at primitive shapes on any device, and draws all of a Visual"
    if warp and nvidia:
        return "warp", "the scene shows meshes, and an NVIDIA GPU and warp-lang are here"
    return "gl", "the scene shows meshes, which the host draws by OpenGL"


def make_renderer(name: str, scene: Scene, view: View, *, announce: bool = True) -> Renderer:
    """Builds the renderer called `name` ("auto", "jax", "gl", "warp") for one camera.

    Args:
      name: which.
      scene: `Scene.of` the engine's model.
      view: which camera, and how large.
      announce: whether to print the choice and its reason.

    Returns:
      A pure function of one world, `(physics, visual) -> Image`; `jax.vmap` adds worlds.

    Raises:
      ValueError: unknown renderer or camera, a view of no pixels, or a scene that the renderer
        cannot draw.
      RuntimeError: the renderer is not installed; `NoRendererError` where nothing draws OpenGL.
    """
    draw = make_renderers(name, scene, (view.camera,), view, announce=announce)
    return lambda physics, visual: jax.tree.map(lambda x: x[0], draw(physics, visual))


def make_renderers(
    name: str, scene: Scene, cameras: tuple[str, ...], view: View, *, announce: bool = True
) -> Renderer:
    """As `make_renderer`, for several cameras alike: every leaf of its Image has them first.

    `view.camera` does not count.
    """
    chosen, reason = choose(name, scene)
    for camera in cameras:
        scene.camera(camera)
    if announce:
        print(f"mjxsim: renderer {chosen!r} ({reason})")
    if chosen == "jax":
        scene.check_primitive()
        return lambda physics, visual: render_cameras(scene, physics, cameras, view, visual)
    views = [dataclasses.replace(view, camera=camera) for camera in cameras]
    if chosen == "gl":
        from mjxsim.rendering import gl_batch

        draws = [gl_batch.renderer(scene, one) for one in views]
    else:
        from mjxsim.rendering import warp_batch

        draws = [warp_batch.renderer(scene, one) for one in views]

    def draw(physics: PhysicsState, visual: Visual) -> Image:
        images = [one(physics, visual) for one in draws]
        return jax.tree.map(lambda *x: jnp.stack(x), *images)

    return draw

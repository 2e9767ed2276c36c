"""MJX-Warp's batch renderer as a pure function: Warp's kernels inside jit, on NVIDIA GPUs.

It draws meshes too. It has no translucency: what is seen through elsewhere is solid here, in colour
and in depth. Of a `Visual` it takes poses, sizes, colours, cameras and the colours of lights; the
headlight, the sky, surfaces and textures are the model's own.
"""

import dataclasses
from collections.abc import Callable

import flax.struct
import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from mujoco import mjx
from mujoco.mjx.warp import render_context

from mjxsim.math import rotations
from mjxsim.physics.base import PhysicsState
from mjxsim.physics.warp import empty_data, over_worlds
from mjxsim.rendering.render import Image, View, eye_of, placed
from mjxsim.rendering.scene import Scene
from mjxsim.rendering.visual import Visual

# A compiled program knows a context by its number, and may outlive the renderer that made it.
_KEPT: list[render_context.RenderContext] = []


class _World(flax.struct.PyTreeNode):
    """What differs from world to world, by its place in Warp's model and data."""

    model: dict[str, jax.Array]
    data: dict[str, jax.Array]


def renderer(scene: Scene, view: View) -> Callable[[PhysicsState, Visual], Image]:
    """What draws one world by Warp; pure, unbatched and vmappable.

    `vmap` draws all worlds in one launch; buffers for so many are made when it is traced.

    Raises:
      ValueError: the scene has props, spare lights or patterns; the view an unknown camera.
    """
    scene.camera(view.camera)
    if view.samples > 1:
        # Warp samples a pixel at several places only where all worlds have the model's cameras.
        n = view.samples
        fine = dataclasses.replace(view, height=n * view.height, width=n * view.width, samples=1)
        drawn = renderer(scene, fine)
        return lambda physics, visual: _averaged(drawn(physics, visual), n)
    model = scene.model
    shining = np.flatnonzero(model.light_active)
    if len(scene.props) or len(scene.lights) > len(shining):
        raise ValueError("renderer 'warp' draws neither props nor spare lights: use renderer 'jax'")
    if scene.atlas is not None and scene.atlas.patterns > 1:
        raise ValueError("renderer 'warp' has no textures but the model's: use renderer 'jax'")
    mx = mjx.put_model(model, impl="warp")
    template = mjx.make_data(model, impl="warp", naconmax=1, njmax=1)
    contexts: dict[int, render_context.RenderContext] = {}  # by number of worlds

    def draw_all(n: int, worlds: _World) -> Image:
        if n not in contexts:
            contexts[n] = _context(scene, view, n)
            _KEPT.append(contexts[n])
        handle = contexts[n].pytree()

        def one(world: _World, data: mjx.Data) -> tuple[jax.Array, ...]:
            changed = mx.tree_replace(dict(world.model))
            data = data.tree_replace(dict(world.data))
            data = mjx.refit_bvh(changed, data, handle)
            return mjx.render_with_segmentation(changed, data, handle)[:3]

        packed, depth, names = jax.vmap(one)(worlds, empty_data(template, n))
        shape = (n, view.height, view.width)
        colour = [(packed >> shift).astype(jnp.uint8).reshape(shape) for shift in (16, 8, 0)]
        depth = jnp.where(depth > 0.0, depth, scene.far).reshape(shape)
        return Image(jnp.stack(colour, axis=-1), depth, names[..., 0].reshape(shape))

    drawn = over_worlds(draw_all)
    return lambda physics, visual: drawn(_world(scene, view, physics, visual))


def _context(scene: Scene, view: View, n: int) -> render_context.RenderContext:
    model = scene.model
    return mjx.create_render_context(
        model,
        n,
        cam_res=(view.width, view.height),
        cam_active=[model.camera(view.camera).id],
        render_rgb=True,
        render_depth=True,
        render_seg=True,
        use_shadows=view.shadows,
        use_precomputed_rays=False,  # a world's camera may see wider than the model's
        render_skybox=bool((model.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX).any()),
        shadow_light_fraction=0.0,
    )


def _averaged(image: Image, n: int) -> Image:
    """A picture of n by n samples per pixel from one that many times larger; see `Image`."""
    height, width = (side // n for side in image.depth.shape)
    rgb = image.rgb.reshape(height, n, width, n, 3).astype(jnp.float32).mean(axis=(1, 3))
    middle = slice(n // 2, None, n)
    depth, names = image.depth[middle, middle], image.segmentation[middle, middle]
    return Image(jnp.round(rgb).astype(jnp.uint8), depth, names)


def _world(scene: Scene, view: View, physics: PhysicsState, visual: Visual) -> _World:
    model, geoms = scene.model, placed(scene, physics, visual)
    eye = eye_of(scene, physics, view.camera, view, visual)
    ids, camera = scene.geoms, model.camera(view.camera).id
    shining = np.flatnonzero(model.light_active)
    bodies = model.light_bodyid[shining]
    lights, turn = visual.lights, jax.vmap(rotations.rotate)

    def among(values: np.ndarray, at: np.ndarray | int, new: jax.Array) -> jax.Array:
        return jnp.asarray(values, jnp.float32).at[at].set(new)

    hidden = np.zeros((model.ngeom, 4), np.float32)  # what is not in the scene is not seen
    still = np.tile(np.eye(3, dtype=np.float32), (max(model.ngeom, model.ncam), 1, 1))
    return _World(
        model={
            "geom_rgba": among(hidden, ids, visual.rgba),
            "geom_size": among(model.geom_size, ids, _model_sizes(scene, visual.size)),
            "cam_fovy": among(model.cam_fovy, camera, _fovy(scene, view, visual)),
            "light_ambient": among(model.light_ambient, shining, lights.ambient),
            "light_diffuse": among(model.light_diffuse, shining, lights.diffuse),
            "light_specular": among(model.light_specular, shining, lights.specular),
        },
        data={
            "geom_xpos": among(np.zeros((model.ngeom, 3)), ids, geoms.pos),
            "geom_xmat": among(still[: model.ngeom], ids, geoms.mat),
            "cam_xpos": among(np.zeros((model.ncam, 3)), camera, eye.pos),
            "cam_xmat": among(still[: model.ncam], camera, eye.mat),
            "_impl.light_xpos": among(
                model.light_pos,
                shining,
                physics.xpos[bodies] + turn(physics.xquat[bodies], lights.pos),
            ),
            "_impl.light_xdir": among(
                model.light_dir, shining, turn(physics.xquat[bodies], lights.dir)
            ),
        },
    )


def _fovy(scene: Scene, view: View, visual: Visual) -> jax.Array:
    return visual.camera_fovy[list(scene.cameras).index(view.camera)]


def _model_sizes(scene: Scene, size: jax.Array) -> jax.Array:
    """Sizes (n, 3) as mjModel has them, from what `shapes` takes."""
    kinds = scene.model.geom_type[scene.geoms]
    about_z = np.isin(kinds, (mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_CYLINDER))
    radius_and_half = jnp.stack([size[:, 0], size[:, 2], jnp.zeros_like(size[:, 0])], axis=1)
    return jnp.where(about_z[:, None], radius_and_half, size)

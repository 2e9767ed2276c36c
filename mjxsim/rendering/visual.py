"""How one world looks: colours, surfaces, lights, sky, and where its cameras are."""

from collections.abc import Mapping
from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim.rendering import atlas
from mjxsim.rendering.scene import Scene, rgba_of

_DULL = (0.0, 0.5, 0.5)  # emission, specular and shininess of a geom without a material


class Lights(flax.struct.PyTreeNode):
    """The l lights of a scene, in their bodies' frames; colours are linear factors."""

    pos: jax.Array  # (l, 3) [m]
    dir: jax.Array  # (l, 3) unit, where they shine
    ambient: jax.Array  # (l, 3)
    diffuse: jax.Array  # (l, 3)
    specular: jax.Array  # (l, 3)


class Visual(flax.struct.PyTreeNode):
    """What a picture of one world depends on beside its physics; n geoms as in `Scene`.

    A texture mixes two colours per channel: `rgb_low` where it is 0 and `rgba` where it is 1. It
    lies on the two axes of a geom's frame that its surface faces least: `texture_scale` repeats
    per metre along each axis, and begins at `texture_start`.
    """

    pos: jax.Array  # (n, 3) [m] in the body's frame
    quat: jax.Array  # (n, 4)
    size: jax.Array  # (n, 3) [m] as `shapes` takes it
    rgba: jax.Array  # (n, 4)
    rgb_low: jax.Array  # (n, 3)
    texture: jax.Array  # (n,) int32, index into the scene's atlas; 0 is all white
    texture_scale: jax.Array  # (n, 3) [1/m]
    texture_start: jax.Array  # (n, 3) [repeats]
    emission: jax.Array  # (n,)
    specular: jax.Array  # (n,)
    shininess: jax.Array  # (n,) of 128
    lights: Lights
    headlight: jax.Array  # (3, 3) ambient, diffuse and specular colour of the light at the camera
    sky: jax.Array  # (k, 3) colours from straight down to straight up, evenly by height
    camera_pos: jax.Array  # (c, 3) [m] beside where the model has each camera, in its body's frame
    camera_quat: jax.Array  # (c, 4) by which each is turned, in its own frame
    camera_fovy: jax.Array  # (c,) [deg]

    @classmethod
    def of(cls, scene: Scene) -> Self:
        """As the model says."""
        model, n = scene.model, len(scene.geoms)
        own = np.flatnonzero(scene.geoms < model.ngeom)
        rgba = np.tile(np.array([0.5, 0.5, 0.5, 1.0], np.float32), (n, 1))
        surface = np.tile(np.array(_DULL, np.float32), (n, 1))
        texture = np.zeros(n, np.int32)
        scale = np.ones((n, 3), np.float32)
        start = np.zeros((n, 3), np.float32)
        for i in own:
            geom = int(scene.geoms[i])
            rgba[i] = rgba_of(model, geom)
            material = model.geom_matid[geom]
            if material >= 0:
                surface[i] = (
                    model.mat_emission[material],
                    model.mat_specular[material],
                    model.mat_shininess[material],
                )
                picture = model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB]
                if picture >= 0 and scene.atlas is not None:
                    texture[i] = atlas.index_of(model, int(picture), scene.atlas.patterns)
                    scale[i], start[i] = _mapping(model, geom, int(material))
        on = np.flatnonzero(model.light_active)
        spare = len(scene.lights) - len(on)

        def lights(values: np.ndarray, otherwise: tuple[float, float, float]) -> jax.Array:
            return _array(np.concatenate([values[on], np.tile(otherwise, (spare, 1))]))

        black = (0.0, 0.0, 0.0)
        light = model.vis.headlight
        headlight = np.stack([light.ambient, light.diffuse, light.specular])
        cameras = list(scene.cameras.values())
        still = np.tile(np.array([1, 0, 0, 0], np.float32), (len(cameras), 1))
        return cls(
            pos=_array(scene.pos),
            quat=_array(scene.quat),
            size=_array(scene.size),
            rgba=_array(rgba),
            rgb_low=jnp.zeros((n, 3), jnp.float32),
            texture=jnp.asarray(texture),
            texture_scale=_array(scale),
            texture_start=_array(start),
            emission=_array(surface[:, 0]),
            specular=_array(surface[:, 1]),
            shininess=_array(surface[:, 2]),
            lights=Lights(
                pos=lights(model.light_pos, (0.0, 0.0, 2.0)),
                dir=lights(model.light_dir, (0.0, 0.0, -1.0)),
                ambient=lights(model.light_ambient, black),
                diffuse=lights(model.light_diffuse, black),
                specular=lights(model.light_specular, black),
            ),
            headlight=_array(headlight * bool(light.active)),
            sky=_array(_sky(model)),
            camera_pos=jnp.zeros((len(cameras), 3), jnp.float32),
            camera_quat=jnp.asarray(still),
            camera_fovy=_array([c.fovy for c in cameras]),
        )

    def overridden(self, scene: Scene, overrides: Mapping[str, jax.Array]) -> Self:
        """With what a world's own model fields say of where, how large and what colour geoms are.

        Args:
          scene: that of this visual.
          overrides: values by mjModel field; `geom_pos`, `geom_quat`, `geom_size` and `geom_rgba`
            are seen.
        """
        model = scene.model
        own = np.flatnonzero(scene.geoms < model.ngeom)
        ids = scene.geoms[own]
        given = {
            name: jnp.float32(value)[ids] for name, value in overrides.items() if name in _SEEN
        }
        if "geom_size" in given:
            given["geom_size"] = _sizes(model.geom_type[ids], given["geom_size"])
        seen = {_SEEN[k]: getattr(self, _SEEN[k]).at[own].set(v) for k, v in given.items()}
        return self.replace(**seen)


# Fields of a model that move or paint geoms, and what they are in a `Visual`.
_SEEN = {"geom_pos": "pos", "geom_quat": "quat", "geom_size": "size", "geom_rgba": "rgba"}


def _sizes(kinds: np.ndarray, size: jax.Array) -> jax.Array:
    """As `scene.sizes`, of values that may be traced."""
    ball = kinds == mujoco.mjtGeom.mjGEOM_SPHERE
    about_z = np.isin(kinds, (mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_CYLINDER))
    radius, half, third = size.T
    return jnp.stack(
        [
            radius,
            jnp.where(jnp.asarray(ball | about_z), radius, half),
            jnp.where(jnp.asarray(ball), radius, jnp.where(jnp.asarray(about_z), half, third)),
        ],
        axis=1,
    )


def _array(values: object) -> jax.Array:
    return jnp.asarray(np.asarray(values, np.float32))


def _mapping(model: mujoco.MjModel, geom: int, material: int) -> tuple[np.ndarray, np.ndarray]:
    """A texture's repeats per metre along a geom's axes, and where it begins; (3,) each.

    As render_gl3.c (settexture) maps a texture to a plane and to a box. Other shapes get it by the
    axis they face, where MuJoCo has coordinates of their own.
    """
    repeat = np.array([*model.mat_texrepeat[material], 1.0])
    repeat[repeat <= 0.0] = 1.0
    size = np.array(model.geom_size[geom])
    uniform = bool(model.mat_texuniform[material])
    plane = model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_PLANE
    if plane and (size[:2] <= 0.0).any():
        return np.array([repeat[0], -repeat[1], 1.0]) * (1.0 if uniform else 0.5), np.zeros(3)
    size[size <= 0.0] = 1.0
    repeat[2] = repeat[1]
    if uniform:
        repeat = repeat * size
    signs = np.array([1.0, -1.0, -1.0])
    return 0.5 * signs * repeat / size, 0.5 * repeat


def _sky(model: mujoco.MjModel, steps: int = 256) -> np.ndarray:
    """Colours of the sky texture from straight down to straight up; black where there is none.

    MuJoCo's sky is a cube map; along its front face and the halves of its lower and upper ones it
    is read as a vertical line, which is all that there is to a gradient. Steps are even in the
    height of a unit vector, which needs no arcsine.
    """
    textures = np.flatnonzero(model.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX)
    if not len(textures):
        return np.zeros((steps, 3))
    texture = textures[0]
    width, channels = int(model.tex_width[texture]), int(model.tex_nchannel[texture])
    start = int(model.tex_adr[texture])
    data = model.tex_data[start : start + 6 * width * width * channels]
    faces = data.reshape(6, width, width, channels)[..., :3] / 255.0
    up, down, front = faces[2], faces[3], faces[4]  # right, left, up, down, front, back
    middle = width // 2
    line = np.concatenate([down[:middle, middle], front[::-1, middle], up[middle:, middle][::-1]])
    offset = (np.arange(middle) + 0.5) / middle
    face = (np.arange(width) + 0.5) / middle - 1.0
    angle = np.concatenate(
        [np.arctan(offset) - np.pi / 2, np.arctan(face), np.pi / 2 - np.arctan(offset[::-1])]
    )
    wanted = np.arcsin(np.linspace(-1.0, 1.0, steps))
    return np.stack([np.interp(wanted, angle, line[:, i]) for i in range(3)], axis=1)

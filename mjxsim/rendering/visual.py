"""How one world looks: colours, surfaces, lights, sky, and where its cameras are."""

from collections.abc import Mapping
from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim.math import rotations
from mjxsim.rendering import atlas
from mjxsim.rendering.scene import UNPAINTED, Scene, rgba_of

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
        rgba = np.tile(np.array(UNPAINTED, np.float32), (n, 1))
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
        """With what a world's own model fields say of geoms, materials, lights and cameras.

        What equals the model's changes nothing, whatever was drawn at random. What differs is taken
        as it is; but what was drawn for cameras, and for positions and colours of lights, is drawn
        around it.

        Args:
          scene: that of this visual.
          overrides: values by mjModel field, each of the field's shape.

        Raises:
          ValueError: one line, for a field that MuJoCo's pictures show and these cannot.
        """
        for field in sorted(_FIXED & overrides.keys()):
            raise ValueError(
                f"mjModel field {field!r} cannot differ per world where cameras draw it: leave it "
                f"out, or have no cameras; they can show {', '.join(sorted(_SEEN))}"
            )
        given = {k: jnp.float32(v) for k, v in overrides.items() if k in _SEEN}
        if not given:
            return self
        return self._with_geoms(scene, given)._with_lights(scene, given)._with_cameras(scene, given)

    def _with_geoms(self, scene: Scene, given: dict[str, jax.Array]) -> Self:
        model = scene.model
        rows = np.flatnonzero(scene.geoms < model.ngeom)
        ids = scene.geoms[rows]
        seen: dict[str, jax.Array] = {}
        for field in ("geom_pos", "geom_quat", "geom_size"):
            if field in given:
                name, new = field.removeprefix("geom_"), given[field][ids]
                if field == "geom_size":
                    new = _sizes(model.geom_type[ids], new)
                nominal = getattr(scene, name)[rows]
                seen[name] = _set(getattr(self, name), rows, new, nominal)
        material = model.geom_matid[ids]
        if "geom_rgba" in given or "mat_rgba" in given:
            own = given.get("geom_rgba", _array(model.geom_rgba))[ids]
            of_materials = given.get("mat_rgba", _array(model.mat_rgba))
            new = _colours(own, of_materials, material)
            nominal = np.array([rgba_of(model, int(i)) for i in ids]).reshape(-1, 4)
            seen["rgba"] = _set(self.rgba, rows, new, nominal)
        rows, material = rows[material >= 0], material[material >= 0]
        for name in ("emission", "specular", "shininess"):
            field = f"mat_{name}"
            if field in given:
                nominal = getattr(model, field)[material]
                seen[name] = _set(getattr(self, name), rows, given[field][material], nominal)
        return self.replace(**seen)

    def _with_lights(self, scene: Scene, given: dict[str, jax.Array]) -> Self:
        on = np.flatnonzero(scene.model.light_active)
        rows, lights = np.arange(len(on)), self.lights  # the spare ones are no model's
        for name in ("pos", "dir", "ambient", "diffuse", "specular"):
            field = f"light_{name}"
            if field not in given:
                continue
            table, new = getattr(lights, name), given[field][on]
            nominal, now = getattr(scene.model, field)[on].astype(np.float32), table[rows]
            if name == "pos":
                value = now + (new - nominal)
            elif name == "dir":
                value = new / jnp.maximum(jnp.linalg.norm(new, axis=1, keepdims=True), 1e-9)
            else:  # by what was drawn brighter or darker than the model's; of black, nothing was
                lit = nominal > 0.0
                value = new * jnp.where(lit, now / np.where(lit, nominal, 1.0), 1.0)
            lights = lights.replace(**{name: _set(table, rows, new, nominal, value)})
        return self.replace(lights=lights)

    def _with_cameras(self, scene: Scene, given: dict[str, jax.Array]) -> Self:
        model, cameras = scene.model, list(scene.cameras.values())
        names = {model.camera(i).name: i for i in range(model.ncam)}
        ids, rows = np.array([names[name] for name in scene.cameras], int), np.arange(len(cameras))
        seen: dict[str, jax.Array] = {}
        if "cam_pos" in given:
            nominal = np.stack([camera.pos for camera in cameras])
            seen["camera_pos"] = self.camera_pos + (given["cam_pos"][ids] - nominal)
        if "cam_quat" in given:
            nominal, new = np.stack([c.quat for c in cameras]), given["cam_quat"][ids]
            # `eye_of` turns by the model's first, and then by this.
            turn = jax.vmap(lambda a, b: rotations.multiply(rotations.conjugate(a), b))
            change = turn(jnp.asarray(nominal), jax.vmap(rotations.normalize)(new))
            value = jax.vmap(rotations.multiply)(change, self.camera_quat)
            seen["camera_quat"] = _set(self.camera_quat, rows, new, nominal, value)
        if "cam_fovy" in given:
            nominal = np.array([camera.fovy for camera in cameras], np.float32)
            seen["camera_fovy"] = self.camera_fovy + (given["cam_fovy"][ids] - nominal)
        return self.replace(**seen)


# Fields of a model that a `Visual` can hold for one world.
_SEEN = frozenset(
    [
        *("geom_pos", "geom_quat", "geom_size", "geom_rgba"),
        *("mat_rgba", "mat_emission", "mat_specular", "mat_shininess"),
        *("light_pos", "light_dir", "light_ambient", "light_diffuse", "light_specular"),
        *("cam_pos", "cam_quat", "cam_fovy"),
    ]
)
# Fields that `GLRenderer` shows too, and that are constants of a `Scene` or nothing that it has.
_FIXED = frozenset(
    [
        *("light_attenuation", "light_cutoff", "light_exponent"),
        *("mat_texrepeat", "mat_reflectance", "cam_sensorsize", "cam_intrinsic"),
    ]
)


def _set(
    table: jax.Array,
    rows: np.ndarray,
    new: jax.Array,
    nominal: np.ndarray,
    value: jax.Array | None = None,
) -> jax.Array:
    """`table` with `value` (by default `new`) in those `rows` where `new` is not the model's."""
    differs = new != _array(nominal)
    if differs.ndim > 1:
        differs = differs.any(axis=1, keepdims=True)
    return table.at[rows].set(jnp.where(differs, new if value is None else value, table[rows]))


def _colours(own: jax.Array, of_materials: jax.Array, material: np.ndarray) -> jax.Array:
    """As `rgba_of` for geoms (n, 4), of values that may be traced; `material` is -1 for none."""
    if not (material >= 0).any():
        return own
    left = (own == _array(UNPAINTED)).all(axis=1) & (material >= 0)
    return jnp.where(left[:, None], of_materials[np.maximum(material, 0)], own)


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

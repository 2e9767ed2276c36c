"""Draws how one world looks: from ranges to a `Visual`.

`visual_randomizer` resolves names to indices once. What it returns is a pure function of a key: the
same key gives the same look, and with it the same picture up to rounding, on every machine.
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim.math import rotations
from mjxsim.naming import unknown
from mjxsim.randomization import props
from mjxsim.randomization.draws import Draw, Needs, Width
from mjxsim.randomization.parts import Part, Parts
from mjxsim.randomization.ranges import Range, check_range
from mjxsim.randomization.rows import with_rows
from mjxsim.randomization.visual_config import (
    CameraRandomization,
    Lighting,
    Surface,
    VisualRandomization,
)
from mjxsim.rendering import textures
from mjxsim.rendering.scene import Scene
from mjxsim.rendering.visual import Visual
from mjxsim.robots.base import RobotSpec

__all__ = ["VisualRandomizer", "visual_randomizer", "visual_scene"]

_DARK = 0.45  # a pattern's other colour, of one that is kept
_TILE = 0.1  # [m] of a pattern, where no range says
_GLOSS = 0.5  # of an added light's colour that glosses have


_Edit = Callable[[Draw, Visual], Visual]


@dataclasses.dataclass(frozen=True, eq=False)
class VisualRandomizer:
    """A pure function (key, width) -> how one world looks.

    Attributes:
      ranges: What is randomized, by names such as "camera.position".
      nominal: How the model looks.
    """

    ranges: dict[str, Range]
    nominal: Visual
    _edits: tuple[_Edit, ...]
    _needs: Needs

    def __call__(self, key: jax.Array, width: Width = 1.0) -> Visual:
        """Draws one world; see `Range.draw` for the widths. At 0 it is `nominal`.

        Whether a surface gets a pattern and a colour goes by names of its own, such as
        "textures.table.patterns" and "textures.table.colors".
        """
        return _edited(self._edits, self._needs.draw(key, width), self.nominal)


def visual_scene(config: VisualRandomization, model: mujoco.MjModel) -> Scene:
    """The scene of a compiled model with the props, lights and patterns that a config needs."""
    return Scene.of(
        model,
        props=config.props,
        spare_lights=config.spare_lights,
        patterns=textures.patterns() if config.patterned else None,
    )


def visual_randomizer(
    config: VisualRandomization,
    scene: Scene,
    robot: RobotSpec,
    keep: Sequence[str] | None = None,
) -> VisualRandomizer:
    """Builds the randomizer of one scene.

    Args:
      config: What to randomize.
      scene: `visual_scene(config, model)`, or one with more.
      robot: The robot in it.
      keep: Names of the objects and fixtures that keep their colours; None for all objects where
        there are several, since tasks tell them apart by colour, and for all fixtures.

    Raises:
      ValueError: one line, for a body that does not exist, a range that gives values the scene
        cannot have, or a scene with too few props, lights or patterns.
    """
    _check(config, scene, keep)
    parts = Parts.of(scene, robot, None if keep is None else tuple(keep))
    edits: list[_Edit] = []
    bodies = np.array([camera.body for camera in scene.cameras.values()], int)
    for name, given, standing in (
        ("camera", config.camera, True),
        ("hand_camera", config.hand_camera, False),
    ):
        which = np.flatnonzero((bodies == 0) == standing)
        edits += _cameras(name, given, scene, which)
    edits += _lights(config.lighting, scene, robot)
    for field in dataclasses.fields(parts):
        part: Part = getattr(parts, field.name)
        surface: Surface = getattr(config.textures, field.name)
        edits += _dressed(f"textures.{field.name}", surface, part)
    if config.background.sky is not None:
        edits.append(_sky(config.background.sky))
    if config.props:
        edits += _props(config, scene, robot)
    nominal, dry = Visual.of(scene), Draw.dry()
    jax.eval_shape(lambda: _edited(edits, dry, nominal))
    return VisualRandomizer(config.entries(), nominal, tuple(edits), Needs(dry.noted))


def _edited(edits: Sequence[_Edit], draw: Draw, visual: Visual) -> Visual:
    for edit in edits:
        visual = edit(draw, visual)
    return visual


def _check(config: VisualRandomization, scene: Scene, keep: Sequence[str] | None) -> None:
    model = scene.model
    names = [model.body(i).name for i in range(1, model.nbody)]
    for name in keep or ():
        if name not in names:
            raise ValueError(unknown("body to keep the colour of", name, names))
    spare = len(scene.lights) - int(np.count_nonzero(model.light_active))
    patterns = 0 if scene.atlas is None else scene.atlas.patterns
    for what, has, needs in (
        ("props", len(scene.props), config.props),
        ("spare lights", spare, config.spare_lights),
        ("patterns", patterns, len(textures.PATTERNS) if config.patterned else 0),
    ):
        if has < needs:
            raise ValueError(
                f"the scene has {has} {what} and the configuration needs {needs}; make it with "
                "mjxsim.randomization.visual.visual_scene(config, model)"
            )


def _cameras(name: str, given: CameraRandomization, scene: Scene, which: np.ndarray) -> list[_Edit]:
    if given == CameraRandomization():
        return []
    if not len(which):
        raise ValueError(f"{name}: the scene has no such camera; its cameras: {[*scene.cameras]}")
    fovy = np.array([camera.fovy for camera in scene.cameras.values()])[which]
    check_range(f"{name}.fov", given.fov, above=0.0, nominal=fovy)
    check_range(f"{name}.fov", given.fov, most=179.0, nominal=fovy)

    def edit(draw: Draw, visual: Visual) -> Visual:
        three = (len(which), 3)
        shift = draw.of(f"{name}.position", given.position, jnp.zeros(three))
        turn = draw.of(f"{name}.rotation", given.rotation, jnp.zeros(three))
        fov = draw.of(f"{name}.fov", given.fov, visual.camera_fovy[which])
        return visual.replace(
            camera_pos=with_rows(visual.camera_pos, which, shift),
            camera_quat=with_rows(visual.camera_quat, which, jax.vmap(rotations.exp)(turn)),
            camera_fovy=with_rows(visual.camera_fovy, which, fov),
        )

    return [edit]


def _lights(given: Lighting, scene: Scene, robot: RobotSpec) -> list[_Edit]:
    model = scene.model
    on = np.flatnonzero(model.light_active)
    count, spare = len(on), len(scene.lights) - len(on)
    old, new = np.arange(count), count + np.arange(spare)
    pos, direction = model.light_pos[on], model.light_dir[on]
    # What each shines at: a point of the table, or else one a metre away.
    down = (pos[:, 2] > 0.0) & (direction[:, 2] < -1e-3)
    far = np.where(down, -pos[:, 2] / np.where(down, direction[:, 2], 1.0), 1.0)
    target = np.float32(pos + far[:, None] * direction)
    middle = np.array([*np.mean(robot.area.table, axis=0), 0.0], np.float32)

    def move(draw: Draw, visual: Visual) -> Visual:
        lights = visual.lights
        # From the target rather than anew, so that a shift of nothing changes nothing.
        shift = draw.of("lighting.position", given.position, jnp.zeros((count, 3)))
        aim = jnp.asarray(target) - (lights.pos[:count] + shift)
        aim = aim / jnp.linalg.norm(aim, axis=1, keepdims=True)
        moved = (shift != 0.0).any(axis=1, keepdims=True)
        return visual.replace(
            lights=lights.replace(
                pos=with_rows(lights.pos, old, lights.pos[:count] + shift),
                dir=with_rows(lights.dir, old, jnp.where(moved, aim, lights.dir[:count])),
            )
        )

    def colour(draw: Draw, visual: Visual) -> Visual:
        factor = draw.of("lighting.intensity", given.intensity, jnp.ones((count + 1, 1)))
        factor = factor * draw.of("lighting.color", given.color, jnp.ones((count + 1, 3)))
        lights = visual.lights
        return visual.replace(
            headlight=visual.headlight * factor[count],
            lights=lights.replace(
                ambient=with_rows(lights.ambient, old, lights.ambient[:count] * factor[:count]),
                diffuse=with_rows(lights.diffuse, old, lights.diffuse[:count] * factor[:count]),
                specular=with_rows(lights.specular, old, lights.specular[:count] * factor[:count]),
            ),
        )

    def add(draw: Draw, visual: Visual) -> Visual:
        along, up, away = draw.uniform("lighting.extra.place", (3, spare))
        azimuth, elevation, away = 2 * np.pi * along, jnp.deg2rad(30.0 + 50.0 * up), 1.0 + away
        flat = away * jnp.cos(elevation)
        offset = [flat * jnp.cos(azimuth), flat * jnp.sin(azimuth), away * jnp.sin(elevation)]
        pos = jnp.asarray(middle) + jnp.stack(offset, axis=1)
        strength = draw.full("lighting.extra_intensity", given.extra_intensity, (spare, 1))
        hue = draw.of("lighting.color", given.color, jnp.ones((count + 1 + spare, 3)))
        number = jnp.round(draw.of("lighting.extra", given.extra, 0.0))
        there = (jnp.arange(spare) < number)[:, None]
        diffuse = jnp.where(there, strength * hue[count + 1 :], 0.0)
        lights = visual.lights
        return visual.replace(
            lights=lights.replace(
                pos=with_rows(lights.pos, new, pos),
                diffuse=with_rows(lights.diffuse, new, diffuse),
                specular=with_rows(lights.specular, new, _GLOSS * diffuse),
            )
        )

    edits: list[_Edit] = []
    if given.position is not None and count:
        edits.append(move)
    if given.intensity is not None or given.color is not None:
        edits.append(colour)
    if given.extra is not None and spare:
        edits.append(add)
    return edits


def _dressed(name: str, given: Surface, part: Part) -> list[_Edit]:
    if not part.owners or given == Surface(tile=given.tile):
        return []
    geoms, owner, count = part.geoms, part.owner, part.owners
    colours = _spread(np.array(list(textures.PALETTE.values()), np.float32), given.colors)
    patterns = _spread(np.arange(len(textures.PATTERNS)), given.patterns)

    def edit(draw: Draw, visual: Visual) -> Visual:
        high, low = visual.rgba[geoms, :3], visual.rgb_low[geoms]
        recoloured = jnp.zeros((len(geoms), 1), bool)
        drawn = jnp.zeros((2, len(geoms), 3))
        if given.colors:
            recoloured = (draw.some(f"{name}.colors", count) & ~part.kept)[owner][:, None]
            which = draw.choice(f"{name}.colors", (2, count), given.colors)
            drawn = jnp.asarray(colours)[which][:, owner]
            high = jnp.where(recoloured, drawn[0], high)
        if given.patterns:
            dressed = draw.some(f"{name}.patterns", count)[owner]
            column = dressed[:, None]
            which = jnp.asarray(patterns)[draw.choice(f"{name}.patterns", (count,), given.patterns)]
            tile = draw.of(f"{name}.tile", given.tile, np.full(count, _TILE))
            start = draw.uniform(f"{name}.start", (count, 3))[owner]
            low = jnp.where(column, jnp.where(recoloured, drawn[1], _DARK * high), low)
            texture = jnp.where(dressed, which[owner], visual.texture[geoms])
            scale = jnp.where(column, 1.0 / tile[owner][:, None], visual.texture_scale[geoms])
            start = jnp.where(column, start, visual.texture_start[geoms])
            visual = visual.replace(
                texture=with_rows(visual.texture, geoms, texture),
                texture_scale=with_rows(visual.texture_scale, geoms, scale),
                texture_start=with_rows(visual.texture_start, geoms, start),
            )
        tint = draw.of(f"{name}.tint", given.tint, np.ones((count, 3)))[owner]
        rgba = jnp.concatenate([high * tint, visual.rgba[geoms, 3:]], axis=1)
        return visual.replace(
            rgba=with_rows(visual.rgba, geoms, jnp.clip(rgba, 0.0, 1.0)),
            rgb_low=with_rows(visual.rgb_low, geoms, jnp.clip(low * tint, 0.0, 1.0)),
            specular=_gloss(draw, f"{name}.specular", given.specular, visual.specular, part),
            shininess=_gloss(draw, f"{name}.shininess", given.shininess, visual.shininess, part),
        )

    return [edit]


def _gloss(draw: Draw, name: str, given: Range | None, values: jax.Array, part: Part) -> jax.Array:
    """Values (n,) with those of a part's geoms drawn, one for each of its owners."""
    if given is None:
        return values
    first = part.geoms[[int(np.argmax(part.owner == i)) for i in range(part.owners)]]
    drawn = draw.of(name, given, values[first])
    return with_rows(values, part.geoms, drawn[part.owner])


def _sky(given: Range) -> _Edit:
    def edit(draw: Draw, visual: Visual) -> Visual:
        name, steps = "background.sky", visual.sky.shape[0]
        ends = draw.full(name, given, (2, 3))
        share = np.linspace(0.0, 1.0, steps, dtype=np.float32)[:, None]
        drawn = (1.0 - share) * ends[0] + share * ends[1]
        width = draw.width_of(name)
        return visual.replace(sky=(1.0 - width) * visual.sky + width * drawn)

    return edit


def _props(config: VisualRandomization, scene: Scene, robot: RobotSpec) -> list[_Edit]:
    given, count = config.distractors, len(scene.props)
    middles, half = props.cells(scene, robot, given.size.high)
    if len(middles) < count:
        raise ValueError(
            f"distractors: {len(middles)} of half-length {given.size.high} m fit on the table "
            f"beside the work area, and up to {count} are asked for; lower count or size"
        )

    def place(draw: Draw, visual: Visual) -> Visual:
        number = jnp.round(draw.of("distractors.count", given.count, 0.0))
        sizes = draw.full("distractors.size", given.size, (count, 3))
        numbers = draw.uniform("distractors.cell", (len(middles),))
        places = draw.uniform("distractors.place", (count, 3))
        cell = jnp.asarray(middles)[jnp.argsort(numbers)[:count]]
        there = jnp.arange(count) < number
        return props.placed(visual, scene, cell, half, sizes, there, places)

    each = Part(scene.props, np.arange(count), np.zeros(count, bool))
    return [place, *_dressed("distractors.surface", given.surface, each)]


def _spread(values: np.ndarray, count: int) -> np.ndarray:
    """`count` of the values, the first among them, evenly over all."""
    return values[(np.arange(count) * len(values)) // max(count, 1)]

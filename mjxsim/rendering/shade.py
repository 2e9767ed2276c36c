"""What colour a ray's end has: OpenGL's fixed lighting as mjr_render uses it, for each pixel."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.math import rotations
from mjxsim.physics.base import PhysicsState
from mjxsim.rendering import shapes, trace
from mjxsim.rendering.atlas import Atlas
from mjxsim.rendering.scene import Light, Scene
from mjxsim.rendering.shapes import Vector, at, dot, vector
from mjxsim.rendering.trace import Hits, Poses, Rays, once, pick
from mjxsim.rendering.visual import Visual

_LIFT = 2e-4  # [m] above a surface, from where its shadow is asked for


class Surface(NamedTuple):
    """What rays end on; every array broadcasts to (tiles, rays)."""

    seen: jax.Array  # bool; the rest is of no meaning where it is false
    point: Vector  # [m] world
    normal: Vector  # outward, of unit length
    rgb: Vector
    emission: jax.Array
    specular: jax.Array
    shininess: jax.Array  # exponent


class Lamp(NamedTuple):
    """A light as a surface sees it; every array broadcasts to (tiles, rays)."""

    towards: Vector  # unit
    distance: jax.Array | float  # [m]
    strength: jax.Array | float  # of its colours


class Shining(NamedTuple):
    """Light of one world: the headlight, then l lights in the world frame."""

    colours: jax.Array  # (l + 1, 3, 3) ambient, diffuse and specular
    pos: jax.Array  # (l, 3) [m]
    dir: jax.Array  # (l, 3) unit, where they shine


def shining(scene: Scene, visual: Visual, physics: PhysicsState) -> Shining:
    """The lights of a scene where their bodies are."""
    lights = visual.lights
    body = np.array([light.body for light in scene.lights], np.int32)
    turn = physics.xquat[body]
    colours = jnp.stack([lights.ambient, lights.diffuse, lights.specular], axis=1)
    return Shining(
        jnp.concatenate([visual.headlight[None], colours]),
        physics.xpos[body] + jax.vmap(rotations.rotate)(turn, lights.pos),
        jax.vmap(rotations.rotate)(turn, lights.dir),
    )


def sky(colours: jax.Array, world: jax.Array, rays: Rays) -> Vector:
    """The colour behind everything, by the height that a ray points at.

    `colours` (w, k, 3) are of all worlds; `world` (t,) says each tile's.
    """
    steps = colours.shape[1]
    up = rays.direction[2] / _length(rays.direction)
    where = (up * 0.5 + 0.5) * (steps - 1)
    low = jnp.clip(where.astype(jnp.int32), 0, steps - 2)
    share, row = where - low, steps * world[:, None] + low
    red, green, blue = (
        (1.0 - share) * pick(one, row) + share * pick(one, row + 1)
        for one in (colours[..., i].ravel() for i in range(3))
    )
    return red, green, blue


def surfaces(
    scene: Scene,
    geoms: Poses,
    visual: Visual,
    start: jax.Array,
    rays: Rays,
    hits: Hits,
    pixel: jax.Array,
) -> Surface:
    """What each ray hit, whichever geom that is; `pixel` (t, 1) is a pixel's width at t = 1 [m].

    `geoms` and `visual` are of all worlds in a row, where each tile's begins at `start` (t, 1).
    """
    seen, geom = hits.geom >= 0, jnp.maximum(hits.geom, 0)
    t = jnp.where(seen, hits.t, 1.0)
    kind, row = pick(scene.kind, geom), start + geom

    def of(table: jax.Array) -> list[jax.Array]:
        return [pick(table[:, i], row) for i in range(3)]

    def normal(size: Vector, point: Vector) -> Vector:
        options = [shape.normal(size, point) for shape in shapes.ALL]
        x, y, z = (jax.lax.select_n(kind, *(option[i] for option in options)) for i in range(3))
        return x, y, z

    mat = [[pick(geoms.mat[:, i, j], row) for j in range(3)] for i in range(3)]
    one = _Row(of(geoms.pos), mat, of(geoms.size), row)
    return _surface(scene, visual, rays, seen, t, one, normal, pixel)


def surface(
    scene: Scene,
    geoms: Poses,
    visual: Visual,
    start: jax.Array,
    rays: Rays,
    geom: int,
    nearer: jax.Array,
    pixel: jax.Array,
) -> tuple[Surface, jax.Array]:
    """One geom alone, where rays meet it nearer than `nearer` (t, s), and how far that is."""
    shape, row = shapes.ALL[scene.kind[geom]], start + geom
    pos, axes, sizes = (pick(x, row[:, 0]) for x in (geoms.pos, geoms.mat, geoms.size))
    origin, direction = trace.local(pos, axes, rays)
    size = vector(sizes[:, i, None] for i in range(3))
    t = shape.enters(size, origin, direction, scene.near)
    seen = t < nearer
    mat = [[axes[:, i, j, None] for j in range(3)] for i in range(3)]
    one = _Row([pos[:, i, None] for i in range(3)], mat, list(size), row)
    found = _surface(scene, visual, rays, seen, jnp.where(seen, t, 1.0), one, shape.normal, pixel)
    return found, jnp.where(seen, t, jnp.inf)


class _Row(NamedTuple):
    """A geom for each ray, or one for all rays of a tile."""

    pos: list[jax.Array]
    mat: list[list[jax.Array]]
    size: list[jax.Array]
    geom: jax.Array  # among all worlds'


def _surface(
    scene: Scene,
    visual: Visual,
    rays: Rays,
    seen: jax.Array,
    t: jax.Array,
    row: _Row,
    normal_of: Callable[[Vector, Vector], Vector],
    pixel: jax.Array,
) -> Surface:
    point, mat = at(rays.origin, rays.direction, t), row.mat
    x, y, z = (p - q for p, q in zip(point, row.pos, strict=True))
    inside = once(vector(mat[0][j] * x + mat[1][j] * y + mat[2][j] * z for j in range(3)))
    normal = once(_unit(once(normal_of(vector(row.size), inside))))
    rgb = vector(pick(visual.rgba[:, i], row.geom) for i in range(3))
    if scene.atlas is not None:
        rgb = _textured(scene.atlas, visual, row.geom, rgb, inside, normal, pixel * t)
    return Surface(
        seen,
        point,
        once(vector(dot(vector(axis), normal) for axis in mat)),
        rgb,
        pick(visual.emission, row.geom),
        pick(visual.specular, row.geom),
        128.0 * pick(visual.shininess, row.geom),
    )


def _textured(
    atlas: Atlas,
    visual: Visual,
    geom: jax.Array,
    rgb: Vector,
    point: Vector,
    normal: Vector,
    width: jax.Array,
) -> Vector:
    """The colour `rgb` with the geom's texture; `point` and `normal` are in the geom's frame.

    `width` is what a pixel covers [m]: it decides how coarse a mip map is looked up.
    """
    across = [jnp.abs(x) for x in normal]
    on_x = (across[0] >= across[1]) & (across[0] >= across[2])
    on_y = ~on_x & (across[1] >= across[2])
    scale = [pick(visual.texture_scale[:, i], geom) for i in range(3)]
    start = [pick(visual.texture_start[:, i], geom) for i in range(3)]
    place = [p * s + o for p, s, o in zip(point, scale, start, strict=True)]
    # MuJoCo's pictures on the two faces across x run the other way.
    u = jnp.where(on_x, 2.0 * start[1] - place[1], place[0])
    v = jnp.where(on_x | on_y, place[2], place[1])
    repeats = jnp.abs(jnp.where(on_x, scale[1], scale[0])) * width  # of the texture, in a pixel
    level = jnp.log2(jnp.maximum(repeats * atlas.size, 1.0))
    level = jnp.clip(jnp.round(level), 0, atlas.levels - 1).astype(jnp.int32)
    side = jnp.int32(atlas.size) >> level
    column, line = (
        jnp.clip(((x - jnp.floor(x)) * side).astype(jnp.int32), 0, side - 1) for x in (u, v)
    )
    first = pick(atlas.starts, level)
    texel = pick(atlas.texels, first + (pick(visual.texture, geom) * side + line) * side + column)
    share = [((texel >> (8 * i)) & 255).astype(jnp.float32) * (1.0 / 255.0) for i in range(3)]
    red, green, blue = (
        pick(visual.rgb_low[:, i], geom) * (1.0 - share[i]) + rgb[i] * share[i] for i in range(3)
    )
    return red, green, blue


def lamps(
    scene: Scene, shining: Shining, forward: jax.Array, surface: Surface
) -> list[tuple[jax.Array, Lamp]]:
    """The headlight and every light of a scene: colours (t, 3, 3) and how they reach a surface.

    `shining` is of each tile's world, and `forward` (t, 3) is where its camera looks: MuJoCo's
    headlight shines along it.
    """

    def along(towards: jax.Array) -> Vector:
        return vector(-towards[:, i, None] for i in range(3))

    found: list[tuple[jax.Array, Lamp]] = [
        (shining.colours[:, 0], Lamp(along(forward), np.inf, 1.0))
    ]
    for i, light in enumerate(scene.lights):
        colours, towards = shining.colours[:, i + 1], along(shining.dir[:, i])
        if light.directional:
            found.append((colours, Lamp(towards, np.inf, 1.0)))
            continue
        offset = vector(shining.pos[:, i, j, None] - p for j, p in enumerate(surface.point))
        distance, ray = _length(offset), _unit(offset)
        found.append((colours, Lamp(ray, distance, _spot(light, towards, ray, distance))))
    return found


def lit(
    rays: Rays,
    surface: Surface,
    lamps: list[tuple[jax.Array, Lamp]],
    shadows: list[jax.Array | None],
) -> Vector:
    """The colour of a surface under all lamps; in a lamp's shadow (t, s) it lacks that lamp."""
    back = _unit(vector(-d for d in rays.direction))
    total = [surface.emission * c for c in surface.rgb]
    for (colours, lamp), shadow in zip(lamps, shadows, strict=True):
        shade = [[colours[:, i, j, None] for j in range(3)] for i in range(3)]
        strength = lamp.strength if shadow is None else jnp.where(shadow, 0.0, lamp.strength)
        facing = jnp.maximum(dot(surface.normal, lamp.towards), 0.0)
        middle = _unit(vector(a + b for a, b in zip(lamp.towards, back, strict=True)))
        # As a power, but of functions that compilers have for whole vectors.
        gloss = jnp.exp(surface.shininess * jnp.log(jnp.maximum(dot(surface.normal, middle), 1e-6)))
        gloss = jnp.where(facing > 0.0, surface.specular * gloss * strength, 0.0)
        strength, facing, gloss = once((strength, facing, gloss))
        for i in range(3):
            matte = strength * (shade[0][i] + facing * shade[1][i]) * surface.rgb[i]
            total[i] += matte + gloss * shade[2][i]
    red, green, blue = (jnp.clip(c, 0.0, 1.0) for c in total)
    return red, green, blue


def between(
    scene: Scene,
    geoms: Poses,
    start: jax.Array,
    shining: Shining,
    light: int,
    rays: Rays,
    hits: Hits,
) -> jax.Array:
    """Which geoms may be between what a tile's rays hit and a light, `as_bits`.

    A ball around all that was hit is swept towards the light. `shining` is of each tile's world.
    """
    seen, n = hits.geom >= 0, len(scene.geoms)
    points = at(rays.origin, rays.direction, jnp.where(seen, hits.t, 0.0))
    some = seen.any(axis=1, keepdims=True)
    low = [jnp.where(seen, p, jnp.inf).min(axis=1, keepdims=True) for p in points]
    high = [jnp.where(seen, p, -jnp.inf).max(axis=1, keepdims=True) for p in points]
    centre = [jnp.where(some, 0.5 * (a + b), 0.0) for a, b in zip(low, high, strict=True)]
    half = [jnp.where(some, 0.5 * (b - a), 0.0) for a, b in zip(low, high, strict=True)]
    own = start + np.arange(n)  # (t, n)
    radius = pick(geoms.radius, own) + _length((half[0], half[1], half[2])) + _LIFT
    away = [pick(geoms.pos[:, i], own) - c for i, c in enumerate(centre)]  # (t, n)
    if scene.lights[light].directional:
        towards, reach = vector(-shining.dir[:, light, i, None] for i in range(3)), jnp.inf
    else:
        gap = vector(shining.pos[:, light, i, None] - c for i, c in enumerate(centre))
        reach = _length(gap)
        towards = vector(g / jnp.maximum(reach, 1e-9) for g in gap)
    along = jnp.clip(sum(a * b for a, b in zip(away, towards, strict=True)), 0.0, reach)
    aside = sum((a - along * b) ** 2 for a, b in zip(away, towards, strict=True))
    return trace.as_bits(scene, some & (radius > 0.0) & (aside <= radius**2))


def shadow(
    scene: Scene, geoms: Poses, start: jax.Array, surface: Surface, lamp: Lamp, meets: jax.Array
) -> jax.Array:
    """Whether a geom is between a surface and a lamp; bool (t, s). `meets` are those to look at."""
    asked = surface.seen & (dot(surface.normal, lamp.towards) > 0.0)
    lifted = vector(p + _LIFT * n for p, n in zip(surface.point, surface.normal, strict=True))
    meets = jnp.where(asked.any(axis=1, keepdims=True), meets, 0)
    rays = Rays(lifted, lamp.towards)
    return trace.blocked(scene, geoms, start, rays, meets, lamp.distance) & asked


def _spot(light: Light, axis: Vector, towards: Vector, distance: jax.Array) -> jax.Array:
    """How much of a spot light's colour arrives; `axis` is against where it shines."""
    constant, linear, quadratic = light.attenuation
    fading = 1.0 / (constant + linear * distance + quadratic * distance**2)
    along = dot(axis, towards)
    inside = along >= np.cos(light.cutoff)
    focus = jnp.maximum(along, 1e-6) ** light.exponent if light.exponent else 1.0
    return jnp.where(inside, focus * fading, 0.0)


def _length(v: Vector) -> jax.Array:
    return jnp.sqrt(dot(v, v))


def _unit(v: Vector) -> Vector:
    factor = jax.lax.rsqrt(jnp.maximum(dot(v, v), 1e-24))
    return v[0] * factor, v[1] * factor, v[2] * factor

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
from mjxsim.rendering.trace import Hits, Poses, Rays, pick
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


def sky(visual: Visual, rays: Rays) -> Vector:
    """The colour behind everything, by the height that a ray points at."""
    steps = visual.sky.shape[0]
    up = rays.direction[2] / _length(rays.direction)
    where = (up * 0.5 + 0.5) * (steps - 1)
    low = jnp.clip(where.astype(jnp.int32), 0, steps - 2)
    share = where - low
    red, green, blue = (
        (1.0 - share) * pick(visual.sky[:, i], low) + share * pick(visual.sky[:, i], low + 1)
        for i in range(3)
    )
    return red, green, blue


def surfaces(
    scene: Scene, geoms: Poses, visual: Visual, rays: Rays, hits: Hits, pixel: jax.Array
) -> Surface:
    """What each ray hit, whichever geom that is; `pixel` () is a pixel's width at t = 1 [m]."""
    seen, geom = hits.geom >= 0, jnp.maximum(hits.geom, 0)
    t = jnp.where(seen, hits.t, 1.0)
    kind = pick(scene.kind, geom)

    def of(table: jax.Array) -> list[jax.Array]:
        return [pick(table[:, i], geom) for i in range(3)]

    def normal(size: Vector, point: Vector) -> Vector:
        options = [shape.normal(size, point) for shape in shapes.ALL]
        x, y, z = (jax.lax.select_n(kind, *(option[i] for option in options)) for i in range(3))
        return x, y, z

    mat = [[pick(geoms.mat[:, i, j], geom) for j in range(3)] for i in range(3)]
    row = _Row(of(geoms.pos), mat, of(geoms.size), geom)
    return _surface(scene, visual, rays, seen, t, row, normal, pixel)


def surface(
    scene: Scene,
    geoms: Poses,
    visual: Visual,
    rays: Rays,
    geom: int,
    nearer: jax.Array,
    pixel: jax.Array,
) -> tuple[Surface, jax.Array]:
    """One geom alone, where rays meet it nearer than `nearer` (t, s), and how far that is."""
    shape = shapes.ALL[scene.kind[geom]]
    origin, direction = trace.local(geoms.pos[geom], geoms.mat[geom], rays)
    size = (geoms.size[geom, 0], geoms.size[geom, 1], geoms.size[geom, 2])
    t = shape.enters(size, origin, direction)
    seen = t < nearer
    mat = [[geoms.mat[geom, i, j] for j in range(3)] for i in range(3)]
    row = _Row(list(geoms.pos[geom]), mat, list(size), jnp.int32(geom))
    found = _surface(scene, visual, rays, seen, jnp.where(seen, t, 1.0), row, shape.normal, pixel)
    return found, jnp.where(seen, t, jnp.inf)


class _Row(NamedTuple):
    """A geom, or one for each ray."""

    pos: list[jax.Array]
    mat: list[list[jax.Array]]
    size: list[jax.Array]
    geom: jax.Array


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
    inside = vector(mat[0][j] * x + mat[1][j] * y + mat[2][j] * z for j in range(3))
    normal = _unit(normal_of(vector(row.size), inside))
    rgb = vector(pick(visual.rgba[:, i], row.geom) for i in range(3))
    if scene.atlas is not None:
        rgb = _textured(scene.atlas, visual, row.geom, rgb, inside, normal, pixel * t)
    return Surface(
        seen,
        point,
        vector(dot(vector(axis), normal) for axis in mat),
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
    scene: Scene, visual: Visual, physics: PhysicsState, forward: jax.Array, surface: Surface
) -> list[tuple[jax.Array, Lamp]]:
    """The headlight and every light of a scene: colours (3, 3) and how they reach a surface.

    `forward` (3,) is where the camera looks: MuJoCo's headlight shines along it.
    """
    found: list[tuple[jax.Array, Lamp]] = [
        (visual.headlight, Lamp((-forward[0], -forward[1], -forward[2]), np.inf, 1.0))
    ]
    lights = visual.lights
    for i, light in enumerate(scene.lights):
        turn = physics.xquat[light.body]
        shining = rotations.rotate(turn, lights.dir[i])
        colours = jnp.stack([lights.ambient[i], lights.diffuse[i], lights.specular[i]])
        if light.directional:
            towards = (-shining[0], -shining[1], -shining[2])
            found.append((colours, Lamp(towards, np.inf, 1.0)))
            continue
        place = physics.xpos[light.body] + rotations.rotate(turn, lights.pos[i])
        offset = vector(place[j] - p for j, p in enumerate(surface.point))
        distance, towards = _length(offset), _unit(offset)
        found.append((colours, Lamp(towards, distance, _spot(light, shining, towards, distance))))
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
        strength = lamp.strength if shadow is None else jnp.where(shadow, 0.0, lamp.strength)
        facing = jnp.maximum(dot(surface.normal, lamp.towards), 0.0)
        middle = _unit(vector(a + b for a, b in zip(lamp.towards, back, strict=True)))
        gloss = jnp.maximum(dot(surface.normal, middle), 1e-6) ** surface.shininess
        gloss = jnp.where(facing > 0.0, surface.specular * gloss * strength, 0.0)
        for i in range(3):
            matte = strength * (colours[0, i] + facing * colours[1, i]) * surface.rgb[i]
            total[i] += matte + gloss * colours[2, i]
    red, green, blue = (jnp.clip(c, 0.0, 1.0) for c in total)
    return red, green, blue


def shadow(scene: Scene, geoms: Poses, surface: Surface, lamp: Lamp) -> jax.Array:
    """Whether something is between a surface and a lamp; bool (t, s)."""
    asked = surface.seen & (dot(surface.normal, lamp.towards) > 0.0)
    start = vector(p + _LIFT * n for p, n in zip(surface.point, surface.normal, strict=True))
    # A ball around all of a tile's points that ask, swept towards the light.
    some = asked.any(axis=1, keepdims=True)
    low = [jnp.where(asked, p, jnp.inf).min(axis=1, keepdims=True) for p in start]
    high = [jnp.where(asked, p, -jnp.inf).max(axis=1, keepdims=True) for p in start]
    centre = [jnp.where(some, 0.5 * (a + b), 0.0) for a, b in zip(low, high, strict=True)]
    half = [jnp.where(some, 0.5 * (b - a), 0.0) for a, b in zip(low, high, strict=True)]
    radius = geoms.radius + _length((half[0], half[1], half[2]))
    away = [geoms.pos[:, i] - c for i, c in enumerate(centre)]  # (t, n)
    # A lamp that is not far off is seen in other directions from other points of a tile.
    if isinstance(lamp.distance, float):
        towards, reach = [jnp.broadcast_to(x, asked.shape)[:, :1] for x in lamp.towards], jnp.inf
    else:
        lamp_at = [
            (p + lamp.distance * d)[:, :1] for p, d in zip(surface.point, lamp.towards, strict=True)
        ]
        gap = [a - c for a, c in zip(lamp_at, centre, strict=True)]
        reach = _length((gap[0], gap[1], gap[2]))
        towards = [g / jnp.maximum(reach, 1e-9) for g in gap]
    along = jnp.clip(sum(a * b for a, b in zip(away, towards, strict=True)), 0.0, reach)
    aside = sum((a - along * b) ** 2 for a, b in zip(away, towards, strict=True))
    meets = some & (radius > 0.0) & (aside <= radius**2)
    return trace.blocked(scene, geoms, Rays(start, lamp.towards), meets, lamp.distance) & asked


def _spot(light: Light, shining: jax.Array, towards: Vector, distance: jax.Array) -> jax.Array:
    """How much of a spot light's colour arrives."""
    constant, linear, quadratic = light.attenuation
    fading = 1.0 / (constant + linear * distance + quadratic * distance**2)
    along = -sum(shining[i] * towards[i] for i in range(3))
    inside = along >= np.cos(light.cutoff)
    focus = jnp.maximum(along, 1e-6) ** light.exponent if light.exponent else 1.0
    return jnp.where(inside, focus * fading, 0.0)


def _length(v: Vector) -> jax.Array:
    return jnp.sqrt(dot(v, v))


def _unit(v: Vector) -> Vector:
    factor = jax.lax.rsqrt(jnp.maximum(dot(v, v), 1e-24))
    return v[0] * factor, v[1] * factor, v[2] * factor

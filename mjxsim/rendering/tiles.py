"""Draws the tiles of any number of worlds as one list, the fullest first.

A tile is 8x8 neighbouring pixels of one camera's picture of one world. Tiles that meet about as
many geoms are drawn together, whichever world they are of, so that none waits for a fuller one; and
so few at a time that a processor's cache holds what they need.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap

from mjxsim.physics.compile import on_cpu
from mjxsim.rendering import trace
from mjxsim.rendering.scene import Scene
from mjxsim.rendering.shade import (
    Shining,
    between,
    lamps,
    lit,
    shadow,
    sky,
    surface,
    surfaces,
)
from mjxsim.rendering.shapes import Vector, dot, vector
from mjxsim.rendering.trace import Hits, Poses, Rays, once, pick
from mjxsim.rendering.visual import Visual

Tree = TypeVar("Tree")

TILE = 8  # [pixels] along each side
_BLOCKS = 8  # a single picture's tiles are drawn in at least as many parts
_CACHED = 2048  # tiles drawn at once on a CPU: an array of their pixels is 512 kB
_WIDE = 65536  # on anything else
_LONG = 512  # of work [`Shape.cost`], more than that of nearly all tiles


class Eye(NamedTuple):
    """A camera in the world frame."""

    pos: jax.Array  # (3,) [m] world
    mat: jax.Array  # (3, 3) right, up and back as columns
    scale: jax.Array  # (2,) of a ray's x and y at z = -1, at the picture's edge


class Shown(NamedTuple):
    """What one world shows one camera."""

    geoms: Poses
    eye: Eye
    visual: Visual
    shining: Shining


class Grid(NamedTuple):
    """A picture's k tiles; x and y are -1 to 1 from its left to its right and from low to high."""

    left: np.ndarray  # (k,) of the first pixel's middle
    top: np.ndarray  # (k,)
    x: np.ndarray  # (TILE * TILE,) of each pixel from there
    y: np.ndarray
    height: int  # [pixels] of the picture
    width: int

    @classmethod
    def of(cls, height: int, width: int) -> "Grid":
        """The tiles that cover a picture of that many pixels."""
        rows, columns = -(-height // TILE), -(-width // TILE)
        line, column = np.divmod(np.arange(rows * columns), columns)
        y, x = np.divmod(np.arange(TILE * TILE), TILE)
        return cls(
            left=((2 * TILE * column + 1) / width - 1).astype(np.float32),
            top=(1 - (2 * TILE * line + 1) / height).astype(np.float32),
            x=(2 * x / width).astype(np.float32),
            y=(-2 * y / height).astype(np.float32),
            height=height,
            width=width,
        )

    def picture(self, pixels: jax.Array) -> jax.Array:
        """The tiles' pixels (k, TILE * TILE) where they belong; (height, width)."""
        parted = pixels.reshape(-1, -(-self.width // TILE), TILE, TILE).swapaxes(1, 2)
        whole = parted.reshape(parted.shape[0] * TILE, -1)
        return whole[: self.height, : self.width]

    def rays(self, eye: Eye, tile: jax.Array) -> Rays:
        """Rays through the middle of the pixels of some tiles (t,), of length 1 along the axis.

        `eye` is of one camera, or of one for each tile: (t, 3), (t, 3, 3), (t, 2).
        """
        x = (pick(self.left, tile)[:, None] + self.x) * eye.scale[..., 0, None]
        y = (pick(self.top, tile)[:, None] + self.y) * eye.scale[..., 1, None]
        right, up, back = (vector(eye.mat[..., i, j, None] for i in range(3)) for j in range(3))
        towards = vector(x * r + y * u - b for r, u, b in zip(right, up, back, strict=True))
        return Rays(vector(eye.pos[..., i, None] for i in range(3)), towards)


class Drawn(NamedTuple):
    """Pixels of k tiles; every array is (k, TILE * TILE)."""

    colour: jax.Array  # int32, red + 256 green + 65536 blue
    t: jax.Array  # [m] along the camera's axis, to the first solid geom; infinite for none
    solid: jax.Array  # int32 index of that geom in the scene; -1 for none
    first: jax.Array  # int32 of the first geom, translucent or not


def draw(scene: Scene, grid: Grid, shadows: bool, shown: Shown) -> Drawn:
    """All tiles of one world as one camera sees it; `jax.vmap` adds worlds to the same list.

    Nothing of it has a derivative: do not ask for one.
    """

    @custom_vmap
    def worlds(shown: Shown) -> Drawn:
        return _draw_worlds(scene, grid, shadows, shown)

    @worlds.def_vmap
    def _(size: int, batched: list, shown: Shown) -> tuple[Drawn, Drawn]:
        def merged(x: jax.Array, has_axis: bool) -> jax.Array:
            return _joined(x if has_axis else jnp.broadcast_to(x, (size, *x.shape)))

        leaves, structure = jax.tree.flatten(shown)
        merging = map(merged, leaves, jax.tree.leaves(batched))
        drawn = worlds(jax.tree.unflatten(structure, merging))
        split: Drawn = jax.tree.map(lambda x: x.reshape(size, -1, *x.shape[1:]), drawn)
        return split, jax.tree.map(lambda _: True, split)

    one = jax.tree.map(lambda x: x[None], shown)
    return jax.tree.map(lambda x: x[0], worlds(one))


_Painted = tuple[jax.Array, jax.Array | None]  # `Drawn.colour` and, if it is another, `first`


class _Some(NamedTuple):
    """Some t tiles, of any worlds. Every leaf has an axis for them first."""

    world: jax.Array
    rays: Rays
    forward: jax.Array  # (t, 3) where the camera looks
    pixel: jax.Array  # (t, 1) width of a pixel at a distance of 1 [m]
    start: jax.Array  # (t, 1) where the world's geoms begin among all worlds'
    shining: Shining


def _draw_worlds(scene: Scene, grid: Grid, shadows: bool, shown: Shown) -> Drawn:
    """Of w worlds, which every leaf has as its first axis.

    Where lights cast shadows, first what is hit, and then its colour: what is in the way of rays
    and what casts shadows on their ends are many for different tiles.
    """
    worlds, k, n = shown.eye.pos.shape[0], len(grid.left), len(scene.geoms)
    # The geoms of all worlds in a row: a tile begins to count at its own world's first.
    joined: Visual = jax.tree.map(_joined, shown.visual)
    visual = joined.replace(sky=shown.visual.sky)
    geoms: Poses = jax.tree.map(_joined, shown.geoms)
    lights = [i for i, light in enumerate(scene.lights) if light.shadow and shadows]

    def some(tiles: jax.Array) -> _Some:
        world, tile = tiles // k, tiles % k
        eye: Eye = jax.tree.map(lambda x: pick(x, world), shown.eye)
        return _Some(
            world,
            grid.rays(eye, tile),
            -eye.mat[:, :, 2],
            2.0 * eye.scale[:, 1, None] / grid.height,
            n * world[:, None],
            jax.tree.map(lambda x: pick(x, world), shown.shining),
        )

    def found(it: _Some, tiles: jax.Array) -> Hits:
        hits = trace.nearest(scene, geoms, it.start, it.rays, pick(meets, tiles))
        return hits.where(hits.t <= scene.far)

    def painted(it: _Some, tiles: jax.Array, hits: Hits, shading: jax.Array) -> _Painted:
        dark = {light: shading[:, i] for i, light in enumerate(lights)}
        return _paint(scene, geoms, visual, it, hits, dark, pick(meets, tiles))

    def find(tiles: jax.Array) -> tuple[Hits, jax.Array]:
        it = some(tiles)
        hits = found(it, tiles)

        def shading() -> jax.Array:
            bits = [between(scene, geoms, it.start, it.shining, i, it.rays, hits) for i in lights]
            return jnp.stack(bits, axis=1)

        def nothing() -> jax.Array:
            return jnp.zeros((len(tiles), len(lights), len(scene.groups)), jnp.uint32)

        return hits, jax.lax.cond((hits.geom >= 0).any(), shading, nothing)

    def paint(tiles: jax.Array) -> _Painted:
        hits: Hits = jax.tree.map(lambda x: pick(x, tiles), solid)
        return painted(some(tiles), tiles, hits, pick(shading, tiles))

    def at_once(tiles: jax.Array) -> tuple[Hits, _Painted]:
        it = some(tiles)
        hits = found(it, tiles)
        return hits, painted(it, tiles, hits, jnp.zeros((len(tiles), 0), jnp.uint32))

    meets = jax.vmap(functools.partial(_in_cones, scene, grid))(shown.geoms, shown.eye)
    meets = meets.reshape(worlds * k, -1)
    # Tiles that are seen through come first: few are, and they take as long again.
    translucent = np.array([i for i, g in enumerate(scene.groups) if not g.solid], np.int32)
    through = _LONG * (meets[:, translucent] != 0).any(axis=1)
    if lights:
        solid, shading = _in_order(find, _work(scene, meets))
        colour, first = _in_order(paint, through + _work(scene, shading))
    else:
        solid, (colour, first) = _in_order(at_once, through + _work(scene, meets))
    drawn = Drawn(colour, solid.t, solid.geom, solid.geom if first is None else first)
    return jax.tree.map(lambda x: x.reshape(worlds, k, TILE**2), drawn)


def _work(scene: Scene, bits: jax.Array) -> jax.Array:
    """About how long each tile takes to look at the geoms of its words (t, ..., g); int32 (t,).

    At most _LONG - 1, and rarely the same for tiles that meet different shapes.
    """
    many = jax.lax.population_count(bits).astype(jnp.int32)
    each = [many[..., i] * group.shape.cost for i, group in enumerate(scene.groups)]
    whole = sum(each[1:], start=each[0])
    return jnp.minimum(whole.sum(axis=tuple(range(1, whole.ndim))), _LONG - 1)


def _in_order(some: Callable[[jax.Array], Tree], work: jax.Array) -> Tree:
    """What `some` makes of all tiles, a block of them (t,) at a time, by falling `work`."""
    total = len(work)
    blocks = max(min(_BLOCKS, total), -(-total // (_CACHED if on_cpu() else _WIDE)))
    size = -(-total // blocks)
    # One number for each tile sorts six times as fast as two. Of its bits some are the tile's own.
    own = (total - 1).bit_length()
    most = min(2 * _LONG, 1 << (32 - own)) - 1
    early = (most - jnp.minimum(work, most)).astype(jnp.uint32)
    order = jnp.sort(early << own | np.arange(total, dtype=np.uint32)) & ((1 << own) - 1)
    order = order.astype(jnp.int32)
    padded = jnp.pad(order, (0, blocks * size - total), mode="edge").reshape(blocks, size)
    _, done = jax.lax.scan(lambda _, tiles: (None, some(tiles)), None, padded)
    place = jnp.zeros_like(order).at[order].set(jnp.arange(total), unique_indices=True)
    return jax.tree.map(lambda x: pick(x.reshape(blocks * size, *x.shape[2:]), place), done)


def _paint(
    scene: Scene,
    geoms: Poses,
    visual: Visual,
    it: _Some,
    solid: Hits,
    dark: dict[int, jax.Array],
    meets: jax.Array,
) -> _Painted:
    """The colours of what tiles' rays hit, and the first geoms where these can be translucent.

    Args:
      scene: what there is.
      geoms: of all worlds in a row.
      visual: likewise.
      it: the tiles.
      solid: what they hit.
      dark: by light that casts shadows, what may be between it and a tile, as bits.
      meets: what each tile meets at all, as bits.
    """
    start, rays, pixel, seen = it.start, it.rays, it.pixel, solid.geom >= 0

    # Packed, for else a compiler works the whole of a pixel out once for each channel.
    def before() -> jax.Array:
        found = surfaces(scene, geoms, visual, start, rays, solid, pixel)
        reaching = lamps(scene, it.shining, it.forward, found)
        shadows: list[jax.Array | None] = [None] * len(reaching)
        for i, casting in dark.items():
            shadows[i + 1] = shadow(scene, geoms, start, found, reaching[i + 1][1], casting)
        return _pack(lit(rays, found, reaching, shadows))

    def behind() -> jax.Array:
        return _pack(sky(visual.sky, it.world, rays))

    def nothing() -> jax.Array:
        return jnp.zeros(seen.shape, jnp.int32)

    front = jax.lax.cond(seen.any(), before, nothing)
    back = jax.lax.cond(seen.all(), nothing, behind)
    packed = jnp.where(seen, front, back)

    def over(geom: int, packed: jax.Array, first: Hits) -> tuple[jax.Array, Hits]:
        found, t = surface(scene, geoms, visual, start, rays, geom, solid.t, pixel)
        reaching = lamps(scene, it.shining, it.forward, found)
        paint = lit(rays, found, reaching, [None] * len(reaching))
        # MuJoCo draws translucent geoms twice.
        alpha = pick(visual.rgba[:, 3], start + geom)
        alpha = jnp.where(found.seen, 1.0 - (1.0 - alpha) ** 2, 0.0)
        colours = zip(paint, _unpack(packed), strict=True)
        packed = _pack(vector(alpha * a + (1.0 - alpha) * b for a, b in colours))
        nearer = t < first.t
        hit = Hits(jnp.where(nearer, t, first.t), jnp.where(nearer, geom, first.geom))
        return packed, hit

    first = solid
    for i, group in enumerate(scene.groups):
        for geom in range(group.start, group.stop) if not group.solid else ():
            packed, first = jax.lax.cond(
                (meets[:, i] >> (geom - group.start) & 1 != 0).any(),
                functools.partial(over, geom),
                lambda packed, first: (packed, first),
                packed,
                first,
            )
    return packed, None if first is solid else first.geom


def _joined(x: jax.Array) -> jax.Array:
    """(worlds, rows, ...) as (worlds * rows, ...)."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])


def _pack(colour: Vector) -> jax.Array:
    """A colour in [0, 1] as one int32 of three bytes."""
    red, green, blue = (jnp.round(255.0 * c).astype(jnp.int32) for c in colour)
    return red + 256 * green + 65536 * blue


def _unpack(packed: jax.Array) -> Vector:
    return vector(((packed >> (8 * i)) & 255).astype(jnp.float32) / 255.0 for i in range(3))


def _in_cones(scene: Scene, grid: Grid, geoms: Poses, eye: Eye) -> jax.Array:
    """Which geoms' balls the cone around each tile's rays touches, `as_bits`."""
    left, right = grid.left, grid.left + grid.x.max()
    high, low = grid.top, grid.top + grid.y.min()

    def towards(a: np.ndarray, b: np.ndarray) -> Vector:
        x, y = eye.scale[0] * a, eye.scale[1] * b
        factor = jax.lax.rsqrt(x * x + y * y + 1.0)
        return x * factor, y * factor, -factor

    axis = towards((left + right) / 2, (low + high) / 2)
    corners = [towards(a, b) for a in (left, right) for b in (low, high)]
    cos = functools.reduce(jnp.minimum, [dot(axis, corner) for corner in corners]) - 1e-6
    sin = jnp.sqrt(1.0 - cos**2)
    # In the camera's frame, (n,) each; small products of matrices cost more than what they save.
    away = [geoms.pos[:, i] - eye.pos[i] for i in range(3)]
    centre = [sum(away[i] * eye.mat[i, j] for i in range(3)) for j in range(3)]
    distance, radius = sum(c**2 for c in centre), geoms.radius
    # What the two have for all their pairs is worked out before.
    axis, cos, sin, centre, distance, radius = once((axis, cos, sin, centre, distance, radius))
    ahead = sum(axis[j][:, None] * centre[j] for j in range(3))  # (k, n)
    # A ball's middle is at most its radius from the cone's side: aside cos - ahead sin <= radius.
    reach = radius + ahead * sin[:, None]
    aside = distance - ahead**2  # squared
    near = (reach >= 0.0) & (aside * (cos**2)[:, None] <= reach**2)
    return trace.as_bits(scene, near & (ahead >= -radius))

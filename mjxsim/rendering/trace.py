"""Which geom each ray meets first.

Rays come in tiles of neighbours. A tile asks first which geoms' bounding balls it can meet at all,
and then goes through those, shape by shape, as many as the fullest tile has: the picture costs what
is near each pixel, not what is in the scene. Everything is elementwise over (tiles, rays), which
every compiler turns into straight vector code.
"""

from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.rendering.scene import Group, Scene
from mjxsim.rendering.shapes import Vector, dot, vector

Tree = TypeVar("Tree")

_FEW = 1  # geoms of a shape up to which all tiles look at all of them


class Rays(NamedTuple):
    """Rays of t tiles, s in each; a component has a shape that broadcasts to (t, s)."""

    origin: Vector  # [m] world
    direction: Vector


class Poses(NamedTuple):
    """Where n geoms are."""

    pos: jax.Array  # (n, 3) [m] world
    mat: jax.Array  # (n, 3, 3) axes as columns
    size: jax.Array  # (n, 3) [m]
    radius: jax.Array  # (n,) [m] of a ball around each; inf for a plane, -inf for nothing


class Hits(NamedTuple):
    """What rays met; t is infinite and geom -1 where that is nothing."""

    t: jax.Array  # (t, s) in lengths of the direction
    geom: jax.Array  # (t, s) int32, index into the scene's geoms

    def where(self, kept: jax.Array) -> "Hits":
        """Only those for which `kept` (t, s) is true."""
        return Hits(jnp.where(kept, self.t, jnp.inf), jnp.where(kept, self.geom, -1))


def as_bits(scene: Scene, which: jax.Array) -> jax.Array:
    """A set of geoms for each tile (t, n) as the bits of a word for each group; uint32 (t, g)."""

    def word(group: Group) -> jax.Array:
        bit = np.uint32(1) << np.arange(group.stop - group.start, dtype=np.uint32)
        chosen = which[:, group.start : group.stop]
        return jnp.where(chosen, bit, np.uint32(0)).sum(axis=1, dtype=jnp.uint32)

    return once(jnp.stack([word(group) for group in scene.groups], axis=1))


def nearest(scene: Scene, poses: Poses, start: jax.Array, rays: Rays, meets: jax.Array) -> Hits:
    """The first solid geom along each ray that it does not enter before the near plane.

    What is entered there OpenGL cuts open, and does not draw its inside.

    Args:
      scene: what there is.
      poses: where it is, in all worlds.
      start: (t, 1) where each tile's world begins among them.
      rays: of t tiles.
      meets: `as_bits`, without the geoms that no ray of a tile can meet.
    """
    hits = _nothing(rays)
    for i, group in enumerate(scene.groups):
        if group.solid:
            hits = _through(group, poses, start, rays, meets[:, i], hits, scene.near)
    return hits


def blocked(
    scene: Scene,
    poses: Poses,
    start: jax.Array,
    rays: Rays,
    meets: jax.Array,
    nearer: jax.Array | float,
) -> jax.Array:
    """Whether anything at all lies along each ray, nearer than `nearer` (t, s); bool (t, s)."""
    hits = _nothing(rays)
    for i, group in enumerate(scene.groups):
        hits = _through(group, poses, start, rays, meets[:, i], hits)
    return hits.t < nearer


def pick(table: jax.Array | np.ndarray, index: jax.Array | np.ndarray) -> jax.Array:
    """Rows (..., *) of a table (n, *) by indices (...) that are known to be from 0 to n - 1.

    What is not checked need not be compiled, for every one of the many tables of a picture.
    """
    rows = jnp.asarray(table).at[index]
    return rows.get(mode="promise_in_bounds", wrap_negative_indices=False)


def once(values: Tree) -> Tree:
    """`values`, which a compiler is not to merge into what is made of them.

    XLA keeps to it until it has removed what is common; its fusion on a CPU may still repeat them.
    """
    return jax.lax.optimization_barrier(values)


def local(pos: jax.Array, mat: jax.Array, rays: Rays) -> Rays:
    """Rays in the frame of a geom (each (3,), (3, 3)) or of one per tile ((t, 3), (t, 3, 3))."""
    axes = [vector(mat[..., i, j, None] for i in range(3)) for j in range(3)]
    away = vector(o - pos[..., i, None] for i, o in enumerate(rays.origin))
    return Rays(
        vector(dot(axis, away) for axis in axes),
        vector(dot(axis, rays.direction) for axis in axes),
    )


def _nothing(rays: Rays) -> Hits:
    """Rays that have met nothing yet."""
    shape = jnp.broadcast_shapes(*(x.shape for x in (*rays.origin, *rays.direction)))
    return Hits(jnp.full(shape, jnp.inf), jnp.full(shape, -1, jnp.int32))


def _through(
    group: Group,
    poses: Poses,
    start: jax.Array,
    rays: Rays,
    meets: jax.Array,
    hits: Hits,
    after: float = 0.0,
) -> Hits:
    """`hits` with the geoms of one group added, entered beyond `after`; `meets` (t,) are bits."""
    count = group.stop - group.start

    def against(geom: jax.Array, valid: jax.Array, hits: Hits) -> Hits:
        # One for each tile. Behind a barrier, so that they are not looked up again for every ray.
        pos, mat, size = once(
            [pick(x, start[:, 0] + geom) for x in (poses.pos, poses.mat, poses.size)]
        )
        origin, direction = local(pos, mat, rays)
        half = vector(size[:, i, None] for i in range(3))
        entered = group.shape.enters(half, origin, direction, after)
        t = jnp.where(valid[:, None], entered, jnp.inf)
        nearest = once(jnp.minimum(t, hits.t))
        return Hits(nearest, jnp.where(nearest < hits.t, geom[..., None], hits.geom))

    if count <= _FEW:
        for i in range(count):
            hits = against(jnp.full(len(meets), group.start + i), (meets >> i) & 1 != 0, hits)
        return hits

    def some(state: tuple[jax.Array, Hits]) -> jax.Array:
        return (state[0] != 0).any()

    def body(state: tuple[jax.Array, Hits]) -> tuple[jax.Array, Hits]:
        left, hits = state  # every turn takes the lowest bit
        index = jax.lax.population_count((left & (~left + 1)) - 1).astype(jnp.int32)
        valid = left != 0
        geom = group.start + jnp.where(valid, index, 0)
        return left & (left - 1), against(geom, valid, hits)

    return jax.lax.while_loop(some, body, (meets, hits))[1]

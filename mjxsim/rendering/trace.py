"""Which geom each ray meets first.

Rays come in tiles of neighbours. A tile asks first which geoms' bounding balls it can meet at all,
and then goes through those, shape by shape, as many as the fullest tile has: the picture costs what
is near each pixel, not what is in the scene. Everything is elementwise over (tiles, rays), which
every compiler turns into straight vector code.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.rendering.scene import Group, Scene
from mjxsim.rendering.shapes import Vector, dot, vector

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


def nearest(scene: Scene, poses: Poses, rays: Rays, meets: jax.Array) -> Hits:
    """The first solid geom along each ray.

    Args:
      scene: what there is.
      poses: where it is.
      rays: of t tiles.
      meets: bool (t, n), False where no ray of a tile can meet a geom.
    """
    hits = _nothing(rays)
    for group in scene.groups:
        if group.solid:
            hits = _through(group, poses, rays, meets[:, group.start : group.stop], hits)
    return hits


def blocked(
    scene: Scene, poses: Poses, rays: Rays, meets: jax.Array, nearer: jax.Array | float
) -> jax.Array:
    """Whether anything at all lies along each ray, nearer than `nearer` (t, s); bool (t, s)."""
    hits = _nothing(rays)
    for group in scene.groups:
        hits = _through(group, poses, rays, meets[:, group.start : group.stop], hits)
    return hits.t < nearer


def pick(table: jax.Array | np.ndarray, index: jax.Array) -> jax.Array:
    """Rows (..., *) of a table (n, *) by indices (...) that are known to be from 0 to n - 1.

    What is not checked need not be compiled, for every one of the many tables of a picture.
    """
    rows = jnp.asarray(table).at[index]
    return rows.get(mode="promise_in_bounds", wrap_negative_indices=False)


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


def _through(group: Group, poses: Poses, rays: Rays, meets: jax.Array, hits: Hits) -> Hits:
    """`hits` with the geoms of one group added."""
    count = group.stop - group.start
    table = [x[group.start : group.stop] for x in (poses.pos, poses.mat, poses.size)]

    def against(chosen: list[jax.Array], geom: jax.Array, valid: jax.Array, hits: Hits) -> Hits:
        pos, mat, size = chosen  # (t, 3), (t, 3, 3), (t, 3), or one for all
        origin, direction = local(pos, mat, rays)
        half = vector(size[..., i, None] for i in range(3))
        t = jnp.where(valid[..., None], group.shape.enters(half, origin, direction), jnp.inf)
        nearer = t < hits.t
        return Hits(jnp.where(nearer, t, hits.t), jnp.where(nearer, geom[..., None], hits.geom))

    if count <= _FEW:
        for i in range(count):
            hits = against([x[i] for x in table], jnp.int32(group.start + i), meets[:, i], hits)
        return hits

    rank = jnp.cumsum(meets, axis=1, dtype=jnp.int32)  # of each geom among those of the tile
    most = rank[:, -1].max()

    def body(i: jax.Array, hits: Hits) -> Hits:
        index = (rank <= i).sum(axis=1, dtype=jnp.int32)  # the tile's i-th; `count` if it has fewer
        clipped = jnp.minimum(index, count - 1)
        # Behind a barrier, so that they are not looked up again for every ray.
        chosen, valid = jax.lax.optimization_barrier(
            ([pick(x, clipped) for x in table], index < count)
        )
        return against(chosen, group.start + clipped, valid, hits)

    return jax.lax.fori_loop(0, most, body, hits)

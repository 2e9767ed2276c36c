"""Where a ray enters a primitive shape and how its surface faces, in the shape's own frame.

A vector is a tuple of its three components, each an array of any one shape: rays side by side fill
a processor's lanes. Lengths along a ray are in units of the direction's own length, which need not
be 1. A ray that misses, or enters before `after`, as one that starts inside, gets infinity; square
roots and divisions are guarded, so that gradients stay finite where a ray hits.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp

Vector = tuple[jax.Array, jax.Array, jax.Array]

_TINY = 1e-12  # instead of a zero divisor


def vector(components: Iterable[jax.Array]) -> Vector:
    """Three components as a vector."""
    x, y, z = components
    return x, y, z


def dot(a: Vector, b: Vector) -> jax.Array:
    """The scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def at(origin: Vector, direction: Vector, t: jax.Array) -> Vector:
    """The point a length `t` along a ray."""
    return vector(o + t * d for o, d in zip(origin, direction, strict=True))


def plane(size: Vector, origin: Vector, direction: Vector, after: float = 0.0) -> jax.Array:
    """The plane z = 0, seen from above; `size` are half lengths along x and y, 0 for infinite."""
    t = -origin[2] / _nonzero(direction[2])
    x, y, _ = at(origin, direction, t)
    inside = ((size[0] <= 0.0) | (jnp.abs(x) <= size[0])) & (
        (size[1] <= 0.0) | (jnp.abs(y) <= size[1])
    )
    return _entered((direction[2] < 0.0) & inside, t, after)


def ellipsoid(size: Vector, origin: Vector, direction: Vector, after: float = 0.0) -> jax.Array:
    """An ellipsoid (a sphere too) with half axes `size`."""
    ox, oy, oz = (o / s for o, s in zip(origin, size, strict=True))
    dx, dy, dz = (d / s for d, s in zip(direction, size, strict=True))
    return _ball((ox, oy, oz), (dx, dy, dz), 1.0, after)


def box(size: Vector, origin: Vector, direction: Vector, after: float = 0.0) -> jax.Array:
    """A box with half lengths `size`."""
    enters = [_slab(s, o, d) for s, o, d in zip(size, origin, direction, strict=True)]
    near = jnp.maximum(jnp.maximum(enters[0][0], enters[1][0]), enters[2][0])
    far = jnp.minimum(jnp.minimum(enters[0][1], enters[1][1]), enters[2][1])
    return _entered(near <= far, near, after)


def cylinder(size: Vector, origin: Vector, direction: Vector, after: float = 0.0) -> jax.Array:
    """A cylinder about z: `size` is its radius twice, and its half length."""
    hits, side_near, side_far = _round(size[0], origin, direction)
    cap_near, cap_far = _slab(size[2], origin[2], direction[2])
    near, far = jnp.maximum(side_near, cap_near), jnp.minimum(side_far, cap_far)
    return _entered(hits & (near <= far), near, after)


def capsule(size: Vector, origin: Vector, direction: Vector, after: float = 0.0) -> jax.Array:
    """A capsule about z: `size` is its radius twice, and its half length without the caps."""
    radius, half = size[0], size[2]
    hits, near, _ = _round(radius, origin, direction)
    z = origin[2] + near * direction[2]
    # Off the cylinder's part, the ball at the end that the ray comes by first.
    end = jnp.where(jnp.abs(z) <= half, 0.0, jnp.where(z > 0.0, half, -half))
    cap = _ball((origin[0], origin[1], origin[2] - end), direction, radius, after)
    side = _entered(near > after, near, after)
    return jnp.where(hits & (end == 0.0), side, jnp.where(hits, cap, jnp.inf))


def plane_normal(size: Vector, point: Vector) -> Vector:
    """Upwards."""
    del size
    zero = jnp.zeros_like(point[0])
    return zero, zero, zero + 1.0


def ellipsoid_normal(size: Vector, point: Vector) -> Vector:
    """Outwards at a point of the surface; of any length, as are those that follow."""
    x, y, z = (p / s**2 for p, s in zip(point, size, strict=True))
    return x, y, z


def box_normal(size: Vector, point: Vector) -> Vector:
    """Of the face that is nearest."""
    x, y, z = (jnp.abs(p) / s for p, s in zip(point, size, strict=True))
    on_x, on_y = (x >= y) & (x >= z), (y > x) & (y >= z)
    return (
        jnp.where(on_x, point[0], 0.0),
        jnp.where(on_y, point[1], 0.0),
        jnp.where(on_x | on_y, 0.0, point[2]),
    )


def cylinder_normal(size: Vector, point: Vector) -> Vector:
    """Of the side or a cap."""
    across = jnp.sqrt(point[0] ** 2 + point[1] ** 2) / size[0]
    cap = jnp.abs(point[2]) / size[2] > across
    return (
        jnp.where(cap, 0.0, point[0]),
        jnp.where(cap, 0.0, point[1]),
        jnp.where(cap, point[2], 0.0),
    )


def capsule_normal(size: Vector, point: Vector) -> Vector:
    """Away from the axis."""
    return point[0], point[1], point[2] - jnp.clip(point[2], -size[2], size[2])


def _nonzero(x: jax.Array) -> jax.Array:
    return jnp.where(jnp.abs(x) < _TINY, _TINY, x)


def _entered(hits: jax.Array, t: jax.Array, after: float) -> jax.Array:
    return jnp.where(hits & (t > after), t, jnp.inf)


def _slab(half: jax.Array, origin: jax.Array, direction: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Where a ray enters and leaves |x| <= half."""
    inverse = 1.0 / _nonzero(direction)
    a, b = (-half - origin) * inverse, (half - origin) * inverse
    return jnp.minimum(a, b), jnp.maximum(a, b)


def _roots(a: jax.Array, b: jax.Array, c: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Whether a t^2 + 2 b t + c has two roots, the smaller and the larger."""
    under = b * b - a * c
    hits = under > 0.0
    root = jnp.sqrt(jnp.where(hits, under, 1.0))
    inverse = 1.0 / jnp.maximum(a, _TINY)
    return hits, (-b - root) * inverse, (-b + root) * inverse


def _ball(origin: Vector, direction: Vector, radius: jax.Array | float, after: float) -> jax.Array:
    hits, near, _ = _roots(
        dot(direction, direction), dot(origin, direction), dot(origin, origin) - radius**2
    )
    return _entered(hits, near, after)


def _round(
    radius: jax.Array, origin: Vector, direction: Vector
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Whether, where from and where to a ray is within the endless cylinder about z."""
    a = direction[0] ** 2 + direction[1] ** 2
    b = origin[0] * direction[0] + origin[1] * direction[1]
    c = origin[0] ** 2 + origin[1] ** 2 - radius**2
    along = a < _TINY  # parallel to the axis: inside for ever, or never
    hits, near, far = _roots(jnp.where(along, 1.0, a), b, c)
    inside = c < 0.0
    return (
        jnp.where(along, inside, hits),
        jnp.where(along, -jnp.inf, near),
        jnp.where(along, jnp.inf, far),
    )


class _Enters(Protocol):
    def __call__(
        self, size: Vector, origin: Vector, direction: Vector, after: float = 0.0
    ) -> jax.Array: ...


class Shape(NamedTuple):
    """A kind of primitive."""

    enters: _Enters  # the t where a ray enters, if that is beyond `after`
    normal: Callable[[Vector, Vector], Vector]  # (size, point)
    ball: Callable[[jax.Array], jax.Array]  # sizes (n, 3) -> radius of a ball around each (n,)
    cost: int  # about how long `enters` takes, compared with the others

    def radius(self, size: jax.Array) -> jax.Array:
        """Of a ball around each geom (n,) [m], -inf where there is none: its size is zero."""
        return jnp.where(size.max(axis=-1) > 0.0, self.ball(size), -jnp.inf)


PLANE = Shape(plane, plane_normal, lambda size: jnp.full(size.shape[:-1], jnp.inf), cost=2)
ELLIPSOID = Shape(ellipsoid, ellipsoid_normal, lambda size: size.max(axis=-1), cost=4)
CAPSULE = Shape(capsule, capsule_normal, lambda size: size[..., 0] + size[..., 2], cost=6)
CYLINDER = Shape(
    cylinder, cylinder_normal, lambda size: jnp.hypot(size[..., 0], size[..., 2]), cost=5
)
BOX = Shape(box, box_normal, lambda size: jnp.sqrt((size**2).sum(axis=-1)), cost=4)
ALL = (PLANE, ELLIPSOID, CAPSULE, CYLINDER, BOX)

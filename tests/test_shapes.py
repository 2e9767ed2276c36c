"""Where rays enter shapes, against MuJoCo's `mju_rayGeom`."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from mjxsim.rendering import shapes

G = mujoco.mjtGeom
# Shape, MuJoCo's kind, its size, and the size as `shapes` takes it.
KINDS = {
    "plane": (shapes.PLANE, G.mjGEOM_PLANE, (0.4, 0.3, 0.1), (0.4, 0.3, 0.1)),
    "sphere": (shapes.ELLIPSOID, G.mjGEOM_SPHERE, (0.4, 0, 0), (0.4, 0.4, 0.4)),
    "ellipsoid": (shapes.ELLIPSOID, G.mjGEOM_ELLIPSOID, (0.5, 0.2, 0.3), (0.5, 0.2, 0.3)),
    "box": (shapes.BOX, G.mjGEOM_BOX, (0.5, 0.2, 0.3), (0.5, 0.2, 0.3)),
    "cylinder": (shapes.CYLINDER, G.mjGEOM_CYLINDER, (0.3, 0.4, 0), (0.3, 0.3, 0.4)),
    "capsule": (shapes.CAPSULE, G.mjGEOM_CAPSULE, (0.3, 0.4, 0), (0.3, 0.3, 0.4)),
}
AXES = [s * np.eye(3)[i] for i in range(3) for s in (-1.0, 1.0)]


def enters(shape: shapes.Shape, size, origins, directions) -> np.ndarray:
    """Lengths along rays (n, 3), by our functions in float32."""
    columns = [tuple(jnp.asarray(x, jnp.float32).T) for x in (origins, directions)]
    return np.asarray(shape.enters(tuple(map(jnp.float32, size)), *columns))


def expected(kind: G, size, origins, directions) -> np.ndarray:
    """The same by MuJoCo, infinite for a miss."""
    lengths = [
        mujoco.mju_rayGeom(
            np.zeros(3), np.eye(3).ravel(), np.float64(size), origin, direction, int(kind), None
        )
        for origin, direction in zip(origins, directions, strict=True)
    ]
    return np.where(np.float64(lengths) < 0, np.inf, lengths)


@pytest.mark.parametrize("name", KINDS)
def test_rays_from_anywhere_outside(name: str) -> None:
    shape, kind, size, ours = KINDS[name]
    rng = np.random.default_rng(0)
    origins = rng.normal(size=(400, 3))
    origins *= rng.uniform(1.2, 4.0, (400, 1)) / np.linalg.norm(origins, axis=1, keepdims=True)
    directions = rng.normal(scale=0.25, size=(400, 3)) - origins
    found = enters(shape, ours, origins, directions)
    right = expected(kind, size, origins, directions)
    assert 40 < np.isfinite(right).sum() < 390, "some hit and some miss"
    # A ray that grazes may be taken either way.
    differ = np.isfinite(found) != np.isfinite(right)
    assert differ.mean() <= 0.005
    both = np.isfinite(found) & np.isfinite(right)
    np.testing.assert_allclose(found[both], right[both], atol=2e-5)


@pytest.mark.parametrize("name", KINDS)
def test_rays_along_the_axes(name: str) -> None:
    """Parallel to faces, sides and axes, where a divisor is zero."""
    shape, kind, size, ours = KINDS[name]
    offsets = [np.zeros(3), np.float64([0.05, 0.07, 0.11])]
    rays = [(o - 2 * d, d) for d in AXES for o in offsets] + [
        (np.float64([0.0, 0.0, 1.0]) + 2 * d, -d)
        for d in AXES[:4]  # above: a miss
    ]
    origins, directions = map(np.array, zip(*rays, strict=True))
    if name == "plane":  # a ray within a plane is not asked about
        keep = (origins[:, 2] != 0) | (directions[:, 2] != 0)
        origins, directions = origins[keep], directions[keep]
    found = enters(shape, ours, origins, directions)
    np.testing.assert_allclose(found, expected(kind, size, origins, directions), atol=2e-6)
    assert np.isfinite(found).any()
    assert np.isinf(found).any()


@pytest.mark.parametrize("name", KINDS)
def test_rays_from_inside_see_nothing(name: str) -> None:
    """As OpenGL, which draws front faces only."""
    shape, _, _, ours = KINDS[name]
    inside = np.tile([[0.02, 0.03, -0.01]], (len(AXES), 1))  # below a plane
    assert np.isinf(enters(shape, ours, inside, AXES)).all()


@pytest.mark.parametrize("name", KINDS)
def test_normals_are_the_slope(name: str) -> None:
    """A normal is at right angles to the surface around it, and faces whom it is seen by."""
    shape, _, _, ours = KINDS[name]
    rng = np.random.default_rng(1)
    origins = 2.0 * np.float64(AXES).repeat(40, axis=0)
    directions = rng.normal(scale=0.1, size=origins.shape) - origins
    aside = 1e-3 * rng.normal(size=origins.shape)
    size = tuple(map(jnp.float32, ours))
    starts = (origins, origins + aside)
    lengths = [enters(shape, ours, o, directions) for o in starts]
    points = [o + t[:, None] * directions for o, t in zip(starts, lengths, strict=True)]
    hit = np.isfinite(lengths[0]) & np.isfinite(lengths[1])
    assert hit.sum() > 30
    normal = np.stack(np.broadcast_arrays(*shape.normal(size, tuple(jnp.float32(points[0]).T))), 1)
    normal = np.where(hit[:, None], normal, 1.0)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    step = np.where(hit[:, None], points[1], 1.0) - np.where(hit[:, None], points[0], 0.0)
    slope = np.abs((step * normal).sum(1)) / np.linalg.norm(step, axis=1)
    assert np.median(slope[hit]) < 5e-3
    assert (slope[hit] < 0.02).mean() > 0.95, "all but steps over an edge"
    assert ((normal * directions).sum(1)[hit] < 0.0).all()


@pytest.mark.parametrize("name", KINDS)
def test_gradients_are_finite(name: str) -> None:
    shape, _, _, ours = KINDS[name]

    def depth(pos: jax.Array, direction: jax.Array) -> jax.Array:
        t = shape.enters(tuple(map(jnp.float32, ours)), tuple(pos), tuple(direction))
        return jnp.where(jnp.isfinite(t), t, 0.0)

    for direction in ((0.0, 0.0, -1.0), (0.1, 0.2, -1.0), (0.0, 1.0, 0.0)):
        slope = jax.grad(depth)(jnp.float32([0.01, 0.02, 2.0]), jnp.float32(direction))
        assert np.isfinite(np.asarray(slope)).all()

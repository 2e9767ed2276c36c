"""A model's geoms as triangles, for viewers that know nothing of MuJoCo.

Coordinates are in the geom's own frame; triangles are seen from the side from which their corners
run anticlockwise. Corners are shared between triangles only where the surface is smooth, so that a
viewer that averages normals over shared corners shades edges as edges.
"""

import dataclasses

import mujoco
import numpy as np

from mjxsim.rendering.scene import rgba_of

_SHOWN = 3  # geom groups below this are drawn unless told otherwise (mjv_defaultOption)
_ENDLESS = 20.0  # [m] half the side drawn of a plane without an end
_AROUND = 32  # corners of a circle
_FACES = (  # of the unit cube: normal, and the two axes that span it, in right-handed order
    ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    ((0, 1, 0), (0, 0, 1), (1, 0, 0)),
    ((0, 0, 1), (1, 0, 0), (0, 1, 0)),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Triangles:
    """A surface."""

    corners: np.ndarray  # (n, 3) float32 [m]
    faces: np.ndarray  # (m, 3) uint32, indices of corners

    @property
    def normals(self) -> np.ndarray:
        """Unit normals (n, 3) float32 at the corners: the mean of its faces', by their area."""
        a, b, c = (self.corners[self.faces[:, i]] for i in range(3))
        sums = np.zeros_like(self.corners)
        for i in range(3):
            np.add.at(sums, self.faces[:, i], np.cross(b - a, c - a))
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        return sums / np.maximum(length, 1e-12)


def shown(model: mujoco.MjModel) -> tuple[int, ...]:
    """The geoms that MuJoCo draws unless told otherwise and that have a colour to be seen."""
    return tuple(
        i for i in range(model.ngeom) if model.geom_group[i] < _SHOWN and rgba_of(model, i)[3] > 0.0
    )


def colour_of(model: mujoco.MjModel, geom: int) -> tuple[float, float, float, float]:
    """A geom's red, green, blue and opacity, 0 to 1; a texture counts by its mean colour."""
    rgba = np.array(rgba_of(model, geom), float)
    material = model.geom_matid[geom]
    texture = -1
    if material >= 0:
        texture = model.mat_texid[material, mujoco.mjtTextureRole.mjTEXROLE_RGB]
    if texture >= 0:
        channels = int(model.tex_nchannel[texture])
        start = int(model.tex_adr[texture])
        count = int(model.tex_height[texture] * model.tex_width[texture])
        pixels = model.tex_data[start : start + count * channels].reshape(count, channels)
        rgba[:3] *= pixels[:, :3].mean(axis=0) / 255.0
    red, green, blue, alpha = (float(x) for x in np.clip(rgba, 0.0, 1.0))
    return red, green, blue, alpha


def of_geom(model: mujoco.MjModel, geom: int) -> Triangles:
    """The surface of one geom.

    Raises:
      ValueError: it is a height field or a signed distance field, which are not drawn.
    """
    kind, size = mujoco.mjtGeom(model.geom_type[geom]), model.geom_size[geom]
    match kind:
        case mujoco.mjtGeom.mjGEOM_PLANE:
            return plane(*(float(s) if s > 0.0 else _ENDLESS for s in size[:2]))
        case mujoco.mjtGeom.mjGEOM_BOX:
            return box(size)
        case mujoco.mjtGeom.mjGEOM_SPHERE:
            return ellipsoid(np.repeat(size[0], 3))
        case mujoco.mjtGeom.mjGEOM_ELLIPSOID:
            return ellipsoid(size)
        case mujoco.mjtGeom.mjGEOM_CAPSULE:
            return capsule(float(size[0]), float(size[1]))
        case mujoco.mjtGeom.mjGEOM_CYLINDER:
            return cylinder(float(size[0]), float(size[1]))
        case mujoco.mjtGeom.mjGEOM_MESH:
            return mesh(model, int(model.geom_dataid[geom]))
    name = kind.name.removeprefix("mjGEOM_").lower()
    raise ValueError(
        f"geom {model.geom(geom).name!r} is a {name}, which the web view and Rerun cannot draw: "
        "use the window or the viewer 'mujoco'"
    )


def plane(half_x: float, half_y: float) -> Triangles:
    """A rectangle about the origin, seen from +z."""
    corners = [(-half_x, -half_y, 0), (half_x, -half_y, 0), (half_x, half_y, 0)]
    corners.append((-half_x, half_y, 0))
    return _triangles(corners, [(0, 1, 2), (0, 2, 3)])


def box(half: np.ndarray) -> Triangles:
    """A box of half sizes (3,) [m]."""
    corners, faces = [], []
    for normal, u, v in np.array(_FACES):
        for sign in (1, -1):
            first = len(corners)
            corners += [
                half * (sign * normal + a * sign * u + b * v)
                for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))
            ]
            faces += [(first, first + 1, first + 2), (first, first + 2, first + 3)]
    return _triangles(corners, faces)


def ellipsoid(radii: np.ndarray) -> Triangles:
    """An ellipsoid of half axes (3,) [m]."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, _AROUND // 2 + 1)
    ball = _turned([(np.cos(angle), np.sin(angle))])
    return _triangles(ball.corners * radii, ball.faces)


def capsule(radius: float, half: float) -> Triangles:
    """A cylinder about z of half length `half` [m], and half a ball at each end."""
    angle = np.linspace(0.0, np.pi / 2, _AROUND // 4 + 1)
    rising, out = radius * np.sin(angle), radius * np.cos(angle)
    height = np.concatenate([-half - rising[::-1], half + rising])
    return _turned([(np.concatenate([out[::-1], out]), height)])


def cylinder(radius: float, half: float) -> Triangles:
    """A cylinder about z of half length `half` [m]."""
    out, ends = np.array([0.0, radius]), np.array([half, half])
    wall = (np.array([radius, radius]), np.array([-half, half]))
    return _turned([(out, -ends), wall, (out[::-1], ends)])


def mesh(model: mujoco.MjModel, index: int) -> Triangles:
    """A mesh of the model, with a corner for each pair of a vertex and a normal."""
    start, count = int(model.mesh_faceadr[index]), int(model.mesh_facenum[index])
    first = int(model.mesh_vertadr[index])
    pairs = np.stack(
        [model.mesh_face[start : start + count], model.mesh_facenormal[start : start + count]],
        axis=-1,
    ).reshape(-1, 2)
    unique, faces = np.unique(pairs, axis=0, return_inverse=True)
    return _triangles(model.mesh_vert[first + unique[:, 0]], faces.reshape(-1, 3))


def _turned(lines: list[tuple[np.ndarray, np.ndarray]]) -> Triangles:
    """Lines (distance from the z axis, height), from the lowest point up, turned about z.

    Between two lines is an edge.
    """
    turn = np.linspace(0.0, 2 * np.pi, _AROUND, endpoint=False)
    corners: list[np.ndarray] = []
    faces: list[tuple[int, int, int]] = []
    for out, height in lines:
        first = len(corners)
        for distance, z in zip(out, height, strict=True):
            corners += [np.array([distance * np.cos(t), distance * np.sin(t), z]) for t in turn]
        for ring in range(len(out) - 1):
            low = first + ring * _AROUND
            for i in range(_AROUND):
                a, b = low + i, low + (i + 1) % _AROUND
                c, d = a + _AROUND, b + _AROUND
                if out[ring] > 1e-9:
                    faces.append((a, b, d))
                if out[ring + 1] > 1e-9:
                    faces.append((a, d, c))
    return _triangles(corners, faces)


def _triangles(corners: object, faces: object) -> Triangles:
    return Triangles(np.asarray(corners, np.float32), np.asarray(faces, np.uint32))

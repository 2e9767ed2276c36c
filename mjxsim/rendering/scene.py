"""What there is to be seen in a compiled model: constant arrays, names resolved to indices."""

import dataclasses
from typing import Self

import mujoco
import numpy as np

from mjxsim.naming import unknown
from mjxsim.rendering import atlas, shapes
from mjxsim.rendering.atlas import Atlas
from mjxsim.rendering.shapes import Shape

_SHAPES: dict[int, Shape] = {
    mujoco.mjtGeom.mjGEOM_PLANE: shapes.PLANE,
    mujoco.mjtGeom.mjGEOM_SPHERE: shapes.ELLIPSOID,
    mujoco.mjtGeom.mjGEOM_ELLIPSOID: shapes.ELLIPSOID,
    mujoco.mjtGeom.mjGEOM_CAPSULE: shapes.CAPSULE,
    mujoco.mjtGeom.mjGEOM_CYLINDER: shapes.CYLINDER,
    mujoco.mjtGeom.mjGEOM_BOX: shapes.BOX,
}
_OTHER = shapes.BOX  # in place of a mesh; no ray is ever sent there
_PROPS = (shapes.BOX, shapes.ELLIPSOID, shapes.CYLINDER)  # in turn
UNPAINTED = (0.5, 0.5, 0.5, 1.0)  # a geom's own colour that stands for its material's
_SOLID = 0.995  # alpha from which MuJoCo draws a geom as solid (mjr_render)
_MOST = 32  # geoms in a group: as many bits as a word has
_SHOWN = 3  # geom groups below this are drawn unless told otherwise (mjv_defaultOption)


@dataclasses.dataclass(frozen=True, eq=False)
class Camera:
    """A camera of the model, fixed to a body."""

    body: int
    pos: np.ndarray  # (3,) [m] in the body's frame
    quat: np.ndarray  # (4,) wxyz; it looks along its -z, y is up
    fovy: float  # [deg] vertical


@dataclasses.dataclass(frozen=True, eq=False)
class Light:
    """What a light's colour cannot change; the rest is in `visual.Lights`."""

    body: int
    directional: bool
    shadow: bool
    attenuation: tuple[float, float, float]  # by 1, distance [1/m] and its square [1/m^2]
    cutoff: float  # [rad] half the angle of a spot light's cone
    exponent: float


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Geoms of one shape, at most 32: a range of a scene's geoms."""

    shape: Shape
    start: int
    stop: int
    solid: bool  # translucent geoms are seen through, and hide nothing


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """The geoms, lights and cameras of a model. n geoms are seen, solid ones first, by shape.

    Props are geoms beyond the model's, on the world body, that are not there until a `Visual`
    gives them a size.
    """

    geoms: np.ndarray  # (n,) int32 ids in the model; props count on from its last
    groups: tuple[Group, ...]
    kind: np.ndarray  # (n,) int32 index into `shapes.ALL`
    body: np.ndarray  # (n,) of each geom
    pos: np.ndarray  # (n, 3) float32 [m] in the body's frame
    quat: np.ndarray  # (n, 4)
    size: np.ndarray  # (n, 3) float32 [m]; what `shapes` takes
    props: np.ndarray  # (p,) index of each prop among the geoms: box, ellipsoid, cylinder, box, ...
    lights: tuple[Light, ...]  # the model's that are on, then the spare ones
    cameras: dict[str, Camera]
    atlas: Atlas | None  # all textures; None where no geom may have one
    near: float  # [m] what is nearer is not drawn
    far: float  # [m] the depth where nothing is
    model: mujoco.MjModel

    @property
    def solid(self) -> int:
        """How many of the geoms are solid."""
        return max((g.stop for g in self.groups if g.solid), default=0)

    @classmethod
    def of(
        cls,
        model: mujoco.MjModel,
        *,
        props: int = 0,
        spare_lights: int = 0,
        patterns: np.ndarray | None = None,
    ) -> Self:
        """Reads a compiled model.

        Args:
          model: the compiled model.
          props: how many geoms of its own each world may get.
          spare_lights: how many lights of its own; they shine from a point and cast no shadow.
          patterns: (k, s, s, 3) float32 textures beside the model's own, the first all ones; s a
            power of two.

        Raises:
          ValueError: it has a camera that follows something.
        """
        shown = [
            i
            for i in range(model.ngeom)
            if model.geom_group[i] < _SHOWN and rgba_of(model, i)[3] > 0.0
        ]
        entries = [
            (bool(rgba_of(model, i)[3] >= _SOLID), _SHAPES.get(int(model.geom_type[i]), _OTHER), i)
            for i in shown
        ]
        entries += [(True, _PROPS[p % len(_PROPS)], model.ngeom + p) for p in range(props)]
        entries.sort(key=lambda e: (not e[0], shapes.ALL.index(e[1]), e[2]))
        groups: list[Group] = []
        for position, (solid, shape, _) in enumerate(entries):
            if (
                groups
                and (groups[-1].shape, groups[-1].solid) == (shape, solid)
                and position - groups[-1].start < _MOST
            ):
                groups[-1] = dataclasses.replace(groups[-1], stop=position + 1)
            else:
                groups.append(Group(shape, position, position + 1, solid))
        geoms = np.array([i for _, _, i in entries], np.int32)
        own = geoms < model.ngeom
        ids = np.where(own, geoms, 0)
        still = np.array([1, 0, 0, 0], np.float32)
        return cls(
            geoms=geoms,
            groups=tuple(groups),
            kind=np.array([shapes.ALL.index(shape) for _, shape, _ in entries], np.int32),
            body=np.where(own, model.geom_bodyid[ids], 0),
            pos=np.where(own[:, None], model.geom_pos[ids], 0.0).astype(np.float32),
            quat=np.where(own[:, None], model.geom_quat[ids], still).astype(np.float32),
            size=np.where(
                own[:, None], sizes(model.geom_type[ids], model.geom_size[ids]), np.float32(0)
            ),
            props=np.array(
                [np.flatnonzero(geoms == model.ngeom + p)[0] for p in range(props)], int
            ),
            lights=tuple(_light(model, int(i)) for i in np.flatnonzero(model.light_active))
            + (_SPARE,) * spare_lights,
            cameras={model.camera(i).name: _camera(model, i) for i in range(model.ncam)},
            atlas=atlas.of(model, patterns),
            near=float(model.vis.map.znear * model.stat.extent),
            far=float(model.vis.map.zfar * model.stat.extent),
            model=model,
        )

    @property
    def primitive(self) -> bool:
        """Whether rays can be cast: it shows neither meshes nor height fields."""
        return all(int(self.model.geom_type[i]) in _SHAPES for i in self._own)

    def check_primitive(self) -> None:
        """Raises ValueError, one line, unless it is `primitive` and shows anything at all."""
        if not len(self.geoms):
            raise ValueError(
                f"there is nothing to draw: the model has no geom in groups 0 to {_SHOWN - 1} with "
                "an alpha above 0"
            )
        for i in self._own:
            if int(self.model.geom_type[i]) not in _SHAPES:
                kind = mujoco.mjtGeom(self.model.geom_type[i]).name.removeprefix("mjGEOM_").lower()
                raise ValueError(
                    f"geom {self.model.geom(i).name!r} is a {kind}, which the JAX renderer cannot "
                    "draw: use renderer='gl'"
                )

    @property
    def _own(self) -> np.ndarray:
        return self.geoms[self.geoms < self.model.ngeom]

    def camera(self, name: str) -> Camera:
        """The camera of that name.

        Raises:
          ValueError: there is none.
        """
        if name not in self.cameras:
            raise ValueError(unknown("camera", name, self.cameras))
        return self.cameras[name]


def rgba_of(model: mujoco.MjModel, geom: int) -> np.ndarray:
    """The colour (4,) of a geom, or of the material whose colour it leaves as it is."""
    material, own = model.geom_matid[geom], model.geom_rgba[geom]
    # As mjv_updateScene (setMaterial).
    return model.mat_rgba[material] if material >= 0 and (own == UNPAINTED).all() else own


def sizes(kinds: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Three numbers per geom as `shapes` takes them, from what a model has; float32 (n, 3)."""
    radius, half = size[:, 0], size[:, 1]
    result = size.astype(np.float32)
    ball = kinds == mujoco.mjtGeom.mjGEOM_SPHERE
    result[ball] = radius[ball, None]
    for kind in (mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_CYLINDER):
        about_z = kinds == kind
        result[about_z] = np.stack([radius, radius, half], axis=1)[about_z]
    return result


_SPARE = Light(0, False, False, (1.0, 0.0, 0.0), np.pi, 0.0)


def _light(model: mujoco.MjModel, light: int) -> Light:
    a, b, c = (float(x) for x in model.light_attenuation[light])
    everywhere = model.light_type[light] == mujoco.mjtLightType.mjLIGHT_POINT
    return Light(
        body=int(model.light_bodyid[light]),
        directional=model.light_type[light] == mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        shadow=bool(model.light_castshadow[light]),
        attenuation=(a, b, c),
        cutoff=np.pi if everywhere else float(np.deg2rad(model.light_cutoff[light])),
        exponent=0.0 if everywhere else float(model.light_exponent[light]),
    )


def _camera(model: mujoco.MjModel, camera: int) -> Camera:
    if model.cam_mode[camera] != mujoco.mjtCamLight.mjCAMLIGHT_FIXED:
        raise ValueError(
            f"camera {model.camera(camera).name!r} follows something; the JAX renderer takes "
            "cameras fixed to a body"
        )
    return Camera(
        body=int(model.cam_bodyid[camera]),
        pos=model.cam_pos[camera].astype(np.float32),
        quat=model.cam_quat[camera].astype(np.float32),
        fovy=float(model.cam_fovy[camera]),
    )

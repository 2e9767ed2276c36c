"""An open-topped bin that stands on the table, out of four thin walls."""

import itertools
from dataclasses import dataclass

import mujoco

__all__ = ["Bin"]


@dataclass(frozen=True)
class Bin:
    """Four walls around a square of the table; things in it lie on the table itself.

    What is seen are thin boxes; fingertips touch these. What objects touch is a capsule inside
    each wall's rim: a box that meets a wall or falls on a rim meets it there, as long as it is
    taller than the bin, and MJX collides a capsule with a box at a fraction of the cost of a box
    with a box.

    Attributes:
      name: Of its body; its geoms' names begin with it.
      pos: x, y of its middle on the table [m].
      half_size: From the middle to the inner face of a wall [m].
      height: Of the walls [m].
      thickness: Of the walls [m].
      rgba: Colour, each in [0, 1].
    """

    name: str
    pos: tuple[float, float]
    half_size: float = 0.045
    height: float = 0.03
    thickness: float = 0.006
    rgba: tuple[float, float, float, float] = (0.45, 0.5, 0.58, 1.0)

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for a size that is not positive or a rim without walls."""
        if min(self.half_size, self.height, self.thickness) <= 0.0:
            raise ValueError(
                f"bin '{self.name}': half_size, height and thickness must be positive [m], got "
                f"{self.half_size}, {self.height}, {self.thickness}"
            )
        if self.thickness > self.height:
            raise ValueError(
                f"bin '{self.name}': thickness must not exceed height ({self.height} m), got "
                f"{self.thickness} m"
            )

    @property
    def object_geoms(self) -> tuple[str, ...]:
        return tuple(f"{self.name}_rim_{i}" for i in range(4))

    @property
    def handle_geoms(self) -> tuple[str, ...]:
        return ()

    @property
    def guard_geoms(self) -> tuple[str, ...]:
        return tuple(f"{self.name}_wall_{i}" for i in range(4))

    @property
    def qpos(self) -> tuple[float, ...]:
        return ()

    def add(self, spec: mujoco.MjSpec) -> None:
        body = spec.worldbody.add_body(name=self.name, pos=[*self.pos, 0.0])
        half = 0.5 * self.thickness
        middle = self.half_size + half  # of a wall
        walls = itertools.product((0, 1), (-1.0, 1.0))
        for (axis, side), wall, rim in zip(walls, self.guard_geoms, self.object_geoms, strict=True):
            pos = [0.0, 0.0, 0.5 * self.height]
            pos[axis] = side * middle
            size = [0.0, 0.0, 0.5 * self.height]
            size[axis], size[1 - axis] = half, self.half_size + (self.thickness if axis else 0.0)
            _add_geom(body, wall, mujoco.mjtGeom.mjGEOM_BOX, pos, size, self.rgba, 2)
            end = [0.0, 0.0, self.height - half]
            end[axis] = side * middle
            start = end.copy()
            start[1 - axis], end[1 - axis] = -middle, middle
            capsule = mujoco.mjtGeom.mjGEOM_CAPSULE
            geom = _add_geom(body, rim, capsule, [0, 0, 0], [half, 0, 0], self.rgba, 3)
            geom.fromto = [*start, *end]
        box = mujoco.mjtGeom.mjGEOM_BOX
        size = [self.half_size, self.half_size, 0.0005]
        dark = (*(0.6 * c for c in self.rgba[:3]), self.rgba[3])
        _add_geom(body, f"{self.name}_floor", box, [0, 0, 0.0005], size, dark, 2)


def _add_geom(
    body: mujoco.MjsBody,
    name: str,
    shape: mujoco.mjtGeom,
    pos: list[float],
    size: list[float],
    rgba: tuple[float, ...],
    group: int,
) -> mujoco.MjsGeom:
    return body.add_geom(
        name=name,
        type=shape,
        pos=pos,
        size=size,
        rgba=rgba,
        contype=0,
        conaffinity=0,
        group=group,
        mass=0,
    )

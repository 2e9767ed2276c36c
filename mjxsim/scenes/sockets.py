"""A block with a square hole, for a square peg."""

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

__all__ = ["Socket"]


@dataclass(frozen=True)
class Socket:
    """A block with a square hole down to the table, on a mocap body: every world can place it.

    What a peg touches are spheres inside the walls, tangent to the hole: in each wall a row of
    three at the rim, and one near the table which keeps the peg from tilting. A sphere against a
    box is one cheap contact where two boxes are several dear ones. The row overlaps, so that no
    corner of a turned peg passes between two of them; it lets an aligned peg turn by as much as
    clearance / (0.75 hole) rad. Its top is the rounded lip that real sockets have as a lead-in.
    Fingertips touch the whole block: they are wider than the hole.

    Attributes:
      name: Of its body.
      hole: Half the width of the hole [m].
      wall: Thickness of the wall at its thinnest, which is twice the lip's radius [m].
      height: Of the block and depth of the hole [m].
      rgba: Colour, each in [0, 1].
      pos: Initial x, y of its axis on the table [m].
    """

    name: str = "socket"
    hole: float = 0.017
    wall: float = 0.016
    height: float = 0.04
    rgba: tuple[float, float, float, float] = (0.25, 0.42, 0.62, 1.0)
    pos: tuple[float, float] = (0.5, -0.1)

    def __post_init__(self) -> None:
        """Raise ValueError for a size that is not positive or a hole shallower than its lip."""
        if not (self.hole > 0.0 and self.wall > 0.0):
            raise ValueError(
                f"socket '{self.name}': hole and wall must be positive [m], got {self.hole} and "
                f"{self.wall}"
            )
        if self.wall < _ALONG * self.hole:
            raise ValueError(
                f"socket '{self.name}': wall must be at least {_ALONG} times hole "
                f"({self.hole} m), got {self.wall} m"
            )
        if self.height < 2.0 * self.wall:
            raise ValueError(
                f"socket '{self.name}': height must be at least twice the wall's {self.wall} m, "
                f"got {self.height} m"
            )

    @property
    def lip(self) -> float:
        """Radius of the rim's rounding and of the spheres in the walls [m]."""
        return 0.5 * self.wall

    @property
    def object_geoms(self) -> tuple[str, ...]:
        """See `Fixture`: the spheres."""
        rim = tuple(f"{self.name}_rim_{i}" for i in range(12))
        return rim + tuple(f"{self.name}_foot_{i}" for i in range(4))

    @property
    def handle_geoms(self) -> tuple[str, ...]:
        """See `Fixture`: none."""
        return ()

    @property
    def guard_geoms(self) -> tuple[str, ...]:
        """See `Fixture`: the block as if it had no hole."""
        return (f"{self.name}_block",)

    @property
    def qpos(self) -> tuple[float, ...]:
        """See `Fixture`: it has no joint."""
        return ()

    def add(self, spec: mujoco.MjSpec) -> None:
        """See `Fixture`."""
        body = spec.worldbody.add_body(name=self.name, pos=[*self.pos, 0.0], mocap=True)
        half, lip, outer = self.height / 2, self.lip, self.hole + self.wall
        sphere, box = mujoco.mjtGeom.mjGEOM_SPHERE, mujoco.mjtGeom.mjGEOM_BOX
        for i, (side, along) in enumerate(itertools.product(range(4), (-1, 0, 1))):
            at = _in_wall(side, self.hole + lip, along * _ALONG * self.hole)
            top = [*at, self.height - lip]
            _add(body, sphere, [lip, 0, 0], top, _SHAPE, 3, name=f"{self.name}_rim_{i}")
        for side in range(4):
            foot = [*_in_wall(side, self.hole + lip), lip]
            _add(body, sphere, [lip, 0, 0], foot, _SHAPE, 3, name=f"{self.name}_foot_{side}")
        block = [outer, outer, half]
        _add(body, box, block, [0, 0, half], _SHAPE, 3, name=f"{self.name}_block")
        # What is seen: four walls, each with a rounded edge along the hole.
        low, capsule = self.height - lip, mujoco.mjtGeom.mjGEOM_CAPSULE
        for side in range(4):
            inner, outside = (_in_wall(side, self.hole + share * lip) for share in (0.5, 1.5))
            turned = _about_z(side)
            seen = functools.partial(_add, body, rgba=self.rgba, group=2)
            seen(box, [lip / 2, self.hole + lip, low / 2], [*inner, low / 2], quat=turned)
            length = outer if side % 2 else self.hole + lip  # so that no two faces coincide
            seen(box, [lip / 2, length, half], [*outside, half], quat=turned)
            along = np.zeros(4)
            mujoco.mju_mulQuat(along, turned, [math.sqrt(0.5), math.sqrt(0.5), 0, 0])
            edge = [*_in_wall(side, self.hole + lip), low]
            seen(capsule, [lip, self.hole + lip, 0], edge, quat=along.tolist())


_SHAPE = (0.2, 0.7, 0.3, 0.5)
_ALONG = 0.75  # share of half the hole's width between two spheres of a row


def _in_wall(side: int, out: float, along: float = 0.0) -> tuple[float, float]:
    """The point `out` from the axis and `along` one of the four walls [m]."""
    cos, sin = math.cos(side * math.pi / 2), math.sin(side * math.pi / 2)
    return out * cos - along * sin, out * sin + along * cos


def _about_z(side: int) -> tuple[float, float, float, float]:
    """The quaternion of that wall's direction."""
    return math.cos(side * math.pi / 4), 0.0, 0.0, math.sin(side * math.pi / 4)


def _add(
    body: mujoco.MjsBody,
    shape: mujoco.mjtGeom,
    size: list[float],
    pos: list[float],
    rgba: tuple[float, float, float, float],
    group: int,
    *,
    name: str = "",
    quat: Sequence[float] = (1.0, 0.0, 0.0, 0.0),
) -> None:
    body.add_geom(
        name=name,
        type=shape,
        size=size,
        pos=pos,
        quat=quat,
        rgba=rgba,
        contype=0,
        conaffinity=0,
        group=group,
    )

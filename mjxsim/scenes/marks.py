"""Marks on the table that show a goal and touch nothing."""

from dataclasses import dataclass

import mujoco

__all__ = ["Disc"]


@dataclass(frozen=True)
class Disc:
    """A flat disc that a task moves by its mocap pose.

    Attributes:
      name: Of its body and its geom.
      radius: [m].
      rgba: Colour, each in [0, 1].
    """

    name: str
    radius: float
    rgba: tuple[float, float, float, float] = (0.2, 0.75, 0.3, 0.7)

    @property
    def object_geoms(self) -> tuple[str, ...]:
        return ()

    @property
    def handle_geoms(self) -> tuple[str, ...]:
        return ()

    @property
    def guard_geoms(self) -> tuple[str, ...]:
        return ()

    @property
    def qpos(self) -> tuple[float, ...]:
        return ()

    def add(self, spec: mujoco.MjSpec) -> None:
        body = spec.worldbody.add_body(name=self.name, mocap=True)
        body.add_geom(
            name=self.name,
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            # Its underside is at the body's origin, which is then on the table.
            size=[self.radius, _HALF_HEIGHT, 0],
            pos=[0, 0, _HALF_HEIGHT],
            rgba=self.rgba,
            contype=0,
            conaffinity=0,
            group=2,
            mass=0,
        )


_HALF_HEIGHT = 0.0005  # [m]

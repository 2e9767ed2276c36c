"""Bodies of a scene that stand on the table: bins, cabinets, sockets."""

from typing import Protocol

import mujoco

__all__ = ["Fixture"]


class Fixture(Protocol):
    """A frozen dataclass that adds bodies to a scene and names the geoms that can be touched.

    The geoms carry contype = conaffinity = 0: contacts come from the pairs that the scene makes.
    """

    @property
    def object_geoms(self) -> tuple[str, ...]:
        """Geoms that objects touch, with the object's friction."""
        ...

    @property
    def handle_geoms(self) -> tuple[str, ...]:
        """Geoms that fingers grasp, with the pads' friction."""
        ...

    @property
    def guard_geoms(self) -> tuple[str, ...]:
        """Geoms that keep fingertips out, without friction."""
        ...

    @property
    def qpos(self) -> tuple[float, ...]:
        """Its joints at the start [m, rad]."""
        ...

    def add(self, spec: mujoco.MjSpec) -> None:
        """Adds its bodies and joints to `spec` (in place: an MjSpec is a builder)."""
        ...

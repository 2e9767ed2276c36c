"""Free bodies that a scene holds."""

from dataclasses import dataclass

import mujoco

from mjxsim.naming import unknown

__all__ = ["SHAPES", "ObjectSpec"]

# Shape -> MuJoCo geom type and the number of sizes it takes.
SHAPES: dict[str, tuple[mujoco.mjtGeom, int]] = {
    "box": (mujoco.mjtGeom.mjGEOM_BOX, 3),
    "sphere": (mujoco.mjtGeom.mjGEOM_SPHERE, 1),
    "capsule": (mujoco.mjtGeom.mjGEOM_CAPSULE, 2),
    "cylinder": (mujoco.mjtGeom.mjGEOM_CYLINDER, 2),
}


@dataclass(frozen=True)
class ObjectSpec:
    """One free body made of one primitive geom of uniform density.

    The body and its geom are both called `name`; its free joint is called `<name>_joint`.

    Attributes:
      name: Unique in the scene.
      shape: "box", "sphere", "capsule" or "cylinder".
      half_size: [m]. box: half-lengths x, y, z; sphere: radius; capsule and cylinder: radius and
        half-length along z (a capsule's caps come on top).
      mass: [kg].
      rgba: Colour, each in [0, 1].
      friction: Sliding friction against the table.
      pos: Initial x, y of the centre on the table, base frame [m]; it starts resting at z = 0.
    """

    name: str = "object"
    shape: str = "box"
    half_size: tuple[float, ...] = (0.02, 0.02, 0.02)
    mass: float = 0.1
    rgba: tuple[float, float, float, float] = (0.85, 0.25, 0.2, 1.0)
    friction: float = 0.6
    pos: tuple[float, float] = (0.5, 0.0)

    def __post_init__(self) -> None:
        """Checks shape, sizes, mass and friction.

        Raises:
          ValueError: naming the bad value and the valid ones.
        """
        if self.shape not in SHAPES:
            raise ValueError(unknown(f"shape of object '{self.name}'", self.shape, SHAPES))
        count = SHAPES[self.shape][1]
        if len(self.half_size) != count or min(self.half_size) <= 0:
            raise ValueError(
                f"object '{self.name}': a {self.shape} takes {count} positive half_size value(s) "
                f"[m], got {self.half_size}"
            )
        if self.mass <= 0 or self.friction <= 0:
            raise ValueError(
                f"object '{self.name}': mass [kg] and friction must be positive, got mass "
                f"{self.mass} and friction {self.friction}"
            )

    @property
    def rest_height(self) -> float:
        """Height of the centre above the table at rest in the initial orientation [m]."""
        if self.shape == "capsule":
            return self.half_size[0] + self.half_size[1]
        return self.half_size[-1]

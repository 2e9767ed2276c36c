"""Which of a scene's geoms are what: resolved once, from names in the compiled model."""

import dataclasses
from typing import Self

import mujoco
import numpy as np

from mjxsim.rendering.scene import Scene, rgba_of
from mjxsim.robots.base import RobotSpec

__all__ = ["Part", "Parts"]

_TABLE = "table_"  # what the names of its top and legs begin with


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Solid geoms of one kind, as one dresses them."""

    geoms: np.ndarray  # (g,) int indices among the scene's
    owner: np.ndarray  # (g,) int which draw each of them takes, from 0
    kept: np.ndarray  # (owners,) bool, whether the colour is to stay

    @property
    def owners(self) -> int:
        return len(self.kept)


@dataclasses.dataclass(frozen=True, eq=False)
class Parts:
    """All solid geoms of a model in a scene, by kind; props and what is translucent are in none.

    Geoms that have the same colour and are on the same object or fixture, or are all the robot's,
    the table's or the floor's, are dressed alike.
    """

    objects: Part
    table: Part
    robot: Part
    floor: Part
    fixtures: Part

    @classmethod
    def of(cls, scene: Scene, robot: RobotSpec, keep: tuple[str, ...] | None = None) -> Self:
        """Looks at every solid geom's body.

        Args:
          scene: with the robot in it.
          robot: whose bodies are known by their names.
          keep: bodies of objects and fixtures that are to keep their colours; None for all objects
            where there are several, and all fixtures.
        """
        model = scene.model
        own = {body.name for body in robot.load().bodies} - {"world"}
        rows: dict[str, list[tuple[int, tuple[int, bytes]]]] = {
            f.name: [] for f in dataclasses.fields(cls)
        }
        for i, geom in enumerate(scene.geoms[: scene.solid]):
            if geom >= model.ngeom:
                continue
            body = int(model.geom_bodyid[geom])
            root = int(model.body_rootid[body])
            paint = rgba_of(model, int(geom)).tobytes()
            if body == 0:
                table = model.geom(int(geom)).name.startswith(_TABLE)
                rows["table" if table else "floor"].append((i, (0, paint)))
            elif model.body(body).name in own:
                rows["robot"].append((i, (0, paint)))
            else:
                rows["objects" if _free(model, root) else "fixtures"].append((i, (root, paint)))
        several = len({owner[0] for _, owner in rows["objects"]}) > 1
        by_default = {"objects": several, "fixtures": True}

        def part(name: str) -> Part:
            owners = list(dict.fromkeys(owner for _, owner in rows[name]))
            kept = [
                by_default.get(name, False) if keep is None else model.body(root).name in keep
                for root, _ in owners
            ]
            return Part(
                geoms=np.array([i for i, _ in rows[name]], int),
                owner=np.array([owners.index(owner) for _, owner in rows[name]], int),
                kept=np.array(kept, bool),
            )

        return cls(**{name: part(name) for name in rows})


def _free(model: mujoco.MjModel, body: int) -> bool:
    first = model.body_jntadr[body]
    return bool(first >= 0 and model.jnt_type[first] == mujoco.mjtJoint.mjJNT_FREE)

"""`--env.type=mjxsim`: what LeRobot's commands ask of an environment."""

import dataclasses
import functools
import json
from dataclasses import dataclass, field
from typing import Any

import gymnasium
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig

from mjxsim.compat.lerobot import remote, worlds
from mjxsim.compat.lerobot.spec import Shapes, WorldSpec, measure
from mjxsim.naming import unknown

VECTORIZATIONS = ("native", "lerobot")
_measured = functools.lru_cache(measure)

if "create_envs" not in vars(EnvConfig):  # LeRobot before 0.5
    remote.add_envs()


@EnvConfig.register_subclass("mjxsim")
@dataclass
class MjxsimEnvConfig(EnvConfig):
    """A task of mjxsim; the fields are those of `WorldSpec`, and:

    Attributes:
      vectorization: With LeRobot 0.6. "native": one batch, whatever `eval.use_async_envs` says.
        "lerobot": one environment per world, in processes if `eval.use_async_envs`.
    """

    task: str | None = "pick_cube"
    fps: int = 20
    robot: str = "panda"
    engine: str = "auto"
    control: str = "ee_delta"
    units: str = "mjxsim"
    cameras: list[str] = field(default_factory=lambda: ["front", "wrist"])
    height: int = 128
    width: int = 128
    renderer: str = "auto"
    hidden: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    vectorization: str = "native"

    def __post_init__(self) -> None:
        """Fills in features; raises ValueError, one line, for worlds that cannot be made."""
        if self.vectorization not in VECTORIZATIONS:
            raise ValueError(unknown("vectorization", self.vectorization, VECTORIZATIONS))
        shapes = self.shapes
        found = {
            "action": PolicyFeature(type=FeatureType.ACTION, shape=(shapes.action,)),
            "observation.state": PolicyFeature(type=FeatureType.STATE, shape=(shapes.state,)),
        }
        if shapes.environment:
            found["observation.environment_state"] = PolicyFeature(
                type=FeatureType.ENV, shape=(shapes.environment,)
            )
        picture = PolicyFeature(type=FeatureType.VISUAL, shape=(self.height, self.width, 3))
        found |= {f"observation.images.{camera}": picture for camera in self.cameras}
        self.features = found
        self.features_map = {name: name for name in found}

    @property
    def spec(self) -> WorldSpec:
        """Which worlds."""
        return WorldSpec(
            task=self.task or "pick_cube",
            robot=self.robot,
            engine=self.engine,
            control=self.control,
            units=self.units,
            cameras=tuple(self.cameras),
            height=self.height,
            width=self.width,
            renderer=self.renderer,
            hidden=tuple(self.hidden),
            fps=self.fps,
            settings=json.dumps(self.settings, sort_keys=True),
        )

    @property
    def shapes(self) -> Shapes:
        """What a world takes and gives."""
        return _measured(self.spec)

    @property
    def package_name(self) -> str:
        """What LeRobot imports if gymnasium does not know `gym_id`."""
        return "mjxsim"

    @property
    def gym_id(self) -> str:
        """What LeRobot 0.4 makes."""
        worlds.register()
        return worlds.GYM_ID

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        """With what LeRobot makes it."""
        return {"spec": self.spec.to_json(), "shapes": dataclasses.asdict(self.shapes)}

    def create_envs(
        self, n_envs: int, use_async_envs: bool = False
    ) -> dict[str, dict[int, VectorEnv]]:
        """What LeRobot 0.6 evaluates in: {"mjxsim": {0: a vector environment}}."""
        return {self.type: {0: self._create(n_envs, use_async_envs)}}

    def _create(self, n_envs: int, use_async_envs: bool) -> VectorEnv:
        if self.vectorization == "native":
            return worlds.Worlds(self.spec, n_envs)
        make = functools.partial(gymnasium.make, self.gym_id, **self.gym_kwargs)
        if not (use_async_envs and n_envs > 1):
            return SyncVectorEnv([make] * n_envs, autoreset_mode=AutoresetMode.SAME_STEP)
        # Not "fork": JAX may run here already.
        entry = functools.partial(worlds.World, **self.gym_kwargs)
        return AsyncVectorEnv(
            [entry] * n_envs, context="spawn", autoreset_mode=AutoresetMode.SAME_STEP
        )

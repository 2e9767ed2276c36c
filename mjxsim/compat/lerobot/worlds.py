"""The worlds that LeRobot evaluates policies in: a native batch, or one at a time."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import jax
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from mjxsim.compat.lerobot.remote import MARK
from mjxsim.compat.lerobot.spec import Shapes, WorldSpec, measure
from mjxsim.compat.lerobot.view import AGENT, FEATURES, PIXELS, SURROUNDINGS, SeenEnv
from mjxsim.envs.env import Observation
from mjxsim.envs.gym_env import Info
from mjxsim.envs.vector import BatchedVectorEnv

GYM_ID = "mjxsim_lerobot/World-v0"
# What LeRobot 0.6 puts into the options of a reset that begins a rollout.
_THEIR_OPTIONS = ("lerobot_new_rollout",)
_started_in: int | None = None  # the process in which JAX runs because of us

Nested = dict[str, Any]  # {"agent_pos": array, "pixels": {camera: array}, ...}


class Worlds(BatchedVectorEnv):
    """`num_envs` worlds stepped by one compiled program, as LeRobot asks for a VectorEnv.

    Observations are {"agent_pos": float32 (n, state), "pixels": {camera: uint8 (n, h, w, 3)}}, or
    without cameras {"agent_pos", "environment_state"}, and again under the names of `FEATURES`.
    `infos["is_success"]` is there at every step and reset.

    Args:
      spec: which worlds.
      num_envs: how many.
      autoreset_mode: as of `BatchedVectorEnv`.

    Raises:
      ValueError: the specification is wrong; one line.
      RuntimeError: the engine is not installed.
    """

    def __init__(
        self,
        spec: WorldSpec,
        num_envs: int,
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
    ) -> None:
        global _started_in  # noqa: PLW0603  # a fact about the process
        _started_in = os.getpid()
        env = SeenEnv.build(spec)
        super().__init__(env, num_envs, autoreset_mode=autoreset_mode, render_mode="rgb_array")
        self.world_spec = spec
        self.shapes = env.shapes
        low, high = env.bounds
        self.single_action_space = spaces.Box(low, high, dtype=np.float32)
        self.single_observation_space = observation_space(spec, self.shapes)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self._seen: Nested = {}
        self._said: tuple[str, ...] = ("",) * num_envs

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Nested, Info]:
        """See `BatchedVectorEnv.reset`; LeRobot's own options are taken for what they are."""
        ours = {k: v for k, v in (options or {}).items() if k not in _THEIR_OPTIONS}
        observation, info = super().reset(seed=seed, options=ours)
        self._remember(observation, info)
        return self._seen, info

    def step(self, actions: np.ndarray) -> tuple[Nested, np.ndarray, np.ndarray, np.ndarray, Info]:
        """See `BatchedVectorEnv.step`."""
        observation, reward, terminated, truncated, info = super().step(actions)
        self._remember(observation, info)
        return self._seen, reward, terminated, truncated, info

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """What each world has under a name that LeRobot asks for.

        Raises:
          AttributeError: another name.
        """
        if name == "render":
            return self.render() or ()
        return self.get_attr(name)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """`_max_episode_steps`, `task` or `task_description` of each world.

        Raises:
          AttributeError: another name.
        """
        known = {
            "_max_episode_steps": (self.shapes.episode_steps,) * self.num_envs,
            "task": (self.world_spec.task,) * self.num_envs,
            "task_description": self._said,
        }
        if name not in known:
            raise AttributeError(f"these worlds have {', '.join(known)}, not {name!r}")
        return known[name]

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture of each world, uint8 (h, w, 3): what its cameras see, side by side.

        Without cameras OpenGL draws it.
        """
        if PIXELS not in self._seen:
            return super().render()
        return tuple(np.concatenate(list(self._seen[PIXELS].values()), axis=2))

    def _remember(self, observation: Any, info: Info) -> None:
        self._seen = observation
        self._said = tuple(str(text) for text in info["instruction"])

    def _numpy(self, observation: Observation) -> Nested:
        """Out of the device, with the pictures by camera under one name."""
        assert isinstance(observation, Mapping)
        seen: Nested = {}
        for name, value in jax.device_get(dict(observation)).items():
            kind, _, camera = name.partition(".")
            if camera:
                seen.setdefault(kind, {})[camera] = np.array(value)
            else:
                seen[name] = seen[FEATURES[name]] = np.array(value)
        return seen


class World(gymnasium.Env[Nested, np.ndarray]):
    """One such world, which starts JAX at its first reset: LeRobot may fork it before that.

    Args:
      spec: which world, as JSON.
      shapes: what it takes and gives, as a dictionary; measured by another process if None.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["rgb_array"],
        "render_fps": 20,
        MARK: True,
    }

    def __init__(
        self, spec: str, shapes: dict[str, int] | None = None, render_mode: str = "rgb_array"
    ) -> None:
        self._spec = WorldSpec.from_json(spec)
        self._shapes = Shapes(**shapes) if shapes else measure(self._spec)
        self.metadata = {**self.metadata, "render_fps": self._shapes.fps}
        self.render_mode = render_mode
        self.observation_space = observation_space(self._spec, self._shapes)
        self.action_space = action_space(self._spec, self._shapes)
        self._max_episode_steps = self._shapes.episode_steps  # where LeRobot looks for it
        self.task = self._spec.task
        self._worlds: Worlds | None = None

    @property
    def task_description(self) -> str:
        """What a person would say for this episode's goal."""
        return self._started().get_attr("task_description")[0]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Nested, Info]:
        """Starts an episode; see `Worlds.reset`."""
        seeds = None if seed is None else [seed]
        observation, info = self._started().reset(seed=seeds, options=options)
        return _first(observation), _scalars(info)

    def step(self, action: np.ndarray) -> tuple[Nested, float, bool, bool, Info]:
        """One control step; see `Worlds.step`."""
        observation, reward, terminated, truncated, info = self._started().step(
            np.asarray(action)[None]
        )
        ends = float(reward[0]), bool(terminated[0]), bool(truncated[0])
        return _first(observation), *ends, _scalars(info)

    def render(self) -> np.ndarray:
        """A picture, uint8 (h, w, 3); see `Worlds.render`."""
        (picture,) = self._started().call("render")
        return picture

    def close(self) -> None:
        """Frees the renderer."""
        if self._worlds is not None:
            self._worlds.close()

    def _started(self) -> Worlds:
        if self._worlds is None:
            if _started_in not in (None, os.getpid()):
                raise RuntimeError(
                    "JAX ran before this process was forked and cannot run here: pass "
                    "--eval.use_async_envs=false"
                )
            # One world is stepped fastest, and without a fight for a GPU, by the CPU's engine.
            engine = "c" if self._spec.engine == "auto" else self._spec.engine
            spec = dataclasses.replace(self._spec, engine=engine)
            self._worlds = Worlds(spec, 1, AutoresetMode.DISABLED)
        return self._worlds


def observation_space(spec: WorldSpec, shapes: Shapes) -> spaces.Dict:
    """What one world shows."""
    found: dict[str, spaces.Space] = {
        AGENT: spaces.Box(-np.inf, np.inf, (shapes.state,), np.float32)
    }
    if shapes.environment:
        found[SURROUNDINGS] = spaces.Box(-np.inf, np.inf, (shapes.environment,), np.float32)
    if spec.cameras:
        picture = spaces.Box(0, 255, (spec.height, spec.width, 3), np.uint8)
        found[PIXELS] = spaces.Dict(dict.fromkeys(spec.cameras, picture))
    again = {FEATURES[name]: space for name, space in found.items() if name in FEATURES}
    return spaces.Dict({**found, **again})


def action_space(spec: WorldSpec, shapes: Shapes) -> spaces.Box:
    """What one world takes. With LeRobot's units the arm's limits clip what is sent."""
    reach = np.inf if spec.units == "lerobot" else 1.0
    return spaces.Box(-reach, reach, (shapes.action,), np.float32)


def register() -> None:
    """Makes gymnasium know `GYM_ID`; LeRobot 0.4 makes environments by id."""
    if GYM_ID not in gymnasium.registry:
        # No wrappers: LeRobot looks for `task_description` on the environment itself.
        gymnasium.register(
            GYM_ID, entry_point=f"{__name__}:World", order_enforce=False, disable_env_checker=True
        )


def _first(observation: Nested) -> Nested:
    return jax.tree.map(lambda x: x[0], observation)


def _scalars(info: Info) -> Info:
    return {
        k: v[0].item() if isinstance(v[0], np.generic) else v[0]
        for k, v in info.items()
        if not k.startswith("_")
    }

"""gym-hil's base environments: actions in metres, no wrappers."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim.compat.gym_hil import settings as settings_
from mjxsim.compat.gym_hil import spaces
from mjxsim.compat.gym_hil.checks import check, merged
from mjxsim.compat.gym_hil.scene import CAMERAS
from mjxsim.compat.gym_hil.settings import Settings, Task
from mjxsim.compat.gym_hil.spaces import HilObservation
from mjxsim.envs import Env, State
from mjxsim.envs.gym_env import Info, check_action, check_options, placement, seed_key
from mjxsim.rendering import Scene, View, Visual, make_renderers

# Of what `make_env` gives its wrappers: nothing to a base environment, but no error either.
WRAPPERS_OWN = ("use_gripper", "gripper_penalty", "ee_step_size")
# These ask for somebody who drives, watches or waits: a base environment has no such wrapper.
WRAPPERS_ONLY = (
    "use_viewer",
    "use_gamepad",
    "use_inputs_control",
    "auto_reset",
    "reset_delay_seconds",
    "reset_time_s",
    "display_cameras",
)


@dataclasses.dataclass(frozen=True, eq=False)
class _Programs:
    """An environment and what is compiled of it, shared by all that have the same settings."""

    env: Env
    picture: tuple[int, int]  # height and width of what `draw` gives
    reset: Callable[[jax.Array], State]
    restart: Callable[[State], State]
    step: Callable[[State, jax.Array], tuple[State, jax.Array]]

    @functools.cached_property
    def draw(self) -> Callable[[State], dict[str, jax.Array]]:
        """Both cameras' pictures (height, width, 3), of an environment that observes none."""
        return self.env.jit(self._pictures)

    def _pictures(self, state: State) -> dict[str, jax.Array]:
        drawn = self._renderer(state.physics, Visual.of(self._scene)).rgb
        return dict(zip(CAMERAS, drawn, strict=True))

    @functools.cached_property
    def _scene(self) -> Scene:
        return Scene.of(self.env.engine.model)

    @functools.cached_property
    def _renderer(self) -> Any:
        view = View(CAMERAS[0], *self.picture)
        return make_renderers("auto", self._scene, CAMERAS, view, announce=False)


class HilEnv(gymnasium.Env[HilObservation, np.ndarray]):
    """A world of gym-hil's as gymnasium wants it; `PandaPickCubeGymEnv` and its sister are it.

    Observations and actions are gym-hil's: `agent_pos`, `environment_state` or `pixels`, and seven
    numbers: x, y, z [m], three rotations that nothing heeds, the change of the gripper's control.
    `info` holds `succeed`, and `is_success`, which LeRobot reads, at every step.

    Args:
      settings: fields of `Settings`, by keyword; also `enable_domain_randomization`,
        `visual_randomization`, `physics_randomization` and `randomization_frequency`.

    Raises:
      ValueError: one line, for a keyword that does not exist or a value that cannot be.
    """

    TASK: ClassVar[Task]
    # Of the class, because gymnasium.make reads it there; an instance has its own.
    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": list(settings_.RENDER_MODES),
        "render_fps": 10,
    }

    def __init__(self, **settings: Any) -> None:
        self.settings = settings_.settings_of(self.TASK, _without_wrappers(self.TASK, settings))
        rate = round(1.0 / self.settings.control_dt)
        self.metadata = {**self.metadata, "render_fps": rate}
        self.render_mode = self.settings.render_mode
        self.observation_space = spaces.observation_space(self.settings)
        self.action_space = spaces.base_action_space()
        self._programs = _programs(dataclasses.replace(self.settings, seed=0, render_mode=None))
        self._place = placement(self._programs.env)
        self._state: State | None = None
        self._observed: HilObservation = {}
        self._seed: int | None = self.settings.seed

    @property
    def env(self) -> Env:
        """The environment as one of mjxsim."""
        return self._programs.env

    @property
    def state(self) -> State:
        """The world.

        Raises:
          gymnasium.error.ResetNeeded: before the first reset.
        """
        if self._state is None:
            raise gymnasium.error.ResetNeeded("there is no world yet: call reset() first")
        return self._state

    @property
    def model(self) -> mujoco.MjModel:
        """The nominal model."""
        return self.env.engine.model

    @property
    def control_dt(self) -> float:
        """[s] between two actions."""
        return self.settings.control_dt

    @property
    def physics_dt(self) -> float:
        """[s] of one physics step."""
        return self.settings.physics_dt

    @property
    def drawn_size(self) -> tuple[int, int]:
        """Height and width of a picture that is drawn and not observed."""
        return (self.settings.render_spec.height, self.settings.render_spec.width)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[HilObservation, Info]:
        """Starts an episode; the first without a seed has the constructor's."""
        super().reset(seed=seed)
        check_options(options, ())
        with self._place():
            given = self._seed if seed is None else seed
            if given is not None or self._state is None:
                self._state = self._programs.reset(seed_key(given or 0))
            else:
                self._state = self._programs.restart(self._state)
        self._seed = None
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[HilObservation, float, bool, bool, Info]:
        """Applies an action (7,) for one control step.

        Raises:
          ValueError: the action has another shape, or an entry that is not finite.
          gymnasium.error.ResetNeeded: before the first reset.
        """
        action = spaces.own_action(check_action(action, (spaces.BASE_ACTION,)))
        with self._place():
            self._state, numbers = self._programs.step(self.state, jnp.asarray(action))
        reward, terminated, truncated, success = np.asarray(numbers).tolist()
        info: Info = {"succeed": success > 0, "is_success": success > 0}
        return self._observation(), reward, terminated > 0, truncated > 0, info

    def render(self) -> np.ndarray:
        """The front camera's picture, uint8 (height, width, 3)."""
        return self.pictures()["front"]

    def pictures(self) -> dict[str, np.ndarray]:
        """What both cameras see now, uint8 (height, width, 3) each."""
        pixels = self._observed.get("pixels")
        if isinstance(pixels, dict):
            return pixels
        with self._place():
            drawn = jax.device_get(self._programs.draw(self.state))
        return {name: np.array(picture) for name, picture in drawn.items()}

    def get_gripper_pose(self) -> np.ndarray:
        """The gripper's control (1,), 0 to 255; raises ResetNeeded before the first reset."""
        if self._state is None:
            raise gymnasium.error.ResetNeeded("no episode is running: call reset() first")
        return np.asarray([255.0 * spaces.gripper(self._observed)], np.float32)

    def get_robot_state(self) -> np.ndarray:
        """What `agent_pos` shows."""
        return np.asarray(self._observed["agent_pos"])

    def _observation(self) -> HilObservation:
        seen = self.env.observation(self.state)
        self._observed = spaces.observation(self.settings, seen)
        return dict(self._observed)


class PandaPickCubeGymEnv(HilEnv):
    """Grasp a cube and lift it by 0.1 m; see `HilEnv`."""

    TASK = "PandaPickCube"


class PandaArrangeBoxesGymEnv(HilEnv):
    """Put five blocks on the marks of their colours; see `HilEnv`."""

    TASK = "PandaArrangeBoxes"


def _without_wrappers(task: Task, given: dict[str, Any]) -> dict[str, Any]:
    """What a base environment heeds; ValueError for what it would need a wrapper for."""
    given = {k: v for k, v in merged(given).items() if k not in WRAPPERS_OWN}
    mode = given.pop("control_mode", None)
    if mode is not None:
        check("control_mode", mode, settings_.CONTROL_MODES)
    if mode not in (None, "policy"):
        given["use_inputs_control"] = True
    for name in WRAPPERS_ONLY:
        if given.pop(name, None):
            raise ValueError(
                f"{name} needs gym-hil's wrappers, which a base environment is without: use "
                f"gym_hil.make_env, {task}-v0 or {task}Keyboard-v0"
            )
    return given


@functools.lru_cache(maxsize=8)
def _programs(settings: Settings) -> _Programs:
    """What runs under these settings, in which seed and render mode do not count."""
    env = settings_.make(settings, step=(1.0, 1.0, 1.0))

    def step(state: State, action: jax.Array) -> tuple[State, jax.Array]:
        state, t = env.step(state, action)
        success = t.metrics["success_now"]
        return state, jnp.stack([t.reward, t.terminated, t.truncated, success])

    return _Programs(
        env,
        (settings.render_spec.height, settings.render_spec.width),
        env.jit(env.reset),
        env.jit(env.restart),
        env.jit(step),
    )

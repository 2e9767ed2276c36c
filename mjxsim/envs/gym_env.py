"""One world as a `gymnasium.Env`."""

import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from mjxsim.control import ControlConfig
from mjxsim.control.base import ControlMode
from mjxsim.envs.env import Env, Observation, State, Transition
from mjxsim.envs.make import make
from mjxsim.envs.painting import Painter, Shot
from mjxsim.envs.pixels import IMAGES, CameraConfig
from mjxsim.naming import unknown
from mjxsim.randomization.config import RandomizationConfig
from mjxsim.tasks import registry as tasks

NO_RENDER_MODE = "render() draws nothing: make the environment with render_mode='rgb_array'"
_IMPORTED_IN = os.getpid()

Info = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Drawing:
    """How `render` draws."""

    camera: str = "front"
    height: int = 480  # [pixels]
    width: int = 640  # [pixels]


# The vector of an environment without cameras, or a dictionary; see `single_spaces`.
NumpyObservation = np.ndarray | dict[str, np.ndarray]


class GymEnv(gymnasium.Env[NumpyObservation, np.ndarray]):
    """A task on a robot, one world at a time, as gymnasium wants it.

    `info` holds `is_success` (bool), whether the task's condition has been met in this episode, at
    every step and reset, and `instruction`, what a person would say for this episode's goal; at a
    step also the metrics of `mjxsim.Env.step`, as floats. Episodes truncate by themselves at the
    task's time limit.

    Args:
      task: a name from the task registry.
      robot: a name from the robot registry.
      engine: "c" steps one world fastest; also "mjx", "warp" and "auto".
      control: a control mode such as "ee_delta", or a whole `ControlConfig`.
      cameras: what is observed in pictures; nothing if None. Observations are then dictionaries,
        see `single_spaces`.
      channels_first: whether those pictures are (channels, height, width), as torch has them.
      randomization: what differs from episode to episode; nothing if None.
      render_mode: None or "rgb_array".
      camera: the name of a camera of the scene, for `render`.
      height: of a picture [pixels].
      width: of a picture [pixels].
      config: fields of the task's configuration, such as `sparse_reward=True`.

    Raises:
      ValueError: an unknown name (with the nearest valid one).
      RuntimeError: the engine is not installed, or the process was forked after JAX had started.
    """

    # Of the class, because gymnasium.make reads it there; an instance has its own.
    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012

    def __init__(
        self,
        task: str,
        robot: str = "panda",
        *,
        engine: str = "c",
        control: ControlConfig | ControlMode | None = None,
        cameras: CameraConfig | None = None,
        channels_first: bool = False,
        randomization: RandomizationConfig | None = None,
        render_mode: str | None = None,
        camera: str = "front",
        height: int = 480,
        width: int = 640,
        **config: Any,
    ) -> None:
        if os.getpid() != _IMPORTED_IN:
            raise RuntimeError(
                "JAX cannot run in a process forked after it was imported: use "
                "AsyncVectorEnv(..., context='spawn')"
            )
        check_render_mode(render_mode)
        self.env = build_env(task, robot, engine, control, config, randomization, cameras)
        self.metadata = {**self.metadata, "render_fps": frame_rate(self.env)}
        self.render_mode = render_mode
        self.observation_space, self.action_space = single_spaces(self.env, channels_first)
        self._channels_first = channels_first
        self._drawing = Drawing(camera, height, width)
        self._painter: Painter | None = None
        self._metrics = metric_names(self.env)
        self._place = placement(self.env)
        self._state: State | None = None
        self._over = False
        self._instruction = ""

        def reset(key: jax.Array) -> tuple[State, jax.Array]:
            state = self.env.reset(key)
            return state, self.env.instruction(state)

        def restart(state: State) -> tuple[State, jax.Array]:
            state = self.env.restart(state)
            return state, self.env.instruction(state)

        def step(state: State, action: jax.Array) -> tuple[State, jax.Array]:
            state, t = self.env.step(state, action)
            # Two arrays to fetch rather than twenty.
            ends = jnp.stack([t.reward, t.terminated, t.truncated])
            metrics = jnp.stack([t.metrics[k] for k in self._metrics])
            return state, jnp.concatenate([ends, metrics])

        self._step = self.env.jit(step)
        self._reset = self.env.jit(reset)
        self._restart = self.env.jit(restart)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NumpyObservation, Info]:
        """Starts an episode.

        With a seed everything that follows is determined, and what is drawn per session is drawn
        anew; without, the episode follows from the one before, and the first of all from
        `np_random`.
        """
        super().reset(seed=seed)
        check_options(options, ())
        with self._place():
            if seed is not None:
                self._state, instruction = self._reset(seed_key(seed))
            elif self._state is None:
                drawn = int(self.np_random.integers(2**32))
                self._state, instruction = self._reset(seed_key(drawn))
            elif self.env.lasting:
                self._state, instruction = self._restart(self._state)
            else:  # the same, without compiling another program for it
                self._state, instruction = self._reset(self._state.key)
        self._over = False
        self._instruction = self.env.task.instructions[int(instruction)]
        info: Info = {"is_success": False, "instruction": self._instruction}
        return self._observation(self._state), info

    def step(self, action: np.ndarray) -> tuple[NumpyObservation, float, bool, bool, Info]:
        """Applies an action (action_size,) in [-1, 1] for one control step.

        Raises:
          ValueError: the action has another shape, or an entry that is not finite.
          gymnasium.error.ResetNeeded: no episode is running.
        """
        if self._state is None or self._over:
            raise ResetNeeded("no episode is running: call reset() first")
        action = check_action(action, (self.env.action_size,))
        with self._place():
            self._state, numbers = self._step(self._state, jnp.asarray(action))
        reward, terminated, truncated, *metrics = np.asarray(numbers).tolist()
        self._over = bool(terminated or truncated)
        info: Info = dict(zip(self._metrics, metrics, strict=True))
        info["is_success"] = info.pop("success") > 0
        info["instruction"] = self._instruction
        return self._observation(self._state), reward, bool(terminated), bool(truncated), info

    def render(self) -> np.ndarray | None:
        """A picture, uint8 (height, width, 3); None without a render mode.

        Raises:
          mjxsim.rendering.NoRendererError: nothing on this machine can draw.
        """
        if self.render_mode is None:
            gymnasium.logger.warn(NO_RENDER_MODE)
            return None
        if self._state is None:
            raise ResetNeeded("there is nothing to draw: call reset() first")
        if self._painter is None:
            self._painter = new_painter(self.env, self._drawing)
        one = jax.tree.map(lambda x: x[None], Shot.of(self._state))
        return self._painter.draw(one)[0]

    def _observation(self, state: State) -> NumpyObservation:
        return as_numpy(self.env.observation(state), channels_first=self._channels_first)

    def close(self) -> None:
        """Frees the renderer; closing twice is allowed."""
        if self._painter is not None:
            self._painter.close()
            self._painter = None


def build_env(
    task: str,
    robot: str,
    engine: str,
    control: ControlConfig | ControlMode | None,
    fields: dict[str, Any],
    randomization: RandomizationConfig | None = None,
    cameras: CameraConfig | None = None,
    *,
    announce: bool = False,
) -> Env:
    """An `Env` from what gymnasium passes: `fields` are those of the task's configuration.

    Raises:
      ValueError: an unknown name (with the nearest valid one).
    """
    _, config_class = tasks.get(task)
    valid = [f.name for f in dataclasses.fields(config_class)]
    for name in fields:
        if name not in valid:
            raise ValueError(unknown(f"setting of {task}", name, valid))
    config = config_class(**fields)
    return make(
        task,
        robot,
        engine,
        config=config,
        control=control,
        cameras=cameras,
        randomization=randomization,
        announce=announce,
    )


def single_spaces(env: Env, channels_first: bool = False) -> tuple[spaces.Space, spaces.Box]:
    """The observation and the action space of one world.

    Without cameras an observation is a float32 vector. With them it is a dictionary:
    "observation.state", the parts of that vector that are not hidden, and
    "observation.images.<camera>", uint8 (height, width, 3 * frames), or channels first.
    """
    action = spaces.Box(-1.0, 1.0, (env.action_size,), np.float32)
    seen = jax.eval_shape(lambda key: env.observation(env.reset(key)), jax.random.key(0))

    def space(shape: tuple[int, ...]) -> spaces.Box:
        if len(shape) == 1:
            return spaces.Box(-np.inf, np.inf, shape, np.float32)
        return spaces.Box(0, 255, (shape[2], *shape[:2]) if channels_first else shape, np.uint8)

    if not isinstance(seen, dict):
        return space(seen.shape), action
    return spaces.Dict({name: space(value.shape) for name, value in seen.items()}), action


def as_numpy(observation: Observation, *, channels_first: bool) -> NumpyObservation:
    """What `Env.observation` gives, of one world or of many, as gymnasium hands it out: a copy."""
    if not isinstance(observation, dict):
        return np.array(observation)

    def entry(name: str, value: np.ndarray) -> np.ndarray:
        picture = name.startswith(IMAGES)
        return np.array(np.moveaxis(value, -1, -3) if picture and channels_first else value)

    return {name: entry(name, value) for name, value in jax.device_get(observation).items()}


def metric_names(env: Env) -> list[str]:
    """The names of the metrics of a step, found by tracing."""
    state = jax.eval_shape(env.reset, jax.random.key(0))
    action = jax.ShapeDtypeStruct((env.action_size,), jnp.float32)
    transition: Transition = jax.eval_shape(env.step, state, action)[1]
    return sorted(transition.metrics)


def seed_key(seed: int) -> jax.Array:
    """The key of a gymnasium seed, any integer from 0; keys have 32 bits of it."""
    return jax.random.key(np.uint32(seed % 2**32))


def frame_rate(env: Env) -> int:
    """Control steps per second, for `metadata["render_fps"]`."""
    return round(1.0 / env.task.config.control_dt)


def new_painter(env: Env, drawing: Drawing) -> Painter:
    """What draws the environment's worlds."""
    return Painter(env, (drawing.height, drawing.width), drawing.camera)


def check_render_mode(render_mode: str | None) -> None:
    """Raises ValueError unless None or "rgb_array"."""
    if render_mode not in (None, "rgb_array"):
        raise ValueError(unknown("render mode", render_mode, GymEnv.metadata["render_modes"]))


def check_options(options: dict[str, Any] | None, valid: tuple[str, ...]) -> None:
    """Raises ValueError, one line, for a reset option that does not exist."""
    for name in options or {}:
        if name not in valid:
            known = unknown("reset option", name, valid) if valid else None
            raise ValueError(known or f"unknown reset option {name!r}: there are none")


def check_action(action: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The action as float32 of `shape`; ValueError, one line, if it is not one."""
    try:
        action = np.asarray(action, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"an action is an array of numbers of shape {shape}: {error}") from None
    if action.shape != shape:
        raise ValueError(f"an action has shape {shape}, got {action.shape}")
    if not np.isfinite(action).all():
        where = np.argwhere(~np.isfinite(action))[0].tolist()
        value = action[tuple(where)]
        raise ValueError(f"an action has finite entries in [-1, 1], got {value} at {where}")
    return action


def placement(env: Env) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Where one world's computation runs: on the CPU with an engine that steps there.

    Beside an accelerator its state would travel at every step, for a computation of microseconds.
    """
    if not env.engine.on_host:
        return contextlib.nullcontext
    try:
        return functools.partial(jax.default_device, jax.local_devices(backend="cpu")[0])
    except RuntimeError:  # JAX was told to start without a CPU
        return contextlib.nullcontext

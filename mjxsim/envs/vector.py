"""Many worlds as one `gymnasium.vector.VectorEnv`: one compiled step for all of them."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from mjxsim.control import ControlConfig
from mjxsim.control.base import ControlMode
from mjxsim.envs.autoreset import reset_done
from mjxsim.envs.env import Env, Observation, State
from mjxsim.envs.gym_env import (
    NO_RENDER_MODE,
    Drawing,
    Info,
    NumpyObservation,
    as_numpy,
    build_env,
    check_action,
    check_options,
    check_render_mode,
    frame_rate,
    metric_names,
    new_painter,
    single_spaces,
)
from mjxsim.envs.painting import Painter, Shot
from mjxsim.envs.pixels import CameraConfig
from mjxsim.naming import unknown
from mjxsim.randomization.config import RandomizationConfig


def make_vec(
    task: str,
    num_envs: int = 1,
    robot: str = "panda",
    engine: str = "auto",
    *,
    control: ControlConfig | ControlMode | None = None,
    cameras: CameraConfig | None = None,
    channels_first: bool = False,
    randomization: RandomizationConfig | None = None,
    autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    render_mode: str | None = None,
    camera: str = "front",
    height: int = 240,
    width: int = 320,
    announce: bool = True,
    **config: Any,
) -> "BatchedVectorEnv":
    """A native vector environment; `gymnasium.make_vec("mjxsim/PandaPickCube-v0", n)` gives it too.

    Args:
      task: a name from the task registry, or a gymnasium id with a native vector environment, such
        as "gym_hil/PandaPickCubeBase-v0"; an id says its own robot, control and cameras, and takes
        engine, autoreset_mode, render_mode, announce and its own settings.
      num_envs: how many worlds.
      robot: a name from the robot registry.
      engine: "auto", "c", "mjx" or "warp".
      control: a control mode such as "ee_delta", or a whole `ControlConfig`.
      cameras: what is observed in pictures; nothing if None. Observations are then dictionaries,
        see `gym_env.single_spaces`.
      channels_first: whether those pictures are (channels, height, width), as torch has them.
      randomization: what differs from world to world; nothing if None.
      autoreset_mode: see `BatchedVectorEnv`.
      render_mode: None or "rgb_array".
      camera: the name of a camera of the scene, for `render`.
      height: of each world's picture [pixels].
      width: of each world's picture [pixels].
      announce: print which engine "auto" chose, and why.
      config: fields of the task's configuration, such as `sparse_reward=True`.

    Raises:
      ValueError: an unknown name (with the nearest valid one), or fewer than one world.
      RuntimeError: the engine is not installed.
    """
    if "/" in task:
        return _of_id(
            task,
            num_envs,
            engine=engine,
            autoreset_mode=autoreset_mode,
            render_mode=render_mode,
            announce=announce,
            **config,
        )
    check_render_mode(render_mode)
    env = build_env(task, robot, engine, control, config, randomization, cameras, announce=announce)
    return BatchedVectorEnv(
        env,
        num_envs,
        autoreset_mode=autoreset_mode,
        render_mode=render_mode,
        drawing=Drawing(camera, height, width),
        channels_first=channels_first,
    )


def _of_id(name: str, num_envs: int, **settings: Any) -> "BatchedVectorEnv":
    """The native vector environment of a gymnasium id.

    An id whose own package is installed, and has no such environment, is found under the prefix
    that ours always have: "gym_hil/..." as "mjxsim_gym_hil/...".
    """
    native = {i: s for i, s in gymnasium.registry.items() if _is_native(s)}
    spec = native.get(name) or native.get(f"mjxsim_{name}")
    if spec is None or not isinstance(spec.vector_entry_point, str):
        raise ValueError(unknown("id of a native vector environment", name, native))
    made = load_env_creator(spec.vector_entry_point)(
        num_envs=num_envs, **{**spec.kwargs, **settings}
    )
    assert isinstance(made, BatchedVectorEnv)  # what _is_native says of its entry point
    return made


def _is_native(spec: EnvSpec) -> bool:
    return isinstance(spec.vector_entry_point, str) and spec.vector_entry_point.startswith("mjxsim")


class BatchedVectorEnv(VectorEnv[NumpyObservation, np.ndarray, np.ndarray]):
    """`num_envs` worlds of one `Env`, in and out as numpy.

    Seeds, infos and dtypes are those of gymnasium's `SyncVectorEnv` over the scalar environment:
    world i of `reset(seed=s)` plays what `GymEnv` plays after `reset(seed=s + i)`.

    Autoreset modes (`metadata["autoreset_mode"]`):

    - SAME_STEP (default): a world whose episode ends starts anew within the same step. The
      observation returned is the new episode's; the last one and its info are in
      `infos["final_obs"]` and `infos["final_info"]`, masked by `_final_obs` and `_final_info`.
    - NEXT_STEP: the last observation is returned as it is; the next step ignores that world's
      action, starts it anew and gives reward 0.
    - DISABLED: the caller resets, with `reset(options={"reset_mask": ended})`.

    `infos["is_success"]` (bool) and `infos["instruction"]` (str) are there at every step and reset.

    Raises:
      ValueError: fewer than one world, or an unknown autoreset mode.
    """

    def __init__(
        self,
        env: Env,
        num_envs: int,
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        render_mode: str | None = None,
        drawing: Drawing | None = None,
        channels_first: bool = False,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"a vector environment needs at least 1 world, got {num_envs}")
        self.env = env
        self.num_envs = num_envs
        self.render_mode = render_mode
        self._mode = mode = _autoreset_mode(autoreset_mode)
        self.metadata = {
            "render_modes": ["rgb_array"],
            "render_fps": frame_rate(env),
            "autoreset_mode": mode,
        }
        self._channels_first = channels_first
        self.single_observation_space, self.single_action_space = self._single_spaces()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._drawing = drawing or Drawing(height=240, width=320)
        self._painter: Painter | None = None
        self._metrics = metric_names(env)
        self._state: State | None = None
        self._over = np.zeros(num_envs, bool)  # episodes that ended at the last step

        def step(state: State, action: jax.Array, over: jax.Array) -> tuple[State, tuple[Any, ...]]:
            asked = jax.vmap(env.instruction)(state)
            state, t = jax.vmap(env.advance)(state, action)
            if mode is AutoresetMode.NEXT_STEP:
                state = reset_done(env, state, over)
            state = jax.vmap(env.look)(state)
            last = env.observation(state)
            if mode is AutoresetMode.SAME_STEP:
                state = reset_done(env, state, t.terminated | t.truncated, look=True)
            ends = jnp.stack([t.reward, t.terminated, t.truncated])
            metrics = jnp.stack([t.metrics[k] for k in self._metrics])
            asked = jnp.stack([asked, jax.vmap(env.instruction)(state)])
            return state, (env.observation(state), last, jnp.concatenate([ends, metrics]), asked)

        def start_some(state: State, keys: jax.Array, mask: jax.Array) -> State:
            key = jnp.where(mask, keys, state.key)
            state = dataclasses.replace(state, key=key)
            return reset_done(env, state, mask, new_world=True, look=True)

        def restart_some(state: State, mask: jax.Array) -> State:
            return reset_done(env, state, mask, look=True)

        self._step = env.jit(step, donate_argnums=0)
        self._start_all = env.jit(jax.vmap(env.reset))
        self._start_some = env.jit(start_some)
        self._restart_some = env.jit(restart_some)
        self._asked = env.jit(jax.vmap(env.instruction))
        self._sentences = np.array(env.task.instructions, object)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[NumpyObservation, Info]:
        """Starts an episode in every world.

        Args:
          seed: s seeds world i with s + i; a sequence gives each world its own. With a seed also
            what is drawn per session is drawn anew; a world without one goes on from the episode
            before, and from `np_random` at first.
          options: `reset_mask`, bool (num_envs,), restarts only those worlds.

        Raises:
          ValueError: seeds or mask of another length, an empty mask, or an unknown option.
        """
        seed = int(seed) if isinstance(seed, int | np.integer) else seed
        check_options(options, ("reset_mask",))
        mask = self._check_mask((options or {}).get("reset_mask"))
        super().reset(seed=seed if isinstance(seed, int) else None)
        keys, given = self._keys(seed)
        # A world that keeps nothing but its key restarts as a new one from that key.
        new = mask & given if self._state is not None and self.env.lasting else mask
        if self._state is None or new.all():
            self._state = self._start_all(keys)
        else:
            if new.any():
                self._state = self._start_some(self._state, keys, jnp.asarray(new))
            if (mask & ~new).any():
                self._state = self._restart_some(self._state, jnp.asarray(mask & ~new))
        self._over = self._over & ~mask
        asked = self._sentences[np.asarray(self._asked(self._state))]
        info = {"is_success": np.zeros(self.num_envs, bool), "instruction": asked}
        return self._numpy(self.env.observation(self._state)), _masked(info, mask)

    def step(
        self, actions: np.ndarray
    ) -> tuple[NumpyObservation, np.ndarray, np.ndarray, np.ndarray, Info]:
        """Applies actions (num_envs, action_size) in [-1, 1] for one control step.

        Raises:
          ValueError: the actions have another shape, or an entry that is not finite.
          gymnasium.error.ResetNeeded: before the first reset; in mode DISABLED also when an
            episode is over.
        """
        if self._state is None:
            raise ResetNeeded("no episode is running: call reset() first")
        if self._mode is AutoresetMode.DISABLED and self._over.any():
            ended = np.flatnonzero(self._over)[:8].tolist()
            raise ResetNeeded(
                f"the episodes of worlds {ended} are over: reset(options={{'reset_mask': ended}})"
            )
        actions = self._own_actions(actions)
        over = jnp.asarray(self._over)
        self._state, results = self._step(self._state, jnp.asarray(actions), over)
        obs, last, numbers, asked = jax.device_get(results)
        # SyncVectorEnv's dtypes: float64 rewards and metrics.
        reward, terminated, truncated, *metrics = numbers.astype(np.float64)
        terminated, truncated = terminated > 0, truncated > 0
        stepped = np.ones(self.num_envs, bool)
        if self._mode is AutoresetMode.NEXT_STEP:
            stepped = ~self._over
            reward, terminated, truncated = (x * stepped for x in (reward, terminated, truncated))
        self._over = terminated | truncated
        info: Info = dict(zip(self._metrics, metrics, strict=True))
        info["is_success"] = info.pop("success") > 0
        info["instruction"], now = self._sentences[asked]
        last = self._numpy(last)
        infos = self._infos(self._described(info, last), stepped, last)
        infos |= _masked({"instruction": now}, np.ones_like(stepped))
        return self._numpy(obs), reward, terminated, truncated, infos

    def render(self) -> tuple[np.ndarray, ...] | None:
        """One picture per world, uint8 (height, width, 3); None without a render mode.

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
        return tuple(self._painter.draw(Shot.of(self._state)))

    def close_extras(self, **kwargs: Any) -> None:
        """Frees the renderer."""
        if self._painter is not None:
            self._painter.close()
            self._painter = None

    # What a suite with spaces and infos of its own says otherwise.

    def _single_spaces(self) -> tuple[gymnasium.Space[Any], gymnasium.spaces.Box]:
        """The observation and the action space of one world."""
        return single_spaces(self.env, self._channels_first)

    def _own_actions(self, actions: np.ndarray) -> np.ndarray:
        """What a user gave, checked, as the environment takes it: float32 (num_envs, n)."""
        return check_action(actions, (self.num_envs, self.env.action_size))

    def _numpy(self, observation: Observation) -> NumpyObservation:
        """What the environment shows, as a user gets it."""
        return as_numpy(observation, channels_first=self._channels_first)

    def _described(self, info: Info, last: NumpyObservation) -> Info:
        """The info of a step that ended with the observation `last`, before any reset."""
        del last
        return info

    def _infos(self, info: Info, stepped: np.ndarray, last: NumpyObservation) -> Info:
        """What SyncVectorEnv would collect: the infos of steps, and of the resets among them."""
        over = self._over
        if self._mode is not AutoresetMode.SAME_STEP or not over.any():
            return _with_resets(info, stepped)
        final_obs = np.full(self.num_envs, None, dtype=object)
        for i in np.flatnonzero(over):
            final_obs[i] = jax.tree.map(lambda x, i=i: x[i].copy(), last)
        return {
            **_with_resets(info, stepped & ~over),
            **_masked({"final_obs": final_obs, "final_info": _masked(info, over)}, over),
        }

    def _check_mask(self, mask: Any) -> np.ndarray:
        if mask is None:
            return np.ones(self.num_envs, bool)
        if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.shape != (self.num_envs,):
            raise ValueError(f"reset_mask must be a numpy bool array of shape ({self.num_envs},)")
        if not mask.any():
            raise ValueError("reset_mask must have at least one True")
        if self._state is None and not mask.all():
            raise ResetNeeded("reset every world before resetting some of them")
        return mask

    def _keys(self, seed: int | Sequence[int | None] | None) -> tuple[jax.Array, np.ndarray]:
        """One key per world, and which of them are of a seed that was given; bool (num_envs,)."""
        n = self.num_envs
        seeds = [seed + i for i in range(n)] if isinstance(seed, int) else seed
        if seeds is None:
            seeds = [None] * n
        if len(seeds) != n:
            raise ValueError(f"a list of seeds needs one for each of {n} worlds, got {len(seeds)}")
        given = np.array([s is not None for s in seeds])
        numbers = np.array([0 if s is None else s % 2**32 for s in seeds], np.uint32)
        if self._state is None:
            drawn = self.np_random.integers(2**32, size=n, dtype=np.uint32)
            return jax.vmap(jax.random.key)(np.where(given, numbers, drawn)), given
        if not given.any():
            return self._state.key, given
        seeded = jax.vmap(jax.random.key)(numbers)
        return jnp.where(given, seeded, self._state.key), given


def _masked(info: Info, mask: np.ndarray) -> Info:
    """Every entry with its mask `_name`; worlds outside the mask have zero, False or None."""
    out: Info = {}
    for name, value in info.items():
        out[name] = value
        if isinstance(value, np.ndarray):
            nothing = np.full((), None) if value.dtype == object else np.zeros((), value.dtype)
            out[name] = np.where(mask, value, nothing)
        out[f"_{name}"] = mask.copy()
    return out


def _with_resets(info: Info, stepped: np.ndarray) -> Info:
    """The info of worlds that stepped; the others were reset, and a reset says `is_success`."""
    out = _masked(info, stepped) if stepped.any() else {}
    success = info["is_success"] & stepped
    return {**out, **_masked({"is_success": success}, np.ones_like(stepped))}


def _autoreset_mode(mode: AutoresetMode | str) -> AutoresetMode:
    if isinstance(mode, AutoresetMode):
        return mode
    valid = [m.value for m in AutoresetMode]
    if mode not in valid:
        raise ValueError(unknown("autoreset mode", mode, valid))
    return AutoresetMode(mode)

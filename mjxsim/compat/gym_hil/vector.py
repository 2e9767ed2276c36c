"""gym-hil's environments by the thousand: one compiled step for all of them."""

import functools
from typing import Any, cast

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode

from mjxsim.compat.gym_hil import settings as settings_
from mjxsim.compat.gym_hil import spaces
from mjxsim.compat.gym_hil.checks import check_switches
from mjxsim.compat.gym_hil.factory import PENALTY, flattened, task_of
from mjxsim.compat.gym_hil.settings import Settings
from mjxsim.compat.gym_hil.spaces import HilObservation
from mjxsim.compat.gym_hil.wrappers import step_of
from mjxsim.envs import Env, Observation
from mjxsim.envs.gym_env import Info, check_action
from mjxsim.envs.vector import BatchedVectorEnv


def make_vec(
    env_id: str,
    num_envs: int = 1,
    engine: str = "auto",
    *,
    wrapped: bool = True,
    use_gripper: bool = True,
    gripper_penalty: float = PENALTY,
    ee_step_size: dict[str, float] | None = None,
    use_inputs_control: bool = False,
    autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    max_episode_steps: int | None = None,
    announce: bool = True,
    **settings: Any,
) -> "HilVectorEnv":
    """A native vector environment of gym-hil's worlds.

    Args:
      env_id: of a base environment, "gym_hil/PandaPickCubeBase-v0" or its sister.
      num_envs: how many worlds.
      engine: "auto", "c", "mjx" or "warp".
      wrapped: whether actions are `make_env`'s four, or the base environment's seven.
      use_gripper: whether `discrete_penalty` is in the infos of wrapped environments.
      gripper_penalty: what it is when the gripper is opened or closed.
      ee_step_size: [m] along x, y and z for a wrapped action of 1; 0.025 if None.
      use_inputs_control: not for many worlds: False.
      autoreset_mode: see `mjxsim.envs.vector.BatchedVectorEnv`.
      max_episode_steps: after which an episode is truncated unless `control_time_s` says; 100 if
        None.
      announce: print which engine "auto" chose, and why.
      settings: as `make_env` takes them.

    Raises:
      ValueError: one line, for an unknown id or keyword, or human input.
    """
    check_switches(use_gripper=use_gripper, use_inputs_control=use_inputs_control)
    if use_inputs_control:
        raise ValueError("a person drives one world: make it with gymnasium.make, not make_vec")
    task = task_of(env_id)
    given = settings_.settings_of(task, {**flattened(settings), "engine": engine})
    steps = 100 if max_episode_steps is None else max_episode_steps
    env = settings_.make(
        given,
        step_of(ee_step_size) if wrapped else (1.0, 1.0, 1.0),
        episode_seconds=steps * given.control_dt,
        announce=announce,
    )
    penalty = gripper_penalty if wrapped and use_gripper else None
    return HilVectorEnv(env, num_envs, given, wrapped, penalty, autoreset_mode)


class HilVectorEnv(BatchedVectorEnv):
    """Worlds of `make_vec`: as SyncVectorEnv over `make_env`'s, with the same spaces and infos."""

    def __init__(
        self,
        env: Env,
        num_envs: int,
        settings: Settings,
        wrapped: bool,
        penalty: float | None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
    ) -> None:
        self.settings = settings
        self._wrapped = wrapped
        self._penalty = penalty
        self._gripper = np.zeros(num_envs)  # the control's share after the last step or reset
        mode = "rgb_array" if settings.render_mode == "human" else settings.render_mode
        super().__init__(env, num_envs, autoreset_mode=autoreset_mode, render_mode=mode)
        self._max_episode_steps: int = env.task.config.episode_steps  # which LeRobot asks for

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[HilObservation, Info]:
        """See `BatchedVectorEnv`; the first reset without a seed has the settings' one."""
        if seed is None and self._state is None:
            seed = self.settings.seed
        observed, info = super().reset(seed=seed, options=options)
        shown = cast(HilObservation, observed)
        self._gripper = spaces.gripper(shown)
        return shown, info

    def step(
        self, actions: np.ndarray
    ) -> tuple[HilObservation, np.ndarray, np.ndarray, np.ndarray, Info]:
        """See `BatchedVectorEnv`; actions are (num_envs, 7), or (num_envs, 4) where wrapped."""
        observed, reward, terminated, truncated, infos = super().step(actions)
        shown = cast(HilObservation, observed)
        self._gripper = spaces.gripper(shown)
        return shown, reward, terminated, truncated, infos

    def _single_spaces(self) -> tuple[gymnasium.spaces.Dict, gymnasium.spaces.Box]:
        action = spaces.wrapped_action_space() if self._wrapped else spaces.base_action_space()
        return spaces.observation_space(self.settings), action

    def _own_actions(self, actions: np.ndarray) -> np.ndarray:
        size = spaces.WRAPPED_ACTION if self._wrapped else spaces.BASE_ACTION
        return spaces.own_action(check_action(actions, (self.num_envs, size)))

    def _numpy(self, observation: Observation) -> HilObservation:
        return spaces.observation(self.settings, observation)

    def _described(self, info: Info, last: HilObservation) -> Info:
        own: Info = {"succeed": info["success_now"] > 0, "is_success": info["is_success"]}
        if self._penalty is not None:
            moved = spaces.toggled(self._gripper, spaces.gripper(last))
            own["discrete_penalty"] = np.where(moved, self._penalty, 0.0)
        return {**own, "instruction": info["instruction"]}


# What base ids name; an id can only name something without arguments.
PandaPickCubeBase = functools.partial(make_vec, "gym_hil/PandaPickCubeBase-v0", wrapped=False)
PandaArrangeBoxesBase = functools.partial(
    make_vec, "gym_hil/PandaArrangeBoxesBase-v0", wrapped=False
)

"""gym-hil's wrappers that need no person: actions in steps, the gripper's penalty, a delay."""

import time
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np

from mjxsim.compat.gym_hil import spaces
from mjxsim.compat.gym_hil.checks import check_switches, finite, positive
from mjxsim.compat.gym_hil.env import HilEnv
from mjxsim.compat.gym_hil.settings import EE_STEP
from mjxsim.compat.gym_hil.spaces import HilObservation
from mjxsim.envs.gym_env import Info, check_action

Wrapped = gymnasium.Env[HilObservation, np.ndarray]
Stepped = tuple[HilObservation, float, bool, bool, Info]


def base(env: Wrapped) -> HilEnv:
    """The environment that wrappers are around.

    Raises:
      TypeError: it is not one of ours.
    """
    if not isinstance(env.unwrapped, HilEnv):
        raise TypeError(
            f"mjxsim's wrappers go around mjxsim's gym-hil environments, got {env.unwrapped}"
        )
    return env.unwrapped


def step_of(ee_step_size: Mapping[str, float] | None) -> tuple[float, float, float]:
    """[m] along x, y and z; ValueError, one line, unless each is there and positive."""
    given = ee_step_size or {"x": EE_STEP, "y": EE_STEP, "z": EE_STEP}
    known = isinstance(given, Mapping) and set(given) == {"x", "y", "z"}
    if not known or not all(map(positive, given.values())):
        raise ValueError(f"ee_step_size takes positive x, y and z [m], got {given}")
    return (given["x"], given["y"], given["z"])


class GripperPenaltyWrapper(gymnasium.Wrapper[HilObservation, np.ndarray, Any, Any]):
    """`info["discrete_penalty"]`: `penalty` where the gripper is opened or closed, else 0.

    It is never added to the reward.
    """

    def __init__(self, env: Wrapped, penalty: float = -0.05) -> None:
        super().__init__(env)
        self.penalty = penalty

    def step(self, action: np.ndarray) -> Stepped:
        world = base(self.env)
        before = world.get_gripper_pose() / 255.0
        observed, reward, terminated, truncated, info = self.env.step(action)
        moved = bool(spaces.toggled(before, world.get_gripper_pose() / 255.0)[0])
        info["discrete_penalty"] = self.penalty if moved else 0.0
        return observed, float(reward), terminated, truncated, info


class EEActionWrapper(gymnasium.ActionWrapper[HilObservation, np.ndarray, np.ndarray]):
    """Actions (4,) of x, y, z in steps and the gripper as 0, 1 (hold) or 2.

    Args:
      env: a base environment, or wrappers around one.
      ee_action_step_size: [m] along "x", "y" and "z" for an action of 1; 0.025 each if None.
      use_gripper: whether actions have the gripper; without it they are (3,), and it is held.

    Raises:
      ValueError: one line, for a value that cannot be.
    """

    def __init__(
        self,
        env: Wrapped,
        ee_action_step_size: Mapping[str, float] | None = None,
        use_gripper: bool = False,
    ) -> None:
        super().__init__(env)
        check_switches(use_gripper=use_gripper)
        self._step_size = np.asarray(step_of(ee_action_step_size), np.float32)
        self._size = spaces.WRAPPED_ACTION if use_gripper else spaces.WRAPPED_ACTION - 1
        full = spaces.wrapped_action_space()
        self.action_space = gymnasium.spaces.Box(full.low[: self._size], full.high[: self._size])

    def action(self, action: np.ndarray) -> np.ndarray:
        """The base environment's (7,)."""
        action = check_action(action, (self._size,))
        moved = self._step_size * np.clip(action[:3], -1.0, 1.0)
        grip = action[3:] - 1.0 if len(action) > 3 else np.zeros(1, np.float32)
        return np.concatenate([moved, np.zeros(3, np.float32), grip])


class ResetDelayWrapper(gymnasium.Wrapper[HilObservation, np.ndarray, Any, Any]):
    """Waits before each reset, for a person to see how the episode ended and to let go."""

    def __init__(self, env: Wrapped, delay_seconds: float = 1.0) -> None:
        super().__init__(env)
        if not finite(delay_seconds) or delay_seconds < 0.0:
            raise ValueError(f"a reset cannot be delayed by {delay_seconds!r} s")
        self.delay_seconds = delay_seconds

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[HilObservation, Info]:
        time.sleep(self.delay_seconds)
        return self.env.reset(seed=seed, options=options)

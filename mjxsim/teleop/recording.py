"""Frames of the person's lane on their way into a dataset."""

import dataclasses
from collections.abc import Mapping
from typing import Protocol

import numpy as np

from mjxsim.envs.pixels import IMAGES, STATE

INTERVENTION = "complementary_info.is_intervention"
PENALTY = "complementary_info.discrete_penalty"
# Of each step, beside what was seen and done.
EXTRAS = ("next.reward", "next.done", "next.success", INTERVENTION, PENALTY)


class Recorder(Protocol):
    """Where frames go; `mjxsim.datasets.Writer` is one.

    Every method but `close` returns at once: files are written on a thread of their own. An error
    over there is raised by the next call, as a ValueError or OSError of one line.
    """

    @property
    def episodes(self) -> int:
        """How many are complete."""
        ...

    def add(self, frame: Mapping[str, np.ndarray]) -> None:
        """Takes one frame of the open episode."""
        ...

    def save_episode(
        self, task: str, *, key: np.ndarray | None, lane: int = 0, lanes: int = 1
    ) -> int:
        """Completes the open episode; returns its number."""
        ...

    def discard_episode(self) -> None:
        """Forgets the open episode."""
        ...

    def close(self) -> None:
        """Completes the dataset; an open episode is forgotten."""
        ...


@dataclasses.dataclass(frozen=True)
class Moment:
    """What the lane showed before an action."""

    observation: np.ndarray  # (n,) float32, what is visible of State.obs
    images: Mapping[str, np.ndarray]  # camera -> uint8 (H, W, 3)


class Take:
    """The open episode.

    Whether a frame was the last of its episode is known only when the person marks it, one step
    later: the newest frame is kept back until then.
    """

    def __init__(self, recorder: Recorder, *, penalty: float = 0.0) -> None:
        """`penalty` is what a step costs in which the gripper is told to open or to close."""
        self.recorder = recorder
        self.frames = 0
        self._penalty = penalty
        self._newest: dict[str, np.ndarray] | None = None

    def add(
        self,
        before: Moment,
        action: np.ndarray,
        reward: float,
        *,
        success: bool,
        intervention: bool,
        switched: bool,
    ) -> None:
        """Takes one step.

        Args:
          before: what was to be seen when the action was chosen.
          action: (action_size,) that was applied.
          reward: of the step.
          success: whether the task's condition has been met by now.
          intervention: whether the person chose the action.
          switched: whether the gripper was told to open or to close.
        """
        if self._newest is not None:
            self.recorder.add(self._newest)
        self.frames += 1
        self._newest = {
            STATE: before.observation,
            **{f"{IMAGES}.{name}": image for name, image in before.images.items()},
            "action": action,
            "next.reward": np.array([reward], np.float32),
            "next.done": np.array([False]),
            "next.success": np.array([success]),
            INTERVENTION: np.array([intervention]),
            PENALTY: np.array([self._penalty if switched else 0.0], np.float32),
        }

    def save(
        self, *, success: bool, task: str, key: np.ndarray | None, lane: int, lanes: int
    ) -> int:
        """Completes the episode, whose last frame says what the person says; gives its number."""
        assert self._newest is not None, "an episode has at least one frame"
        last = {
            **self._newest,
            "next.done": np.array([True]),
            "next.success": np.array([success]),
        }
        self.recorder.add(last)
        number = self.recorder.save_episode(task, key=key, lane=lane, lanes=lanes)
        self._newest, self.frames = None, 0
        return number

    def discard(self) -> None:
        """Forgets the episode."""
        self._newest, self.frames = None, 0
        self.recorder.discard_episode()

"""Frames of the person's lane on their way into a dataset."""

import dataclasses
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from mjxsim.envs.pixels import IMAGES, STATE
from mjxsim.teleop import priority

INTERVENTION = "complementary_info.is_intervention"
PENALTY = "complementary_info.discrete_penalty"
# Of each step, beside what was seen and done.
EXTRAS = ("next.reward", "next.done", "next.success", INTERVENTION, PENALTY)
STOPPED = "recording stopped: "  # what such a line begins with

_WAITING = 64  # frames between the control thread and the recorder: about a second


def why_stopped(error: Exception) -> str:
    """What a recorder raised, in a line, which may say itself what `STOPPED` says."""
    return " ".join(str(error).split()).removeprefix(STOPPED)


class Recorder(Protocol):
    """Where frames go; `mjxsim.datasets.Writer` is one.

    An error is a ValueError or OSError of one line, and may be that of an earlier call.
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
    later: the newest frame is kept back until then. The recorder is called on a thread of its own,
    in order, for pictures may still be drawn when an action is known; an error over there is raised
    by the next call here.
    """

    def __init__(self, recorder: Recorder, *, penalty: float = 0.0) -> None:
        """`penalty` is what a step costs in which the gripper is told to open or to close."""
        self.recorder = recorder
        self.frames = 0
        self.episodes = recorder.episodes  # of which the last may not be written yet
        self._penalty = penalty
        self._newest: tuple[Callable[[], Moment], dict[str, np.ndarray]] | None = None
        self._later = _Later()

    def add(
        self,
        before: Callable[[], Moment],
        action: np.ndarray,
        reward: float,
        *,
        success: bool,
        intervention: bool,
        switched: bool,
    ) -> None:
        """Takes one step.

        Args:
          before: gives what was to be seen when the action was chosen.
          action: (action_size,) that was applied.
          reward: of the step.
          success: whether the task's condition has been met by now.
          intervention: whether the person chose the action.
          switched: whether the gripper was told to open or to close.
        """
        if self._newest is not None:
            self._add(*self._newest)
        self.frames += 1
        self._newest = (
            before,
            {
                "action": action,
                "next.reward": np.array([reward], np.float32),
                "next.done": np.array([False]),
                "next.success": np.array([success]),
                INTERVENTION: np.array([intervention]),
                PENALTY: np.array([self._penalty if switched else 0.0], np.float32),
            },
        )

    def save(
        self, *, success: bool, task: str, key: np.ndarray | None, lane: int, lanes: int
    ) -> int:
        """Completes the episode, whose last frame says what the person says; gives its number."""
        assert self._newest is not None, "an episode has at least one frame"
        before, frame = self._newest
        last = {"next.done": np.array([True]), "next.success": np.array([success])}
        self._add(before, {**frame, **last})
        self._later.do(lambda: self.recorder.save_episode(task, key=key, lane=lane, lanes=lanes))
        self._newest, self.frames = None, 0
        self.episodes += 1
        return self.episodes - 1

    def discard(self) -> None:
        """Forgets the episode."""
        self._newest, self.frames = None, 0
        self._later.do(self.recorder.discard_episode)

    def finish(self) -> None:
        """Waits until the recorder has everything. Raises what the recorder raised."""
        self._later.finish()

    def _add(self, before: Callable[[], Moment], frame: Mapping[str, np.ndarray]) -> None:
        def add() -> None:
            moment = before()
            images = {f"{IMAGES}.{name}": image for name, image in moment.images.items()}
            self.recorder.add({STATE: moment.observation, **images, **frame})

        self._later.do(add)


class _Later:
    """Calls, in order, on a thread of low priority; after one fails, none is made."""

    def __init__(self) -> None:
        self._jobs: queue.Queue[Callable[[], object] | None] = queue.Queue(_WAITING)
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="mjxsim-recording", daemon=True)
        self._thread.start()

    def do(self, job: Callable[[], object]) -> None:
        """Makes the call soon; waits only where too many others are to be made before it."""
        if self._error is not None:
            raise self._error
        self._jobs.put(job)

    def finish(self) -> None:
        """Waits for the calls. Raises what one of them raised."""
        self._jobs.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        priority.lower()
        while (job := self._jobs.get()) is not None:
            if self._error is None:
                try:
                    job()
                except Exception as error:  # raised by the next `do`
                    self._error = error

"""What the loop shows of each control step, and who looks at it."""

import dataclasses
from collections.abc import Mapping
from typing import Protocol

import numpy as np


@dataclasses.dataclass(frozen=True)
class Status:
    """How the session stands, for whoever shows it."""

    lane: int  # which world the person watches and steers
    lanes: int
    recording: bool
    intervening: bool  # whether the person steers the lane now, rather than its own driver
    paused: bool
    episode: int  # how many episodes are recorded so far
    episodes: int | None  # how many are wanted; None for as many as the person likes
    step: int  # control steps since the lane's episode began
    rate: float  # [Hz] control steps per wall second that were asked for, at this speed
    measured_rate: float  # [Hz] over the last second or so
    late: int  # frames that began more than the tolerance after their deadline
    speed: float  # simulated seconds per wall second that were asked for
    success: bool  # whether the task's condition has been met in this episode
    driver: str  # "hold", "expert" or "policy": who steers lanes that the person does not
    device: str
    instruction: str  # what the episode asks for
    message: str  # the last thing the person should know; "" for nothing


@dataclasses.dataclass(frozen=True)
class Frame:
    """One control step of the person's lane. Arrays are nobody's to write to."""

    step: int  # control steps since the session began
    time: float  # [s] simulated, since the session began
    images: Mapping[str, np.ndarray]  # camera -> uint8 (H, W, 3); empty without cameras
    observation: np.ndarray  # (n,) float32, State.obs
    observation_names: tuple[str, ...]  # (n,) a name for each entry
    action: np.ndarray  # (action_size,) float32, what was applied
    reward: float
    qpos: np.ndarray  # (nq,) of the lane
    mocap_pos: np.ndarray  # (nmocap, 3) [m]
    mocap_quat: np.ndarray  # (nmocap, 4) wxyz
    # body -> position (3,) [m] and orientation (4,) wxyz, world frame
    bodies: Mapping[str, tuple[np.ndarray, np.ndarray]]
    status: Status


class Sink(Protocol):
    """Somebody who looks: a window, a browser, a log.

    `show` is called on the control thread and must return at once: a sink that needs time keeps
    the newest frame and works on a thread of its own, dropping what it cannot follow.
    """

    def show(self, frame: Frame) -> None:
        """Takes one control step."""
        ...

    def close(self) -> None:
        """Ends what it began; a second call does nothing."""
        ...

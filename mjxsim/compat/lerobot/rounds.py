"""When a recorder records, as its own clock tells: LeRobot tells neither robot nor teleoperator."""

import dataclasses
from typing import Literal, Self

Phase = Literal["record", "reset"]
_SLACK = 0.1  # [s] into the recorder's pause: its clock began a little earlier than ours


@dataclasses.dataclass(frozen=True)
class Rounds:
    """Where a recorder is in its round of recording for `episode` and pausing for `reset` seconds.

    It is asked once per frame. While the recorder saves an episode nobody asks, so that the next
    recording begins with the first question after the pause is over.
    """

    episode: float  # [s]
    reset: float  # [s]
    phase: Phase = "record"
    since: float | None = None  # [s] when the phase began

    def __post_init__(self) -> None:
        """Raises ValueError, one line, for times in which the scene cannot be drawn anew."""
        if not (self.episode > 0.0 and self.reset >= 5 * _SLACK):
            raise ValueError(
                f"the expert needs episode_time_s > 0 and reset_time_s >= {5 * _SLACK}, to have "
                f"the scene drawn anew; got {self.episode} and {self.reset}"
            )

    def at(self, now: float) -> Self:
        """The same at a later time [s]."""
        if self.since is None:
            return dataclasses.replace(self, since=now)
        elapsed = now - self.since
        if self.phase == "record" and elapsed >= self.episode + _SLACK:
            return dataclasses.replace(self, phase="reset", since=now)
        if self.phase == "reset" and elapsed >= self.reset - _SLACK:
            return dataclasses.replace(self, phase="record", since=now)
        return self

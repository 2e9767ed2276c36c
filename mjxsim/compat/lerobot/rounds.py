"""When a recorder records, as its own clock tells: LeRobot tells neither robot nor teleoperator."""

import dataclasses
from typing import Literal, Self

Phase = Literal["record", "reset"]
_SLACK = 0.1  # [s] for what the recorder does beside its loop


@dataclasses.dataclass(frozen=True)
class Rounds:
    """Where a recorder is in its round of recording for `episode` and pausing for `reset` seconds.

    It is asked once per frame. A loop of the recorder's ends up to a frame late, so the slowest
    frame seen is waited for: the pause begins a little late here and never ends early. While the
    recorder saves an episode nobody asks; the next recording begins with the first question then.
    """

    episode: float  # [s]
    reset: float  # [s]
    phase: Phase = "record"
    since: float | None = None  # [s] when the recording began
    last: float = 0.0  # [s] of the last question
    slowest: float = 0.0  # [s] the longest time between two questions of this round

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
            return dataclasses.replace(self, since=now, last=now)
        elapsed = now - self.since
        pause = self.episode + self.reset + 2 * self.slowest
        if self.phase == "reset" and elapsed >= pause:
            return dataclasses.replace(self, phase="record", since=now, last=now, slowest=0.0)
        # A hiccup must not cost the pause.
        slowest = min(max(self.slowest, now - self.last), self.reset / 4)
        phase = self.phase
        if phase == "record" and elapsed >= self.episode + _SLACK + slowest:
            phase = "reset"
        return dataclasses.replace(self, phase=phase, last=now, slowest=slowest)

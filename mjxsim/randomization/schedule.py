"""How wide ranges are open: curricula, and widening by success.

A width is a number from 0 (nominal) to 1 (the ranges as they were written). It is settled when an
episode starts and holds until its end.
"""

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp

__all__ = ["LinearSchedule", "Progress", "Schedule", "SuccessSchedule"]


class Progress(flax.struct.PyTreeNode):
    """What a schedule remembers of a world, from its first reset on."""

    width: jax.Array  # float32 () in [0, 1], of this episode
    steps: jax.Array  # int32 (), control steps taken
    episodes: jax.Array  # int32 (), finished since the width was last judged
    successes: jax.Array  # int32 (), how many of those were successes

    def after_step(self) -> "Progress":
        """One control step later."""
        return self.replace(steps=self.steps + 1)


def _begin(width: float) -> Progress:
    zero = jnp.zeros((), jnp.int32)
    return Progress(jnp.float32(width), zero, zero, zero)


def _check_width(name: str, width: float) -> None:
    if not 0.0 <= width <= 1.0:
        raise ValueError(f"schedule {name} is a width from 0 to 1, got {width}")


@dataclasses.dataclass(frozen=True)
class LinearSchedule:
    """A width that moves from `start` to `end` while a world takes its control steps.

    Attributes:
      start: Width up to `start_step`.
      end: Width from `end_step` on; less than `start` narrows.
      start_step: Control steps of one world since its first reset (a run of N environment steps
        over n worlds takes N / n in each).
      end_step: The same, greater than `start_step`.
    """

    start: float = 0.0
    end: float = 1.0
    start_step: int = 0
    end_step: int = 2000

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for a width outside [0, 1] or steps out of order."""
        _check_width("start", self.start)
        _check_width("end", self.end)
        if not 0 <= self.start_step < self.end_step:
            raise ValueError(
                "schedule start_step must be at least 0 and less than end_step, got "
                f"{self.start_step} and {self.end_step}"
            )

    def begin(self) -> Progress:
        """A world that has done nothing yet."""
        return _begin(self.start)

    def next_episode(self, progress: Progress, succeeded: jax.Array, took: jax.Array) -> Progress:
        """The width of the episode that starts now; see `SuccessSchedule.next_episode`."""
        del succeeded, took
        share = (progress.steps - self.start_step) / (self.end_step - self.start_step)
        share = jnp.clip(share, 0.0, 1.0).astype(jnp.float32)
        return progress.replace(width=(1.0 - share) * self.start + share * self.end)


@dataclasses.dataclass(frozen=True)
class SuccessSchedule:
    """Automatic domain randomization: a width that follows a world's own rate of success.

    After every `episodes` episodes of a world their success rate is judged, and the count begins
    anew: at `widen_from` or more the width grows by `step`, at `narrow_to` or less it shrinks.

    The rule, a buffer of m episodes judged against two thresholds and then cleared, is algorithm 1
    of OpenAI et al., "Solving Rubik's Cube with a Robot Hand" (2019, arXiv:1910.07113). It differs
    in three ways: there every bound of every parameter moves on its own, judged by episodes played
    at that very bound, and is shared by all workers. Here one width moves all ranges, judged by
    the episodes as they were drawn, and every world has its own, so that a world stays a pure
    function of its own past.

    Attributes:
      start: Width of the first episodes.
      least: Width below which it never shrinks.
      step: By how much it changes at once.
      episodes: How many are judged together.
      widen_from: Success rate in (0, 1] at which it grows.
      narrow_to: Success rate in [0, 1), less than `widen_from`, at which it shrinks.
    """

    start: float = 0.0
    least: float = 0.0
    step: float = 0.1
    episodes: int = 8
    widen_from: float = 0.75
    narrow_to: float = 0.25

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for a value out of its range."""
        _check_width("start", self.start)
        _check_width("least", self.least)
        if self.least > self.start:
            raise ValueError(f"schedule least {self.least} must not exceed start {self.start}")
        if not 0.0 < self.step <= 1.0:
            raise ValueError(f"schedule step must be above 0 and at most 1, got {self.step}")
        if self.episodes < 1:
            raise ValueError(f"schedule episodes must be at least 1, got {self.episodes}")
        if not 0.0 <= self.narrow_to < self.widen_from <= 1.0:
            raise ValueError(
                "schedule needs 0 <= narrow_to < widen_from <= 1, got narrow_to "
                f"{self.narrow_to} and widen_from {self.widen_from}"
            )

    def begin(self) -> Progress:
        """A world that has done nothing yet."""
        return _begin(self.start)

    def next_episode(self, progress: Progress, succeeded: jax.Array, took: jax.Array) -> Progress:
        """The width of the episode that starts now.

        Args:
          progress: at the end of the episode before.
          succeeded: whether that was a success; bool ().
          took: how many control steps it took, int32 (); one of none at all does not count.
        """
        counts = (took > 0).astype(jnp.int32)
        episodes = progress.episodes + counts
        successes = progress.successes + counts * succeeded.astype(jnp.int32)
        full = episodes >= self.episodes
        rate = successes / jnp.maximum(episodes, 1)
        change = self.step * ((rate >= self.widen_from) * 1.0 - (rate <= self.narrow_to) * 1.0)
        width = jnp.where(full, progress.width + change, progress.width)
        return progress.replace(
            width=jnp.clip(width, self.least, 1.0).astype(jnp.float32),
            episodes=jnp.where(full, 0, episodes),
            successes=jnp.where(full, 0, successes),
        )


Schedule = LinearSchedule | SuccessSchedule

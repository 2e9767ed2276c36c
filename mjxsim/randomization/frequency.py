"""How often a random value is drawn anew."""

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeVar, get_args

import jax

__all__ = ["Frequency", "Keys", "check_frequency", "renewed"]

_Named = Literal["step", "episode", "session"]

# "session": once per world, at its first reset (where a schedule opens ranges later on, the same
# draw moves with them); "episode": at every reset; "step": at every reset and before every later
# control step; n: at every reset and every n control steps after it.
Frequency = _Named | int

T = TypeVar("T")  # what was drawn: a pytree


def check_frequency(name: str, frequency: Frequency) -> None:
    """Raises ValueError, one line, unless it is a known word or a count of at least one step."""
    known = frequency in get_args(_Named)
    count = isinstance(frequency, int) and not isinstance(frequency, bool) and frequency >= 1
    if not (known or count):
        raise ValueError(
            f"{name} must be {', '.join(map(repr, get_args(_Named)))} or a number of control "
            f"steps from 1, got {frequency!r}"
        )


class Keys(NamedTuple):
    """From what an episode draws when it starts."""

    episode: jax.Array
    session: jax.Array  # the same in every episode of a world

    def of(self, frequency: Frequency) -> jax.Array:
        """The one that a frequency draws from."""
        return self.session if frequency == "session" else self.episode

    def split(self, count: int) -> "list[Keys]":
        """Independent ones, for `count` uses."""
        pairs = zip(
            jax.random.split(self.episode, count),
            jax.random.split(self.session, count),
            strict=True,
        )
        return [Keys(*pair) for pair in pairs]


def renewed(frequency: Frequency, draw: Callable[[], T], current: T, step_count: jax.Array) -> T:
    """What holds in the control step `step_count`, int32 (), counted from 0 in an episode.

    Under `vmap` every world draws at every step, and those whose time has not come discard it.
    """
    if frequency in ("session", "episode"):
        return current
    every = 1 if frequency == "step" else int(frequency)
    due = (step_count > 0) & (step_count % every == 0)  # step 0 has what the reset drew
    return jax.lax.cond(due, draw, lambda: current)

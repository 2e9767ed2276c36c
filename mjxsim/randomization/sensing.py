"""Observations that are noisy, off and late."""

import dataclasses
import math
from collections.abc import Mapping

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.naming import check_names, unknown
from mjxsim.randomization.frequency import Frequency, Keys, check_frequency, renewed
from mjxsim.randomization.ranges import MaybeRange, check_range

__all__ = ["SensingState", "SensorDraw", "SensorRandomization", "Sensors"]


@dataclasses.dataclass(frozen=True)
class SensorRandomization:
    """What is wrong with some parts of the observation; None leaves an error out.

    An observation shows `true + bias + noise` as it was `latency` ago. Parts are in their own
    units, which the task gives them: name together only those that share one.

    Attributes:
      names: Of the parts, as `env.observation_layout` has them; none means all.
      noise: Standard deviation of Gaussian noise, added to every entry at every control step.
      bias: What is added to each entry alike at every step; every entry has its own.
      latency: How late the parts arrive [s], all of them alike; rounded to whole control steps.
        The first observations of an episode are its very first one, again.
      frequency: How often standard deviation, bias and latency are drawn anew.
    """

    names: tuple[str, ...] = ()
    noise: MaybeRange = None
    bias: MaybeRange = None
    latency: MaybeRange = None
    frequency: Frequency = "episode"

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for a value out of its range."""
        check_names("sensor names", self.names)
        check_range("sensor noise", self.noise, least=0.0, hows=("absolute",))
        check_range("sensor bias", self.bias, hows=("absolute", "add"))
        check_range("sensor latency", self.latency, least=0.0, hows=("absolute",))
        check_frequency("sensor frequency", self.frequency)


class SensorDraw(flax.struct.PyTreeNode):
    """What was drawn for one group; an error that is left out is None."""

    noise: jax.Array | None  # float32 (), standard deviation
    bias: jax.Array | None  # (observation_size,), of which the group's entries count
    latency: jax.Array | None  # float32 () [s]


class SensingState(flax.struct.PyTreeNode):
    """What one world's sensors remember."""

    drawn: tuple[SensorDraw, ...]  # of each group
    # (k, observation_size), the last observations before latency, newest first; None without any.
    measured: jax.Array | None


@dataclasses.dataclass(frozen=True, eq=False)
class Sensors:
    """`SensorRandomization`s of an environment; later ones come on top of earlier ones."""

    groups: tuple[SensorRandomization, ...]
    entries: tuple[np.ndarray, ...]  # of each group: bool (observation_size,)
    period: float  # [s] between two observations

    @classmethod
    def build(
        cls, groups: tuple[SensorRandomization, ...], layout: Mapping[str, slice], period: float
    ) -> "Sensors | None":
        """Resolves names to indices; None without groups.

        Raises:
          ValueError: an unknown name (with the nearest valid one), latency of a part in two groups,
            or a latency that rounds to nothing.
        """
        if not groups:
            return None
        size = max(part.stop for part in layout.values())
        entries: list[np.ndarray] = []
        late: set[str] = set()
        for group in groups:
            names = group.names or tuple(layout)
            for name in names:
                if name not in layout:
                    raise ValueError(unknown("part of the observation", name, layout))
                if group.latency is not None and name in late:
                    raise ValueError(f"two sensors entries give a latency to {name!r}: give one")
            if group.latency is not None:
                late |= set(names)
                if _steps(group.latency.high, period) == 0:
                    raise ValueError(
                        f"sensor latency of at most {group.latency.high} s is never felt: an "
                        f"observation is made every {period:g} s and a latency rounds to that"
                    )
            mask = np.zeros(size, bool)
            for name in names:
                mask[layout[name]] = True
            entries.append(mask)
        return cls(groups, tuple(entries), period)

    @property
    def longest(self) -> int:
        """The longest latency [control steps]."""
        latencies = [g.latency for g in self.groups]
        return max((_steps(x.high, self.period) for x in latencies if x is not None), default=0)

    def start(
        self, keys: Keys, width: jax.Array | float, obs: jax.Array
    ) -> tuple[SensingState, jax.Array]:
        """At the start of an episode whose true observation is `obs`: the state, what is shown."""
        draws, noise = keys.split(2)
        each = zip(self.groups, draws.split(len(self.groups)), strict=True)
        drawn = tuple(_draw(g, k.of(g.frequency), width, obs.shape) for g, k in each)
        first = self._measure(noise.episode, drawn, obs)
        measured = jnp.tile(first, (self.longest, 1)) if self.longest else None
        return SensingState(drawn, measured), first

    def renew(
        self, key: jax.Array, width: jax.Array | float, state: SensingState, step_count: jax.Array
    ) -> SensingState:
        """Before a control step: the state with what is to be drawn anew."""
        keys = jax.random.split(key, len(self.groups))
        shape = self.entries[0].shape
        drawn = tuple(
            renewed(g.frequency, lambda g=g, k=k: _draw(g, k, width, shape), old, step_count)
            for g, k, old in zip(self.groups, keys, state.drawn, strict=True)
        )
        return state.replace(drawn=drawn)

    def show(
        self, key: jax.Array, state: SensingState, obs: jax.Array
    ) -> tuple[SensingState, jax.Array]:
        """After a control step: what is shown when the true observation is `obs`."""
        now = self._measure(key, state.drawn, obs)
        if state.measured is None:
            return state, now
        measured = jnp.concatenate([now[None], state.measured])
        shown = now
        for entries, drawn in zip(self.entries, state.drawn, strict=True):
            if drawn.latency is not None:
                steps = jnp.floor(drawn.latency / self.period + 0.5).astype(jnp.int32)
                late = measured[jnp.clip(steps, 0, self.longest)]
                shown = jnp.where(entries, late, shown)
        return state.replace(measured=measured[: self.longest]), shown

    def _measure(self, key: jax.Array, draws: tuple[SensorDraw, ...], obs: jax.Array) -> jax.Array:
        """The observation with bias and noise."""
        for i, (entries, drawn) in enumerate(zip(self.entries, draws, strict=True)):
            if drawn.bias is not None:
                obs = obs + jnp.where(entries, drawn.bias, 0.0)
            if drawn.noise is not None:
                noise = jax.random.normal(jax.random.fold_in(key, i), obs.shape)
                obs = obs + jnp.where(entries, drawn.noise * noise, 0.0)
        return obs


def _draw(
    group: SensorRandomization, key: jax.Array, width: jax.Array | float, shape: tuple[int, ...]
) -> SensorDraw:
    noise_key, bias_key, latency_key = jax.random.split(key, 3)
    noise, bias, latency = group.noise, group.bias, group.latency
    return SensorDraw(
        noise=None if noise is None else noise.draw(noise_key, 0.0, width),
        bias=None if bias is None else bias.draw(bias_key, jnp.zeros(shape), width),
        latency=None if latency is None else latency.draw(latency_key, 0.0, width),
    )


def _steps(seconds: float, period: float) -> int:
    return math.floor(seconds / period + 0.5)

"""Commands that reach the actuators late, and actions that are not carried out exactly."""

import dataclasses
import math

import flax.struct
import jax
import jax.numpy as jnp

from mjxsim.randomization.frequency import Frequency, Keys, check_frequency, renewed
from mjxsim.randomization.ranges import MaybeRange, check_range

__all__ = ["ActuationDraw", "ActuationRandomization", "ActuationState", "Actuators"]


@dataclasses.dataclass(frozen=True)
class ActuationRandomization:
    """What happens between a policy's action and the actuators; None leaves a part out.

    Attributes:
      delay: After how long a command reaches the actuators [s], all of them alike. It is rounded
        to whole engine calls, see `resolution`; until the first command arrives they keep the
        control with which the episode starts. Observations show the command as it was sent.
      noise: Standard deviation of the Gaussian noise added to every entry of the action at every
        control step; the sum is clipped to [-1, 1].
      frequency: How often delay and standard deviation are drawn anew.
      resolution: [s]. With a delay a control step is split into equal engine calls, as few as make
        each at most this long; each whole physics steps. A finer one costs more calls. (A
        controller at the physics rate is called at every physics step anyway.)
    """

    delay: MaybeRange = None
    noise: MaybeRange = None
    frequency: Frequency = "episode"
    resolution: float = 0.01

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for a value out of its range."""
        check_range("actuation delay", self.delay, least=0.0, hows=("absolute",))
        check_range("actuation noise", self.noise, least=0.0, hows=("absolute",))
        check_frequency("actuation frequency", self.frequency)
        if not self.resolution > 0.0:
            raise ValueError(f"actuation resolution must be positive, got {self.resolution} s")

    @property
    def active(self) -> bool:
        """Whether anything differs from an actuator that obeys at once."""
        return self.delay is not None or self.noise is not None

    def calls(self, substeps: int, timestep: float) -> int:
        """Engine calls into which a control step of `substeps` physics steps is split."""
        if self.delay is None:
            return 1
        divisors = (n for n in range(1, substeps + 1) if substeps % n == 0)
        fine = (n for n in divisors if substeps // n * timestep <= self.resolution * (1 + 1e-6))
        return next(fine, substeps)


class ActuationDraw(flax.struct.PyTreeNode):
    """What was drawn; a part that is left out is None."""

    delay: jax.Array | None  # float32 () [s]
    noise: jax.Array | None  # float32 (), standard deviation of an action's entry


class ActuationState(flax.struct.PyTreeNode):
    """What one world's actuation remembers."""

    drawn: ActuationDraw
    sent: jax.Array | None  # (n, nu), the last commands, newest first, one per engine call


@dataclasses.dataclass(frozen=True)
class Actuators:
    """`ActuationRandomization` in an environment whose engine is called every `period` seconds."""

    config: ActuationRandomization
    period: float  # [s]

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for a delay that rounds to nothing."""
        delay = self.config.delay
        if delay is not None and self.longest == 0:
            raise ValueError(
                f"actuation delay of at most {delay.high} s is never felt: the engine is called "
                f"every {self.period:g} s; give a finer actuation resolution"
            )

    @property
    def longest(self) -> int:
        """The longest delay [engine calls]."""
        return 0 if self.config.delay is None else _rounded(self.config.delay.high / self.period)

    def start(self, keys: Keys, width: jax.Array | float, ctrl: jax.Array) -> ActuationState:
        """At the start of an episode in which the actuators hold `ctrl` (nu,)."""
        drawn = self._draw(keys.of(self.config.frequency), width)
        sent = None if self.config.delay is None else jnp.tile(ctrl, (self.longest, 1))
        return ActuationState(drawn, sent)

    def renew(
        self, key: jax.Array, width: jax.Array | float, state: ActuationState, step_count: jax.Array
    ) -> ActuationState:
        """Before a control step: the state with what is to be drawn anew."""
        draw = renewed(
            self.config.frequency, lambda: self._draw(key, width), state.drawn, step_count
        )
        return state.replace(drawn=draw)

    def disturb(self, key: jax.Array, state: ActuationState, action: jax.Array) -> jax.Array:
        """The action (action_size,) in [-1, 1] that is carried out."""
        if state.drawn.noise is None:
            return action
        noise = state.drawn.noise * jax.random.normal(key, action.shape)
        return jnp.clip(action + noise, -1.0, 1.0)

    def send(self, state: ActuationState, ctrl: jax.Array) -> tuple[ActuationState, jax.Array]:
        """Sends `ctrl` (nu,); what the actuators receive during this engine call."""
        if state.sent is None or state.drawn.delay is None:
            return state, ctrl
        # One that is not finite is not sent: it would stay in the queue when its step is discarded.
        ctrl = jnp.where(jnp.isfinite(ctrl), ctrl, state.sent[0])
        sent = jnp.concatenate([ctrl[None], state.sent])
        calls = jnp.floor(state.drawn.delay / self.period + 0.5).astype(jnp.int32)
        received = sent[jnp.clip(calls, 0, self.longest)]
        return state.replace(sent=sent[: self.longest]), received

    def _draw(self, key: jax.Array, width: jax.Array | float) -> ActuationDraw:
        delay_key, noise_key = jax.random.split(key)
        c = self.config
        return ActuationDraw(
            delay=None if c.delay is None else c.delay.draw(delay_key, 0.0, width),
            noise=None if c.noise is None else c.noise.draw(noise_key, 0.0, width),
        )


def _rounded(x: float) -> int:
    return math.floor(x + 0.5)

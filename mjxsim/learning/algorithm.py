"""What a learner is to whoever runs it, and what a trained policy is to whoever acts with it."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import flax.struct
import jax

from mjxsim.envs import Observation
from mjxsim.learning.mesh import Shards
from mjxsim.learning.normalize import Normalizer


class PolicyParams(flax.struct.PyTreeNode):
    """All that acting needs."""

    params: Any  # the networks' weights
    normalizer: Normalizer


class LearnerState(Protocol):
    """A run between two updates, complete: continuing from a copy gives the same bits.

    A pytree of arrays. The session saves it as it is, so it must hold every random key, optimizer
    state, running episode and replayed transition; loading a policy reads `policy` alone.
    """

    @property
    def policy(self) -> PolicyParams:
        """What acts now."""
        ...

    @property
    def updates(self) -> jax.Array:
        """How many updates the run has seen; int32 ()."""
        ...


S = TypeVar("S", bound=LearnerState)


class Algorithm(Protocol[S]):
    """A learner bound to an environment; `init` and `update` are pure and can be compiled.

    The metrics of an update are float32 (). Among them are `episodes`, how many ended; `return`,
    `success` and `episode_length`, means over those; and `diverged`, `invalid_action`,
    `contact_overflow` and `constraint_overflow`, the environment steps in which they happened.
    """

    @property
    def steps_per_update(self) -> int:
        """Environment steps in one update."""
        ...

    @property
    def num_updates(self) -> int:
        """Updates in the run; the last one may overshoot its environment steps."""
        ...

    @property
    def shards(self) -> Shards:
        """How the worlds are divided among devices."""
        ...

    def place(self, state: S) -> S:
        """A state in this process's memory onto the devices."""
        ...

    def init(self, key: jax.Array) -> S:
        """A fresh run."""
        ...

    def update(self, state: S) -> tuple[S, dict[str, jax.Array]]:
        """Some experience and the learning from it; the metrics."""
        ...


class Actor:
    """How a policy's parameters begin and act, without the learner around them.

    Args:
      observation_size: entries of a raw observation.
      init: key -> the network's weights.
      act: (parameters, what `Env.observation` gives) -> the deterministic actions
        (..., action_size), in [-1, 1].
    """

    def __init__(
        self,
        observation_size: int,
        init: Callable[[jax.Array], Any],
        act: Callable[[PolicyParams, Observation], jax.Array],
    ) -> None:
        self._size, self._init, self.act = observation_size, init, act

    def init(self, key: jax.Array) -> PolicyParams:
        """Fresh parameters."""
        return PolicyParams(self._init(key), Normalizer.init(self._size))

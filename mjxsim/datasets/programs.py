"""The compiled programs under which an episode is recorded and played again, bit for bit.

XLA may round differently when the same formula stands in another program, or at another width of
batch. An episode therefore repeats to the bit when it is stepped by these programs, at the width
that it was recorded with, on the same kind of machine and with the same versions.
"""

import dataclasses
from collections.abc import Callable
from typing import Self

import jax
import numpy as np

from mjxsim.datasets.features import observed
from mjxsim.envs import Env, State, Transition


@dataclasses.dataclass(frozen=True, eq=False)
class Programs:
    """`reset`, `step` and what is seen, of `lanes` worlds at once."""

    env: Env
    lanes: int
    reset: Callable[[jax.Array], State]  # keys (lanes,) -> worlds
    step: Callable[[State, jax.Array], tuple[State, Transition]]  # actions (lanes, action_size)
    instruction: Callable[[State], jax.Array]  # int32 (lanes,), into `task.instructions`

    @classmethod
    def of(cls, env: Env, lanes: int) -> Self:
        """Nothing is compiled yet. Raises ValueError for fewer than one lane."""
        if lanes < 1:
            raise ValueError(f"lanes must be at least 1, got {lanes}")
        return cls(
            env,
            lanes,
            env.jit(jax.vmap(env.reset)),
            env.jit(jax.vmap(env.step)),
            env.jit(jax.vmap(env.instruction)),
        )

    def see(self, state: State) -> dict[str, np.ndarray]:
        """What is recorded of the worlds now, (lanes, ...) by feature."""
        return observed(jax.device_get(self.env.observation(state)))

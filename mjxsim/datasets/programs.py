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

from mjxsim import physics as engines
from mjxsim.datasets.features import observed
from mjxsim.envs import Env, State, Transition
from mjxsim.envs.pixels import STATE, Sight


@dataclasses.dataclass(frozen=True, eq=False)
class Programs:
    """`reset`, `step` and what is seen, of `lanes` worlds at once.

    The physics is compiled without the cameras, and pictures are drawn by their own program, so
    that an episode has the same bits whether anybody looked or not: in a recording of all lanes,
    in teleoperation and when it is played again.
    """

    env: Env
    lanes: int
    instruction: Callable[[State], jax.Array]  # int32 (lanes,), into `task.instructions`
    _start: Callable[[jax.Array], State]
    _advance: Callable[[State, jax.Array], tuple[State, Transition]]
    _begin_sight: Callable[[jax.Array], Sight | None] | None  # None draws nothing
    _look: Callable[[State], State]

    @classmethod
    def of(cls, env: Env, lanes: int, *, pictures: bool = True) -> Self:
        """Nothing is compiled yet.

        Args:
          env: the environment.
          lanes: how many worlds.
          pictures: whether cameras, if there are any, are drawn.

        Raises:
          ValueError: fewer than one lane.
        """
        if lanes < 1:
            raise ValueError(f"lanes must be at least 1, got {lanes}")
        blind = dataclasses.replace(env, eyes=None)
        draws = pictures and env.eyes is not None
        return cls(
            env,
            lanes,
            engines.jit(jax.vmap(blind.instruction)),
            engines.jit(jax.vmap(blind.start)),
            engines.jit(jax.vmap(blind.advance)),
            env.jit(jax.vmap(lambda key: env.start(key).sight)) if draws else None,
            env.jit(jax.vmap(env.look)),
        )

    def reset(self, keys: jax.Array) -> State:
        """New worlds from keys (lanes,)."""
        state = self._start(keys)
        if self._begin_sight is None:
            return state
        return self._look(state.replace(sight=self._begin_sight(keys)))

    def step(self, state: State, action: jax.Array) -> tuple[State, Transition]:
        """The worlds after actions (lanes, action_size)."""
        after, transition = self._advance(state.replace(sight=None), action)
        if self._begin_sight is None:
            return after, transition
        return self._look(after.replace(sight=state.sight)), transition

    def see(self, state: State) -> dict[str, np.ndarray]:
        """What is recorded of the worlds now, (lanes, ...) by feature."""
        if self.env.eyes is not None and state.sight is None:
            return {STATE: np.asarray(state.obs)[..., self.env.eyes.visible]}
        return observed(jax.device_get(self.env.observation(state)))

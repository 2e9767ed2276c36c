"""A simulated work cell: one SO arm, a table and a task, in time with a clock."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.compat.lerobot.arm import DegreesArm
from mjxsim.compat.lerobot.pacing import Pacer
from mjxsim.compat.lerobot.spec import WorldSpec
from mjxsim.compat.lerobot.view import SeenEnv
from mjxsim.envs import Env, State

TICK = 0.01  # [s]; two steps of physics


@dataclasses.dataclass(frozen=True)
class Sight:
    """What a cell shows."""

    values: np.ndarray  # (6,) float64, where the arm is [degrees, and 0-100]
    pictures: Mapping[str, np.ndarray]  # by camera, uint8 (h, w, 3)
    succeeded: bool  # since the scene was last drawn anew
    failed: bool


class Cell:
    """One lane of a task that goes on by its clock and never ends by itself.

    Whoever looks or commands brings the world up to the clock first, so that it needs no thread.

    Args:
      spec: task, robot ("so100" or "so101"), engine and cameras; units and fps are the cell's own.
      clock: the time [s].
      seed: of everything random.

    Raises:
      ValueError: the specification is wrong; one line.
    """

    def __init__(self, spec: WorldSpec, clock: Callable[[], float], seed: int = 0) -> None:
        settings = {**json.loads(spec.settings), "control_dt": TICK}
        # LeRobot says when an episode is over, the world does not.
        spec = dataclasses.replace(spec, units="lerobot", fps=None, settings=json.dumps(settings))
        env = SeenEnv.build(spec)
        assert env.arm is not None
        self.env: Env = env
        self.arm: DegreesArm = env.arm
        self.episode = 0  # how often the scene was drawn anew
        self.waited = 0.0  # [s] that the world stood still because nobody looked for long
        self._advance = env.jit(self._ticks)
        self._restart = env.jit(env.start)
        self._look = env.jit(self._show)
        self._failed = jnp.zeros((), bool)
        self._state: State = self._restart(jax.random.key(np.uint32(seed % 2**32)))
        self._values = self._rest = self._told()
        # Compiled before the clock starts.
        self._advance(self._state, jnp.asarray(self._values), jnp.int32(0), self._failed)
        self._show_now()
        self._clock = clock
        self._pacer = Pacer(TICK, clock)

    @property
    def time(self) -> float:
        """What its clock says [s]."""
        return self._clock()

    def start(self) -> None:
        """Lets time go on from here; what passed since the last look is not made up for."""
        self._pacer.skip()

    @property
    def state(self) -> State:
        """The world as of the last look."""
        return self._state

    @property
    def rest(self) -> np.ndarray:
        """Where the arm was told to be when the scene was last drawn, (6,)."""
        return self._rest.astype(float)

    def command(self, values: np.ndarray) -> np.ndarray:
        """Sends the arm to values (6,), from now on; what it is sent to, within its limits.

        Raises:
          ValueError: a value that is not finite.
        """
        values = np.asarray(values, np.float32)
        if values.shape != (6,) or not np.isfinite(values).all():
            raise ValueError(f"an SO arm takes six finite values, got {values.tolist()}")
        self._catch_up()
        self._values = np.clip(values, *self.arm.limits)
        return self._values.astype(float)

    def look(self) -> Sight:
        """The world as it is now."""
        self._catch_up()
        return self._show_now()

    def restart(self, seed: int | None = None) -> None:
        """Draws the scene anew, with the arm at home."""
        key = self._state.key if seed is None else jax.random.key(np.uint32(seed % 2**32))
        self._state = self._restart(key)
        self._failed = jnp.zeros((), bool)
        self._values = self._rest = self._told()
        self.episode += 1
        self._pacer.skip()

    def _catch_up(self) -> None:
        if ticks := self._pacer.due():
            values, n = jnp.asarray(self._values), jnp.int32(ticks)
            self._state, self._failed = self._advance(self._state, values, n, self._failed)
        self.waited = self._pacer.lost

    def _told(self) -> np.ndarray:
        return np.asarray(self.arm.targets(self._state.physics.ctrl), np.float32)

    def _show_now(self) -> Sight:
        values, pictures, succeeded = jax.device_get(self._look(self._state))
        return Sight(np.asarray(values, float), pictures, bool(succeeded), bool(self._failed))

    def _ticks(
        self, state: State, values: jax.Array, n: jax.Array, failed: jax.Array
    ) -> tuple[State, jax.Array]:
        def tick(_: Any, carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
            state, failed = carry
            state, transition = self.env.advance(state, values)
            return state, failed | transition.terminated

        return jax.lax.fori_loop(0, n, tick, (state, failed))

    def _show(self, state: State) -> tuple[jax.Array, dict[str, jax.Array], jax.Array]:
        seen = self.env.look(state)
        pictures = dict(seen.sight.pixels) if seen.sight is not None else {}
        return self.arm.values(state.physics.qpos), pictures, state.succeeded

"""One controller for several arms."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.control.base import Controller, Motion
from mjxsim.physics.base import PhysicsState


@dataclasses.dataclass(frozen=True, eq=False)
class Arms:
    """The arms' controllers side by side; an action is theirs, one after the other."""

    each: tuple[Controller[Any], ...]

    @property
    def action_size(self) -> int:
        """The sum of the arms'."""
        return sum(c.action_size for c in self.each)

    def init(self, physics: PhysicsState) -> tuple[Any, ...]:
        """Return the arms' states."""
        return tuple(c.init(physics) for c in self.each)

    def __call__(
        self, state: tuple[Any, ...], physics: PhysicsState, action: jax.Array
    ) -> tuple[tuple[Any, ...], jax.Array]:
        """See :class:`~mjxsim.control.base.Controller`."""
        states: list[Any] = []
        for controller, old, part in zip(self.each, state, self._split(action), strict=True):
            # Each replaces its own entries of ctrl and keeps the others'.
            new, ctrl = controller(old, physics, part)
            physics = physics.replace(ctrl=ctrl)
            states.append(new)
        return tuple(states), physics.ctrl

    @property
    def every_substep(self) -> bool:
        """Whether any arm's is."""
        return any(c.every_substep for c in self.each)

    def feedback(self, state: tuple[Any, ...], physics: PhysicsState, ctrl: jax.Array) -> jax.Array:
        """See :class:`~mjxsim.control.base.Controller`."""
        for controller, part in zip(self.each, state, strict=True):
            ctrl = controller.feedback(part, physics, ctrl)
        return ctrl

    def toward(self, state: tuple[Any, ...], motion: Motion | tuple[Motion, ...]) -> jax.Array:
        """Return the action (action_size,) towards one motion per arm; arms without one stay."""
        motions = motion if isinstance(motion, tuple) else (motion,)
        parts = [c.toward(s, m) for c, s, m in zip(self.each, state, motions, strict=False)]
        parts += [c.stay() for c in self.each[len(motions) :]]
        return jnp.concatenate(parts)

    def stay(self) -> jax.Array:
        """Return the action (action_size,) that leaves every arm where it is, grippers open."""
        return jnp.concatenate([c.stay() for c in self.each])

    def _split(self, action: jax.Array) -> list[jax.Array]:
        stops = np.cumsum([c.action_size for c in self.each])[:-1]
        return jnp.split(action, stops)

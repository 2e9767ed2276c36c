"""Pictures of the person's lane, and of no other."""

from collections.abc import Callable

import jax

from mjxsim.envs import Env
from mjxsim.rendering import Visual
from mjxsim.teleop.lanes import Seen

# One lane -> uint8 (cameras, H, W, 3), not waited for.
Draw = Callable[[Seen], jax.Array]


def drawer(env: Env) -> Draw | None:
    """Draws what the cameras of `env` see of one lane; None if it has none.

    It returns at once, as JAX does; the pictures are there when they are asked for. Looks that are
    randomized from world to world are not drawn: people see the scene as it is modelled, with what
    the lane's overrides change of it.
    """
    eyes = env.eyes
    if eyes is None:
        return None

    def draw(seen: Seen) -> jax.Array:
        looks = Visual.of(eyes.scene).overridden(eyes.scene, seen.overrides)
        return eyes.draw(seen.physics, looks).rgb

    return env.jit(draw)

"""gym-hil's observation and action spaces, and what our environment shows in those terms."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnasium import spaces

from mjxsim.compat.gym_hil.scene import CAMERAS
from mjxsim.compat.gym_hil.settings import Settings
from mjxsim.compat.gym_hil.tasks import GRIPPER_ENTRY
from mjxsim.envs import Observation
from mjxsim.envs.pixels import IMAGES, STATE

BASE_ACTION = 7  # x, y, z, three rotations that nothing heeds, gripper
WRAPPED_ACTION = 4  # x, y, z, gripper

# "agent_pos", and "environment_state" or, a dictionary itself, "pixels".
HilObservation = dict[str, Any]


def observation_space(settings: Settings) -> spaces.Dict:
    """Of one world."""
    agent = spaces.Box(-np.inf, np.inf, (settings.agent_size,), np.float32)
    if not settings.image_obs:
        block = spaces.Box(-np.inf, np.inf, (3,), np.float32)
        return spaces.Dict({"agent_pos": agent, "environment_state": block})
    picture = spaces.Box(0, 255, (*settings.picture, 3), np.uint8)
    pixels = spaces.Dict(dict.fromkeys(CAMERAS, picture))
    return spaces.Dict({"pixels": pixels, "agent_pos": agent})


def base_action_space() -> spaces.Box:
    """(7,): x, y, z [m], rotations, gripper."""
    return spaces.Box(-1.0, 1.0, (BASE_ACTION,), np.float32)


def wrapped_action_space() -> spaces.Box:
    """(4,): x, y, z in [-1, 1], gripper 0, 1 (hold) or 2."""
    low, high = np.array([-1, -1, -1, 0], np.float32), np.array([1, 1, 1, 2], np.float32)
    return spaces.Box(low, high, dtype=np.float32)


def own_action(action: np.ndarray) -> np.ndarray:
    """A base action (..., 7) or a wrapped one (..., 4) as our controller takes it, (..., 4)."""
    if action.shape[-1] == BASE_ACTION:
        return action[..., [0, 1, 2, 6]]
    return np.concatenate([action[..., :3], action[..., 3:] - 1.0], axis=-1)


def observation(settings: Settings, seen: Observation) -> HilObservation:
    """What `Env.observation` gives, of one world or of many, in gym-hil's terms: copies."""
    seen = jax.device_get(seen)
    size = settings.agent_size
    if not isinstance(seen, dict):
        return {
            "agent_pos": np.array(seen[..., :size]),
            "environment_state": np.array(seen[..., size:]),
        }
    pixels = {name: resized(settings, seen[f"{IMAGES}.{name}"]) for name in CAMERAS}
    return {"pixels": pixels, "agent_pos": np.array(seen[STATE])}


def resized(settings: Settings, pictures: np.ndarray | jax.Array) -> np.ndarray:
    """Pictures (..., height, width, 3) in the size that the settings ask for: a copy."""
    if pictures.shape[-3:-1] == settings.picture:
        return np.array(pictures)
    return np.array(_resize(pictures, settings.picture))


@functools.partial(jax.jit, static_argnames="size")
def _resize(pictures: jax.Array, size: tuple[int, int]) -> jax.Array:
    shape = (*pictures.shape[:-3], *size, 3)
    smooth = jax.image.resize(pictures.astype(jnp.float32), shape, "linear")
    return jnp.clip(jnp.round(smooth), 0, 255).astype(jnp.uint8)


def gripper(observed: HilObservation) -> np.ndarray:
    """The gripper's control as a share, () or (num_envs,): 0 is open, 1 closed."""
    return observed["agent_pos"][..., GRIPPER_ENTRY] / 255.0


def toggled(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Whether a step's gripper action opened a closed gripper or closed an open one; bool.

    gym-hil looks at the action, below -0.5 or above 0.5, and at the control before: above 0.9 or
    below 0.1. A control that starts there has room for all of such an action, or for more than 0.5
    of it, so that the control afterwards says the same.
    """
    change = after - before
    return ((before > 0.9) & (change < -0.5)) | ((before < 0.1) & (change > 0.5))

"""Engines: one functional step, three implementations."""

import contextlib
import io

with contextlib.redirect_stdout(io.StringIO()):  # MJX prints that Warp, an extra, is missing
    import mujoco.mjx  # noqa: F401

from mjxsim.physics.base import Engine, Faults, Overrides, PhysicsState
from mjxsim.physics.compile import jit
from mjxsim.physics.overrides import Model, complete, put_model
from mjxsim.physics.select import ENGINES, make_engine

__all__ = [
    "ENGINES",
    "Engine",
    "Faults",
    "Model",
    "Overrides",
    "PhysicsState",
    "complete",
    "jit",
    "make_engine",
    "put_model",
]

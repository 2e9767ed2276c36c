"""Engines: one functional step, three implementations."""

from typing import TYPE_CHECKING, Any

from mjxsim.physics.base import Engine, Faults, Overrides, PhysicsState
from mjxsim.physics.compile import jit
from mjxsim.physics.loading import load
from mjxsim.physics.select import ENGINES, make_engine

if TYPE_CHECKING:
    from mjxsim.physics.derived import Model, complete, put_model

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


def __getattr__(name: str) -> Any:
    if name in ("Model", "complete", "put_model"):
        return getattr(load("derived"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""MJX takes two seconds to import, so what stands on it is loaded when it is first used."""

import contextlib
import importlib
import io
from types import ModuleType


def load(module: str) -> ModuleType:
    """The module of that name here, without MJX's notice that Warp, an extra, is missing."""
    with contextlib.redirect_stdout(io.StringIO()):
        return importlib.import_module(f"mjxsim.physics.{module}")

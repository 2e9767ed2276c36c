"""An empty module for `import gym_hil`, and the version that LeRobot 0.6 asks for before that."""

import importlib.machinery
import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterable
from typing import NoReturn

_MODULE, _DISTRIBUTION = "gym_hil", "gym-hil"
_VERSION = "0.1.14"  # whose ids mjxsim has


class _Distribution(importlib.metadata.Distribution):
    """The metadata of nothing but a name and a version."""

    def read_text(self, filename: str) -> str | None:
        if filename != "METADATA":
            return None
        return f"Metadata-Version: 2.1\nName: {_DISTRIBUTION}\nVersion: {_VERSION}\n"

    def locate_file(self, path: str | os.PathLike[str]) -> NoReturn:
        raise FileNotFoundError(f"the stand-in for {_DISTRIBUTION} has no file {path}")


class _Finder(importlib.metadata.DistributionFinder):
    """Finds that distribution when it is asked for by its name, and no module."""

    def find_distributions(
        self, context: importlib.metadata.DistributionFinder.Context | None = None
    ) -> Iterable[importlib.metadata.Distribution]:
        asked = context.name if context else None
        named = asked is not None and asked.replace("_", "-").lower() == _DISTRIBUTION
        return [_Distribution()] if named else []

    def find_spec(self, *_: object) -> None:
        return None


def install() -> None:
    """Where gym-hil is not installed, this process finds an empty one."""
    if importlib.util.find_spec(_MODULE) is not None:
        return
    empty = importlib.machinery.ModuleSpec(_MODULE, loader=None)
    sys.modules[_MODULE] = importlib.util.module_from_spec(empty)
    sys.meta_path.append(_Finder())

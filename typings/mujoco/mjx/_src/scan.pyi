"""What mjxsim/physics/chains.py replaces while it traces."""

from typing import Any

body_tree: Any

def __getattr__(name: str) -> Any: ...

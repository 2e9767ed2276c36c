"""MuJoCo's bindings carry no types; without this every name of theirs would be an error."""

from typing import Any

def __getattr__(name: str) -> Any: ...

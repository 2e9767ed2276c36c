"""LeRobot is installed only where it is used; without this every name of it would be an error."""

from typing import Any

def __getattr__(name: str) -> Any: ...

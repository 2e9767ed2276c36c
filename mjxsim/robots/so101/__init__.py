"""SO-ARM101, the successor of the SO-ARM100."""

from mjxsim.robots.so101.constants import SO101, SO101_UNITS

__all__ = ["SO101", "SO101_UNITS"]

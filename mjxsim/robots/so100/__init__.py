"""SO-ARM100, the five-joint follower arm of TheRobotStudio and Hugging Face."""

from mjxsim.robots.so100.constants import SO100, SO100_UNITS

__all__ = ["SO100", "SO100_UNITS"]

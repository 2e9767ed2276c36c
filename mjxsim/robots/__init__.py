"""Robots: one folder each (model.xml and constants.py), and one registry line."""

from mjxsim.robots.adopt import adopt
from mjxsim.robots.base import ArmSpec, RobotSpec, WorkArea
from mjxsim.robots.registry import ROBOTS, get

__all__ = ["ROBOTS", "ArmSpec", "RobotSpec", "WorkArea", "adopt", "get"]

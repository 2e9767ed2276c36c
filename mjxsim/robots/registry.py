"""The robots that exist, by name."""

from mjxsim.naming import unknown
from mjxsim.robots.base import RobotSpec
from mjxsim.robots.panda.constants import PANDA

__all__ = ["ROBOTS", "get"]

ROBOTS: dict[str, RobotSpec] = {
    "panda": PANDA,
}


def get(name: str) -> RobotSpec:
    """Returns the robot registered as `name`.

    Raises:
      ValueError: if there is no such robot; the message names the nearest valid one.
    """
    if name in ROBOTS:
        return ROBOTS[name]
    raise ValueError(unknown("robot", name, ROBOTS))

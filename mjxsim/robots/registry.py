"""The robots that exist, by name."""

from mjxsim.naming import unknown
from mjxsim.robots.aloha.constants import ALOHA
from mjxsim.robots.base import RobotSpec
from mjxsim.robots.panda.constants import PANDA
from mjxsim.robots.so100.constants import SO100
from mjxsim.robots.so101.constants import SO101

__all__ = ["ROBOTS", "get"]

ROBOTS: dict[str, RobotSpec] = {
    "panda": PANDA,
    "so100": SO100,
    "so101": SO101,
    "aloha": ALOHA,
}


def get(name: str) -> RobotSpec:
    """Returns the robot registered as `name`.

    Raises:
      ValueError: if there is no such robot; the message names the nearest valid one.
    """
    if name in ROBOTS:
        return ROBOTS[name]
    raise ValueError(unknown("robot", name, ROBOTS))

"""LeRobot imports this by its name; see mjxsim.compat.lerobot."""

from mjxsim.compat.lerobot import register

register()

"""Franka Panda with the Robotiq 2F-85 gripper, as gym-hil has it."""

from mjxsim.robots.panda_robotiq.constants import PANDA_ROBOTIQ

__all__ = ["PANDA_ROBOTIQ"]

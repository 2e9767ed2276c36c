"""Franka Panda with the parallel Franka Hand."""

from mjxsim.robots.panda.constants import PANDA

__all__ = ["PANDA"]

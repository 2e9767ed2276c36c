"""ALOHA 2: two ViperX 300 S arms with parallel grippers, face to face."""

from mjxsim.robots.aloha.constants import ALOHA

__all__ = ["ALOHA"]

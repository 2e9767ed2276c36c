"""Rotations, poses and reward shaping: small pure functions on unbatched float32 arrays."""

from mjxsim.math import poses, rotations
from mjxsim.math.poses import Pose
from mjxsim.math.tolerance import Sigmoid, reach_reward, tolerance

__all__ = ["Pose", "Sigmoid", "poses", "reach_reward", "rotations", "tolerance"]

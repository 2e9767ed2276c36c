"""Environments: pure reset and step, and plain functions over them."""

from mjxsim.envs.autoreset import reset_batch, reset_done, step_autoreset
from mjxsim.envs.env import Env, Observation, State, Transition
from mjxsim.envs.make import make
from mjxsim.envs.pixels import CameraConfig
from mjxsim.envs.rollout import Policy, expert_policy, random_policy, rollout

__all__ = [
    "CameraConfig",
    "Env",
    "Observation",
    "Policy",
    "State",
    "Transition",
    "expert_policy",
    "make",
    "random_policy",
    "reset_batch",
    "reset_done",
    "rollout",
    "step_autoreset",
]

"""Training runs: carrying one out, and loading one from its directory."""

from mjxsim.runs.load import Policy, Run, build_env, build_policy, load
from mjxsim.runs.session import InterruptedRunError, Session, TrainingError, TrainResult

__all__ = [
    "InterruptedRunError",
    "Policy",
    "Run",
    "Session",
    "TrainResult",
    "TrainingError",
    "build_env",
    "build_policy",
    "load",
]

"""How good a policy is: success and its uncertainty over fresh episodes, and what it looks like."""

from mjxsim.evaluation.episodes import Episodes, ObservationPolicy, from_observations, run_episodes
from mjxsim.evaluation.evaluate import Evaluator, evaluate, evaluate_from_state
from mjxsim.evaluation.metrics import EvaluationResult, wilson_interval
from mjxsim.evaluation.video import record_video, record_video_from_state, write_video

__all__ = [
    "Episodes",
    "EvaluationResult",
    "Evaluator",
    "ObservationPolicy",
    "evaluate",
    "evaluate_from_state",
    "from_observations",
    "record_video",
    "record_video_from_state",
    "run_episodes",
    "wilson_interval",
    "write_video",
]

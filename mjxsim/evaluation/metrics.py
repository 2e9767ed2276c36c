"""Numbers that summarize episodes."""

import dataclasses
import math

import jax
import numpy as np

from mjxsim.evaluation.episodes import Episodes

_Z95 = 1.959963984540054  # the standard normal's 97.5 % quantile


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """The 95 % score interval of a proportion, sound also near 0 and 1.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    J. American Statistical Association 22 (1927).

    Raises:
      ValueError: not 0 <= successes <= n with n >= 1.
    """
    if not 0 <= successes <= n or n < 1:
        raise ValueError(f"a proportion needs 0 <= successes <= n and n >= 1: {successes} of {n}")
    p, z2 = successes / n, _Z95**2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n**2))
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return low, high


@dataclasses.dataclass(frozen=True)
class EvaluationResult:
    """A policy over fresh episodes."""

    success_rate: float  # share of episodes in which the task's condition held for its time
    success_ci95: tuple[float, float]  # Wilson's interval around it
    success_at_end_rate: float  # share in which it also held at the last step
    episodes: int
    return_mean: float  # undiscounted
    return_std: float  # standard deviation over episodes
    length_mean: float  # [control steps]
    length_seconds: float  # [s], the same in simulated time
    action_smoothness: float  # mean |a_t - a_(t-1)|, actions in [-1, 1]; 0 is smoothest
    peak_force_mean: float  # [N], mean over episodes of the largest force on a finger
    peak_force_max: float  # [N], the largest of all
    diverged_rate: float  # share of episodes whose simulation broke down; they count as failures
    overflow_rate: float  # share with more contacts or constraints than the engine has room for
    endings: dict[str, int]  # how many episodes ended for which reason
    environment: str
    engine: str
    seed: int

    def to_json(self) -> dict[str, object]:
        """Plain values for `json.dump`."""
        return {**dataclasses.asdict(self), "success_ci95": list(self.success_ci95)}

    def table(self) -> str:
        """A few lines for a terminal."""
        low, high = self.success_ci95
        endings = ", ".join(f"{k} {v}" for k, v in self.endings.items() if v)
        rows = {
            "environment": f"{self.environment}, engine {self.engine}, seed {self.seed}",
            "episodes": f"{self.episodes} ({endings})",
            "success rate": f"{self.success_rate:.3f}  95% interval [{low:.3f}, {high:.3f}]",
            "success at end": f"{self.success_at_end_rate:.3f}",
            "return": f"{self.return_mean:.2f} +- {self.return_std:.2f}",
            "episode length": f"{self.length_mean:.1f} steps, {self.length_seconds:.2f} s",
            "action smoothness": f"{self.action_smoothness:.3f}  (mean |a_t - a_(t-1)|)",
            "peak contact force": (
                f"{self.peak_force_mean:.1f} N on average, {self.peak_force_max:.1f} N at most"
            ),
            "diverged": f"{self.diverged_rate:.4f}",
        }
        if self.overflow_rate > 0:
            rows["contact overflow"] = f"{self.overflow_rate:.4f}"
        return "\n".join(f"{name:<20}{value}" for name, value in rows.items())


def summarize(
    episodes: Episodes, *, environment: str, engine: str, seed: int, control_dt: float
) -> EvaluationResult:
    """The summary of n episodes (numpy or jax arrays); `control_dt` [s] is a step's length."""
    e = jax.tree.map(np.asarray, episodes)
    n = len(e.success)
    won = int(e.success.sum())
    steps = e.steps.astype(np.float64)
    changes = np.maximum(steps - 1, 1)  # an episode of one step has no change: 0 / 1
    broken = e.diverged | e.invalid_action
    ended_by_task = e.terminated & ~broken
    return EvaluationResult(
        success_rate=won / n,
        success_ci95=wilson_interval(won, n),
        success_at_end_rate=float(e.success_at_end.mean()),
        episodes=n,
        return_mean=float(e.returned.astype(np.float64).mean()),
        return_std=float(e.returned.astype(np.float64).std()),
        length_mean=float(steps.mean()),
        length_seconds=float(steps.mean() * control_dt),
        action_smoothness=float((e.action_travel / changes).mean()),
        peak_force_mean=float(e.peak_force.astype(np.float64).mean()),
        peak_force_max=float(e.peak_force.max()),
        diverged_rate=float(e.diverged.mean()),
        overflow_rate=float(e.overflowed.mean()),
        endings={
            "time limit": int((~e.terminated).sum()),
            "success": int((ended_by_task & e.success_at_end).sum()),
            "failure": int((ended_by_task & ~e.success_at_end).sum()),
            "diverged": int(e.diverged.sum()),
            "invalid action": int((e.invalid_action & ~e.diverged).sum()),
        },
        environment=environment,
        engine=engine,
        seed=seed,
    )

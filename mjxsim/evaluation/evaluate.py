"""Evaluating a policy: a fixed number of fresh episodes, the same for the same seed."""

from collections.abc import Callable
from typing import Generic, TypeVar

import jax
import numpy as np

from mjxsim.envs import Env, Policy, State
from mjxsim.evaluation.episodes import (
    Episodes,
    ObservationPolicy,
    episode_keys,
    from_observations,
    run_episodes,
)
from mjxsim.evaluation.metrics import EvaluationResult, summarize

P = TypeVar("P")  # a policy's parameters, a pytree

_MAX_LANES = 1024  # worlds at once; more episodes run in chunks


class Evaluator(Generic[P]):
    """Evaluates the same network again and again with new parameters, compiled once.

    Args:
      env: the environment.
      policy: (params, key, batch of states) -> actions (num_worlds, action_size).
      episodes: how many.
      max_lanes: how many worlds run at once.

    Raises:
      ValueError: fewer than one episode.
    """

    def __init__(
        self,
        env: Env,
        policy: Callable[[P, jax.Array, State], jax.Array],
        *,
        episodes: int,
        max_lanes: int = _MAX_LANES,
    ) -> None:
        if episodes < 1:
            raise ValueError(f"evaluation needs at least 1 episode, got {episodes}")
        self._env = env
        self._episodes = episodes
        chunks = -(-episodes // max_lanes)
        self._lanes = -(-episodes // chunks)

        def run(params: P, keys: jax.Array, policy_key: jax.Array) -> Episodes:
            return run_episodes(env, lambda k, state: policy(params, k, state), keys, policy_key)

        self._run = env.jit(run)

    def __call__(self, params: P, *, seed: int) -> EvaluationResult:
        """Runs the episodes of `seed`; the same seed gives the same starts and goals."""
        chunks = []
        for first in range(0, self._episodes, self._lanes):
            # Lanes beyond the last episode run and are cut off: one shape, one compilation.
            numbers = np.arange(first, first + self._lanes, dtype=np.uint32)
            keys, policy_key = episode_keys(seed, numbers)
            chunks.append(jax.device_get(self._run(params, keys, policy_key)))
        episodes = jax.tree.map(lambda *x: np.concatenate(x)[: self._episodes], *chunks)
        return summarize(
            episodes,
            environment=self._env.name,
            engine=self._env.engine.name,
            seed=seed,
            control_dt=self._env.task.config.control_dt,
        )


def evaluate(
    env: Env, policy: ObservationPolicy, *, episodes: int = 256, seed: int = 0
) -> EvaluationResult:
    """Runs exactly `episodes` fresh episodes and summarizes them.

    Each world plays one episode from its own key; what it does after its end is ignored. Compiles
    at each call: use an `Evaluator` to evaluate changing parameters.

    Args:
      env: the environment.
      policy: observations (n, observation_size) -> actions (n, action_size), traceable.
      episodes: how many.
      seed: determines starts, goals and what the policy draws.

    Raises:
      ValueError: fewer than one episode.
    """
    return evaluate_from_state(env, from_observations(env, policy), episodes=episodes, seed=seed)


def evaluate_from_state(
    env: Env, policy: Policy, *, episodes: int = 256, seed: int = 0
) -> EvaluationResult:
    """As `evaluate`, for a policy (key, batch of states) -> actions, as the scripted expert is."""
    evaluator = Evaluator(env, lambda _, key, state: policy(key, state), episodes=episodes)
    return evaluator(None, seed=seed)

"""The algorithms by name: what of them a run needs, each from the run's configuration."""

import dataclasses
from collections.abc import Callable
from typing import Any

from mjxsim.config import TrainConfig
from mjxsim.envs import Env
from mjxsim.learning import ppo, sac
from mjxsim.learning.algorithm import Actor, Algorithm
from mjxsim.learning.mesh import ONE_DEVICE, Shards


@dataclasses.dataclass(frozen=True)
class _Kind:
    build: Callable[[TrainConfig, Env, Shards], Algorithm[Any]]
    actor: Callable[[TrainConfig, Env], Actor]
    hidden: Callable[[TrainConfig], tuple[int, ...]]
    check_start: Callable[[TrainConfig, Any], None]


def build(config: TrainConfig, env: Env, shards: Shards = ONE_DEVICE) -> Algorithm[Any]:
    """The learner of a run. Raises ValueError for numbers that do not fit together."""
    return _KINDS[config.algorithm].build(config, env, shards)


def actor(config: TrainConfig, env: Env) -> Actor:
    """What acts, without the learner around it."""
    return _KINDS[config.algorithm].actor(config, env)


def hidden(config: TrainConfig) -> tuple[int, ...]:
    """Sizes of the hidden layers."""
    return _KINDS[config.algorithm].hidden(config)


def check_start(config: TrainConfig, state: Any) -> None:
    """Raises ValueError, one line, if a fresh `state` is not what was asked for."""
    _KINDS[config.algorithm].check_start(config, state)


def _build_ppo(config: TrainConfig, env: Env, shards: Shards) -> Algorithm[Any]:
    return ppo.PPO(env, config.ppo, config.num_envs, config.total_steps, shards)


def _build_sac(config: TrainConfig, env: Env, shards: Shards) -> Algorithm[Any]:
    if env.eyes is not None:
        raise ValueError("algorithm 'sac' does not learn from cameras: use --algorithm ppo")
    return sac.SAC(env, config.sac, config.num_envs, config.total_steps, shards)


_KINDS = {
    "ppo": _Kind(
        _build_ppo,
        lambda c, env: ppo.make_actor(c.ppo, env),
        lambda c: c.ppo.hidden,
        lambda c, state: None,
    ),
    "sac": _Kind(
        _build_sac,
        lambda c, env: sac.make_actor(c.sac, env),
        lambda c: c.sac.hidden,
        lambda c, state: sac.check_start(c.sac, state),
    ),
}

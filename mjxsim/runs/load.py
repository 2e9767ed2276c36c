"""A run on disk as things to work with: its environment and its policy.

    run = mjxsim.runs.load(pathlib.Path("runs/pick_cube"))
    result = mjxsim.evaluation.evaluate(run.env, run.policy, episodes=256, seed=0)

A checkpoint says what it belongs to; what does not fit is refused in one line.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax

import mjxsim
from mjxsim import config as configs
from mjxsim.config import TrainConfig
from mjxsim.envs import Env, Observation, make
from mjxsim.files import Json
from mjxsim.learning import checkpoint
from mjxsim.learning.algorithm import PolicyParams
from mjxsim.learning.checkpoint import Checkpoint, CheckpointError
from mjxsim.runs import algorithms
from mjxsim.runs.run_dir import RunDir

# What `Env.observation` gives -> actions (..., action_size) in [-1, 1].
Policy = Callable[[Observation], jax.Array]

# What must agree for a checkpoint to be continued; of these, what must agree for its policy to act.
_POLICY_FIELDS = (
    "task",
    "robot",
    "algorithm",
    "control",
    "observation_layout",
    "observation_size",
    "action_size",
    "hidden",
    "cameras",
)


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A run as its newest complete checkpoint has it."""

    directory: pathlib.Path
    config: TrainConfig
    env: Env
    policy: Policy  # deterministic
    env_steps: int  # that the policy was trained for


def build_env(config: TrainConfig, *, engine: str | None = None, announce: bool = True) -> Env:
    """The environment of a configuration. Raises as `mjxsim.make` does."""
    return make(
        config.task,
        config.robot,
        engine or config.engine,
        config=config.task_config,
        control=config.control,
        cameras=config.cameras,
        randomization=config.randomization,
        announce=announce,
    )


def build_policy(config: TrainConfig, env: Env, params: PolicyParams) -> Policy:
    """The deterministic policy of trained parameters."""
    return functools.partial(algorithms.actor(config, env).act, params)


def load(
    directory: pathlib.Path, *, engine: str | None = None, say: Callable[[str], None] = print
) -> Run:
    """Rebuilds a run's environment and policy from its newest complete checkpoint.

    Args:
      directory: a run directory, its `checkpoints`, or one checkpoint in there.
      engine: an engine's name; the run's own if None.
      say: takes one line for each torn checkpoint, and one if another mjxsim wrote it.

    Raises:
      CheckpointError: no checkpoint there, all torn, or not of this mjxsim's task and network.
      ValueError: unknown engine.
    """
    found = _find(directory, say)
    try:
        config = configs.from_json(found.metadata["config"])
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"checkpoint {found.path}: its configuration: {error}") from error
    env = build_env(config, engine=engine, announce=False).fully_randomized()
    saved, here = _identity_of(found), identity(config, env)
    _compare(found.path, {k: saved.get(k) for k in _POLICY_FIELDS}, here)
    if saved.get("mjxsim") != mjxsim.__version__:
        say(
            f"checkpoint {found.path} was written by mjxsim {saved.get('mjxsim')}, this is "
            f"{mjxsim.__version__}; its task looks the same, its physics may not be"
        )
    params = found.fill(policy_template(config, env), prefix="policy/")
    return Run(directory, config, env, build_policy(config, env, params), found.step)


def policy_template(config: TrainConfig, env: Env) -> PolicyParams:
    """Shapes and types of the policy's parameters; nothing is computed."""
    return jax.eval_shape(algorithms.actor(config, env).init, jax.random.key(0))


def identity(config: TrainConfig, env: Env) -> dict[str, Json]:
    """What a checkpoint belongs to; written into it and compared when it is read."""
    return {
        "mjxsim": mjxsim.__version__,
        "task": config.task,
        "robot": config.robot,
        "algorithm": config.algorithm,
        "engine": env.engine.name,
        "control": f"{config.control.mode}, gripper {config.control.gripper}",
        "observation_layout": {k: [s.start, s.stop] for k, s in env.observation_layout.items()},
        "observation_size": env.observation_size,
        "action_size": env.action_size,
        "hidden": list(algorithms.hidden(config)),
        "num_envs": config.num_envs,
        "cameras": _cameras(config),
    }


def _cameras(config: TrainConfig) -> Json:
    """What of the cameras a policy depends on."""
    c = config.cameras
    size, filters = [c.height, c.width, c.frames], list(config.ppo.encoder.filters)
    return {"names": list(c.names), "size": size, "filters": filters} if c.names else {}


def check_resumable(found: Checkpoint, config: TrainConfig, env: Env) -> None:
    """Raises CheckpointError, naming what differs, if `found` is not of this very run."""
    _compare(found.path, _identity_of(found), identity(config, env))


def _identity_of(found: Checkpoint) -> dict[str, Any]:
    """What a checkpoint belongs to, as it says; before there was a choice, all was PPO."""
    return {"algorithm": "ppo", "cameras": {}, **found.metadata["identity"]}


_NAMES = {
    "mjxsim": "version of mjxsim",
    "control": "control mode",
    "observation_layout": "layout of the observation",
    "hidden": "hidden layers of the network",
}

_ADVICE = {
    "mjxsim": "install that version",
    "engine": "choose that one with --engine",
    "num_envs": "set that with --num-envs",
    "observation_layout": "use the mjxsim that wrote it",
    "observation_size": "use the mjxsim that wrote it",
    "action_size": "use the mjxsim that wrote it",
}


def _compare(path: pathlib.Path, saved: Mapping[str, Any], here: Mapping[str, Json]) -> None:
    for name, old in saved.items():
        new = here.get(name)
        if old == new:
            continue
        there, now = _unequal(old, new)
        raise CheckpointError(
            f"checkpoint {path} has another {_NAMES.get(name, name)}: {there} there, {now} here; "
            f"{_ADVICE.get(name, 'use the configuration it was trained with')}, or train anew in "
            "another --output-dir"
        )


def _unequal(old: Any, new: Any) -> tuple[Any, Any]:
    """What differs between two values; of dicts only the entries that do."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return old, new
    names = sorted(k for k in old.keys() | new.keys() if old.get(k) != new.get(k))
    return {k: old.get(k) for k in names}, {k: new.get(k) for k in names}


def _find(directory: pathlib.Path, say: Callable[[str], None]) -> Checkpoint:
    if (directory / "metadata.json").is_file() or (directory / "manifest.json").is_file():
        return checkpoint.load(directory)
    for folder in (RunDir(directory).checkpoints, directory):
        found = checkpoint.latest(folder, say)
        if found is not None:
            return found
    if not directory.exists():
        raise CheckpointError(f"no directory {directory}: give a run directory")
    raise CheckpointError(f"no checkpoint in {directory}: give a run directory, as runs/<name>")

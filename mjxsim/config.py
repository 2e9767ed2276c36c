"""The configuration of a training run: what it holds, where it is read from, how flags change it.

A configuration file is Python that exports `config`, a `TrainConfig`:

    from mjxsim.config import TrainConfig
    from mjxsim.tasks.reach import ReachConfig

    config = TrainConfig(task="reach", task_config=ReachConfig(threshold=0.01))

The `config.json` of a run directory can be read in its place.
"""

import contextlib
import dataclasses
import difflib
import importlib.util
import io
import json
import pathlib
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeVar, get_args

import tyro

from mjxsim import codec
from mjxsim.control import ControlConfig
from mjxsim.envs import CameraConfig
from mjxsim.learning.hosts import ScaleConfig
from mjxsim.learning.ppo import PPOConfig
from mjxsim.learning.sac import SACConfig
from mjxsim.naming import unknown
from mjxsim.randomization import RandomizationConfig, Range
from mjxsim.tasks import TaskConfig
from mjxsim.tasks import registry as tasks

_Algorithm = Literal["ppo", "sac"]
C = TypeVar("C")  # a frozen dataclass


class ConfigError(ValueError):
    """A configuration that cannot be used; the message is one line."""


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def check_seed(name: str, value: int) -> None:
    """Raises ValueError, naming the field or option, unless JAX takes `value` as a seed."""
    if not 0 <= value < 2**32:
        raise ValueError(f"{name} must be at least 0 and less than 2**32, got {value}")


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """What is measured when training ends."""

    episodes: int = 256  # fresh episodes, none of them seen in training
    seed: int = 10_000  # of those episodes; runs with different training seeds meet the same ones
    video: bool = True  # record episodes, where there is a renderer
    video_episodes: int = 4

    def __post_init__(self) -> None:
        """Raise ValueError for a count below one or a seed out of range."""
        _at_least("evaluation.episodes", self.episodes, 1)
        _at_least("evaluation.video_episodes", self.video_episodes, 1)
        check_seed("evaluation.seed", self.seed)


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
    """When the run is saved. It is always saved at its end and on Ctrl-C."""

    every_seconds: float = 60.0  # [s] of wall clock between two checkpoints
    every_updates: int | None = None  # learner updates between two; if set, the clock is not used
    keep: int = 3  # newest checkpoints that stay

    def __post_init__(self) -> None:
        """Raise ValueError for an interval or number that is not positive."""
        if not self.every_seconds > 0.0:
            raise ValueError(f"checkpoint.every_seconds must be positive, got {self.every_seconds}")
        if self.every_updates is not None:
            _at_least("checkpoint.every_updates", self.every_updates, 1)
        _at_least("checkpoint.keep", self.keep, 1)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One training run."""

    task: str  # a name from the task registry
    task_config: TaskConfig  # of that task's own class
    robot: str = "panda"
    engine: str = "auto"  # "auto", "c", "mjx" or "warp"
    seed: int = 0  # of everything random in training
    num_envs: int = 256  # worlds stepped at once
    total_steps: int = 1_000_000  # environment steps, over all worlds
    output_dir: pathlib.Path | None = None  # default: runs/<task>-<robot>-<time>
    resume: bool = False  # continue the run in output_dir from its last complete checkpoint
    control: ControlConfig = ControlConfig()
    cameras: CameraConfig = CameraConfig()  # what the actor sees in pictures; nothing by default
    randomization: RandomizationConfig = RandomizationConfig()  # what differs between worlds
    algorithm: _Algorithm = "ppo"  # of the next two sections, the one that counts
    ppo: PPOConfig = PPOConfig()
    sac: SACConfig = SACConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    scale: ScaleConfig = ScaleConfig()  # of this launch; not kept in the run directory

    def __post_init__(self) -> None:
        """Raise ValueError: unknown task, another task's configuration, bad count or seed."""
        _, kind = tasks.get(self.task)
        if not isinstance(self.task_config, kind):
            raise ValueError(
                f"task {self.task!r} takes a {kind.__name__}, got a "
                f"{type(self.task_config).__name__}: start from a configuration file of that task"
            )
        _at_least("num_envs", self.num_envs, 1)
        _at_least("total_steps", self.total_steps, 1)
        check_seed("seed", self.seed)


def load(path: pathlib.Path) -> TrainConfig:
    """Reads a configuration file: Python exporting `config`, or JSON as a run directory holds it.

    Raises:
      ConfigError: no such file (with the nearest there is), or no usable configuration in it.
    """
    if not path.is_file():
        raise ConfigError(f"no configuration file {path}{_nearest_files(path)}")
    if path.suffix == ".json":
        try:
            return from_json(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise ConfigError(f"{path}: {_one_line(error)}") from error
    spec = importlib.util.spec_from_file_location("mjxsim_config_file", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is not a Python file: a configuration ends in .py or .json")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(
            f"{path}{_line_of(error, path)}: {type(error).__name__}: {_one_line(error)}"
        ) from error
    exported = vars(module)
    if "config" not in exported:
        raise ConfigError(f"{path} has no 'config': it must export one, a TrainConfig")
    config = exported["config"]
    if not isinstance(config, TrainConfig):
        raise ConfigError(
            f"{path}: 'config' must be a mjxsim.config.TrainConfig, got {type(config).__name__}"
        )
    return config


def override(config: TrainConfig, flags: Sequence[str], prog: str) -> TrainConfig:
    """`config` with fields replaced by command-line flags such as `--ppo.learning-rate 1e-3`.

    `--help` prints every flag and exits. `prog` is the command's name in that help.

    Raises:
      ConfigError: an unknown flag (with the nearest valid one) or a value that does not fit.
    """
    return with_flags(config, flags, prog, lambda name, of: _likely(name, of, config.algorithm))


def with_flags(
    config: C,
    flags: Sequence[str],
    prog: str,
    likely: Callable[[str, Sequence[str]], Sequence[str]] = lambda name, valid: valid,
) -> C:
    """Any frozen dataclass with fields replaced by flags, as `override` does it.

    Args:
      config: what is changed.
      flags: words of a command line.
      prog: the command's name in its help.
      likely: (an unknown flag, all valid ones) -> those that it may mean.

    Raises:
      ConfigError: an unknown flag (with the nearest valid one) or a value that does not fit.
    """
    valid = sorted(flags_of(config))
    for flag in flags:
        name = flag.split("=")[0].replace("_", "-")
        if name.startswith("--") and name not in (*valid, "--help"):
            raise ConfigError(unknown("option", name, likely(name, valid)))
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(type(config), default=config, args=list(flags), prog=prog)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise ConfigError(_unboxed(said.getvalue())) from None
    except ValueError as error:
        raise ConfigError(_one_line(error)) from error


def _likely(name: str, valid: Sequence[str], algorithm: str) -> list[str]:
    """Of the `valid` flags those that `name` may mean: no other algorithm's unless it says so."""
    others = {f"--{a}." for a in get_args(_Algorithm) if a != algorithm}
    unlikely = tuple(prefix for prefix in others if not name.startswith(prefix))
    return [flag for flag in valid if not flag.startswith(unlikely)]


def to_json(config: TrainConfig) -> dict[str, codec.Encoded]:
    """The configuration as JSON types, complete."""
    encoded = codec.encode(config)
    assert isinstance(encoded, dict)
    return encoded


def from_json(data: object) -> TrainConfig:
    """The configuration that `to_json` gave. Raises ValueError naming the field at fault."""
    if not isinstance(data, dict) or not isinstance(data.get("task"), str):
        raise ValueError("field 'task' is missing")
    _, kind = tasks.get(data["task"])
    # TrainConfig declares the base class of task_config; the task names the one that was written.
    return codec.decode(TrainConfig, {"task_config": {}, **data}, exact={"task_config": kind})


def differences(old: TrainConfig, new: TrainConfig) -> dict[str, tuple[codec.Encoded, ...]]:
    """Fields by dotted name whose values differ, with (old, new)."""
    a, b = dict(_flatten(to_json(old), "")), dict(_flatten(to_json(new), ""))
    return {
        name: (a.get(name), b.get(name))
        for name in sorted(a.keys() | b.keys())
        if a.get(name) != b.get(name)
    }


def _flatten(data: codec.Encoded, where: str) -> Iterator[tuple[str, codec.Encoded]]:
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _flatten(value, f"{where}.{name}" if where else name)
    else:
        yield where, data


def flags_of(config: object, prefix: str = "") -> Iterator[str]:
    """Every flag that tyro derives from a dataclass with this value."""
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        name, value = field.name, getattr(config, field.name)
        if any(map(dataclasses.is_dataclass, get_args(field.type))) and isinstance(value, tuple):
            continue  # groups of settings, of which there may be any number, are for a file
        flag = name.replace("_", "-")
        # A range is one word of a command line.
        if dataclasses.is_dataclass(value) and not isinstance(value, Range):
            yield from flags_of(value, f"{prefix}{flag}.")
        else:
            yield f"--{prefix}{flag}"
            if isinstance(value, bool):
                yield f"--{prefix}no-{flag}"


def _unboxed(text: str) -> str:
    """The first paragraph of tyro's boxed error as one line."""
    lines: list[str] = []
    for line in text.splitlines():
        inner = line.strip().strip("│").strip()
        if inner.startswith("─"):
            break
        if inner and not inner.startswith(("╭", "╰")):
            lines.append(inner)
    return " ".join(lines)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _line_of(error: BaseException, path: pathlib.Path) -> str:
    """Where in the configuration file the error arose, as ":7"."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f":{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if pathlib.Path(f.filename) == path and f.lineno]
    return f":{lines[-1]}" if lines else ""


def _nearest_files(path: pathlib.Path) -> str:
    folders = [path.parent, pathlib.Path("configs")]
    there = {str(p) for folder in folders if folder.is_dir() for p in folder.glob("*.py")}
    if not there:
        return ""
    near = difflib.get_close_matches(str(path), sorted(there), n=1, cutoff=0.4)
    guess = f": did you mean {near[0]}?" if near else ":"
    return f"{guess} there are {', '.join(sorted(there)[:12])}"

"""Trains a policy, from the command line or from Python.

    python -m mjxsim.train --config configs/pick_cube.py --num-envs 512 --ppo.learning-rate 3e-4
    python -m mjxsim.train --resume --output-dir runs/pick_cube-panda-20260101-120000
    srun python -m mjxsim.train --config configs/reach.py --output-dir runs/big --scale.distributed

    result = mjxsim.train.run(mjxsim.config.load(pathlib.Path("configs/pick_cube.py")))

A run directory holds `config.json`, `checkpoints/`, `tensorboard/`, `result.json` and, where there
is a renderer, `video.mp4`. Exit codes: 0 done; 1 done, but the last state could not be saved; 2 a
mistake in what was asked; 3 one of several processes was lost; 128 + n stopped by signal n, with a
checkpoint.
"""

import contextlib
import dataclasses
import os
import pathlib
import signal
import sys
import time
from collections.abc import Sequence

from mjxsim import config as configs
from mjxsim import runs
from mjxsim.config import ConfigError, TrainConfig
from mjxsim.learning import hosts
from mjxsim.learning.checkpoint import CheckpointError
from mjxsim.learning.hosts import LostProcessError, ScaleError
from mjxsim.learning.mesh import Shards
from mjxsim.runs import (
    InterruptedRunError,
    Session,
    TrainingError,
    TrainResult,
    algorithms,
    run_dir,
)
from mjxsim.runs.run_dir import RunDir, RunDirError

PROG = "python -m mjxsim.train"

# Fields that may change when a run is resumed, because they do not touch what is learned.
_FREE_ON_RESUME = (
    "output_dir",
    "resume",
    "engine",
    "evaluation.",
    "checkpoint.",
    "total_steps",
    "scale.",
)


def main(argv: Sequence[str] | None = None, *, started: float | None = None) -> int:
    """The command line; returns the exit code. `started` as for `run`."""
    try:
        result = run(parse(sys.argv[1:] if argv is None else argv), started=started)
        return 0 if result.saved else 1
    except (ConfigError, RunDirError, CheckpointError, TrainingError, ScaleError) as error:
        line, code = f"error: {error}", 2
    except LostProcessError as error:
        line, code = f"error: {error}", 3
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        line, code = f"error: {error.strerror or error}{where}", 2
    except InterruptedRunError as stop:
        line, code = str(stop), 128 + stop.signum
    except KeyboardInterrupt:
        line, code = "interrupted before anything was begun", 128 + signal.SIGINT
    print(line, file=sys.stderr, flush=True)
    return hosts.leave(code)


def parse(argv: Sequence[str]) -> TrainConfig:
    """The configuration that a command line asks for; exits after printing `--help`.

    With `--resume` that is the run's own, changed by what the flags say; a `--config` beside it
    must be of the same task and is not used otherwise.

    Raises:
      ConfigError, RunDirError: one line about what is wrong in it.
    """
    path, flags = _take(argv, "--config")
    output_dir, _ = _take(argv, "--output-dir")
    if "--resume" in flags:
        found = run_dir.find(None if output_dir is None else pathlib.Path(output_dir))
        config = configs.load(found.config)
        if path is not None and (task := configs.load(pathlib.Path(path)).task) != config.task:
            raise ConfigError(
                f"--config {path} is of task {task}, the run to resume in {found.path} of "
                f"{config.task}: leave --config out"
            )
    elif path is not None:
        config = configs.load(pathlib.Path(path))
    elif {"-h", "--help"} & set(flags):
        print(f"usage: {PROG} --config FILE [OPTIONS]\n\n{__doc__}")
        print(f"Every option of a configuration: {PROG} --config FILE --help")
        raise SystemExit(0)
    else:
        there = ", ".join(sorted(str(p) for p in pathlib.Path("configs").glob("*.py")))
        raise ConfigError(f"--config FILE is missing{f'; there are {there}' if there else ''}")
    prog = PROG if path is None else f"{PROG} --config {path}"
    return configs.override(config, flags, prog)


def run(config: TrainConfig, *, started: float | None = None) -> TrainResult:
    """Trains, evaluates and records as `config` says, showing progress on stdout.

    Args:
      config: of a new run, or of one to resume.
      started: since when `wall_clock_s` counts, by time.monotonic(); since now if None.

    Raises:
      ConfigError: an unknown name, or numbers that do not fit together.
      RunDirError: a run directory that is taken, in use or, to resume, not there.
      CheckpointError: to resume, checkpoints that are all torn or belong to another run.
      TrainingError: the batch does not fit into the device's memory, or the loss is not finite.
      InterruptedRunError: SIGINT or SIGTERM; the state is saved first.
      ScaleError: devices or other processes that are not there.
      LostProcessError: one of several processes died, and this one ends too.
    """
    started = time.monotonic() if started is None else started
    if config.scale.several and config.output_dir is None:
        raise ConfigError("several processes need one run directory: name it with --output-dir")
    hosts.join(config.scale)
    advice = f"start all of them again with {PROG} --resume --output-dir {config.output_dir}"
    with hosts.together(advice):
        return _run(config, started)


def _run(config: TrainConfig, started: float) -> TrainResult:
    if config.resume:
        directory = run_dir.find(config.output_dir)
        _check_same_run(configs.load(directory.config), config)
    try:
        env = runs.build_env(config)
        shards = Shards.over(hosts.devices(config.scale))
        algorithm = algorithms.build(config, env, shards)
    except (ValueError, RuntimeError) as error:
        raise ConfigError(" ".join(str(error).split())) from error
    if not config.resume:
        directory = _new_directory(config)
    config = dataclasses.replace(config, engine=env.engine.name, output_dir=directory.path)
    with directory.locked() if hosts.is_first() else contextlib.nullcontext():
        return Session(config, env, algorithm, directory, started).complete()


def _new_directory(config: TrainConfig) -> RunDir:
    """The directory of a new run, which the first of several processes makes."""
    if config.output_dir is not None and not hosts.is_first():
        return RunDir(config.output_dir)
    return run_dir.create(config.output_dir, f"{config.task}-{config.robot}")


def _check_same_run(saved: TrainConfig, config: TrainConfig) -> None:
    """Raises ConfigError, naming the field, if resuming would not continue the same run."""
    for name, (old, new) in configs.differences(saved, config).items():
        if not name.startswith(_FREE_ON_RESUME):
            raise ConfigError(
                f"{name} is {old} in the run to resume and {new} here: leave it as it was, or "
                "train anew in another --output-dir"
            )
    annealed = config.algorithm == "ppo" and config.ppo.anneal
    if annealed and config.total_steps != saved.total_steps:
        print(
            f"total_steps was {saved.total_steps} and is {config.total_steps}: the learning rate "
            "follows the new schedule from here on"
        )


def _take(argv: Sequence[str], name: str) -> tuple[str | None, list[str]]:
    """The value of option `name` in `argv`, and the rest."""
    value, rest, words = None, [], iter(argv)
    for word in words:
        option, equals, given = word.partition("=")
        if option.replace("_", "-") != name:
            rest.append(word)
        elif equals:
            value = given
        else:
            value = next(words, None)
            if value is None:
                raise ConfigError(f"{name} needs a value")
    return value, rest


def _process_started() -> float:
    """When this process was created, by time.monotonic(); now, where the system does not say."""
    now = time.monotonic()
    if sys.platform != "linux":
        return now
    try:
        stat = pathlib.Path("/proc/self/stat").read_text(encoding="utf-8")
        # proc_pid_stat(5): field 22 [ticks since boot]; field 2, in brackets, may hold spaces.
        ticks = int(stat.rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return now
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return now - max(age, 0.0)


if __name__ == "__main__":
    sys.exit(main(started=_process_started()))

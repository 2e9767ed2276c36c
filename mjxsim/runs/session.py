"""One process's part of a training run: compile, train, save, evaluate, report."""

import contextlib
import dataclasses
import io
import math
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import jax
from jax.stages import Compiled, Wrapped

from mjxsim import config as configs
from mjxsim.config import TrainConfig
from mjxsim.envs import Env, State
from mjxsim.evaluation import EvaluationResult, Evaluator, record_video
from mjxsim.files import Json, write_json
from mjxsim.learning import checkpoint, hosts
from mjxsim.learning.algorithm import Algorithm, LearnerState, PolicyParams
from mjxsim.learning.checkpoint import Checkpoint, CheckpointError, SaveError
from mjxsim.learning.hosts import ScaleConfig
from mjxsim.runs import algorithms, memory, progress, provenance
from mjxsim.runs.load import Policy, build_policy, check_resumable, identity
from mjxsim.runs.run_dir import RunDir
from mjxsim.runs.tensorboard import ScalarLog

_EPISODE_METRICS = ("return", "success", "episode_length")
_FAULTS = ("diverged", "invalid_action", "contact_overflow", "constraint_overflow")

_COMMAND = "python -m mjxsim.train"


class TrainingError(RuntimeError):
    """A run that cannot go on; the message is one line."""


class InterruptedRunError(Exception):
    """A run stopped by a signal after its state was saved; the message says how to resume."""

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum = signum


@dataclasses.dataclass(frozen=True, eq=False)
class TrainResult:
    """A finished run."""

    directory: pathlib.Path
    env: Env
    policy: Policy  # deterministic: raw observations (..., n) -> actions (..., m)
    evaluation: EvaluationResult
    summary: Mapping[str, Json]  # what result.json holds
    saved: bool  # whether the last state is on disk


@dataclasses.dataclass
class _Totals:
    """What adds up over a run, interrupted or not; lives in the checkpoints' metadata.

    The wall clock runs from the creation of the process (from the call of `mjxsim.train.run` in
    Python) to the end of the evaluation: imports, building, compiling, training, checkpoints and
    evaluation are in it, the video is not. Time between a process's last checkpoint and its being
    killed is not counted: it was not used.
    """

    wall_clock_s: float = 0.0  # of earlier processes
    # Of the start and the update; part of wall_clock_s, as is the evaluation's, not counted here.
    compile_s: float = 0.0
    train_s: float = 0.0  # in the training loop
    faults: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(_FAULTS, 0))


class Session:
    """One process's part of a run: compile, train, evaluate, report."""

    def __init__(
        self,
        config: TrainConfig,
        env: Env,
        algorithm: Algorithm[Any],
        directory: RunDir,
        started: float,
    ) -> None:
        self.config, self.env, self.algorithm, self.directory = config, env, algorithm, directory
        self.started = started  # by time.monotonic()
        # As written to the disk: good for `--config`, wherever the directory is moved to.
        self.record = configs.to_json(
            dataclasses.replace(config, resume=False, output_dir=None, scale=ScaleConfig())
        )
        self.first = hosts.is_first()  # of several processes, the one that writes and prints
        self.display = progress.display(sys.stdout if self.first else io.StringIO())
        self.totals = _Totals()
        self.saved_step = -1  # env steps of the newest checkpoint that this process knows of
        self.saved_at = time.monotonic()

    def complete(self) -> TrainResult:
        """Goes from where the run stands to its end. Raises as `mjxsim.train.run` does."""
        self.display.say(f"run directory: {self.directory.path}")
        try:
            found = self._newest() if self.config.resume else None
            # Only now: a run that cannot be resumed like this keeps the configuration it has.
            if self.first:
                write_json(self.directory.config, self.record)
            state, updates = self._start(found)
            if updates < self.algorithm.num_updates:
                state, updates = self._train(state, updates)
            return self._finish(state, updates * self.algorithm.steps_per_update)
        except KeyboardInterrupt:  # while compiling or evaluating, or a second time
            raise self._interrupted(self.saved_step, signal.SIGINT) from None

    def _newest(self) -> Checkpoint | None:
        """The checkpoint to resume from, if there is one yet."""
        found = checkpoint.latest(self.directory.checkpoints, self.display.say)
        updates = 0 if found is None else found.step // self.algorithm.steps_per_update
        if len(set(hosts.everyone(updates))) > 1:
            raise CheckpointError(
                f"the processes see different checkpoints in {self.directory.checkpoints}: put the "
                "run directory on a file system that all hosts share"
            )
        if found is None:
            self.display.say("no checkpoint yet; starting from the beginning")
        else:
            check_resumable(found, self.config, self.env)
        return found

    def _start(self, found: Checkpoint | None) -> tuple[LearnerState, int]:
        """The state to go on from, and how many updates it has seen."""
        key = jax.random.key(self.config.seed)
        if found is None:
            try:
                with self.display.phase("compiling the start"), _fitting(self._cannot_train):
                    before = time.monotonic()
                    init = _compile(self.env, self.algorithm.init, key)
                    self.totals.compile_s += time.monotonic() - before
                    state = cast(LearnerState, jax.block_until_ready(init(key)))
                algorithms.check_start(self.config, state)
            except ValueError as error:  # no expert to demonstrate, or not a good one
                raise TrainingError(" ".join(str(error).split())) from error
            return state, 0
        with _fitting(self._cannot_train):
            state = self.algorithm.place(found.fill(jax.eval_shape(self.algorithm.init, key)))
        self.totals = _Totals(**found.metadata["totals"])
        self.saved_step = found.step
        self.display.say(
            f"resuming {found.path} at {found.step} of {self.config.total_steps} steps"
        )
        return state, int(state.updates)

    def _train(self, state: LearnerState, updates: int) -> tuple[LearnerState, int]:
        before = time.monotonic()
        with self.display.phase("compiling the update"), _fitting(self._cannot_train):
            update = _compile(self.env, self.algorithm.update, state, donate=True)
        needed = memory.bytes_needed(update)
        if needed is not None:
            self._say(memory.announce(self.config.num_envs, needed))
        self.totals.compile_s += time.monotonic() - before
        per_update = self.algorithm.steps_per_update
        meter = progress.Meter(updates * per_update, self.config.total_steps)
        self.saved_at = began = time.monotonic()
        earlier = self.totals.train_s
        with (
            _signals() as caught,
            self._scalar_log(updates * per_update) as log,
            self.display.training(self.config.total_steps),
        ):
            while updates < self.algorithm.num_updates:
                with _fitting(lambda: self._cannot_train(update)):
                    state, on_device = update(state)
                    metrics = {k: float(v) for k, v in jax.device_get(on_device).items()}
                updates += 1
                steps = updates * per_update
                self.totals.train_s = earlier + time.monotonic() - began
                self._check(metrics, steps)
                status = meter.update(
                    steps, metrics["episodes"], metrics["return"], metrics["success"]
                )
                self.display.update(status)
                if log is not None:
                    log.add(steps, _scalars(metrics) | {"run/steps_per_s": status.steps_per_second})
                stop, due = hosts.any_of(bool(caught), self._due(updates))
                if stop:
                    self._save(state, steps)
                    hosts.barrier()  # none ends before it is on the disk
                    raise self._interrupted(steps, caught[0] if caught else signal.SIGTERM)
                if updates < self.algorithm.num_updates and due:
                    self._save(state, steps)
        self._save(state, updates * per_update)
        return state, updates

    def _finish(self, state: LearnerState, steps: int) -> TrainResult:
        """Measures the policy on fresh episodes and writes down what came of the run."""
        config, section = self.config, self.config.evaluation
        params = self.algorithm.shards.one_copy(state.policy)
        env = self.env.fully_randomized()
        policy = build_policy(config, env, params)
        act = algorithms.actor(config, env).act

        # The parameters are an argument, so that the compiled program is found in the cache.
        def by_params(params: PolicyParams, key: jax.Array, worlds: State) -> jax.Array:
            return act(params, env.observation(worlds))

        # No more worlds at once than were trained with: those are known to fit.
        evaluator = Evaluator(env, by_params, episodes=section.episodes, max_lanes=config.num_envs)
        evaluating = self.display.phase(f"evaluating {section.episodes} episodes")
        with evaluating, _fitting(self._cannot_evaluate):
            evaluation = evaluator(params, seed=section.seed)
        wall_clock = self._wall_clock()
        summary = self._summary(evaluation, steps, wall_clock)
        saved = self.saved_step == steps
        try:
            if self.first:
                write_json(self.directory.result, summary)
        except OSError as error:
            saved = False
            self._say(f"error: cannot write {self.directory.result}: {error.strerror}")
        for name, count in self.totals.faults.items():
            if count:
                self._say(f"warning: {name} in {count} of {steps} environment steps")
        if self.saved_step != steps:
            self._say(
                "error: the last state could not be saved; free some disk space and repeat the end "
                f"of this run with {self._resume_command()}"
            )
        low, high = evaluation.success_ci95
        self._say(
            f"success {evaluation.success_rate:.3f} [{low:.3f}, {high:.3f}] over "
            f"{evaluation.episodes} episodes, {progress.count(steps)} steps, {wall_clock:.0f} s"
        )
        # Last: whatever happens to it, all else is on disk and has been said.
        if section.video and self.first:
            self._record(policy)
        return TrainResult(self.directory.path, self.env, policy, evaluation, summary, saved)

    def _summary(
        self, evaluation: EvaluationResult, steps: int, wall_clock: float
    ) -> dict[str, Json]:
        return {
            "task": self.config.task,
            "robot": self.config.robot,
            "algorithm": self.config.algorithm,
            "cameras": list(self.config.cameras.names),
            "success_rate": evaluation.success_rate,
            "success_ci95": list(evaluation.success_ci95),
            "episodes": evaluation.episodes,
            "env_steps": steps,
            "wall_clock_s": round(wall_clock, 3),
            "compile_s": round(self.totals.compile_s, 3),
            "train_s": round(self.totals.train_s, 3),
            "steps_per_s": round(steps / max(self.totals.train_s, 1e-9), 1),
            "engine": self.env.engine.name,
            "device": provenance.device(),
            "num_envs": self.config.num_envs,
            "seed": self.config.seed,
            "faults": dict(self.totals.faults),
            "evaluation": cast(Json, evaluation.to_json()),
            "versions": provenance.versions(),
            "hardware": provenance.hardware(),
        }

    def _record(self, policy: Policy) -> None:
        section = self.config.evaluation
        try:
            with self.display.phase("recording a video"):
                record_video(
                    self.env,
                    policy,
                    self.directory.video,
                    episodes=section.video_episodes,
                    seed=section.seed,
                )
        except Exception as error:  # graphics drivers and encoders fail in many ways
            reason = error.strerror if isinstance(error, OSError) else None
            text = " ".join((reason or str(error)).split())
            self._say(f"no video: {text or type(error).__name__}")

    def _scalar_log(self, steps: int) -> contextlib.AbstractContextManager[ScalarLog | None]:
        if not self.first:
            return contextlib.nullcontext()
        return ScalarLog(self.directory.tensorboard, steps, self._say)

    def _due(self, updates: int) -> bool:
        section = self.config.checkpoint
        if section.every_updates is not None:
            return updates % section.every_updates == 0
        return time.monotonic() - self.saved_at >= section.every_seconds

    def _save(self, state: LearnerState, steps: int) -> None:
        """Writes a checkpoint; if it cannot, says so, and training goes on to the next one."""
        totals = dataclasses.replace(self.totals, wall_clock_s=self._wall_clock())
        metadata: dict[str, Json] = {
            "identity": identity(self.config, self.env),
            "config": self.record,
            "totals": dataclasses.asdict(totals),
        }
        keep = self.config.checkpoint.keep
        whole = self.algorithm.shards.gather(state)
        try:
            if self.first:
                checkpoint.save(self.directory.checkpoints, steps, whole, metadata, keep=keep)
            self.saved_step = steps
        except SaveError as error:
            self._say(f"warning: {error}; training goes on")
        self.saved_at = time.monotonic()

    def _check(self, metrics: Mapping[str, float], steps: int) -> None:
        broken = [name for name, value in metrics.items() if not math.isfinite(value)]
        if broken:
            raise TrainingError(
                f"{', '.join(broken)} not finite at step {steps}: lower "
                f"--{self.config.algorithm}.learning-rate; "
                f"earlier checkpoints are in {self.directory.checkpoints}"
            )
        for name in _FAULTS:
            count, before = int(metrics[name]), self.totals.faults[name]
            if count and not before:
                self._say(f"warning: {name} in {count} environment steps, first by step {steps}")
            self.totals.faults[name] = before + count

    def _interrupted(self, steps: int, signum: int) -> InterruptedRunError:
        if self.saved_step < 0:
            line = "interrupted before anything could be saved; begin again with"
        elif self.saved_step == steps:
            line = f"interrupted; step {steps} is saved; continue with"
        else:
            line = f"interrupted; only step {self.saved_step} is saved; continue with"
        return InterruptedRunError(f"{line}: {self._resume_command()}", signum)

    def _cannot_train(self, compiled: Compiled | None = None) -> str:
        needed = None if compiled is None else memory.bytes_needed(compiled)
        return memory.explain(self.config.num_envs, needed)

    def _cannot_evaluate(self) -> str:
        worlds = min(self.config.evaluation.episodes, self.config.num_envs)
        fewer = memory.batch_that_fits(worlds, None, None)
        return (
            f"the device's memory does not hold {worlds} worlds to evaluate; continue with "
            f"{self._resume_command()} --evaluation.episodes {fewer}"
        )

    def _wall_clock(self) -> float:
        return self.totals.wall_clock_s + time.monotonic() - self.started

    def _resume_command(self) -> str:
        return f"{_COMMAND} --resume --output-dir {self.directory.path}"

    def _say(self, line: str) -> None:
        self.display.say(line)


@contextlib.contextmanager
def _fitting(explain: Callable[[], str]) -> Iterator[None]:
    """Turns an exhausted device memory into the one line of `explain`."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, MemoryError) as error:
        if not memory.is_out_of_memory(error):
            raise
        raise TrainingError(explain()) from error


def _compile(env: Env, fun: object, *args: object, donate: bool = False) -> Compiled:
    """Compiles ahead of time for arguments like these."""
    wrapped = env.jit(fun, donate_argnums=0 if donate else ())  # type: ignore[arg-type]
    return cast(Wrapped, wrapped).lower(*args).compile()


def _scalars(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics of an update under TensorBoard's tags; means over no episode are left out."""
    tagged = {}
    for name, value in metrics.items():
        if name in _EPISODE_METRICS:
            if metrics["episodes"]:
                tagged[f"episode/{name}"] = value
        elif name in _FAULTS:
            tagged[f"faults/{name}"] = value
        else:
            tagged[f"learner/{name}"] = value
    return tagged


@contextlib.contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM for the loop to look at; a second one acts at once."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught  # only the main thread may handle signals
        return
    previous = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}

    def catch(signum: int, frame: object) -> None:
        caught.append(signum)
        for s, handler in previous.items():
            signal.signal(s, handler)

    for s in previous:
        signal.signal(s, catch)
    try:
        yield caught
    finally:
        for s, handler in previous.items():
            signal.signal(s, handler)

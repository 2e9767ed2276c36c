"""Records demonstrations of a task as a LeRobotDataset v3.0, in all lanes at once.

    python -m mjxsim.record --task pick_cube --robot panda --episodes 100 --output-dir data/pick
    python -m mjxsim.record --task pick_cube --cameras.names front wrist --output-dir data/seen
    python -m mjxsim.record --policy runs/pick_cube --keep all --output-dir data/policy
    python -m mjxsim.record --resume --episodes 50 --output-dir data/pick

By default the task's scripted expert acts, and episodes that succeed are kept. Exit codes: 0 done;
1 fewer episodes than wanted; 2 a mistake in what was asked, or a disk that is full; 130 stopped by
Ctrl-C. Whatever stops it, the dataset keeps every episode that was written.
"""

import dataclasses
import pathlib
import shutil
import sys
from collections.abc import Callable, Sequence

import jax

from mjxsim import config as configs
from mjxsim import datasets, runs
from mjxsim.config import ConfigError
from mjxsim.control import ControlConfig
from mjxsim.datasets import DatasetError, Source, VideoConfig, Writer, features_of
from mjxsim.datasets.collect import Collected, Keep, collect, round_bytes
from mjxsim.datasets.source import whole_fps
from mjxsim.datasets.writer import LeRobot
from mjxsim.envs import CameraConfig, Env, Policy, expert_policy
from mjxsim.learning.checkpoint import CheckpointError
from mjxsim.randomization import RandomizationConfig
from mjxsim.tasks import TaskConfig
from mjxsim.tasks import registry as tasks

PROG = "python -m mjxsim.record"
EXPERT = "expert"
LARGE_ROUND = 1e9  # [bytes] of pictures, from which on they are worth a word


@dataclasses.dataclass(frozen=True)
class RecordConfig:
    """What is recorded, and how."""

    task: str  # a name from the task registry; of a --policy its own
    task_config: TaskConfig  # of that task's own class
    robot: str = "panda"
    engine: str = "auto"  # "auto", "c", "mjx" or "warp"
    control: ControlConfig = ControlConfig(mode="ee_delta_yaw")
    cameras: CameraConfig = CameraConfig()  # recorded as videos; none by default
    randomization: RandomizationConfig = RandomizationConfig()  # what differs between episodes
    output_dir: pathlib.Path | None = None  # default: data/<task>-<robot>
    resume: bool = False  # add to the dataset in output_dir
    episodes: int = 100  # to be added
    lanes: int = 32  # worlds at once
    policy: str = EXPERT  # "expert", the task's scripted one, or a run directory
    keep: Keep = "success"  # which episodes: "success" or "all"
    stop_at_success: bool = True  # end an episode there rather than at its time limit
    noise: float = 0.0  # of actions, as a share of the largest; shows the data how to recover
    fps: int | None = None  # frames per second, 1 / task_config.control_dt; its value if None
    seed: int = 0  # of everything random
    video: VideoConfig = VideoConfig()
    lerobot: LeRobot = "0.6"  # whose tools will append to the dataset: "0.4" or "0.6"

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for counts that are not positive or another task's config."""
        _, kind = tasks.get(self.task)
        if not isinstance(self.task_config, kind):
            raise ValueError(f"task {self.task!r} takes a {kind.__name__}")
        for name in ("episodes", "lanes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.fps is not None and self.fps < 1:
            raise ValueError(f"fps must be at least 1, got {self.fps}")
        if not 0.0 <= self.noise <= 1.0:
            raise ValueError(f"noise must be from 0 to 1, got {self.noise}")
        configs.check_seed("seed", self.seed)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    root = pathlib.Path()
    try:
        config = parse(sys.argv[1:] if argv is None else argv)
        root = directory(config)
        done = run(config)
    except (CheckpointError, DatasetError, ValueError, RuntimeError, FileExistsError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        return 2
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        print(f"error: {error.strerror or error}{where}", file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        print(f"interrupted: {saved(root)}; add more with --resume", file=sys.stderr, flush=True)
        return 130
    return 0 if done.kept == config.episodes else 1


def saved(root: pathlib.Path) -> str:
    """What is in a dataset, in words."""
    try:
        return f"{len(datasets.Dataset.open(root).episodes)} episodes are saved in {root}"
    except DatasetError:
        return "nothing was saved"


def parse(argv: Sequence[str]) -> RecordConfig:
    """The configuration that a command line asks for; exits after printing `--help`.

    The task's own fields are flags too, so the task, or the run that says it, is looked up first.

    Raises:
      ConfigError, ValueError: one line about what is wrong in it.
    """
    policy, task = _value_of(argv, "--policy"), _value_of(argv, "--task")
    if policy is not None and policy != EXPERT:
        return configs.with_flags(_of_run(pathlib.Path(policy), task), argv, PROG)
    name = task or "pick_cube"
    _, kind = tasks.get(name)
    return configs.with_flags(RecordConfig(name, kind()), argv, PROG)


def _say(line: str) -> None:
    print(line, flush=True)  # also where it goes into a file


def run(config: RecordConfig, *, say: Callable[[str], None] = _say) -> Collected:
    """Records as `config` says.

    Raises:
      FileExistsError: the directory is taken, and `resume` is not set.
      DatasetError: to resume, no dataset there, or one of another task, rate, robot or features;
        or recording has stopped, for example since the disk is full.
      ValueError: an unknown name, or numbers that do not fit together.
      CheckpointError: the policy's run cannot be loaded.
    """
    source = source_of(config)
    env = source.make(announce=True)
    source = source.resolved(env)
    if (held := round_bytes(env, config.lanes)) > LARGE_ROUND:
        say(
            f"memory: up to {held / 1e9:.1f} GB of pictures until a round of {config.lanes} "
            "episodes is written; fewer --lanes take less"
        )
    root, features, fps = directory(config), features_of(env), source.fps
    made_here = not root.exists()  # else there may be something of the person's in it
    policy = _policy(config, env)
    if config.resume:
        writer = Writer.resume(
            root, features, fps=fps, robot_type=config.robot, source=source, video=config.video
        )
    else:
        try:
            writer = Writer.create(
                root,
                features,
                fps=fps,
                robot_type=config.robot,
                source=source,
                video=config.video,
                lerobot=config.lerobot,
            )
        except FileExistsError as error:
            raise FileExistsError(
                f"{root} exists already: add --resume to append to it, or choose another "
                "--output-dir"
            ) from error
    try:
        with writer:
            # Not the starts that are in the dataset already.
            key = jax.random.fold_in(jax.random.key(config.seed), writer.episodes)
            done = collect(
                env,
                policy,
                writer,
                episodes=config.episodes,
                lanes=config.lanes,
                key=key,
                keep=config.keep,
                noise=config.noise,
                say=say,
            )
    finally:
        if made_here and not writer.committed:  # so that nothing is in the way of the next attempt
            shutil.rmtree(root)
    share = done.succeeded / done.tried
    say(
        f"{done.kept} episodes, {done.frames} frames, in {done.seconds:.1f} s, of it compiling "
        f"{done.compiling:.1f} s; success {done.succeeded} of {done.tried} ({share:.3f}); "
        f"{saved(root)}"
    )
    if done.kept < config.episodes:
        say(f"given up: only {done.kept} of {config.episodes} episodes could be kept")
    return done


def directory(config: RecordConfig) -> pathlib.Path:
    """Where the dataset is."""
    return config.output_dir or pathlib.Path("data") / f"{config.task}-{config.robot}"


def source_of(config: RecordConfig) -> Source:
    """The environment that is recorded.

    Raises:
      ValueError: its control period gives no whole number of frames per second.
    """
    task = config.task_config
    if config.fps is not None:
        task = dataclasses.replace(task, control_dt=1.0 / config.fps)
    if config.stop_at_success:
        task = dataclasses.replace(task, terminate_on_success=True)
    whole_fps(task.control_dt)
    return Source(
        task=config.task,
        task_config=task,
        robot=config.robot,
        engine=config.engine,
        control=config.control,
        cameras=config.cameras,
        randomization=config.randomization,
    )


def _policy(config: RecordConfig, env: Env) -> Policy:
    if config.policy == EXPERT:
        return expert_policy(env)
    run = runs.load(pathlib.Path(config.policy), engine=env.engine.name)
    if run.config.cameras.names:
        return lambda key, state: run.policy(env.observation(state))
    return lambda key, state: run.policy(state.obs)


def _of_run(path: pathlib.Path, task: str | None) -> RecordConfig:
    """What a run was trained in, to be recorded."""
    c = runs.load(path, say=lambda line: None).config
    if task is not None and task != c.task:
        raise ConfigError(f"--task {task} is not that of {path}, {c.task}: leave --task out")
    return RecordConfig(
        task=c.task,
        task_config=c.task_config,
        robot=c.robot,
        engine=c.engine,
        control=c.control,
        cameras=c.cameras,
        randomization=c.randomization,
        policy=str(path),
    )


def _value_of(argv: Sequence[str], option: str) -> str | None:
    """The value that a flag is given, None if it is not."""
    for i, word in enumerate(argv):
        name, equals, value = word.partition("=")
        if name == option:
            return value if equals else next(iter(argv[i + 1 : i + 2]), None)
    return None


if __name__ == "__main__":
    sys.exit(main())

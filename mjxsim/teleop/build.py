"""From a configuration to the parts of a session."""

import dataclasses
import json
import math
import pathlib
from collections.abc import Callable, Mapping

import jax

from mjxsim import runs
from mjxsim.control import ControlConfig
from mjxsim.control.arms import Arms
from mjxsim.envs import CameraConfig, Env, State, make
from mjxsim.robots import registry as robots
from mjxsim.runs import Run
from mjxsim.tasks import registry as tasks
from mjxsim.teleop.clock import valid_rate
from mjxsim.teleop.config import TeleopConfig
from mjxsim.teleop.devices import DeviceOptions
from mjxsim.teleop.lanes import DriverName, Lanes
from mjxsim.teleop.session import Rules

_RATE = 20.0  # [Hz]


@dataclasses.dataclass(frozen=True, eq=False)
class Worlds:
    """The environments of a session, before anything runs."""

    env: Env  # of the lanes; with cameras only if a policy looks through them
    seeing: Env  # the same with the person's cameras, if there are any
    control: ControlConfig
    run: Run | None  # whose policy drives

    @property
    def names(self) -> tuple[str, ...]:
        """Of each entry of the observation."""
        return observation_names(self.env)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Of the pictures that the person sees."""
        return self.seeing.eyes.config.names if self.seeing.eyes else ()


def observation_names(env: Env) -> tuple[str, ...]:
    """A name for each entry of `State.obs`: "tcp_0", or "grasped" of a part with one entry."""
    return tuple(
        name if part.stop - part.start == 1 else f"{name}_{i}"
        for name, part in env.observation_layout.items()
        for i in range(part.stop - part.start)
    )


def worlds(config: TeleopConfig, *, pictures: bool) -> Worlds:
    """Builds the environments; compiles nothing.

    Args:
      config: what was asked for.
      pictures: whether anybody wants to see any.

    Raises:
      ValueError: names, a rate or a policy that do not fit, in a line.
      CheckpointError: no policy there.
    """
    run = None
    if config.policy is not None:
        run = runs.load(config.policy, engine=None if config.engine == "auto" else config.engine)
        if config.device == "leader":
            raise ValueError(
                "a leader arm cannot take over from a policy, whose robot does not follow joints: "
                "leave out --policy"
            )
    seeing, control = _environment(config, run, pictures)
    env = run.env if run else dataclasses.replace(seeing, eyes=None)
    return Worlds(env, seeing, control, run)


def lanes(config: TeleopConfig, built: Worlds, *, first_episode: int = 0) -> Lanes:
    """The batch; `first_episode` is how many episodes were recorded before.

    Raises:
      ValueError: an expert is asked for where the controller does not move the end effector.
    """
    return Lanes.build(
        built.env,
        config.lanes,
        driver=_driver(config),
        policy=None if built.run is None else _of_states(built.run),
        speeds=config.speeds,
        seed=config.seed,
        first_episode=first_episode,
    )


def rules(config: TeleopConfig, built: Worlds) -> Rules:
    """Of the session."""
    env = built.env
    dt = env.task.config.control_dt
    limit = None if config.episode_seconds is None else max(1, round(config.episode_seconds / dt))
    return Rules(
        lanes=config.lanes,
        driver=_driver(config),
        arms=len(env.controller.each) if isinstance(env.controller, Arms) else 1,
        can_record=config.output_dir is not None,
        episodes=config.episodes,
        episode_steps=limit,
        end_on_success=config.end_on_success,
    )


def _of_states(run: Run) -> Callable[[State], jax.Array]:
    """A run's policy of observations as one of states."""
    return lambda state: run.policy(run.env.observation(state))


def _driver(config: TeleopConfig) -> DriverName:
    return config.others or ("hold" if config.policy is None else "policy")


def _environment(
    config: TeleopConfig, run: Run | None, pictures: bool
) -> tuple[Env, ControlConfig]:
    """The environment with the person's cameras."""
    task, robot = config.task or "pick_cube", config.robot or "panda"
    mode = config.control or ("joint" if config.device == "leader" else "ee_delta_yaw")
    control = ControlConfig(mode=mode)
    if config.device == "leader" and control.gripper == "binary":
        control = dataclasses.replace(control, gripper="continuous")
    task_config = None
    rate = _RATE if config.rate is None else config.rate
    if run is not None:
        _same("task", config.task, run.config.task)
        _same("robot", config.robot, run.config.robot)
        _same("control", config.control, run.config.control.mode)
        _same("rate", config.rate, 1.0 / run.config.task_config.control_dt)
        task, robot, control = run.config.task, run.config.robot, run.config.control
        rate = 1.0 / run.config.task_config.control_dt
        task_config = run.config.task_config
    _, config_class = tasks.get(task)
    spec = robots.get(robot)
    task_config = task_config or config_class()
    valid_rate(rate)
    seconds = max(task_config.episode_seconds, 1.0 / rate)
    task_config = dataclasses.replace(task_config, control_dt=1.0 / rate, episode_seconds=seconds)
    cameras = None
    if pictures and config.cameras:
        cameras = CameraConfig(
            names=config.cameras, height=config.size, width=config.size, shadows=config.shadows
        )
    env = make(
        task,
        spec,
        run.env.engine.name if run else config.engine,
        config=task_config,
        control=control,
        cameras=cameras,
        announce=run is None and config.engine == "auto",
    )
    return env, control


def _same(name: str, asked: object, trained: object) -> None:
    """Raises ValueError where the person asks for something else than the policy knows."""
    close = isinstance(asked, float) and isinstance(trained, float) and math.isclose(asked, trained)
    if asked is not None and asked != trained and not close:
        raise ValueError(
            f"--{name} {asked} is not what the policy was trained with, {trained}: leave it out"
        )


def device_options(config: TeleopConfig, env: Env) -> DeviceOptions:
    """What devices need to know."""
    return DeviceOptions(
        robot=env.robot.name,
        port=config.port,
        calibration=config.calibration,
        script=config.script,
        host=config.host,
        dt=env.task.config.control_dt,
    )


def read_keymap(path: pathlib.Path | None) -> Mapping[str, str] | None:
    """A key map's file, {action: key}.

    Raises:
      ValueError: no such file, or not such a map.
    """
    if path is None:
        return None
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ValueError(f"cannot read key map {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise ValueError(f"key map {path} is not JSON: {error}") from error
    texts = isinstance(value, dict) and all(isinstance(v, str) for v in value.values())
    if not texts:
        raise ValueError(f'key map {path} must be like {{"success": "return"}}: action to key')
    return value

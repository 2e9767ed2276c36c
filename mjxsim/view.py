"""Opens a scene to look at, from the command line.

    python -m mjxsim.view --task stack_cubes --robot so100
    python -m mjxsim.view --task handover --robot aloha --play expert --viewer web
    python -m mjxsim.view --play policy --checkpoint runs/pick_cube
    python -m mjxsim.view --task pick_cube --viewer png --output pick_cube.png

Without `--viewer` it takes MuJoCo's own viewer where there is a display, and else a web page. Close
the window or press Ctrl-C to end. Exit codes: 0 done; 2 a mistake in what was asked.
"""

import dataclasses
import itertools
import math
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import jax
import numpy as np

import mjxsim
from mjxsim import config as configs
from mjxsim import runs
from mjxsim.control import ControlMode
from mjxsim.envs import Env, State
from mjxsim.learning.checkpoint import CheckpointError
from mjxsim.rendering import NoRendererError, Scene, View, Visual, make_renderers, png
from mjxsim.teleop import screen
from mjxsim.teleop.frame import Frame, Sink, Status

PROG = "python -m mjxsim.view"
Viewer = Literal["auto", "mujoco", "web", "png"]
_MANY = sys.maxsize // 2  # steps; more can be asked for, but not counted
_BEHIND = 0.5  # [s] after which lost time is let go rather than caught up


@dataclasses.dataclass(frozen=True)
class ViewConfig:
    """What is shown, and how."""

    task: str | None = None  # a name from the task registry; pick_cube, or that of the checkpoint
    robot: str | None = None  # panda, or that of the checkpoint
    engine: str = "auto"  # "auto", "c", "mjx" or "warp"
    control: ControlMode = "ee_delta_yaw"  # what the expert acts through
    viewer: Viewer = "auto"  # "mujoco" where there is a display, else "web"; "png" draws a picture
    output: pathlib.Path | None = None  # of --viewer png
    play: Literal["hold", "expert", "policy"] = "hold"  # who acts; "policy" needs a checkpoint
    checkpoint: pathlib.Path | None = None  # a run directory, of --play policy
    seed: int = 0  # of starts and goals
    speed: float = 1.0  # simulated seconds per second
    seconds: float | None = None  # simulated, after which to end; a picture is taken then
    height: int = 360  # [pixels] of each camera's picture
    width: int = 480
    host: str = "127.0.0.1"  # of the web page; "0.0.0.0" shows it to other machines
    port: int = 8080  # the first that is tried

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for settings that do not go together."""
        configs.check_seed("seed", self.seed)
        if not (math.isfinite(self.speed) and self.speed > 0.0):
            raise ValueError(f"speed must be positive, got {self.speed}")
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds >= 0.0):
            raise ValueError(f"seconds must be finite and not negative, got {self.seconds}")
        if min(self.height, self.width) < 1:
            raise ValueError(f"height and width must be positive, got {self.height}, {self.width}")
        if (self.viewer == "png") != (self.output is not None):
            raise ValueError("a picture takes both: --viewer png --output FILE")
        if (self.play == "policy") != (self.checkpoint is not None):
            raise ValueError("a policy takes both: --play policy --checkpoint DIR")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    try:
        arguments = sys.argv[1:] if argv is None else argv
        view(configs.with_flags(ViewConfig(), arguments, PROG))
        return 0
    except KeyboardInterrupt:
        return 0
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        line = f"{error.strerror or error}{where}"
    except (CheckpointError, NoRendererError, ValueError, RuntimeError) as error:
        line = " ".join(str(error).split())
    print(f"error: {line}", file=sys.stderr, flush=True)
    return 2


def view(config: ViewConfig) -> None:
    """Shows what `config` says, until it is over or the window is closed.

    Raises:
      ValueError: an unknown task, robot or engine, or a task that the robot cannot do.
      CheckpointError: no checkpoint there, or one that does not fit.
      RuntimeError: what shows it is not installed, or there is no display.
      NoRendererError: a picture of meshes on a machine without OpenGL.
      OSError: the picture cannot be written, or the address cannot be listened at.
    """
    env, act = _player(config)
    if config.output is not None:
        # Before anything is drawn, which can take long.
        config.output.parent.mkdir(parents=True, exist_ok=True)
        *_, (state, _) = _episodes(env, act, config.seed, _steps(env, config.seconds or 0.0))
        config.output.write_bytes(png(picture(env, state, config.height, config.width)))
        print(f"written to {config.output}")
        return
    viewer = config.viewer
    if viewer == "auto":
        viewer = "web" if screen.why_none() else "mujoco"
    sink, is_open = _open(viewer, env, config)
    try:
        _play(config, env, act, sink, is_open)
    finally:
        sink.close()


def picture(env: Env, state: State, height: int, width: int) -> np.ndarray:
    """What every camera of a world sees, side by side in as many rows as columns.

    Args:
      env: the environment.
      state: of one world.
      height: of each camera's picture [pixels].
      width: of each camera's picture [pixels].

    Returns:
      uint8 (rows * height, columns * width, 3); black where there is no camera left.
    """
    scene = Scene.of(env.engine.model)
    cameras = tuple(scene.cameras)
    draw = make_renderers("auto", scene, cameras, View(cameras[0], height, width), announce=False)
    seen = np.asarray(mjxsim.jit(draw, draws=True)(state.physics, Visual.of(scene)).rgb)
    columns = math.ceil(math.sqrt(len(cameras)))
    rows = math.ceil(len(cameras) / columns)
    grid = np.zeros((rows * columns, height, width, 3), np.uint8)
    grid[: len(cameras)] = seen
    grid = grid.reshape(rows, columns, height, width, 3).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, 3)


def frame_of(
    env: Env,
    state: State,
    *,
    step: int = 0,
    action: np.ndarray | None = None,
    reward: float = 0.0,
    driver: str = "hold",
    speed: float = 1.0,
    measured_rate: float = math.nan,
) -> Frame:
    """One world as what a sink takes, outside a session of teleoperation.

    Args:
      env: the environment.
      state: of one world.
      step: control steps since the first frame.
      action: (action_size,) that was applied; zeros if None.
      reward: of the step.
      driver: who acts.
      speed: simulated seconds per second that were asked for.
      measured_rate: [Hz] control steps per second.
    """
    physics, model, dt = state.physics, env.engine.model, env.task.config.control_dt
    xpos, xquat = np.asarray(physics.xpos), np.asarray(physics.xquat)
    return Frame(
        step=step,
        time=step * dt,
        images={},
        observation=np.asarray(state.obs),
        observation_names=(),
        action=np.zeros(env.action_size, np.float32) if action is None else action,
        reward=reward,
        qpos=np.asarray(physics.qpos),
        mocap_pos=np.asarray(physics.mocap_pos),
        mocap_quat=np.asarray(physics.mocap_quat),
        bodies={model.body(i).name: (xpos[i], xquat[i]) for i in range(1, model.nbody)},
        status=Status(
            lane=0,
            lanes=1,
            recording=False,
            intervening=False,
            paused=False,
            episode=0,
            episodes=None,
            step=int(state.step_count),
            rate=speed / dt,
            measured_rate=measured_rate,
            late=0,
            speed=speed,
            success=bool(state.succeeded),
            driver=driver,
            device="",
            instruction=env.task.instructions[int(env.instruction(state))],
            message="",
        ),
    )


_Act = Callable[[State], jax.Array]


def _player(config: ViewConfig) -> tuple[Env, _Act]:
    """The environment, and who acts in it: a pure function of one world."""
    if config.checkpoint is not None:
        engine = None if config.engine == "auto" else config.engine
        run = runs.load(config.checkpoint, engine=engine)
        for name, asked, trained in (
            ("task", config.task, run.config.task),
            ("robot", config.robot, run.config.robot),
        ):
            if asked not in (None, trained):
                raise ValueError(
                    f"{config.checkpoint} was trained with --{name} {trained}, not {asked}: leave "
                    f"--{name} out"
                )
        return run.env, lambda state: run.policy(run.env.observation(state))
    env = mjxsim.make(
        config.task or "pick_cube",
        robot=config.robot or "panda",
        engine=config.engine,
        control=config.control,
        announce=False,
    )
    if config.play == "expert":
        # Traced at once, for not every controller can follow an expert.
        jax.eval_shape(lambda key: env.expert(env.reset(key)), jax.random.key(0))
        return env, env.expert
    stay = env.controller.stay()
    return env, lambda state: stay


def _steps(env: Env, seconds: float) -> int:
    return round(min(seconds / env.task.config.control_dt, _MANY))


_Moment = tuple[State, tuple[np.ndarray, float]]  # what an action led to, the action, the reward


def _episodes(env: Env, act: _Act, seed: int, steps: int | None) -> Iterator[_Moment]:
    """The start of an episode and what follows, episode after episode."""

    def stepped(state: State) -> tuple[State, jax.Array, jax.Array, jax.Array]:
        action = act(state)
        state, transition = env.step(state, action)
        over = transition.terminated | transition.truncated
        return state, transition.action, transition.reward, over

    step, restart = env.jit(stepped), env.jit(env.restart)
    state = env.jit(env.reset)(jax.random.key(seed))
    yield state, (np.zeros(env.action_size, np.float32), 0.0)
    for _ in itertools.repeat(None) if steps is None else itertools.repeat(None, steps):
        state, action, reward, over = step(state)
        if over:
            state = restart(state)
        yield state, (np.asarray(action), float(reward))


def _open(viewer: str, env: Env, config: ViewConfig) -> tuple[Sink, Callable[[], bool]]:
    """What shows it, and whether it is still open."""
    if viewer == "mujoco":
        from mjxsim.teleop.mujoco_view import MujocoView

        window = MujocoView(env.engine.model)
        return window, lambda: window.open
    from mjxsim.teleop.web import WebView

    page = WebView(env.engine.model, host=config.host, port=config.port, title=env.name)
    print(f"open {page.url}; Ctrl-C ends it", flush=True)
    return page, lambda: True


def _play(config: ViewConfig, env: Env, act: _Act, sink: Sink, is_open: Callable[[], bool]) -> None:
    """Steps and shows at the speed asked for, or as fast as this machine can."""
    dt = env.task.config.control_dt
    steps = None if config.seconds is None else _steps(env, config.seconds)
    due = began = time.monotonic()
    rate = float("nan")
    for number, (state, (action, reward)) in enumerate(_episodes(env, act, config.seed, steps)):
        if not is_open():
            return
        now = time.monotonic()
        if number == 1:  # until then it compiled
            due = began = now
        elif number > 1:
            rate = (number - 1) / max(now - began, 1e-9)
        sink.show(
            frame_of(
                env,
                state,
                step=number,
                action=action,
                reward=reward,
                driver=config.play,
                speed=config.speed,
                measured_rate=rate,
            )
        )
        if number > 0:
            due = max(due + dt / config.speed, now - _BEHIND)
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    sys.exit(main())

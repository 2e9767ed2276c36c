"""Building an environment by name, or from parts of your own."""

import math
from collections.abc import Callable
from typing import Any

import jax
import mujoco
import numpy as np

from mjxsim import control as controllers
from mjxsim.control import ControlConfig, Controller, ControlMode
from mjxsim.envs.env import Env, Randomizer
from mjxsim.envs.pixels import CameraConfig, Eyes
from mjxsim.physics import Engine, make_engine
from mjxsim.randomization import physics_randomizer, prepare
from mjxsim.randomization.actuation import Actuators
from mjxsim.randomization.config import RandomizationConfig
from mjxsim.randomization.pushes import Pushes
from mjxsim.randomization.sensing import Sensors
from mjxsim.randomization.visual_config import VisualRandomization
from mjxsim.robots import registry as robots
from mjxsim.robots.base import RobotSpec
from mjxsim.tasks import AnyTask, TaskConfig
from mjxsim.tasks import registry as tasks

ControllerBuilder = Callable[[RobotSpec, mujoco.MjModel, float], Controller[Any]]


def make(
    task: str,
    robot: str | RobotSpec = "panda",
    engine: str = "auto",
    *,
    config: TaskConfig | None = None,
    control: ControlConfig | ControlMode | None = None,
    cameras: CameraConfig | None = None,
    randomization: RandomizationConfig | None = None,
    randomizer: Randomizer | None = None,
    announce: bool = True,
) -> Env:
    """Builds an environment.

    Args:
      task: a name from `mjxsim.tasks.TASKS`.
      robot: a name from `mjxsim.robots.registry.ROBOTS`, or a robot of your own.
      engine: "auto", "c" (C MuJoCo, CPU), "mjx" (MJX-JAX) or "warp" (MJX-Warp, NVIDIA).
      config: the task's configuration; its defaults if None.
      control: the controller's configuration, or a control mode such as "joint_delta" with
        defaults for the rest; "ee_delta" if None.
      cameras: what is observed in pictures; None for nothing.
      randomization: what differs from world to world; nothing if None.
      randomizer: a function of your own that draws model fields, from (key, nominal model, width);
        as often as `randomization.physics_frequency` says.
      announce: print which engine "auto" chose, and why.

    Raises:
      ValueError: an unknown name (with the nearest valid one), another task's configuration, a
        robot with fewer arms than the task needs, or a randomization that does not fit the scene.
      RuntimeError: the engine is not installed.
    """
    if isinstance(control, str):
        control = ControlConfig(mode=control)
    task_class, config_class = tasks.get(task)
    spec = robots.get(robot) if isinstance(robot, str) else robot
    config = config_class() if config is None else config
    if not isinstance(config, config_class):
        raise ValueError(
            f"task {task!r} takes a {config_class.__name__}, got {type(config).__name__}"
        )
    tasks.check_robot(task, spec)
    return compose(
        f"{task}/{spec.name}",
        task_class,
        config,
        spec,
        engine,
        control=control or ControlConfig(),
        cameras=cameras,
        randomization=randomization,
        randomizer=randomizer,
        announce=announce,
    )


def compose(
    name: str,
    task_class: type[AnyTask],
    config: TaskConfig,
    spec: RobotSpec,
    engine: str = "auto",
    *,
    control: ControlConfig | ControllerBuilder,
    cameras: CameraConfig | None = None,
    randomization: RandomizationConfig | None = None,
    randomizer: Randomizer | None = None,
    announce: bool = True,
) -> Env:
    """`make`, for a task and a controller that need not be mjxsim's own.

    Args:
      name: of the environment, for messages.
      task_class: what is built from the configuration, the robot and the scene's model.
      config: the task's configuration.
      spec: the robot.
      engine: see `make`, as for what follows.
      control: a configuration, or what builds a controller of your own from the robot, the model
        and the time between two actions [s].
      cameras: see `make`.
      randomization: see `make`.
      randomizer: see `make`.
      announce: see `make`.

    Raises:
      ValueError: a randomization that does not fit the scene.
      RuntimeError: the engine is not installed.
    """
    config = config.for_robot(spec)
    random = RandomizationConfig() if randomization is None else randomization
    if not isinstance(random, RandomizationConfig):
        raise ValueError(
            f"randomization must be a RandomizationConfig, got a {type(random).__name__}; "
            "RandomizationConfig.from_dict makes one of dictionaries, and its arguments physics= "
            "and visual= take the parts"
        )
    if cameras is not None and not isinstance(cameras, CameraConfig):
        raise ValueError(
            f"cameras must be a CameraConfig, as CameraConfig(names=('front',)), got {cameras!r}"
        )
    scene = task_class.scene(config, spec)
    if isinstance(control, ControlConfig) and control.torque:
        controllers.torque_driven(scene, spec)
    substeps, timestep = substeps_of(config.control_dt, scene.option.timestep)
    if announce and timestep != scene.option.timestep:
        whole = f"{1e3 * scene.option.timestep:g} ms do not divide {1e3 * config.control_dt:.4g} ms"
        print(f"mjxsim: physics steps of {1e3 * timestep:.4g} ms, for {whole}")
    scene.option.timestep = timestep
    prepare(scene, random.physics, spec)
    model = scene.compile()
    built = task_class.build(config, spec, model)
    if isinstance(control, ControlConfig):
        controller = controllers.build(control, spec, model, config.control_dt)
    else:
        controller = control(spec, model, config.control_dt)
    if random.physics.entries():
        if randomizer is not None:
            raise ValueError("give a randomizer of your own or randomization.physics, not both")
        randomizer = physics_randomizer(random.physics, model, spec)
    repeats = random.actuation.calls(substeps, model.opt.timestep)
    repeats = substeps if controller.every_substep else repeats
    physics = make_engine(engine, model, substeps // repeats, announce=announce)
    layout = _layout(built, physics)
    eyes = None
    if cameras and cameras.names:
        eyes = Eyes.build(cameras, random.visual, model, spec, layout, announce=announce)
    elif announce and random.visual != VisualRandomization():
        print("mjxsim: randomization.visual changes nothing without cameras")
    actuators = Actuators(random.actuation, config.control_dt / repeats)
    return Env(
        name=name,
        task=built,
        robot=spec,
        controller=controller,
        engine=physics,
        observation_layout=layout,
        touch=np.array([model.sensor(n).adr[0] for a in spec.arms for n in a.finger_touch_sensors]),
        eyes=eyes,
        repeats=repeats,
        randomizer=randomizer,
        frequency=random.physics_frequency,
        schedule=random.width,
        actuators=actuators if random.actuation.active else None,
        sensors=Sensors.build(random.sensors, layout, config.control_dt),
        pushes=Pushes.build(random.pushes, model, spec, config.control_dt),
    )


def _layout(task: tasks.AnyTask, engine: Engine) -> dict[str, slice]:
    """Where each named part of the observation lies, found by tracing, without computing."""

    def observe(key: jax.Array) -> dict[str, jax.Array]:
        start = task.reset(key)
        physics = engine.init(
            {}, start.qpos, start.qvel, start.ctrl, start.mocap_pos, start.mocap_quat
        )
        return dict(task.observe(start.task, physics))

    # eval_shape sorts dict keys, so ask for the shapes by name and the order by a list.
    names: list[str] = []

    def ordered(key: jax.Array) -> list[jax.Array]:
        parts = observe(key)
        names[:] = parts
        return list(parts.values())

    shapes = jax.eval_shape(ordered, jax.random.key(0))
    stops = np.cumsum([s.shape[0] for s in shapes]).tolist()
    return {
        n: slice(stop - s.shape[0], stop) for n, s, stop in zip(names, shapes, stops, strict=True)
    }


def substeps_of(control_dt: float, longest: float) -> tuple[int, float]:
    """How many physics steps make a control step, and how long they are [s].

    They are as long as the scene says, `longest`, or as little shorter as divides a control step.
    """
    count = max(1, math.ceil(control_dt / longest - 1e-6))
    return count, longest if math.isclose(count * longest, control_dt) else control_dt / count

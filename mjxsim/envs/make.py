"""Building an environment by name."""

import jax
import numpy as np

from mjxsim import control as controllers
from mjxsim.control import ControlConfig, ControlMode
from mjxsim.envs.env import Env, Randomizer
from mjxsim.physics import Engine, make_engine
from mjxsim.robots import registry as robots
from mjxsim.robots.base import RobotSpec
from mjxsim.tasks import TaskConfig
from mjxsim.tasks import registry as tasks


def make(
    task: str,
    robot: str | RobotSpec = "panda",
    engine: str = "auto",
    *,
    config: TaskConfig | None = None,
    control: ControlConfig | ControlMode | None = None,
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
      randomizer: draws per-world model fields at each reset.
      announce: print which engine "auto" chose, and why.

    Raises:
      ValueError: an unknown name (with the nearest valid one), another task's configuration, or a
        robot with fewer arms than the task needs.
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
    config = config.for_robot(spec)
    control = control or ControlConfig()
    scene = task_class.scene(config, spec)
    if control.torque:
        controllers.torque_driven(scene, spec)
    model = scene.compile()
    substeps = round(config.control_dt / model.opt.timestep)
    if substeps < 1 or not np.isclose(substeps * model.opt.timestep, config.control_dt):
        raise ValueError(
            f"control_dt {config.control_dt} s must be a multiple of the physics timestep "
            f"{model.opt.timestep} s"
        )
    built = task_class.build(config, spec, model)
    controller = controllers.build(control, spec, model, config.control_dt)
    repeats = substeps if controller.every_substep else 1
    physics = make_engine(engine, model, substeps // repeats, announce=announce)
    return Env(
        name=f"{task}/{spec.name}",
        task=built,
        robot=spec,
        controller=controller,
        engine=physics,
        observation_layout=_layout(built, physics),
        touch=np.array([model.sensor(n).adr[0] for a in spec.arms for n in a.finger_touch_sensors]),
        randomizer=randomizer,
        repeats=repeats,
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

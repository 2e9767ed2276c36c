"""Every task by name: one literal dict. A new task is its file and one line here."""

from mjxsim.naming import unknown
from mjxsim.robots.base import RobotSpec
from mjxsim.robots.registry import ROBOTS
from mjxsim.tasks.base import AnyTask, TaskConfig
from mjxsim.tasks.handover import Handover, HandoverConfig
from mjxsim.tasks.insert_peg import InsertPeg, InsertPegConfig
from mjxsim.tasks.open_drawer import OpenDrawer, OpenDrawerConfig
from mjxsim.tasks.pick_cube import PickCube, PickCubeConfig
from mjxsim.tasks.pick_place import PickPlace, PickPlaceConfig
from mjxsim.tasks.push_cube import PushCube, PushCubeConfig
from mjxsim.tasks.reach import Reach, ReachConfig
from mjxsim.tasks.stack_cubes import StackCubes, StackCubesConfig

TASKS: dict[str, tuple[type[AnyTask], type[TaskConfig]]] = {
    "handover": (Handover, HandoverConfig),
    "insert_peg": (InsertPeg, InsertPegConfig),
    "open_drawer": (OpenDrawer, OpenDrawerConfig),
    "pick_cube": (PickCube, PickCubeConfig),
    "pick_place": (PickPlace, PickPlaceConfig),
    "push_cube": (PushCube, PushCubeConfig),
    "reach": (Reach, ReachConfig),
    "stack_cubes": (StackCubes, StackCubesConfig),
}


def get(name: str) -> tuple[type[AnyTask], type[TaskConfig]]:
    """The task class and its configuration class; ValueError with the nearest name."""
    if name not in TASKS:
        raise ValueError(unknown("task", name, TASKS))
    return TASKS[name]


def robots_for(name: str) -> tuple[str, ...]:
    """The robots that have as many arms as a task needs; ValueError with the nearest name."""
    _, config = get(name)
    return tuple(n for n, robot in ROBOTS.items() if len(robot.arms) >= config.arms)


def check_robot(name: str, robot: RobotSpec) -> None:
    """Raises ValueError, one line, for a robot with fewer arms than the task needs."""
    _, config = get(name)
    if len(robot.arms) < config.arms:
        raise ValueError(
            f"task {name!r} needs a robot with {config.arms} arms, and {robot.name!r} has "
            f"{len(robot.arms)}: use {' or '.join(robots_for(name))}"
        )

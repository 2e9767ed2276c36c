"""Every task by name: one literal dict. A new task is its file and one line here."""

from mjxsim.naming import unknown
from mjxsim.tasks.base import AnyTask, TaskConfig
from mjxsim.tasks.pick_cube import PickCube, PickCubeConfig
from mjxsim.tasks.reach import Reach, ReachConfig

TASKS: dict[str, tuple[type[AnyTask], type[TaskConfig]]] = {
    "pick_cube": (PickCube, PickCubeConfig),
    "reach": (Reach, ReachConfig),
}


def get(name: str) -> tuple[type[AnyTask], type[TaskConfig]]:
    """The task class and its configuration class; ValueError with the nearest name."""
    if name not in TASKS:
        raise ValueError(unknown("task", name, TASKS))
    return TASKS[name]

"""Tasks: scene, start, observation, rewards, success, failure; one file each."""

from mjxsim.tasks.base import AnyTask, Motion, Start, Task, TaskConfig
from mjxsim.tasks.registry import TASKS, get

__all__ = ["TASKS", "AnyTask", "Motion", "Start", "Task", "TaskConfig", "get"]

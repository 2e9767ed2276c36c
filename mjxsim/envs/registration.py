"""The ids under which gymnasium knows every task on every robot that can do it."""

import gymnasium

from mjxsim.tasks import registry as tasks


def gymnasium_id(task: str, robot: str) -> str:
    """Such as "mjxsim/PandaPickCube-v0"; names with digits (so100) are written in capitals."""
    words = [robot, *task.split("_")]
    camel = (w.upper() if any(c.isdigit() for c in w) else w.capitalize() for w in words)
    return f"mjxsim/{''.join(camel)}-v0"


def register() -> None:
    """Registers every id that is not there yet; loads neither engine nor renderer."""
    for task in tasks.TASKS:
        for robot in tasks.robots_for(task):
            name = gymnasium_id(task, robot)
            if name not in gymnasium.registry:
                # No max_episode_steps: the environments truncate by themselves.
                gymnasium.register(
                    name,
                    entry_point="mjxsim.envs.gym_env:GymEnv",
                    vector_entry_point="mjxsim.envs.vector:make_vec",
                    kwargs={"task": task, "robot": robot},
                )

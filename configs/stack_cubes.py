"""Panda stacks one cube on another."""

from mjxsim.config import TrainConfig
from mjxsim.control import ControlConfig
from mjxsim.tasks.stack_cubes import StackCubesConfig

config = TrainConfig(
    task="stack_cubes",
    task_config=StackCubesConfig(),
    # Cubes lie at any yaw: with the yaw to command, jaws close on faces rather than on edges.
    control=ControlConfig(mode="ee_delta_yaw"),
    num_envs=256,
    total_steps=5_000_000,
)

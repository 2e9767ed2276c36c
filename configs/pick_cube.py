"""Panda grasps a cube and lifts it to a goal in the air."""

from mjxsim.config import TrainConfig
from mjxsim.tasks.pick_cube import PickCubeConfig

config = TrainConfig(
    task="pick_cube",
    task_config=PickCubeConfig(),
    num_envs=256,
    total_steps=1_000_000,
)

"""Panda pushes a cube along the table onto a disc."""

from mjxsim.config import TrainConfig
from mjxsim.control import ControlConfig
from mjxsim.tasks.push_cube import PushCubeConfig

config = TrainConfig(
    task="push_cube",
    task_config=PushCubeConfig(),
    # With the yaw to command, the fingers push a face and not an edge.
    control=ControlConfig(mode="ee_delta_yaw"),
    num_envs=256,
    total_steps=1_500_000,
)

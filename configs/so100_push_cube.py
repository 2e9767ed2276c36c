"""SO100 pushes a 2.5 cm cube along the table onto a disc."""

from mjxsim.config import TrainConfig
from mjxsim.control import ControlConfig
from mjxsim.tasks.push_cube import PushCubeConfig

config = TrainConfig(
    task="push_cube",
    robot="so100",
    task_config=PushCubeConfig(),
    control=ControlConfig(mode="ee_delta_yaw"),
    num_envs=256,
    total_steps=1_500_000,
)

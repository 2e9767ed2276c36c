"""SO101 pushes a 2.5 cm cube along the table onto a disc."""

from mjxsim.config import TrainConfig
from mjxsim.control import ControlConfig
from mjxsim.learning.ppo import PPOConfig
from mjxsim.tasks.push_cube import PushCubeConfig

config = TrainConfig(
    task="push_cube",
    robot="so101",
    task_config=PushCubeConfig(),
    control=ControlConfig(mode="ee_delta_yaw"),
    # A cube this small is easily lost: going round it to start again pays only after a second.
    ppo=PPOConfig(discount=0.97, gae_lambda=0.95),
    num_envs=256,
    total_steps=2_000_000,
)

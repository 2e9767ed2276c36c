"""SO100 stacks one cube on another."""

from mjxsim.config import TrainConfig
from mjxsim.control import ControlConfig
from mjxsim.learning.ppo import PPOConfig
from mjxsim.tasks.stack_cubes import StackCubesConfig

config = TrainConfig(
    task="stack_cubes",
    robot="so100",
    task_config=StackCubesConfig(),
    control=ControlConfig(mode="ee_delta_yaw"),
    # As for the Panda: letting go must stay worth trying.
    ppo=PPOConfig(discount=0.97, gae_lambda=0.95, entropy_coefficient=0.003),
    num_envs=256,
    total_steps=5_000_000,
)

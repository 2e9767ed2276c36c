"""Panda stacks one cube on another."""

from mjxsim.config import TrainConfig
from mjxsim.control import ControlConfig
from mjxsim.learning.ppo import PPOConfig
from mjxsim.tasks.stack_cubes import StackCubesConfig

config = TrainConfig(
    task="stack_cubes",
    task_config=StackCubesConfig(),
    # Cubes lie at any yaw: with the yaw to command, jaws close on faces rather than on edges.
    control=ControlConfig(mode="ee_delta_yaw"),
    # To let go of a cube that took so long to place must stay worth trying: actions stay noisy.
    ppo=PPOConfig(discount=0.97, gae_lambda=0.95, entropy_coefficient=0.003),
    num_envs=256,
    total_steps=5_000_000,
)

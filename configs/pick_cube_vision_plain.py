"""As pick_cube_vision.py in worlds that are all alike, to see what randomization buys."""

from mjxsim.config import TrainConfig
from mjxsim.control import ControlConfig
from mjxsim.envs import CameraConfig
from mjxsim.learning.ppo import PPOConfig
from mjxsim.tasks.pick_cube import PickCubeConfig

config = TrainConfig(
    task="pick_cube",
    task_config=PickCubeConfig(),
    control=ControlConfig(mode="ee_delta_yaw"),
    cameras=CameraConfig(
        names=("wrist",), hidden=("cube", "cube_rotation", "tcp_to_cube", "cube_to_goal")
    ),
    # The README's figures are from before the default bound_coefficient was what it is.
    ppo=PPOConfig(epochs=2, bound_coefficient=0.0),
    num_envs=256,
    total_steps=1_000_000,
)

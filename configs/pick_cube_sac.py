"""Panda grasps a cube and lifts it to a goal in the air, learned off-policy from 50 examples."""

from mjxsim.config import TrainConfig
from mjxsim.control import ControlConfig
from mjxsim.learning.sac import SACConfig
from mjxsim.tasks.pick_cube import PickCubeConfig

config = TrainConfig(
    task="pick_cube",
    task_config=PickCubeConfig(),
    # The cube lies at any yaw: with the yaw to command, jaws close on faces rather than on edges.
    control=ControlConfig(mode="ee_delta_yaw"),
    algorithm="sac",
    sac=SACConfig(),
    num_envs=64,
    total_steps=100_000,
)

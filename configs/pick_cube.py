"""Panda grasps a cube and lifts it to a goal in the air."""

from mjxsim.config import TrainConfig
from mjxsim.control import ControlConfig
from mjxsim.tasks.pick_cube import PickCubeConfig

config = TrainConfig(
    task="pick_cube",
    task_config=PickCubeConfig(),
    # The cube lies at any yaw: with the yaw to command, jaws close on faces rather than on edges.
    control=ControlConfig(mode="ee_delta_yaw"),
    num_envs=256,
    total_steps=1_000_000,
)

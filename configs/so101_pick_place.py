"""SO101 puts the named one of two cubes into the named one of two bins."""

from mjxsim.config import TrainConfig
from mjxsim.control import ControlConfig
from mjxsim.tasks.pick_place import PickPlaceConfig

config = TrainConfig(
    task="pick_place",
    robot="so101",
    task_config=PickPlaceConfig(),
    control=ControlConfig(mode="ee_delta_yaw"),
    num_envs=256,
    total_steps=3_000_000,
)

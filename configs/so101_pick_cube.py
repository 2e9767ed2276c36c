"""SO101 grasps a 2.5 cm cube and lifts it to a goal in the air."""

from mjxsim.config import TrainConfig
from mjxsim.control import ControlConfig
from mjxsim.tasks.pick_cube import PickCubeConfig

config = TrainConfig(
    task="pick_cube",
    robot="so101",
    # Smaller servos: half a second more than a Panda has.
    task_config=PickCubeConfig(episode_seconds=3.5),
    control=ControlConfig(mode="ee_delta_yaw"),
    num_envs=256,
    total_steps=1_500_000,
)

"""SO101 grasps a peg and puts it into a socket."""

from mjxsim.config import TrainConfig
from mjxsim.control import ControlConfig
from mjxsim.tasks.insert_peg import InsertPegConfig

config = TrainConfig(
    task="insert_peg",
    robot="so101",
    task_config=InsertPegConfig(),
    control=ControlConfig(mode="ee_delta_yaw"),
    num_envs=1024,
    total_steps=50_000_000,
)

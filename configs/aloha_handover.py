"""ALOHA's left arm picks up a bar and hands it to the right arm."""

from mjxsim.config import TrainConfig
from mjxsim.control import ControlConfig
from mjxsim.tasks.handover import HandoverConfig

config = TrainConfig(
    task="handover",
    task_config=HandoverConfig(),
    robot="aloha",
    # The bar lies at a yaw, which both grippers have to follow.
    control=ControlConfig(mode="ee_delta_yaw"),
    num_envs=1024,
    total_steps=100_000_000,
)

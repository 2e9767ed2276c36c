"""SO100 reaches goals in the air."""

from mjxsim.config import TrainConfig
from mjxsim.tasks.reach import ReachConfig

config = TrainConfig(
    task="reach",
    task_config=ReachConfig(),
    robot="so100",
    num_envs=256,
    total_steps=300_000,
)

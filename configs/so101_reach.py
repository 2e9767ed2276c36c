"""SO101 reaches goals in the air."""

from mjxsim.config import TrainConfig
from mjxsim.tasks.reach import ReachConfig

config = TrainConfig(
    task="reach",
    robot="so101",
    task_config=ReachConfig(),
    num_envs=256,
    total_steps=300_000,
)

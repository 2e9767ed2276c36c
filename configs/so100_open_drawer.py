"""SO100 pulls the named drawer of a cabinet open."""

from mjxsim.config import TrainConfig
from mjxsim.tasks.open_drawer import OpenDrawerConfig

config = TrainConfig(
    task="open_drawer",
    robot="so100",
    task_config=OpenDrawerConfig(),
    num_envs=256,
    total_steps=1_000_000,
)

"""`--teleop.type=mjxsim_expert`: the task's scripted expert at the controls."""

from dataclasses import dataclass

from lerobot.teleoperators.config import TeleoperatorConfig

from mjxsim.compat.lerobot.command_line import FPS, flag

_EPISODE_S, _RESET_S = 60.0, 60.0  # lerobot-record's defaults


@TeleoperatorConfig.register_subclass("mjxsim_expert")
@dataclass(kw_only=True)
class SimExpertConfig(TeleoperatorConfig):
    """Drives a simulated arm of the same process.

    The times are those of the recorder, and are taken from `--dataset.episode_time_s`,
    `--dataset.reset_time_s` and `--dataset.fps` where the command line has them: during each pause
    the expert has the scene drawn anew.

    Attributes:
      robot_id: The arm's id; the only arm if None.
      episode_time_s: Of a recording [s].
      reset_time_s: Of the pause between two [s].
      fps: How often it is asked for an action in a second.
    """

    robot_id: str | None = None
    episode_time_s: float | None = None
    reset_time_s: float | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        """Takes from the command line what is None."""
        if self.episode_time_s is None:
            self.episode_time_s = flag("dataset.episode_time_s", _EPISODE_S)
        if self.reset_time_s is None:
            self.reset_time_s = flag("dataset.reset_time_s", _RESET_S)
        if self.fps is None:
            self.fps = flag("dataset.fps", FPS)

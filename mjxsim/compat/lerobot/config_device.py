"""`--teleop.type=mjxsim_device`: a person drives a simulated arm with mjxsim's devices."""

from dataclasses import dataclass

from lerobot.teleoperators.config import TeleoperatorConfig

from mjxsim.compat.lerobot.command_line import FPS, flag


@TeleoperatorConfig.register_subclass("mjxsim_device")
@dataclass(kw_only=True)
class SimDeviceConfig(TeleoperatorConfig):
    """Drives a simulated arm of the same process.

    Attributes:
      device: "keyboard", "gamepad", "spacemouse" or "browser"; see `mjxsim.teleop`. A leader arm is
        LeRobot's own `so100_leader` or `so101_leader`.
      robot_id: The arm's id; the only arm if None.
      fps: How often it is asked for an action in a second; as `--dataset.fps` on the command line
        says if None.
    """

    device: str = "keyboard"
    robot_id: str | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        """Takes from the command line what is None."""
        if self.fps is None:
            self.fps = flag("dataset.fps", FPS)

"""What `python -m mjxsim.teleop` can be asked for."""

import dataclasses
import math
import pathlib
from typing import Literal, get_args

from mjxsim.config import check_seed
from mjxsim.control import ControlMode
from mjxsim.naming import unknown
from mjxsim.teleop.devices import DEVICES
from mjxsim.teleop.lanes import DRIVERS
from mjxsim.teleop.mapping import Speeds

Others = Literal["hold", "expert", "policy"]
Codec = Literal["h264", "av1"]
LeRobot = Literal["0.4", "0.6"]


@dataclasses.dataclass(frozen=True)
class TeleopConfig:
    """Steer one lane of a running batch, see it, and record it."""

    task: str | None = None
    """A task's name; pick_cube, or that of --policy."""
    robot: str | None = None
    """A robot's name; panda, or that of --policy."""
    device: str = "keyboard"
    """keyboard, gamepad, spacemouse, leader, browser or scripted."""
    lanes: int = 1
    """Worlds that run side by side; the person has one of them."""
    others: Others | None = None
    """Who drives lanes that the person does not: hold, expert or policy."""
    policy: pathlib.Path | None = None
    """A run directory, whose policy drives the other lanes."""
    rate: float | None = None
    """Control steps per second; 20, or that of --policy."""
    control: ControlMode | None = None
    """Control mode; ee_delta_yaw, joint for a leader arm, or that of --policy."""
    engine: str = "auto"
    """auto, c, mjx or warp."""
    seed: int = 0
    """Of every start."""
    cameras: tuple[str, ...] = ("front", "wrist")
    """What is seen and recorded; nothing after the flag for none."""
    size: int = 128
    """Height and width of the pictures [pixels]."""
    shadows: bool = True
    """Draw shadows; without them a picture costs less."""
    speeds: Speeds = dataclasses.field(default_factory=Speeds)
    """How fast a device at its end moves the robot."""
    episode_seconds: float | None = 60.0
    """After which the person's episode ends; None for never."""
    end_on_success: bool = False
    """End the person's episode when the task's condition is met, without a key."""
    output_dir: pathlib.Path | None = None
    """Record a LeRobot dataset there."""
    codec: Codec = "h264"
    """Of recorded pictures: h264, or av1, which costs the control loop some late steps."""
    lerobot: LeRobot = "0.6"
    """Whose tools will append to the dataset: 0.4 or 0.6."""
    resume: bool = False
    """Add to the dataset that is there, in its codec."""
    episodes: int | None = None
    """Stop after so many recorded episodes."""
    gripper_penalty: float = -0.02
    """Recorded for a step in which the gripper is told to open or close, as gym-hil does."""
    keymap: pathlib.Path | None = None
    """JSON, {action: key}: changes of the device's keys."""
    port: str | None = None
    """Serial port of a leader arm; the only one if None."""
    calibration: pathlib.Path | None = None
    """Of a leader arm, as lerobot-calibrate wrote it."""
    script: str = "expert"
    """Of device scripted: expert, or a JSON file of timed commands."""
    headless: bool = False
    """No window."""
    web: int | None = None
    """Port of a web page that shows the scene."""
    host: str = "127.0.0.1"
    """Address of the pages of --web and --device browser; 0.0.0.0 opens them to other machines."""
    rerun: bool = False
    """Show everything in the Rerun viewer."""
    rerun_file: pathlib.Path | None = None
    """Log everything to a Rerun file."""
    seconds: float | None = None
    """Stop after so much simulated time."""

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for what cannot be."""
        if self.device not in DEVICES:
            raise ValueError(unknown("device", self.device, DEVICES))
        if self.others is not None and self.others not in DRIVERS:
            raise ValueError(unknown("driver of the other lanes", self.others, DRIVERS))
        if self.codec not in get_args(Codec):
            raise ValueError(unknown("codec", self.codec, get_args(Codec)))
        if self.lerobot not in get_args(LeRobot):
            raise ValueError(unknown("version of LeRobot", self.lerobot, get_args(LeRobot)))
        check_seed("seed", self.seed)
        for name, least in (("lanes", 1), ("size", 8)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")
        if self.episodes is not None and self.episodes < 1:
            raise ValueError(f"episodes must be at least 1, got {self.episodes}")
        for name, value in (("episode_seconds", self.episode_seconds), ("seconds", self.seconds)):
            if value is not None and not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"{name} must be positive, got {value}")
        if self.others == "policy" and self.policy is None:
            raise ValueError("--others policy needs a policy: give --policy runs/<name>")
        if self.output_dir is None and (self.resume or self.episodes is not None):
            what = "resume" if self.resume else "episodes"
            raise ValueError(f"--{what} is about a dataset: give --output-dir DIR")
        if self.headless and self.device == "keyboard":
            raise ValueError(
                "a keyboard is heard through a window: leave out --headless, or take "
                "--device browser"
            )

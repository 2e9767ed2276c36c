"""`--robot.type=mjxsim_so100` and `mjxsim_so101`: simulated SO arms."""

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

from lerobot.robots import RobotConfig

from mjxsim.compat.lerobot.spec import WorldSpec
from mjxsim.naming import unknown

PACINGS = ("wall", "frames")


@dataclass(kw_only=True)
class SimArmConfig(RobotConfig):
    """A simulated arm before a task.

    Attributes:
      task: A task for one arm, from mjxsim's registry.
      engine: "c", "mjx" or "warp".
      views: The cameras: "front", "side", "top", "wrist".
      height: Of a picture [pixels].
      width: Of a picture [pixels].
      renderer: "auto", "jax", "gl" or "warp".
      settings: Fields of the task's configuration.
      seed: Of the scenes.
      pacing: "wall": the world keeps to the wall clock, as a real arm does. "frames": every action
        is followed by 1 / fps seconds, however long that takes; a recording then repeats.
      fps: With pacing "frames".
      restart_after_s: The scene is drawn anew so long [s] after success or failure; never if None.
      max_relative_target: As of LeRobot's arms: how far [degrees, or 0-100] a target may be ahead.
    """

    robot: ClassVar[str] = "so100"

    task: str = "pick_cube"
    engine: str = "c"
    views: list[str] = field(default_factory=lambda: ["front", "wrist"])
    height: int = 96
    width: int = 128
    renderer: str = "auto"
    settings: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    pacing: str = "wall"
    fps: int = 30
    restart_after_s: float | None = None
    max_relative_target: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError, one line, for an unknown pacing."""
        super().__post_init__()
        if self.pacing not in PACINGS:
            raise ValueError(unknown("pacing", self.pacing, PACINGS))

    @property
    def spec(self) -> WorldSpec:
        """Which world."""
        return WorldSpec(
            task=self.task,
            robot=self.robot,
            engine=self.engine,
            units="lerobot",
            cameras=tuple(self.views),
            height=self.height,
            width=self.width,
            renderer=self.renderer,
            settings=json.dumps(self.settings, sort_keys=True),
        )


@RobotConfig.register_subclass("mjxsim_so100")
@dataclass(kw_only=True)
class SimSO100Config(SimArmConfig):
    """A simulated SO100."""

    robot: ClassVar[str] = "so100"


@RobotConfig.register_subclass("mjxsim_so101")
@dataclass(kw_only=True)
class SimSO101Config(SimArmConfig):
    """A simulated SO101."""

    robot: ClassVar[str] = "so101"

"""Which worlds LeRobot asks for; nothing here starts JAX, so that LeRobot may fork afterwards."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Self

# What a robot knows of itself; everything else in an observation is its surroundings.
ROBOT_PARTS = ("arm_qpos", "arm_qvel", "arm_lag", "gripper", "tcp", "touch")
UNITS = ("mjxsim", "lerobot")


@dataclasses.dataclass(frozen=True)
class WorldSpec:
    """A task as LeRobot sees it.

    Attributes:
      task: A name from the task registry.
      robot: A name from the robot registry.
      engine: "auto", "c", "mjx" or "warp".
      control: A control mode; not used with units "lerobot".
      units: "mjxsim": actions in [-1, 1], the state as tasks observe it. "lerobot": an SO arm's six
        values in degrees and 0 to 100, for state and action, as `lerobot-record` writes them.
      cameras: What is seen.
      height: Of a picture [pixels].
      width: Of a picture [pixels].
      renderer: "auto", "jax", "gl" or "warp".
      hidden: Parts of the observation that are to be seen in the pictures only.
      fps: Control steps per second; the task's own if None.
      settings: Fields of the task's configuration, as JSON.
    """

    task: str = "pick_cube"
    robot: str = "panda"
    engine: str = "auto"
    control: str = "ee_delta"
    units: str = "mjxsim"
    cameras: tuple[str, ...] = ("front", "wrist")
    height: int = 128
    width: int = 128
    renderer: str = "auto"
    hidden: tuple[str, ...] = ()
    fps: int | None = None
    settings: str = "{}"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of `to_json`."""
        fields: dict[str, Any] = json.loads(text)
        for name in ("cameras", "hidden"):
            fields[name] = tuple(fields[name])
        return cls(**fields)

    def to_json(self) -> str:
        """As text, for another process."""
        return json.dumps(dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True)
class Shapes:
    """What such a world takes and gives."""

    action: int  # entries
    state: int  # entries of "agent_pos"
    environment: int  # entries of "environment_state"; 0 if there is none
    fps: int  # control steps per second
    episode_steps: int


def measure(spec: WorldSpec) -> Shapes:
    """The shapes of a world, found by a process of its own.

    LeRobot 0.4 forks its asynchronous environments, and JAX must not run before a fork.

    Raises:
      ValueError: the worlds cannot be made; the one line that says why.
    """
    command = [sys.executable, "-m", "mjxsim.compat.lerobot.shapes", spec.to_json()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["the process that measures it died"]
        raise ValueError(lines[-1])
    found: Mapping[str, int] = json.loads(done.stdout.strip().splitlines()[-1])
    return Shapes(**found)

"""How to rebuild the environment of a recording, and how each episode of it began."""

import dataclasses
import json
import platform
from typing import Any, Self

import jax
import mujoco
import numpy as np

import mjxsim
from mjxsim import codec
from mjxsim.control import ControlConfig
from mjxsim.envs import CameraConfig, Env, make
from mjxsim.randomization import RandomizationConfig
from mjxsim.tasks import TaskConfig
from mjxsim.tasks import registry as tasks


@dataclasses.dataclass(frozen=True)
class Source:
    """What `mjxsim.make` needs to build the environment again."""

    task: str
    task_config: TaskConfig  # of that task's own class
    robot: str = "panda"
    engine: str = "c"  # never "auto": which engine it was
    control: ControlConfig = ControlConfig()
    cameras: CameraConfig = CameraConfig()
    randomization: RandomizationConfig = RandomizationConfig()
    # Where it was recorded: elsewhere the last bits may be others.
    mjxsim: str = mjxsim.__version__
    mujoco: str = mujoco.__version__
    jax: str = jax.__version__
    device: str = ""  # what JAX calls it, and the processor

    def make(self, *, announce: bool = False) -> Env:
        """The environment, every range as wide as it is written. Raises as `mjxsim.make`."""
        env = make(
            self.task,
            self.robot,
            self.engine,
            config=self.task_config,
            control=self.control,
            cameras=self.cameras,
            randomization=self.randomization,
            announce=announce,
        )
        return env.fully_randomized()

    @property
    def fps(self) -> int:
        """Control steps per second.

        Raises:
          ValueError: they are no whole number, which LeRobot needs.
        """
        return whole_fps(self.task_config.control_dt)

    def resolved(self, env: Env) -> Self:
        """The same with the engine that "auto" chose, and where it runs."""
        return dataclasses.replace(self, engine=env.engine.name, device=_device())

    def recorded_with(self) -> str:
        """Versions and device of the recording."""
        return f"mjxsim {self.mjxsim}, mujoco {self.mujoco}, jax {self.jax} on {self.device}"

    @staticmethod
    def here() -> str:
        """Versions and device of this process."""
        versions = f"mjxsim {mjxsim.__version__}, mujoco {mujoco.__version__}"
        return f"{versions}, jax {jax.__version__} on {_device()}"

    def to_json(self) -> str:
        """One line."""
        return json.dumps(codec.encode(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Of `to_json`. Raises ValueError naming the field at fault."""
        data = json.loads(text)
        if not isinstance(data, dict) or not isinstance(data.get("task"), str):
            raise ValueError("field 'task' is missing")
        _, kind = tasks.get(data["task"])
        return codec.decode(cls, {"task_config": {}, **data}, exact={"task_config": kind})


def _device() -> str:
    return f"{jax.devices()[0].device_kind}, {platform.machine()}"


def whole_fps(control_dt: float) -> int:
    """Frames per second of a control period [s]; ValueError unless a whole number."""
    fps = round(1.0 / control_dt)
    if fps < 1 or not np.isclose(fps * control_dt, 1.0, rtol=1e-6):
        raise ValueError(
            f"control_dt {control_dt} s gives {1.0 / control_dt:.6g} frames per second, and "
            f"LeRobot takes whole numbers: use {1.0 / max(fps, 1):.6g} s, which is {max(fps, 1)}"
        )
    return fps


@dataclasses.dataclass(frozen=True)
class Start:
    """From which an episode can be played again.

    Vectorized code may round differently at another width or place in a batch: to get the very
    bits, reset a batch of `lanes` worlds and look at `lane`.
    """

    key: tuple[int, ...]  # uint32, the data of the key that `Env.reset` was given
    lane: int = 0
    lanes: int = 1

    @classmethod
    def of(cls, key: np.ndarray, lane: int = 0, lanes: int = 1) -> Self:
        """Of a key's data, uint32 (n,). Raises ValueError, one line, for anything else."""
        data = np.asarray(key)
        if data.dtype != np.uint32 or data.ndim != 1:
            raise ValueError(
                f"an episode's key is its data, uint32 (n,): give jax.random.key_data(key), not "
                f"{data.dtype} {data.shape}"
            )
        if not 0 <= lane < lanes:
            raise ValueError(f"lane {lane} is not one of {lanes}")
        return cls(tuple(int(x) for x in data), lane, lanes)

    def to_json(self) -> str:
        """One line."""
        return json.dumps(codec.encode(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Of `to_json`. Raises ValueError naming the field at fault."""
        data: Any = json.loads(text)
        found = codec.decode(cls, data)
        if not 0 <= found.lane < found.lanes or not all(0 <= x < 2**32 for x in found.key):
            raise ValueError(f"no such start of an episode: {text}")
        return found

"""An environment whose observations and actions are those that LeRobot wants."""

import dataclasses
import json
from typing import Any, Self

import jax
import numpy as np

from mjxsim.compat.lerobot.arm import DegreesArm
from mjxsim.compat.lerobot.spec import ROBOT_PARTS, UNITS, Shapes, WorldSpec
from mjxsim.control import ControlConfig
from mjxsim.control.base import ControlMode
from mjxsim.envs import CameraConfig, Env, State, Transition
from mjxsim.envs.gym_env import build_env
from mjxsim.naming import unknown

# LeRobot's names of what an environment shows; a picture is PIXELS + "." + camera until it is
# nested for LeRobot.
PIXELS, AGENT, SURROUNDINGS = "pixels", "agent_pos", "environment_state"
# What LeRobot makes of them; its recorder of evaluations looks for these among the observations.
FEATURES = {AGENT: "observation.state", SURROUNDINGS: "observation.environment_state"}


@dataclasses.dataclass(frozen=True, eq=False)
class SeenEnv(Env):
    """An `Env` that observes and acts in LeRobot's terms.

    With cameras `agent_pos` is every part of the observation that is not hidden, as datasets of
    mjxsim have it in `observation.state`. Without them it is what the robot knows of itself, and
    `environment_state` is the rest. With LeRobot's units `agent_pos` and the action are an SO arm's
    six values, and there is no `environment_state`.
    """

    arm: DegreesArm | None = None  # with LeRobot's units
    agent: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, int))
    surroundings: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, int))

    @classmethod
    def build(cls, spec: WorldSpec) -> Self:
        """The environment of a specification.

        Raises:
          ValueError: an unknown name, or values that do not go together; one line.
          RuntimeError: the engine is not installed.
        """
        env = _env(spec)
        layout = env.observation_layout
        robot = [n for n in layout if any(n == p or n.endswith(f"_{p}") for p in ROBOT_PARTS)]
        agent = [n for n in layout if n not in spec.hidden] if spec.cameras else robot
        rest = [] if spec.cameras else [n for n in layout if n not in robot]
        arm = None
        if spec.units == "lerobot":
            arm, rest = DegreesArm.of(env), []
            env = arm.env
        fields = {**vars(env), "agent": _entries(env, agent), "surroundings": _entries(env, rest)}
        return cls(**fields, arm=arm)

    @property
    def shapes(self) -> Shapes:
        """What a world takes and gives."""
        config = self.task.config
        return Shapes(
            action=self.action_size,
            state=6 if self.arm else len(self.agent),
            environment=len(self.surroundings),
            fps=round(1.0 / config.control_dt),
            episode_steps=config.episode_steps,
        )

    def observation(self, state: State) -> dict[str, jax.Array]:
        """See the class; of a world or a batch of them."""
        agent = self.arm.values(state.physics.qpos) if self.arm else state.obs[..., self.agent]
        seen = {AGENT: agent}
        if len(self.surroundings):
            seen[SURROUNDINGS] = state.obs[..., self.surroundings]
        pictures = state.sight.pixels if state.sight is not None else {}
        return seen | {f"{PIXELS}.{name}": picture for name, picture in pictures.items()}

    def advance(self, state: State, action: jax.Array) -> tuple[State, Transition]:
        """See `Env.advance`; with LeRobot's units an action (6,) in degrees and 0 to 100."""
        return super().advance(state, self.arm.action(action) if self.arm else action)

    @property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the greatest action."""
        if self.arm:
            return self.arm.limits
        ones = np.ones(self.action_size, np.float32)
        return -ones, ones


def _env(spec: WorldSpec) -> Env:
    if spec.units not in UNITS:
        raise ValueError(unknown("units", spec.units, UNITS))
    settings: dict[str, Any] = json.loads(spec.settings)
    if spec.fps is not None:
        if spec.fps < 1:
            raise ValueError(f"fps must be at least 1, got {spec.fps}")
        settings.setdefault("control_dt", 1.0 / spec.fps)
    cameras = None
    if spec.cameras:
        cameras = CameraConfig(
            spec.cameras, spec.height, spec.width, renderer=spec.renderer, hidden=spec.hidden
        )
    elif spec.hidden:
        raise ValueError(f"hidden {spec.hidden} needs a camera that sees what is hidden")
    mode: ControlMode = spec.control  # pyright: ignore[reportAssignmentType]  # checked when built
    control = ControlConfig(mode="joint" if spec.units == "lerobot" else mode)
    return build_env(spec.task, spec.robot, spec.engine, control, settings, None, cameras)


def _entries(env: Env, names: list[str]) -> np.ndarray:
    parts = [np.arange(s.start, s.stop) for n, s in env.observation_layout.items() if n in names]
    return np.concatenate(parts) if parts else np.zeros(0, int)

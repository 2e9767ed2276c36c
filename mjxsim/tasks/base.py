"""What a task is: a scene, a start, and small pure functions that look at one world.

A task knows no engine, no batch and no controller. It is built once for a compiled model, when
its names become indices, and is a frozen dataclass of unbatched functions from then on.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import flax.struct
import jax
import jax.numpy as jnp
import mujoco

from mjxsim.control import Motion
from mjxsim.physics.base import PhysicsState
from mjxsim.robots.base import RobotSpec


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """What every task's configuration holds; a task adds its own fields."""

    arms: ClassVar[int] = 1  # how many the task needs; of more, it uses the first ones
    control_dt: float = 0.05  # [s] between two actions
    episode_seconds: float = 2.5  # [s] after which an episode is truncated
    hold_seconds: float = 0.25  # [s] for which the success condition must hold without a break
    terminate_on_success: bool = False  # end an episode at success rather than at its time limit
    sparse_reward: bool = False  # reward 1 while successful and 0 otherwise, instead of the terms

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for times in which no episode can succeed."""
        if not 0.0 < self.control_dt <= self.episode_seconds:
            raise ValueError(
                f"control_dt must be positive and at most episode_seconds ({self.episode_seconds} "
                f"s), got {self.control_dt} s"
            )
        if not 0.0 <= self.hold_seconds <= self.episode_seconds:
            raise ValueError(
                f"hold_seconds must be from 0 to episode_seconds ({self.episode_seconds} s), got "
                f"{self.hold_seconds} s"
            )

    def for_robot(self, robot: RobotSpec) -> Self:
        """The same with every field that is None filled in with what suits the robot."""
        del robot
        return self

    @property
    def episode_steps(self) -> int:
        """Control steps in an episode."""
        return round(self.episode_seconds / self.control_dt)

    @property
    def hold_steps(self) -> int:
        """Control steps for which the success condition must hold."""
        return max(1, round(self.hold_seconds / self.control_dt))


S = TypeVar("S")  # a task's own state: a frozen pytree of latches, counters and goals
C = TypeVar("C", bound=TaskConfig)
V = TypeVar("V")


def filled(config: C, **defaults: object) -> C:
    """`config` with those of these fields that are None set to the value given here."""
    missing = {k: v for k, v in defaults.items() if getattr(config, k) is None}
    return dataclasses.replace(config, **missing) if missing else config


def known(value: V | None) -> V:
    """A field that `for_robot` has filled in."""
    assert value is not None, "config.for_robot(robot) comes before scene and build"
    return value


def check_box(name: str, low: Sequence[float] | None, high: Sequence[float] | None) -> None:
    """Raises ValueError, one line, unless low <= high entry by entry; None is not known yet."""
    if low is None or high is None:
        return
    if any(a > b for a, b in zip(low, high, strict=True)):
        raise ValueError(f"{name}_low {low} must not exceed {name}_high {high} in any entry")


def check_positive(**values: float | None) -> None:
    """Raises ValueError, one line, for the first value that is not positive; None is not known."""
    for name, value in values.items():
        if value is not None and not value > 0.0:
            raise ValueError(f"{name} must be positive, got {value}")


class Start(flax.struct.PyTreeNode, Generic[S]):
    """How one episode begins."""

    qpos: jax.Array  # (nq,)
    qvel: jax.Array  # (nv,)
    ctrl: jax.Array  # (nu,)
    mocap_pos: jax.Array  # (nmocap, 3) [m]
    mocap_quat: jax.Array  # (nmocap, 4)
    task: S

    @classmethod
    def home(cls, model: mujoco.MjModel, task: S) -> Self:
        """The scene's "home" keyframe at rest."""
        key = model.key("home")
        return cls(
            qpos=jnp.asarray(key.qpos, jnp.float32),
            qvel=jnp.zeros(model.nv, jnp.float32),
            ctrl=jnp.asarray(key.ctrl, jnp.float32),
            mocap_pos=jnp.asarray(key.mpos, jnp.float32).reshape(-1, 3),
            mocap_quat=jnp.asarray(key.mquat, jnp.float32).reshape(-1, 4),
            task=task,
        )


class Task(Protocol[C, S]):
    """A frozen dataclass of these functions; from `reset` on they are pure and unbatched."""

    @property
    def config(self) -> C:
        """How it was built."""
        ...

    @property
    def instructions(self) -> tuple[str, ...]:
        """What a person would say, one sentence for each goal that the task can draw."""
        ...

    @staticmethod
    def scene(config: C, robot: RobotSpec) -> mujoco.MjSpec:
        """The model: robot, table, objects, cameras. `config` has gone through `for_robot`."""
        ...

    @classmethod
    def build(cls, config: C, robot: RobotSpec, model: mujoco.MjModel) -> Self:
        """Resolves names to indices, once."""
        ...

    def reset(self, key: jax.Array) -> Start[S]:
        """Draws a start and a goal."""
        ...

    def update(self, state: S, physics: PhysicsState) -> S:
        """Latches and counters after a control step."""
        ...

    def observe(self, state: S, physics: PhysicsState) -> Mapping[str, jax.Array]:
        """Named float32 vectors; the observation is their concatenation in this order."""
        ...

    def rewards(
        self, state: S, physics: PhysicsState, action: jax.Array
    ) -> Mapping[str, jax.Array]:
        """Weighted terms, float32 (); the reward is their sum."""
        ...

    def success(self, state: S, physics: PhysicsState) -> jax.Array:
        """Whether the physical condition has held for `hold_seconds`; bool ()."""
        ...

    def failure(self, state: S, physics: PhysicsState) -> jax.Array:
        """Whether the episode can no longer succeed; bool ()."""
        ...

    def instruction(self, state: S) -> jax.Array:
        """Which of `instructions` is this episode's; int32 ()."""
        ...

    def expert(self, state: S, physics: PhysicsState) -> Motion | tuple[Motion, ...]:
        """A scripted policy: where the TCP should go from here; a tuple for several arms."""
        ...


AnyTask = Task[Any, Any]  # where a task's own types do not matter

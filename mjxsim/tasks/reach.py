"""Move the tool centre point to a goal in the air."""

import dataclasses
from collections.abc import Mapping
from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
import mujoco

from mjxsim import scenes
from mjxsim.control import Motion
from mjxsim.math import reach_reward
from mjxsim.physics.base import PhysicsState
from mjxsim.robots.base import RobotSpec
from mjxsim.tasks.base import Start, TaskConfig, check_box, check_positive, filled
from mjxsim.tasks.handles import ArmHandle


@dataclasses.dataclass(frozen=True)
class ReachConfig(TaskConfig):
    """Where goals are and what counts as reaching one. Lengths in m, the robot's base frame."""

    goal_low: tuple[float, float, float] | None = None  # None: the robot's reach
    goal_high: tuple[float, float, float] | None = None
    threshold: float = 0.02  # [m] from TCP to goal
    joint_noise: float = 0.1  # [rad] half-width of the uniform start around home

    def __post_init__(self) -> None:
        super().__post_init__()
        check_box("goal", self.goal_low, self.goal_high)
        check_positive(threshold=self.threshold)

    def for_robot(self, robot: RobotSpec) -> Self:
        low, high = robot.area.reach or robot.area.air
        return filled(self, goal_low=low, goal_high=high)


class ReachState(flax.struct.PyTreeNode):
    """What reach remembers."""

    goal: jax.Array  # (3,) [m]
    held: jax.Array  # int32 (), consecutive steps within the threshold


@dataclasses.dataclass(frozen=True)
class Reach:
    """Move the TCP to a goal and stay there.

    Randomized: every arm joint within `joint_noise` of home; the goal uniform in a box.
    Success: TCP within 0.02 m of the goal for `hold_seconds` (0.25 s).
    Failure: none. An episode lasts 2.5 s.
    Reward terms: `reach` 1 - tanh(d / 0.1 m); `at_goal` 1 within the threshold.
    Source: the shape of ManiSkill's and robosuite's reaching rewards.
    """

    config: ReachConfig
    arm: ArmHandle
    nominal: Start[ReachState]
    instructions: tuple[str, ...] = ("move the gripper to the green ball",)

    @staticmethod
    def scene(config: ReachConfig, robot: RobotSpec) -> mujoco.MjSpec:
        return scenes.build(robot)

    @classmethod
    def build(cls, config: ReachConfig, robot: RobotSpec, model: mujoco.MjModel) -> Self:
        state = ReachState(goal=jnp.zeros(3), held=jnp.int32(0))
        return cls(config, ArmHandle.bind(robot.arm, model), Start.home(model, state))

    def reset(self, key: jax.Array) -> Start[ReachState]:
        arm_key, goal_key = jax.random.split(key)
        c = self.config
        goal = jax.random.uniform(
            goal_key, (3,), minval=jnp.array(c.goal_low), maxval=jnp.array(c.goal_high)
        )
        state = ReachState(goal=goal, held=jnp.int32(0))
        start = self.nominal.replace(mocap_pos=goal[None], task=state)
        return self.arm.shake(start, arm_key, c.joint_noise)

    def update(self, state: ReachState, physics: PhysicsState) -> ReachState:
        near = self._distance(state, physics) < self.config.threshold
        return state.replace(held=jnp.where(near, state.held + 1, 0))

    def observe(self, state: ReachState, physics: PhysicsState) -> Mapping[str, jax.Array]:
        tcp = self.arm.tcp(physics)
        return {
            **self.arm.proprioception(physics),
            "tcp": tcp,
            "goal": state.goal,
            "tcp_to_goal": state.goal - tcp,
        }

    def rewards(
        self, state: ReachState, physics: PhysicsState, action: jax.Array
    ) -> Mapping[str, jax.Array]:
        distance = self._distance(state, physics)
        return {
            "reach": reach_reward(distance, 0.1),
            "at_goal": (distance < self.config.threshold).astype(jnp.float32),
        }

    def success(self, state: ReachState, physics: PhysicsState) -> jax.Array:
        return state.held >= self.config.hold_steps

    def failure(self, state: ReachState, physics: PhysicsState) -> jax.Array:
        return jnp.zeros((), bool)

    def instruction(self, state: ReachState) -> jax.Array:
        return jnp.int32(0)

    def expert(self, state: ReachState, physics: PhysicsState) -> Motion:
        return Motion(tcp=state.goal, open_gripper=jnp.ones((), bool))

    def _distance(self, state: ReachState, physics: PhysicsState) -> jax.Array:
        return jnp.linalg.norm(state.goal - self.arm.tcp(physics))

"""One arm picks a bar from the table and hands it to the other, which holds it at a goal."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Self

import flax.struct
import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim import scenes
from mjxsim.control import Motion
from mjxsim.math import reach_reward, rotations
from mjxsim.physics.base import PhysicsState
from mjxsim.robots.base import RobotSpec
from mjxsim.tasks.base import Start, TaskConfig, check_box, check_positive, filled, known
from mjxsim.tasks.handles import ArmHandle, ObjectHandle

_LEFT, _RIGHT = 0, 1
# The expert's.
_HOVER = 0.06  # [m] over a grip until the gripper is aligned with it
_ALIGNED = 0.012  # [m] beside the grip, from which it may come down
_NEAR = 0.012  # [m] from the grip, at which the gripper closes
_LEAD = 0.03  # [m] of the target before a carried bar: a faster one slips in the pads
_HELD_STEPS = 5  # of both holding, before the first lets go


@dataclasses.dataclass(frozen=True)
class HandoverConfig(TaskConfig):
    """The bar, its start, where it changes hands, where it goes. Lengths in m, world frame."""

    arms: ClassVar[int] = 2
    episode_seconds: float = 6.0
    half_size: tuple[float, float, float] = (0.08, 0.0125, 0.0125)
    mass: float = 0.06  # [kg]
    grip: float = 0.06  # from the bar's middle to where each gripper holds it
    bar_low: tuple[float, float] | None = None  # None, here and below: what suits the robot
    bar_high: tuple[float, float] | None = None
    bar_yaw: float = 0.4  # [rad] half-width of the uniform start around x
    meeting: tuple[float, float, float] = (0.0, 0.0, 0.15)  # the bar's middle as it is handed over
    goal_low: tuple[float, float, float] | None = None
    goal_high: tuple[float, float, float] | None = None
    threshold: float = 0.03  # [m] from the bar's middle to the goal
    joint_noise: float = 0.05  # [rad] half-width of the uniform start around home
    grasp_force: float = 0.5  # [N] on each finger's pad for a grasp

    def __post_init__(self) -> None:
        super().__post_init__()
        check_box("bar", self.bar_low, self.bar_high)
        check_box("goal", self.goal_low, self.goal_high)
        check_positive(threshold=self.threshold, mass=self.mass, grip=self.grip)
        if self.grip > self.half_size[0]:
            raise ValueError(
                f"grip must be at most half the bar's length ({self.half_size[0]} m), got "
                f"{self.grip} m"
            )

    def for_robot(self, robot: RobotSpec) -> Self:
        # The area is the first arm's; the other one's is its mirror image in x.
        (x_low, y_low), (x_high, y_high) = robot.area.table
        air = robot.area.air
        inside = 0.05  # [m] from the sides, so that turned grippers still get there
        return filled(
            self,
            bar_low=(x_low + self.grip, y_low + inside),
            bar_high=(x_high - self.grip + 0.02, y_high - inside),
            goal_low=(-air[1][0] + 0.04, air[0][1] + inside, air[0][2] + 0.02),
            goal_high=(-air[0][0] - self.grip, air[1][1] - inside, air[1][2] - 0.03),
        )


class HandoverState(flax.struct.PyTreeNode):
    """What handover remembers."""

    goal: jax.Array  # (3,) [m]
    held: jax.Array  # int32 (), consecutive steps with the bar at the goal
    both: jax.Array  # int32 (), consecutive steps with the bar in the second arm's grasp
    passed: jax.Array  # bool (), the first arm may let go: what the expert goes by


def _fresh(goal: jax.Array) -> HandoverState:
    zero = jnp.int32(0)
    return HandoverState(goal=goal, held=zero, both=zero, passed=jnp.zeros((), bool))


@dataclasses.dataclass(frozen=True)
class Handover:
    """Pick up a 16 cm bar of 0.06 kg with the left arm, hand it to the right, bring it to a goal.

    Randomized: the bar's middle uniform in 0.1 m x 0.2 m on the left side, its yaw within 0.4 rad;
    the goal uniform in a box on the right side; every joint of both arms within `joint_noise` of
    home.
    Success: both of the right gripper's pads press the bar, neither of the left one's touches
    anything, and the bar's middle is off the table and within 0.03 m of the goal, for
    `hold_seconds` (0.25 s).
    Failure: the bar leaves the region in which the arms can reach it. An episode lasts 6 s.
    Reward terms: `reach` 1 - tanh(d / 0.1 m) from the left TCP to its end of the bar; `grasp` 1
    while the left gripper holds it; `meet` 2 (1 - tanh(d / 0.15 m)) from the bar to the meeting
    point, while held and off the table; `offer` 1 - tanh(d / 0.1 m) from the right TCP to its end,
    likewise; these four count in full while the right gripper holds the bar in the air. `take` 2
    while it does; `release` 2 while it alone does, and `place` 3 (1 - tanh(d / 0.15 m)) from bar to
    goal; `at_goal` 3 within the threshold.
    Source: the task is ALOHA's cube transfer (Zhao et al., "Learning Fine-Grained Bimanual
    Manipulation with Low-Cost Hardware", RSS 2023) the other way round, and with a goal.
    """

    config: HandoverConfig
    arms: tuple[ArmHandle, ArmHandle]
    level: tuple[np.ndarray, np.ndarray]  # (4,) each TCP's orientation at home, pads across x
    bar: ObjectHandle
    nominal: Start[HandoverState]
    instructions: tuple[str, ...] = (
        "pick up the red bar with the left arm, hand it to the right arm and hold it at the "
        "green ball",
    )

    @staticmethod
    def scene(config: HandoverConfig, robot: RobotSpec) -> mujoco.MjSpec:
        bar = scenes.ObjectSpec("bar", "box", config.half_size, config.mass)
        return scenes.build(robot, (bar,))

    @classmethod
    def build(cls, config: HandoverConfig, robot: RobotSpec, model: mujoco.MjModel) -> Self:
        data = mujoco.MjData(model)
        mujoco.mj_resetDataKeyframe(model, data, model.key("home").id)
        mujoco.mj_kinematics(model, data)
        left, right = (ArmHandle.bind(arm, model) for arm in robot.arms[:2])
        level = np.zeros((2, 4))
        for quat, arm in zip(level, (left, right), strict=True):
            mujoco.mju_mat2Quat(quat, data.site_xmat[arm.tcp_site])
        return cls(
            config,
            (left, right),
            (level[0].astype(np.float32), level[1].astype(np.float32)),
            ObjectHandle.bind(model, "bar"),
            Start.home(model, _fresh(jnp.zeros(3))),
        )

    def reset(self, key: jax.Array) -> Start[HandoverState]:
        c = self.config
        left_key, right_key, bar_key, yaw_key, goal_key = jax.random.split(key, 5)
        xy = jax.random.uniform(
            bar_key, (2,), minval=jnp.array(c.bar_low), maxval=jnp.array(c.bar_high)
        )
        yaw = jax.random.uniform(yaw_key, (), minval=-c.bar_yaw, maxval=c.bar_yaw)
        goal = jax.random.uniform(
            goal_key, (3,), minval=jnp.array(c.goal_low), maxval=jnp.array(c.goal_high)
        )
        start = self.nominal.replace(
            qpos=self.bar.put(self.nominal.qpos, jnp.append(xy, c.half_size[2]), yaw),
            mocap_pos=goal[None],
            task=_fresh(goal),
        )
        for arm, arm_key in zip(self.arms, (left_key, right_key), strict=True):
            start = arm.shake(start, arm_key, c.joint_noise)
        return start

    def update(self, state: HandoverState, physics: PhysicsState) -> HandoverState:
        both = jnp.where(self._holds(_RIGHT, physics), state.both + 1, 0)
        in_air = self._in_air(physics)
        return state.replace(
            held=jnp.where(self._at_goal(state, physics), state.held + 1, 0),
            both=both,
            passed=in_air & (state.passed | (both >= _HELD_STEPS)),
        )

    def observe(self, state: HandoverState, physics: PhysicsState) -> Mapping[str, jax.Array]:
        bar = self.bar.position(physics)
        parts: dict[str, jax.Array] = {}
        for side, name in ((_LEFT, "left"), (_RIGHT, "right")):
            arm = self.arms[side]
            said = {
                **arm.proprioception(physics),
                "tcp": arm.tcp(physics),
                "touch": jnp.tanh(arm.touch_forces(physics) / 20.0),
                "tcp_to_grip": self._grip(side, physics) - arm.tcp(physics),
            }
            parts |= {f"{name}_{key}": value for key, value in said.items()}
        return {
            **parts,
            "bar": bar,
            "bar_rotation": rotations.to_6d(self.bar.quat(physics)),
            "goal": state.goal,
            "bar_to_goal": state.goal - bar,
        }

    def rewards(
        self, state: HandoverState, physics: PhysicsState, action: jax.Array
    ) -> Mapping[str, jax.Array]:
        bar, in_air = self.bar.position(physics), self._in_air(physics)
        left, right = self._holds(_LEFT, physics), self._holds(_RIGHT, physics)
        taken, carried = right & in_air, (left | right) & in_air
        alone = taken & ~self._touched(_LEFT, physics)
        to_meeting = jnp.linalg.norm(bar - jnp.array(self.config.meeting))
        to_goal = jnp.linalg.norm(bar - state.goal)
        return {
            "reach": jnp.where(taken, 1.0, reach_reward(self._to_grip(_LEFT, physics), 0.1)),
            "grasp": (left | taken).astype(jnp.float32),
            "meet": 2.0 * jnp.where(taken, 1.0, reach_reward(to_meeting, 0.15) * carried),
            "offer": jnp.where(taken, 1.0, reach_reward(self._to_grip(_RIGHT, physics), 0.1))
            * carried,
            "take": 2.0 * taken,
            "release": 2.0 * alone,
            "place": 3.0 * reach_reward(to_goal, 0.15) * alone,
            "at_goal": 3.0 * self._at_goal(state, physics),
        }

    def success(self, state: HandoverState, physics: PhysicsState) -> jax.Array:
        return state.held >= self.config.hold_steps

    def failure(self, state: HandoverState, physics: PhysicsState) -> jax.Array:
        c = self.config
        return self.bar.out_of_reach(physics, known(c.bar_low), known(c.goal_high)[:2])

    def instruction(self, state: HandoverState) -> jax.Array:
        return jnp.int32(0)

    def expert(self, state: HandoverState, physics: PhysicsState) -> tuple[Motion, Motion]:
        """Left: grasp, lift, offer, let go, back off. Right: wait, grasp, carry to the goal."""
        bar, meeting = self.bar.position(physics), jnp.array(self.config.meeting)
        left_tcp, right_tcp = (arm.tcp(physics) for arm in self.arms)
        yaw = self._yaw(physics)
        offered = self._holds(_LEFT, physics) & (jnp.linalg.norm(meeting - bar) < 0.015)
        free = state.passed & ~self._touched(_LEFT, physics)

        # A carried bar is turned back along x on the way.
        picked = self._approach(_LEFT, physics, yaw)
        offer = Motion(
            tcp=left_tcp + _limited(meeting - bar),
            open_gripper=jnp.zeros((), bool),
            quat=self._turned(_LEFT, 0.0),
        )
        aside = meeting + jnp.array([-self.config.grip - 0.08, 0.0, 0.1])
        back = Motion(
            tcp=left_tcp + jnp.where(free, _limited(aside - left_tcp), 0.0),
            open_gripper=jnp.ones((), bool),
            quat=self._turned(_LEFT, 0.0),
        )
        left = _choose(state.passed, back, _choose(self._holds(_LEFT, physics), offer, picked))

        waiting = meeting + jnp.array([self.config.grip, 0.0, _HOVER])
        wait = Motion(tcp=waiting, open_gripper=jnp.ones((), bool), quat=self._turned(_RIGHT, 0.0))
        take = self._approach(_RIGHT, physics, yaw)
        bring = Motion(
            tcp=right_tcp + jnp.where(free, _limited(state.goal - bar), 0.0),
            open_gripper=jnp.zeros((), bool),
            quat=self._turned(_RIGHT, 0.0),
        )
        closing = state.passed | self._holds(_RIGHT, physics)
        right = _choose(closing, bring, _choose(offered, take, wait))
        return left, right

    def _approach(self, side: int, physics: PhysicsState, yaw: jax.Array) -> Motion:
        """Hover over an end of the bar, turn along it, come down, close."""
        tcp, grip = self.arms[side].tcp(physics), self._grip(side, physics)
        above = jnp.linalg.norm((grip - tcp)[:2]) < _ALIGNED
        hover = grip + jnp.array([0.0, 0.0, _HOVER])
        return Motion(
            tcp=jnp.where(above, grip, hover),
            open_gripper=jnp.linalg.norm(grip - tcp) > _NEAR,
            quat=self._turned(side, yaw),
        )

    def _turned(self, side: int, yaw: jax.Array | float) -> jax.Array:
        """A TCP's orientation (4,) at home, turned by `yaw` [rad] about the vertical."""
        turn = rotations.from_axis_angle(jnp.array([0.0, 0.0, 1.0]), yaw)
        return rotations.multiply(turn, jnp.asarray(self.level[side]))

    def _yaw(self, physics: PhysicsState) -> jax.Array:
        """The bar's, of its end at the right: 0 along x [rad]; ()."""
        axis = self._axis(physics)
        return jnp.arctan2(axis[1], axis[0])

    def _axis(self, physics: PhysicsState) -> jax.Array:
        """The bar's long axis, towards its end at the right; (3,)."""
        return rotations.rotate(self.bar.quat(physics), jnp.array([1.0, 0.0, 0.0]))

    def _grip(self, side: int, physics: PhysicsState) -> jax.Array:
        """Where an arm holds the bar [m]; (3,)."""
        along = self.config.grip if side == _RIGHT else -self.config.grip
        return self.bar.position(physics) + along * self._axis(physics)

    def _to_grip(self, side: int, physics: PhysicsState) -> jax.Array:
        return jnp.linalg.norm(self._grip(side, physics) - self.arms[side].tcp(physics))

    def _holds(self, side: int, physics: PhysicsState) -> jax.Array:
        """Whether both pads of an arm press the bar between them."""
        pressed = (self.arms[side].touch_forces(physics) > self.config.grasp_force).all()
        return pressed & (self._to_grip(side, physics) < 0.03)

    def _touched(self, side: int, physics: PhysicsState) -> jax.Array:
        """Whether an arm's fingers touch anything."""
        return (self.arms[side].touch_forces(physics) > 0.0).any()

    def _in_air(self, physics: PhysicsState) -> jax.Array:
        """Whether the bar is off the table, by its lower end."""
        c, drop = self.config, jnp.abs(self._axis(physics)[2]) * self.config.half_size[0]
        return self.bar.position(physics)[2] - drop > c.half_size[2] + 0.01

    def _at_goal(self, state: HandoverState, physics: PhysicsState) -> jax.Array:
        distance = jnp.linalg.norm(state.goal - self.bar.position(physics))
        alone = self._holds(_RIGHT, physics) & ~self._touched(_LEFT, physics)
        return alone & self._in_air(physics) & (distance < self.config.threshold)


def _limited(step: jax.Array) -> jax.Array:
    """The same direction, at most `_LEAD` long."""
    return step * jnp.minimum(1.0, _LEAD / jnp.maximum(jnp.linalg.norm(step), 1e-6))


def _choose(condition: jax.Array, yes: Motion, no: Motion) -> Motion:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)

"""Push a cube along the table to a goal."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Self

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
from mjxsim.scenes.marks import Disc
from mjxsim.tasks import grasps
from mjxsim.tasks.base import Start, TaskConfig, check_box, check_positive, filled, known
from mjxsim.tasks.handles import ArmHandle, ObjectHandle

_CLEAR = 0.017  # [m] between a cube's corner and the middle of the closed fingers behind it
_ALIGNED = 0.006  # [m] how far off its place behind the cube a descent may begin
_TURNED = 0.3  # [rad] how far off its direction the gripper may be to descend
_AT_REST = 0.2  # [rad/s] of the wrist
_AHEAD = 0.02  # [m] how far ahead of itself the expert sends the TCP while it pushes
_OFF_LINE = 0.01  # [m] beside the line of the push, where the expert goes no further
_DOWN = 0.015  # [m] above the height of the push


@dataclasses.dataclass(frozen=True)
class PushCubeConfig(TaskConfig):
    """The cube, where it starts, where it goes. Lengths in m, the robot's base frame."""

    episode_seconds: float = 4.0
    half_size: float | None = None  # None, here and below: what suits the robot
    mass: float = 0.1  # [kg]
    table_low: tuple[float, float] | None = None  # of the cube's start and of the goal
    table_high: tuple[float, float] | None = None
    push_low: float | None = None  # from start to goal, before the goal is moved into the region
    push_high: float | None = None
    cube_yaw: float = math.pi / 4  # [rad] half-width of the uniform start; pi/4 is every yaw
    threshold: float = 0.025  # [m] from the cube's centre to the goal, and the disc's radius
    lift_limit: float | None = None  # [m] by which the cube may leave the table
    joint_noise: float = 0.05  # [rad] half-width of the uniform start around home

    def __post_init__(self) -> None:
        super().__post_init__()
        check_box("table", self.table_low, self.table_high)
        check_positive(
            half_size=self.half_size,
            mass=self.mass,
            push_low=self.push_low,
            push_high=self.push_high,
            threshold=self.threshold,
            lift_limit=self.lift_limit,
        )
        low, high = self.push_low, self.push_high
        if low is not None and high is not None and low > high:
            raise ValueError(f"push_low must not exceed push_high ({high} m), got {low} m")

    def for_robot(self, robot: RobotSpec) -> Self:
        """Within the robot's region of the table, with room to get behind the cube at its edge."""
        low, high = robot.area.table
        half = robot.area.half_size if self.half_size is None else self.half_size
        if len(robot.arms) == 1:  # whose base, and so its workspace, is in the world's frame
            lower, upper = robot.arm.workspace
            back = _back(half)
            low = (max(low[0], lower[0] + back), max(low[1], lower[1] + back))
            high = (min(high[0], upper[0] - back), min(high[1], upper[1] - back))
        return filled(
            self,
            half_size=half,
            table_low=low,
            table_high=high,
            push_low=4.0 * half,
            push_high=8.0 * half,
            lift_limit=half,
        )


def _back(half_size: float) -> float:
    """How far behind a cube's centre fingers come down beside it, whatever its yaw [m]."""
    return math.sqrt(2.0) * half_size + _CLEAR


class PushCubeState(flax.struct.PyTreeNode):
    """What push_cube remembers."""

    goal: jax.Array  # (2,) [m] x, y on the table
    held: jax.Array  # int32 (), consecutive steps with the cube at the goal


@dataclasses.dataclass(frozen=True)
class PushCube:
    """Push a cube of 0.1 kg (4 cm for a Panda) along the table onto a disc, and leave it there.

    Randomized: cube position uniform in the robot's region of the table, and every yaw; goal two
    to four edges away in any direction, mirrored and moved into the region; every arm joint within
    `joint_noise` of home.
    Success: the cube's centre within 0.025 m of the goal in x and y and within 5 mm of its rest
    height for `hold_seconds` (0.25 s).
    Failure: the cube leaves the region in which the arm can reach it, or is lifted by more than
    half its edge: a cube that is carried is not pushed. An episode lasts 4 s.
    Reward terms: `reach` 1 - tanh(d / 0.1 m) from the fingers to the point behind the cube from
    which to push, 1 at the goal; `push` 2 (1 - tanh(d / 0.1 m)) from cube to goal; `at_goal` 3
    within the threshold.
    Source: the staging follows ManiSkill's PushCube-v1, whose goal is one strip in front and ten
    times as large.
    """

    config: PushCubeConfig
    arm: ArmHandle
    cube: ObjectHandle
    pads: np.ndarray  # (2,) sites in the middle of the fingers' pads
    nominal: Start[PushCubeState]
    instructions: tuple[str, ...] = ("push the red cube onto the green disc",)

    @staticmethod
    def scene(config: PushCubeConfig, robot: RobotSpec) -> mujoco.MjSpec:
        cube = scenes.ObjectSpec("cube", "box", (known(config.half_size),) * 3, config.mass)
        disc = Disc(scenes.GOAL_BODY, config.threshold)
        return scenes.build(robot, (cube,), fixtures=(disc,), goals=())

    @classmethod
    def build(cls, config: PushCubeConfig, robot: RobotSpec, model: mujoco.MjModel) -> Self:
        state = PushCubeState(goal=jnp.zeros(2), held=jnp.int32(0))
        return cls(
            config,
            ArmHandle.bind(robot.arm, model),
            ObjectHandle.bind(model, "cube"),
            np.array([model.sensor(n).objid[0] for n in robot.arm.finger_touch_sensors]),
            Start.home(model, state),
        )

    def reset(self, key: jax.Array) -> Start[PushCubeState]:
        c = self.config
        arm_key, cube_key, yaw_key, goal_key = jax.random.split(key, 4)
        low, high = jnp.array(c.table_low), jnp.array(c.table_high)
        xy = jax.random.uniform(cube_key, (2,), minval=low, maxval=high)
        yaw = jax.random.uniform(yaw_key, (), minval=-c.cube_yaw, maxval=c.cube_yaw)
        goal = self._draw_goal(goal_key, xy)
        start = self.nominal.replace(
            qpos=self.cube.put(self.nominal.qpos, jnp.append(xy, known(c.half_size)), yaw),
            mocap_pos=jnp.append(goal, 0.0)[None],
            task=PushCubeState(goal=goal, held=jnp.int32(0)),
        )
        return self.arm.shake(start, arm_key, c.joint_noise)

    def _draw_goal(self, key: jax.Array, cube: jax.Array) -> jax.Array:
        """A goal (2,) [m] at some distance of the cube (2,), in the region, without rejection.

        A step that leaves the region along an axis is turned round along it, then cut at the edge.
        Either way along an axis at least half the region's width is free, so that the step's
        length is at least the smaller of `push_low` and that.
        """
        c = self.config
        low, high = jnp.array(c.table_low), jnp.array(c.table_high)
        angle_key, length_key = jax.random.split(key)
        angle = jax.random.uniform(angle_key, (), minval=-math.pi, maxval=math.pi)
        length = jax.random.uniform(
            length_key, (), minval=known(c.push_low), maxval=known(c.push_high)
        )
        step = length * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        outside = (cube + step < low) | (cube + step > high)
        # The roomier side, should both be too short.
        inward = jnp.where(cube < 0.5 * (low + high), 1.0, -1.0) * jnp.abs(step)
        return jnp.clip(cube + jnp.where(outside, inward, step), low, high)

    def update(self, state: PushCubeState, physics: PhysicsState) -> PushCubeState:
        return state.replace(held=jnp.where(self._at_goal(state, physics), state.held + 1, 0))

    def observe(self, state: PushCubeState, physics: PhysicsState) -> Mapping[str, jax.Array]:
        tcp, cube = self.arm.tcp(physics), self.cube.position(physics)
        return {
            **self.arm.proprioception(physics),
            "tcp": tcp,
            "touch": jnp.tanh(self.arm.touch_forces(physics) / 20.0),
            "cube": cube,
            "cube_rotation": rotations.to_6d(self.cube.quat(physics)),
            "tcp_to_cube": cube - tcp,
            "fingers_to_behind": self._behind(state, physics) - self._fingers(physics),
            "goal": state.goal,
            "cube_to_goal": state.goal - cube[:2],
        }

    def rewards(
        self, state: PushCubeState, physics: PhysicsState, action: jax.Array
    ) -> Mapping[str, jax.Array]:
        to_behind = jnp.linalg.norm(self._behind(state, physics) - self._fingers(physics))
        at_goal = self._at_goal(state, physics)
        return {
            "reach": jnp.where(at_goal, 1.0, reach_reward(to_behind, 0.1)),
            "push": 2.0 * reach_reward(self._distance(state, physics), 0.1),
            "at_goal": 3.0 * at_goal,
        }

    def success(self, state: PushCubeState, physics: PhysicsState) -> jax.Array:
        return state.held >= self.config.hold_steps

    def failure(self, state: PushCubeState, physics: PhysicsState) -> jax.Array:
        c = self.config
        lifted = self._height(physics) > known(c.lift_limit)
        gone = self.cube.out_of_reach(physics, known(c.table_low), known(c.table_high))
        return lifted | gone

    def instruction(self, state: PushCubeState) -> jax.Array:
        return jnp.int32(0)

    def expert(self, state: PushCubeState, physics: PhysicsState) -> Motion:
        """Come down behind the cube with closed fingers, push, start again when off the line."""
        tcp, cube = self.arm.tcp(physics), self.cube.position(physics)
        half = known(self.config.half_size)
        fingers = self._fingers(physics)
        along, behind = self._direction(state, physics), self._behind(state, physics)
        turn = self._turn(along, physics)
        settled = jnp.abs(self.arm.joint_velocities(physics)[-1]) < _AT_REST
        offset = (fingers - cube)[:2]
        aside = offset - along * jnp.sum(offset * along)
        off_line = jnp.linalg.norm(aside)
        down = tcp[2] < half + _DOWN
        ready = down & (jnp.sum(offset * along) < -0.5 * half) & (off_line < 3.0 * _OFF_LINE)
        # Slower the further it is beside the line, to which it returns meanwhile, then backwards.
        ahead = _AHEAD * jnp.maximum(1.0 - off_line / _OFF_LINE, -1.0)
        pushing = jnp.append(fingers[:2] + ahead * along - aside, half)
        above = jnp.linalg.norm((behind - fingers)[:2]) < _ALIGNED
        descend = above & ((jnp.abs(turn) < _TURNED) | settled)
        hover = behind.at[2].set(2.0 * half + grasps.HOVER)
        # Straight up first: a misplaced finger would take the cube with it.
        leave = jnp.append(fingers[:2], hover[2])
        low = tcp[2] < hover[2] - 0.03
        approach = jnp.where(descend, behind, jnp.where(low & ~above, leave, hover))
        done = self._distance(state, physics) < 0.6 * self.config.threshold
        target = jnp.where(ready, pushing, approach)
        target = target.at[:2].add((tcp - fingers)[:2])
        return Motion(
            tcp=jnp.where(done & down, tcp, target),
            open_gripper=jnp.zeros((), bool),
            quat=grasps.downwards(self.arm, physics, turn),
        )

    def _turn(self, along: jax.Array, physics: PhysicsState) -> jax.Array:
        """The turn about the vertical that lays the closed pads square to the push [rad]."""
        up = jnp.array([0.0, 0.0, 1.0])
        across = jnp.arctan2(along[0], -along[1])  # the push's direction, a quarter turn further
        facing = rotations.from_axis_angle(up, across)
        return grasps.yaw_to_faces(self.arm, facing, physics, math.pi)

    def _fingers(self, physics: PhysicsState) -> jax.Array:
        """What pushes [m]: closed jaws need not be at the TCP, which is between open ones; (3,)."""
        return physics.site_xpos[self.pads].mean(axis=0)

    def _direction(self, state: PushCubeState, physics: PhysicsState) -> jax.Array:
        """From the cube to the goal, unit length; (2,)."""
        ahead = state.goal - self.cube.position(physics)[:2]
        return ahead / jnp.maximum(jnp.linalg.norm(ahead), 1e-6)

    def _behind(self, state: PushCubeState, physics: PhysicsState) -> jax.Array:
        """Where the fingers should be to begin or to go on pushing [m]; (3,)."""
        half = known(self.config.half_size)
        back = _back(half) * self._direction(state, physics)
        return jnp.append(self.cube.position(physics)[:2] - back, half)

    def _distance(self, state: PushCubeState, physics: PhysicsState) -> jax.Array:
        """From the cube's centre to the goal, along the table [m]; ()."""
        return jnp.linalg.norm(state.goal - self.cube.position(physics)[:2])

    def _height(self, physics: PhysicsState) -> jax.Array:
        """Of the cube's centre above where it is at rest [m]; ()."""
        return self.cube.position(physics)[2] - known(self.config.half_size)

    def _at_goal(self, state: PushCubeState, physics: PhysicsState) -> jax.Array:
        flat = jnp.abs(self._height(physics)) < 0.005
        return flat & (self._distance(state, physics) < self.config.threshold)

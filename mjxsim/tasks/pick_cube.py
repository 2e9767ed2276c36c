"""Grasp a cube on the table and lift it to a goal in the air."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
import mujoco

from mjxsim import scenes
from mjxsim.control import Motion
from mjxsim.math import reach_reward, rotations
from mjxsim.physics.base import PhysicsState
from mjxsim.robots.base import RobotSpec
from mjxsim.tasks import grasps
from mjxsim.tasks.base import Start, TaskConfig, check_box, check_positive, filled, known
from mjxsim.tasks.handles import ArmHandle, ObjectHandle


@dataclasses.dataclass(frozen=True)
class PickCubeConfig(TaskConfig):
    """The cube, where it starts, where it goes. Lengths in m, the robot's base frame."""

    episode_seconds: float = 3.0
    half_size: float | None = None  # None, here and below: what suits the robot
    mass: float = 0.1  # [kg]
    cube_low: tuple[float, float] | None = None
    cube_high: tuple[float, float] | None = None
    cube_yaw: float = math.pi / 4  # [rad] half-width of the uniform start; pi/4 is every yaw
    goal_low: tuple[float, float, float] | None = None
    goal_high: tuple[float, float, float] | None = None
    threshold: float = 0.025  # [m] from the cube's centre to the goal
    joint_noise: float = 0.05  # [rad] half-width of the uniform start around home
    grasp_force: float = 0.5  # [N] on each finger's pad for a grasp

    def __post_init__(self) -> None:
        super().__post_init__()
        check_box("cube", self.cube_low, self.cube_high)
        check_box("goal", self.goal_low, self.goal_high)
        check_positive(threshold=self.threshold, half_size=self.half_size, mass=self.mass)

    def for_robot(self, robot: RobotSpec) -> Self:
        area = robot.area
        return filled(
            self,
            half_size=area.half_size,
            cube_low=area.table[0],
            cube_high=area.table[1],
            goal_low=area.air[0],
            goal_high=area.air[1],
        )


class PickCubeState(flax.struct.PyTreeNode):
    """What pick_cube remembers."""

    goal: jax.Array  # (3,) [m]
    held: jax.Array  # int32 (), consecutive steps with the cube at the goal


@dataclasses.dataclass(frozen=True)
class PickCube:
    """Grasp a 4 cm cube of 0.1 kg, lift it to a goal, and hold it there.

    Randomized: cube position uniform in 0.2 m x 0.4 m and every yaw; goal uniform in a box 0.1 to
    0.35 m above the table; every arm joint within `joint_noise` of home.
    Success: the cube's centre within 0.025 m of the goal for `hold_seconds` (0.25 s). Goals are
    in the air, so the cube has to be held.
    Failure: the cube leaves the region in which the arm can reach it. An episode lasts 3 s.
    Reward terms: `reach` 1 - tanh(d / 0.1 m) from TCP to cube; `grasp` 1 while both pads press the
    cube; `place` 2 (1 - tanh(d / 0.15 m)) from cube to goal, while grasped and off the table;
    `at_goal` 3 within the threshold.
    Source: goal, threshold and the staging of the reward follow ManiSkill's PickCube-v1.
    """

    config: PickCubeConfig
    arm: ArmHandle
    cube: ObjectHandle
    nominal: Start[PickCubeState]
    instructions: tuple[str, ...] = ("pick up the red cube and lift it to the green ball",)

    @staticmethod
    def scene(config: PickCubeConfig, robot: RobotSpec) -> mujoco.MjSpec:
        cube = scenes.ObjectSpec("cube", "box", (known(config.half_size),) * 3, config.mass)
        return scenes.build(robot, (cube,))

    @classmethod
    def build(cls, config: PickCubeConfig, robot: RobotSpec, model: mujoco.MjModel) -> Self:
        state = PickCubeState(goal=jnp.zeros(3), held=jnp.int32(0))
        return cls(
            config,
            ArmHandle.bind(robot.arm, model),
            ObjectHandle.bind(model, "cube"),
            Start.home(model, state),
        )

    def reset(self, key: jax.Array) -> Start[PickCubeState]:
        c = self.config
        arm_key, cube_key, yaw_key, goal_key = jax.random.split(key, 4)
        xy = jax.random.uniform(
            cube_key, (2,), minval=jnp.array(c.cube_low), maxval=jnp.array(c.cube_high)
        )
        yaw = jax.random.uniform(yaw_key, (), minval=-c.cube_yaw, maxval=c.cube_yaw)
        goal = jax.random.uniform(
            goal_key, (3,), minval=jnp.array(c.goal_low), maxval=jnp.array(c.goal_high)
        )
        position = jnp.append(xy, known(c.half_size))
        start = self.nominal.replace(
            qpos=self.cube.put(self.nominal.qpos, position, yaw),
            mocap_pos=goal[None],
            task=PickCubeState(goal=goal, held=jnp.int32(0)),
        )
        return self.arm.shake(start, arm_key, c.joint_noise)

    def update(self, state: PickCubeState, physics: PhysicsState) -> PickCubeState:
        return state.replace(held=jnp.where(self._at_goal(state, physics), state.held + 1, 0))

    def observe(self, state: PickCubeState, physics: PhysicsState) -> Mapping[str, jax.Array]:
        tcp, cube = self.arm.tcp(physics), self.cube.position(physics)
        return {
            **self.arm.proprioception(physics),
            "tcp": tcp,
            "touch": jnp.tanh(self.arm.touch_forces(physics) / 20.0),
            "cube": cube,
            "cube_rotation": rotations.to_6d(self.cube.quat(physics)),
            "tcp_to_cube": cube - tcp,
            "goal": state.goal,
            "cube_to_goal": state.goal - cube,
        }

    def rewards(
        self, state: PickCubeState, physics: PhysicsState, action: jax.Array
    ) -> Mapping[str, jax.Array]:
        cube = self.cube.position(physics)
        to_cube = jnp.linalg.norm(cube - self.arm.tcp(physics))
        to_goal = jnp.linalg.norm(state.goal - cube)
        grasped = self._grasped(physics, to_cube)
        lifted = grasped & (cube[2] > known(self.config.half_size) + 0.01)
        at_goal = self._at_goal(state, physics)
        return {
            "reach": reach_reward(to_cube, 0.1),
            "grasp": grasped.astype(jnp.float32),
            "place": 2.0 * reach_reward(to_goal, 0.15) * lifted,
            "at_goal": 3.0 * at_goal,
        }

    def success(self, state: PickCubeState, physics: PhysicsState) -> jax.Array:
        return state.held >= self.config.hold_steps

    def failure(self, state: PickCubeState, physics: PhysicsState) -> jax.Array:
        c = self.config
        return self.cube.out_of_reach(physics, known(c.cube_low), known(c.cube_high))

    def instruction(self, state: PickCubeState) -> jax.Array:
        return jnp.int32(0)

    def expert(self, state: PickCubeState, physics: PhysicsState) -> Motion:
        """Hover above the cube, turn to its faces, descend, close, carry."""
        tcp, cube = self.arm.tcp(physics), self.cube.position(physics)
        grasp = grasps.from_above(self.arm, self.cube, physics)
        held = self._grasped(physics, jnp.linalg.norm(cube - tcp))
        return Motion(
            tcp=jnp.where(held, state.goal + (tcp - cube), grasp.tcp),
            open_gripper=~grasp.close,
            quat=grasp.quat,
        )

    def _grasped(self, physics: PhysicsState, to_cube: jax.Array) -> jax.Array:
        """Whether both pads press the cube between them."""
        pressed = (self.arm.touch_forces(physics) > self.config.grasp_force).all()
        return pressed & (to_cube < known(self.config.half_size))

    def _at_goal(self, state: PickCubeState, physics: PhysicsState) -> jax.Array:
        distance = jnp.linalg.norm(state.goal - self.cube.position(physics))
        return distance < self.config.threshold

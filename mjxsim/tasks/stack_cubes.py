"""Stack one cube on another."""

import dataclasses
import itertools
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
from mjxsim.tasks import grasps
from mjxsim.tasks.base import Start, TaskConfig, check_box, check_positive, filled, known
from mjxsim.tasks.handles import ArmHandle, ObjectHandle

_COLOURS: dict[str, tuple[float, float, float, float]] = {
    "red": (0.85, 0.25, 0.2, 1.0),
    "green": (0.25, 0.65, 0.3, 1.0),
    "blue": (0.2, 0.4, 0.8, 1.0),
    "yellow": (0.9, 0.75, 0.2, 1.0),
}
_MAX_DISTRACTORS = len(_COLOURS) - 2
_SPACING = 4.5  # half sizes between two cubes' y at the start: an open gripper fits between them
_TOUCH = 0.1  # [N] on a pad, below which it is free


@dataclasses.dataclass(frozen=True)
class StackCubesConfig(TaskConfig):
    """The cubes and where they start. Lengths in m, the robot's base frame."""

    episode_seconds: float = 5.0
    distractors: int = 0  # further cubes; every episode names two of all that there are
    half_size: float | None = None  # None, here and below: what suits the robot
    mass: float = 0.1  # [kg]
    cube_low: tuple[float, float] | None = None
    cube_high: tuple[float, float] | None = None
    joint_noise: float = 0.05  # [rad] half-width of the uniform start around home
    grasp_force: float = 0.5  # [N] on each finger's pad for a grasp
    max_speed: float = 0.05  # [m/s] of a cube at rest

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.distractors <= _MAX_DISTRACTORS:
            raise ValueError(
                f"distractors must be from 0 to {_MAX_DISTRACTORS}, got {self.distractors}"
            )
        check_box("cube", self.cube_low, self.cube_high)
        check_positive(half_size=self.half_size, mass=self.mass, max_speed=self.max_speed)
        if self.half_size and self.cube_low and self.cube_high and self.slack <= 0.0:
            raise ValueError(
                f"{self.distractors + 2} cubes {_SPACING * self.half_size:.3f} m apart in y do not "
                f"fit between cube_low {self.cube_low} and cube_high {self.cube_high}"
            )

    def for_robot(self, robot: RobotSpec) -> Self:
        area = robot.area
        return filled(
            self, half_size=area.half_size, cube_low=area.table[0], cube_high=area.table[1]
        )

    @property
    def colours(self) -> tuple[str, ...]:
        """Of the cubes, in the order of their bodies."""
        return tuple(_COLOURS)[: 2 + self.distractors]

    @property
    def slack(self) -> float:
        """What is left of the region's y when all cubes stand as close as they may [m]."""
        (_, low), (_, high) = known(self.cube_low), known(self.cube_high)
        return high - low - (self.distractors + 1) * _SPACING * known(self.half_size)


class StackCubesState(flax.struct.PyTreeNode):
    """What stack_cubes remembers."""

    pair: jax.Array  # int32 (), which of the ordered pairs of cubes
    held: jax.Array  # int32 (), consecutive steps with the stack standing


@dataclasses.dataclass(frozen=True)
class StackCubes:
    """Put the named cube on top of the other named cube, and let it go.

    Cubes of 4 cm and 0.1 kg (Panda), red and green, and with `distractors` blue and yellow ones; an
    episode names an ordered pair of them.
    Randomized: the pair; positions in 0.2 m x 0.4 m (Panda), the y at least 9 cm apart; every yaw;
    every arm joint within `joint_noise` of home.
    Success: for `hold_seconds` (0.25 s) the upper cube's centre is two half sizes above the lower
    cube's, within a quarter of a half size (0.5 cm), and less than a half size (2 cm) beside it;
    the lower cube is on the table, both are slower than 0.05 m/s, and no pad touches anything.
    Failure: one of the two leaves the region in which the arm can reach it. An episode lasts 5 s.
    Reward terms: `reach` 1 - tanh(d / 0.1 m) from TCP to the upper cube; `grasp` 1 while both pads
    press it; `place` (1 - tanh(d / 0.3 m)) + (1 - tanh(d / 0.05 m)) to its place, while grasped and
    off the table, where d is the length of a way that comes down from above; all three are full
    once it lies there, so that letting go costs nothing; `release` 1 when it lies there untouched;
    `stacked` 4 while the conditions of success hold.
    Source: conditions and staging follow ManiSkill's StackCube-v1.
    """

    config: StackCubesConfig
    arm: ArmHandle
    cubes: tuple[ObjectHandle, ...]
    pairs: np.ndarray  # (npairs, 2) upper and lower cube of each ordered pair
    nominal: Start[StackCubesState]

    @property
    def instructions(self) -> tuple[str, ...]:
        colours = self.config.colours
        return tuple(f"stack the {colours[a]} cube on the {colours[b]} cube" for a, b in self.pairs)

    @staticmethod
    def scene(config: StackCubesConfig, robot: RobotSpec) -> mujoco.MjSpec:
        half = known(config.half_size)
        (x0, y0), (x1, y1) = known(config.cube_low), known(config.cube_high)
        count = len(config.colours)
        cubes = tuple(
            scenes.ObjectSpec(
                f"{colour}_cube",
                "box",
                (half,) * 3,
                config.mass,
                _COLOURS[colour],
                pos=(0.5 * (x0 + x1), y0 + (i + 0.5) * (y1 - y0) / count),
            )
            for i, colour in enumerate(config.colours)
        )
        return scenes.build(robot, cubes, goals=(), object_contacts=True)

    @classmethod
    def build(cls, config: StackCubesConfig, robot: RobotSpec, model: mujoco.MjModel) -> Self:
        cubes = tuple(ObjectHandle.bind(model, f"{colour}_cube") for colour in config.colours)
        return cls(
            config,
            ArmHandle.bind(robot.arm, model),
            cubes,
            np.array(list(itertools.permutations(range(len(cubes)), 2))),
            Start.home(model, StackCubesState(pair=jnp.int32(0), held=jnp.int32(0))),
        )

    def reset(self, key: jax.Array) -> Start[StackCubesState]:
        c, count = self.config, len(self.cubes)
        arm_key, x_key, y_key, order_key, yaw_key, pair_key = jax.random.split(key, 6)
        (x0, y0), (x1, _) = known(c.cube_low), known(c.cube_high)
        # Sorted uniform numbers with a fixed distance added between neighbours: uniform among all
        # rows of cubes that keep this distance, without trying again.
        y = jnp.sort(jax.random.uniform(y_key, (count,), maxval=c.slack))
        y = y0 + y + _SPACING * known(c.half_size) * jnp.arange(count)
        y = jax.random.permutation(order_key, y)
        x = jax.random.uniform(x_key, (count,), minval=x0, maxval=x1)
        yaw = jax.random.uniform(yaw_key, (count,), minval=-math.pi / 4, maxval=math.pi / 4)
        qpos = self.nominal.qpos
        for i, cube in enumerate(self.cubes):
            qpos = cube.put(qpos, jnp.stack([x[i], y[i], jnp.float32(known(c.half_size))]), yaw[i])
        pair = jax.random.randint(pair_key, (), 0, len(self.pairs))
        task = StackCubesState(pair=pair, held=jnp.int32(0))
        return self.arm.shake(self.nominal.replace(qpos=qpos, task=task), arm_key, c.joint_noise)

    def update(self, state: StackCubesState, physics: PhysicsState) -> StackCubesState:
        return state.replace(held=jnp.where(self._stacked(state, physics), state.held + 1, 0))

    def observe(self, state: StackCubesState, physics: PhysicsState) -> Mapping[str, jax.Array]:
        tcp = self.arm.tcp(physics)
        upper, lower = self._named(state, physics)
        others = {}
        if self.config.distractors:
            others["cubes"] = jnp.concatenate([cube.position(physics) for cube in self.cubes])
        return {
            **self.arm.proprioception(physics),
            "tcp": tcp,
            "touch": jnp.tanh(self.arm.touch_forces(physics) / 20.0),
            "upper": upper,
            "upper_rotation": rotations.to_6d(self._upper_quat(state, physics)),
            "tcp_to_upper": upper - tcp,
            "lower": lower,
            "upper_to_place": self._place(lower) - upper,
            **others,
        }

    def rewards(
        self, state: StackCubesState, physics: PhysicsState, action: jax.Array
    ) -> Mapping[str, jax.Array]:
        half = known(self.config.half_size)
        upper, lower = self._named(state, physics)
        to_upper = jnp.linalg.norm(upper - self.arm.tcp(physics))
        grasped = self._grasped(physics, to_upper)
        lifted = grasped & (upper[2] > half + 0.01)
        placed = self._placed(upper, lower)
        # While it is beside its place, the cube has to be above it first.
        off = self._place(lower) - upper
        beside = jnp.linalg.norm(off[:2])
        low = jnp.maximum(off[2] + jnp.minimum(beside, half), 0.0)
        way = beside + low + jnp.maximum(-off[2], 0.0)
        near = reach_reward(way, 0.3) + reach_reward(way, 0.05)  # draws from afar, and exactly
        return {
            "reach": jnp.where(placed, 1.0, reach_reward(to_upper, 0.1)),
            "grasp": (grasped | placed).astype(jnp.float32),
            "place": jnp.where(placed, 2.0, near * lifted),
            "release": 1.0 * (placed & self._released(physics)),
            "stacked": 4.0 * self._stacked(state, physics),
        }

    def success(self, state: StackCubesState, physics: PhysicsState) -> jax.Array:
        return state.held >= self.config.hold_steps

    def failure(self, state: StackCubesState, physics: PhysicsState) -> jax.Array:
        low, high = known(self.config.cube_low), known(self.config.cube_high)
        lost = jnp.stack([cube.out_of_reach(physics, low, high) for cube in self.cubes])
        return lost[jnp.asarray(self.pairs)[state.pair]].any()

    def instruction(self, state: StackCubesState) -> jax.Array:
        return state.pair

    def expert(self, state: StackCubesState, physics: PhysicsState) -> Motion:
        """Grasp, lift, go above the other cube, come down, let go, and go up."""
        tcp, half = self.arm.tcp(physics), known(self.config.half_size)
        upper, lower = self._named(state, physics)
        quat = self._upper_quat(state, physics)
        grasp = grasps.from_above_at(self.arm, upper, quat, physics)
        held = self._grasped(physics, jnp.linalg.norm(upper - tcp))
        placed = self._placed(upper, lower)

        # Over the place it comes down slowly, from 1.5 half sizes above it, and gives up and rises
        # again only if it is far beside it.
        off = self._place(lower) - upper
        beside, height = jnp.linalg.norm(off[:2]), -off[2]
        above = beside < jnp.where(height > 1.2 * half, 0.3, 0.7) * half
        down = off.at[2].max(-0.6 * half)
        over = off.at[2].add(1.5 * half)
        over = jnp.where(height > 0.3 * half, over, over.at[:2].set(0.0))
        step = jnp.where(above, down, over)
        # It lets go of a cube that has come to rest, and leaves slowly when the gripper is open.
        speed = jnp.linalg.norm(self._velocities(state, physics)[0])
        let_go = placed & (~held | (speed < self.config.max_speed))
        free = self._released(physics) & (self.arm.opening(physics) > 0.8)
        rise = jnp.where(free & (tcp[2] < upper[2] + grasps.HOVER), 0.5 * half, 0.0)
        return Motion(
            tcp=jnp.where(let_go, tcp.at[2].add(rise), jnp.where(held, tcp + step, grasp.tcp)),
            open_gripper=let_go | ~grasp.close,
            quat=grasp.quat,
        )

    def _named(self, state: StackCubesState, physics: PhysicsState) -> tuple[jax.Array, jax.Array]:
        """Centres of the cube to be moved and of the one below [m]; (3,) each."""
        centres = jnp.stack([cube.position(physics) for cube in self.cubes])
        upper, lower = centres[jnp.asarray(self.pairs)[state.pair]]
        return upper, lower

    def _velocities(self, state: StackCubesState, physics: PhysicsState) -> jax.Array:
        """Of the cube to be moved and of the one below [m/s]; (2, 3)."""
        velocities = jnp.stack([cube.velocity(physics) for cube in self.cubes])
        return velocities[jnp.asarray(self.pairs)[state.pair]]

    def _upper_quat(self, state: StackCubesState, physics: PhysicsState) -> jax.Array:
        """Orientation of the cube to be moved; (4,)."""
        quats = jnp.stack([cube.quat(physics) for cube in self.cubes])
        return quats[jnp.asarray(self.pairs)[state.pair, 0]]

    def _place(self, lower: jax.Array) -> jax.Array:
        """Where the upper cube's centre belongs [m]; (3,)."""
        return lower + jnp.array([0.0, 0.0, 2.0 * known(self.config.half_size)])

    def _placed(self, upper: jax.Array, lower: jax.Array) -> jax.Array:
        """Whether the upper cube is on the lower one, and that on the table, held or not."""
        half = known(self.config.half_size)
        off = self._place(lower) - upper
        on_table = jnp.abs(lower[2] - half) < 0.25 * half
        return on_table & (jnp.linalg.norm(off[:2]) < half) & (jnp.abs(off[2]) < 0.25 * half)

    def _grasped(self, physics: PhysicsState, to_upper: jax.Array) -> jax.Array:
        """Whether both pads press the cube between them."""
        pressed = (self.arm.touch_forces(physics) > self.config.grasp_force).all()
        return pressed & (to_upper < known(self.config.half_size))

    def _released(self, physics: PhysicsState) -> jax.Array:
        """Whether no pad touches anything."""
        return (self.arm.touch_forces(physics) < _TOUCH).all()

    def _stacked(self, state: StackCubesState, physics: PhysicsState) -> jax.Array:
        """Whether the stack stands by itself at this moment; bool ()."""
        speeds = jnp.linalg.norm(self._velocities(state, physics), axis=1)
        slow = (speeds < self.config.max_speed).all()
        return self._placed(*self._named(state, physics)) & self._released(physics) & slow

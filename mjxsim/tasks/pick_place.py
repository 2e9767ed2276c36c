"""Put the named one of several cubes into the named bin."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Literal, Self

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
from mjxsim.scenes.bins import Bin
from mjxsim.tasks import grasps
from mjxsim.tasks.base import Start, TaskConfig, check_box, check_positive, filled, known
from mjxsim.tasks.handles import ArmHandle, ObjectHandle

Side = Literal["left", "right"]

_COLOURS = {
    "red": (0.85, 0.2, 0.18, 1.0),
    "green": (0.2, 0.65, 0.3, 1.0),
    "blue": (0.2, 0.35, 0.8, 1.0),
}
_BINS = {"left": (0.78, 0.68, 0.45, 1.0), "right": (0.45, 0.5, 0.58, 1.0)}
_THICKNESS = 0.006  # [m] of a bin's walls
_SLOW = 0.05  # [m/s] below which a cube is at rest
_FINGER = 0.01  # [m] that an open gripper needs beyond its pads


@dataclasses.dataclass(frozen=True)
class PickPlaceConfig(TaskConfig):
    """The cubes, where they start, the bins. Lengths in m, the robot's base frame."""

    episode_seconds: float = 4.0
    distractors: int = 1  # cubes besides the named one, 0 to 2
    bins: tuple[Side, ...] = ("left", "right")
    half_size: float | None = None  # of a cube; None, here and below: what suits the robot
    mass: float = 0.1  # [kg]
    bin_half_size: float | None = None  # from a bin's middle to its walls
    bin_height: float | None = None
    bin_x: float | None = None
    bin_y: float | None = None  # of the left bin; the right one mirrors it
    cube_low: tuple[float, float] | None = None
    cube_high: tuple[float, float] | None = None
    gap: float | None = None  # least distance along x between two cubes' centres at the start
    cube_yaw: float = math.pi / 4  # [rad] half-width of the uniform start; pi/4 is every yaw
    joint_noise: float = 0.05  # [rad] half-width of the uniform start around home
    grasp_force: float = 0.5  # [N] on each finger's pad for a grasp

    def __post_init__(self) -> None:
        super().__post_init__()
        check_box("cube", self.cube_low, self.cube_high)
        check_positive(
            half_size=self.half_size,
            mass=self.mass,
            bin_half_size=self.bin_half_size,
            bin_height=self.bin_height,
            gap=self.gap,
        )
        if not 0 <= self.distractors < len(_COLOURS):
            raise ValueError(f"distractors must be from 0 to 2, got {self.distractors}")
        if self.bins not in (("left",), ("right",), ("left", "right")):
            raise ValueError(
                f"bins must be ('left',), ('right',) or ('left', 'right'), got {tuple(self.bins)}"
            )

    def for_robot(self, robot: RobotSpec) -> Self:
        """Bins at the sides of the robot's region of the table, cubes between them.

        Raises:
          ValueError: the cubes do not fit beside one another.
        """
        (x_low, y_low), (x_high, y_high) = robot.area.table
        half = robot.area.half_size if self.half_size is None else self.half_size
        # An open gripper around a cube touches neither a bin nor the next cube.
        around = 0.5 * robot.arm.gripper_max_width + _FINGER
        config = filled(
            self,
            half_size=half,
            bin_half_size=2.25 * half,
            bin_height=1.5 * half,
            bin_x=0.5 * (x_low + x_high),
            bin_y=min(y_high, -y_low),
            gap=around + math.sqrt(2.0) * half,
        )
        inside = known(config.bin_y) - known(config.bin_half_size) - _THICKNESS - around
        config = filled(config, cube_low=(x_low, -inside), cube_high=(x_high, inside))
        room = known(config.cube_high)[0] - known(config.cube_low)[0]
        needed = known(config.gap) * config.distractors
        if room < needed:
            raise ValueError(
                f"{config.distractors + 1} cubes need {needed:.3f} m along x and have {room:.3f} m "
                "between cube_low and cube_high: use fewer distractors or a smaller gap"
            )
        return config

    @property
    def colours(self) -> tuple[str, ...]:
        """Of the cubes in the scene."""
        return tuple(_COLOURS)[: self.distractors + 1]

    @property
    def bin_places(self) -> tuple[tuple[float, float], ...]:
        """The middle of each of `bins`, x and y [m]."""
        x, y = known(self.bin_x), known(self.bin_y)
        return tuple((x, y if side == "left" else -y) for side in self.bins)


class PickPlaceState(flax.struct.PyTreeNode):
    """What pick_place remembers."""

    cube: jax.Array  # int32 (), which of the cubes is named
    bin: jax.Array  # int32 (), which of the bins is named
    held: jax.Array  # int32 (), consecutive steps with the named cube placed


@dataclasses.dataclass(frozen=True)
class PickPlace:
    """Put the cube of the named colour into the named bin and let go of it.

    Left is the robot's left, +y. With one distractor there are a red and a green cube, with two
    also a blue one; any of them may be named.
    Randomized: which cube and which bin are named; every cube's place between the bins, `gap`
    apart along x, and its yaw; every arm joint within `joint_noise` of home.
    Success: for `hold_seconds` (0.25 s) the named cube's centre is between the walls of the named
    bin, within 1 cm of its rest height and slower than 5 cm/s, nothing touches the fingers' pads,
    and no other cube is in that bin.
    Failure: the named cube leaves the region in which the arm can reach it. A wrong cube in the
    named bin is no failure, for it could be taken out again, but as long as it lies there the
    episode does not succeed. An episode lasts 4 s.
    Reward terms: `reach` 1 - tanh(d / 0.1 m) from TCP to the named cube; `grasp` 1 while both pads
    press it; `place` 2 (1 - tanh(d / 0.15 m)) from it to a point above the bin, while grasped and
    off the table. All three are full once the cube is between the walls, low enough to be let go:
    then `release` is 2 as soon as nothing touches the pads, and `placed` 2 when it is at rest.
    Source: the staging extends ManiSkill's PickCube-v1 as `pick_cube` has it.
    """

    config: PickPlaceConfig
    arm: ArmHandle
    cubes: tuple[ObjectHandle, ...]
    bodies: np.ndarray  # (n,) body ids of the cubes
    bins: np.ndarray  # (m, 2) [m] x, y of the bins' middles
    nominal: Start[PickPlaceState]
    instructions: tuple[str, ...]

    @staticmethod
    def scene(config: PickPlaceConfig, robot: RobotSpec) -> mujoco.MjSpec:
        half = known(config.half_size)
        cubes = tuple(
            scenes.ObjectSpec(name, "box", (half,) * 3, config.mass, _COLOURS[name], pos=pos)
            for name, pos in zip(config.colours, _home_places(config), strict=True)
        )
        bins = tuple(
            Bin(
                f"{side}_bin",
                place,
                known(config.bin_half_size),
                known(config.bin_height),
                _THICKNESS,
                _BINS[side],
            )
            for side, place in zip(config.bins, config.bin_places, strict=True)
        )
        return scenes.build(robot, cubes, fixtures=bins, goals=(), object_contacts=True)

    @classmethod
    def build(cls, config: PickPlaceConfig, robot: RobotSpec, model: mujoco.MjModel) -> Self:
        zero = jnp.int32(0)
        cubes = tuple(ObjectHandle.bind(model, name) for name in config.colours)
        places = [f"{side} bin" for side in config.bins] if len(config.bins) > 1 else ["bin"]
        return cls(
            config,
            ArmHandle.bind(robot.arm, model),
            cubes,
            np.array([cube.body for cube in cubes]),
            np.array(config.bin_places, np.float32),
            Start.home(model, PickPlaceState(cube=zero, bin=zero, held=zero)),
            tuple(f"put the {c} cube into the {p}" for c in config.colours for p in places),
        )

    def reset(self, key: jax.Array) -> Start[PickPlaceState]:
        c = self.config
        count = len(self.cubes)
        arm_key, cube_key, bin_key, place_key, yaw_key = jax.random.split(key, 5)
        yaws = jax.random.uniform(yaw_key, (count,), minval=-c.cube_yaw, maxval=c.cube_yaw)
        qpos = self.nominal.qpos
        for cube, xy, yaw in zip(self.cubes, self._draw_places(place_key), yaws, strict=True):
            qpos = cube.put(qpos, jnp.append(xy, known(c.half_size)), yaw)
        state = PickPlaceState(
            cube=jax.random.randint(cube_key, (), 0, count, jnp.int32),
            bin=jax.random.randint(bin_key, (), 0, len(self.bins), jnp.int32),
            held=jnp.int32(0),
        )
        return self.arm.shake(self.nominal.replace(qpos=qpos, task=state), arm_key, c.joint_noise)

    def _draw_places(self, key: jax.Array) -> jax.Array:
        """Places (n, 2) [m] at least `gap` apart along x, in any order, without rejection.

        Sorted uniform draws from what the gaps leave free, spread by the gaps, are uniform over
        all sets of places that keep them.
        """
        c = self.config
        low, high = jnp.array(c.cube_low), jnp.array(c.cube_high)
        x_key, y_key, order_key = jax.random.split(key, 3)
        count, gap = len(self.cubes), known(c.gap)
        free = jax.random.uniform(
            x_key, (count,), minval=low[0], maxval=high[0] - gap * (count - 1)
        )
        x = jnp.sort(free) + gap * jnp.arange(count)
        y = jax.random.uniform(y_key, (count,), minval=low[1], maxval=high[1])
        return jax.random.permutation(order_key, jnp.stack([x, y], axis=1))

    def update(self, state: PickPlaceState, physics: PhysicsState) -> PickPlaceState:
        return state.replace(held=jnp.where(self._placed(state, physics), state.held + 1, 0))

    def observe(self, state: PickPlaceState, physics: PhysicsState) -> Mapping[str, jax.Array]:
        tcp, cube = self.arm.tcp(physics), self._cube(state, physics)
        parts = {
            **self.arm.proprioception(physics),
            "tcp": tcp,
            "touch": jnp.tanh(self.arm.touch_forces(physics) / 20.0),
            "cube": cube,
            "cube_rotation": rotations.to_6d(physics.xquat[self._order(state)[0]]),
            "tcp_to_cube": cube - tcp,
            "cube_to_bin": self._above_bin(state) - cube,
        }
        if self.config.distractors:
            parts["tcp_to_distractors"] = (physics.xpos[self._order(state)[1:]] - tcp).ravel()
        return parts

    def rewards(
        self, state: PickPlaceState, physics: PhysicsState, action: jax.Array
    ) -> Mapping[str, jax.Array]:
        cube = self._cube(state, physics)
        to_cube = jnp.linalg.norm(cube - self.arm.tcp(physics))
        to_bin = jnp.linalg.norm(self._above_bin(state) - cube)
        grasped = self._grasped(physics, to_cube)
        lifted = grasped & (cube[2] > known(self.config.half_size) + 0.01)
        entered = self._entered(state, physics)
        place = reach_reward(to_bin, 0.15) * lifted
        return {
            "reach": jnp.where(entered, 1.0, reach_reward(to_cube, 0.1)),
            "grasp": jnp.where(entered, 1.0, grasped.astype(jnp.float32)),
            "place": 2.0 * jnp.where(entered, 1.0, place),
            "release": 2.0 * (entered & self._released(physics)),
            "placed": 2.0 * self._placed(state, physics),
        }

    def success(self, state: PickPlaceState, physics: PhysicsState) -> jax.Array:
        return state.held >= self.config.hold_steps

    def failure(self, state: PickPlaceState, physics: PhysicsState) -> jax.Array:
        c = self.config
        low, high = jnp.array(known(c.cube_low)), jnp.array(known(c.cube_high))
        x, y, z = self._cube(state, physics)
        y_limit = known(c.bin_y) + _FAR_Y
        return (x < low[0] - _FAR_X) | (x > high[0] + _FAR_X) | (jnp.abs(y) > y_limit) | (z < -0.05)

    def instruction(self, state: PickPlaceState) -> jax.Array:
        return state.cube * len(self.bins) + state.bin

    def expert(self, state: PickPlaceState, physics: PhysicsState) -> Motion:
        """Grasp from above, lift, carry over the rim, lower, let go, move away."""
        tcp, cube = self.arm.tcp(physics), self._cube(state, physics)
        half, height = known(self.config.half_size), known(self.config.bin_height)
        quat = physics.xquat[self._order(state)[0]]
        grasp = grasps.from_above_at(self.arm, cube, quat, physics)
        held = self._grasped(physics, jnp.linalg.norm(cube - tcp))
        bin_xy = jnp.asarray(self.bins)[state.bin]
        aside = jnp.linalg.norm(bin_xy - cube[:2])
        centred = aside < 0.3 * known(self.config.bin_half_size)
        over_rim = cube[2] > height + half + 0.005
        # Up before across, and down only over the middle.
        xy = jnp.where(over_rim | centred, bin_xy, cube[:2])
        z = jnp.where(centred, height + 0.5 * half, height + half + 0.03)
        carry = jnp.append(xy, z) + (tcp - cube)
        low = cube[2] < height + half + 0.005
        let_go = low & (aside < known(self.config.bin_half_size))
        away = jnp.append(bin_xy, height + half + 0.06)
        target = jnp.where(let_go, away, jnp.where(held, carry, grasp.tcp))
        return Motion(
            tcp=target,
            open_gripper=let_go | ~grasp.close,
            quat=jnp.where(let_go, grasps.downwards(self.arm, physics), grasp.quat),
        )

    def _order(self, state: PickPlaceState) -> jax.Array:
        """Body ids of the cubes, the named one first; (n,)."""
        places = (state.cube + jnp.arange(len(self.cubes))) % len(self.cubes)
        return jnp.asarray(self.bodies)[places]

    def _cube(self, state: PickPlaceState, physics: PhysicsState) -> jax.Array:
        """Centre of the named cube [m]; (3,)."""
        return physics.xpos[self._order(state)[0]]

    def _above_bin(self, state: PickPlaceState) -> jax.Array:
        """Where the named cube's centre should be to be lowered into the named bin [m]; (3,)."""
        height = known(self.config.bin_height) + known(self.config.half_size) + 0.01
        return jnp.append(jnp.asarray(self.bins)[state.bin], height)

    def _grasped(self, physics: PhysicsState, to_cube: jax.Array) -> jax.Array:
        """Whether both pads press the named cube between them."""
        pressed = (self.arm.touch_forces(physics) > self.config.grasp_force).all()
        return pressed & (to_cube < known(self.config.half_size))

    def _released(self, physics: PhysicsState) -> jax.Array:
        """Whether nothing touches the fingers' pads."""
        return (self.arm.touch_forces(physics) <= 0.0).all()

    def _between_walls(self, state: PickPlaceState, position: jax.Array) -> jax.Array:
        """Whether centres (..., 3) are between the named bin's walls, at any height; (...)."""
        away = jnp.abs(position[..., :2] - jnp.asarray(self.bins)[state.bin])
        return (away < known(self.config.bin_half_size)).all(axis=-1)

    def _entered(self, state: PickPlaceState, physics: PhysicsState) -> jax.Array:
        """Whether the named cube is between the walls, low enough to fall no further than 2 cm."""
        cube = self._cube(state, physics)
        low = known(self.config.bin_height) + known(self.config.half_size) + 0.02
        return self._between_walls(state, cube) & (cube[2] < low)

    def _placed(self, state: PickPlaceState, physics: PhysicsState) -> jax.Array:
        """Whether the named cube lies alone in the named bin, at rest and let go."""
        c = self.config
        others = physics.xpos[self._order(state)[1:]]
        cube = self._cube(state, physics)
        low = cube[2] < known(c.half_size) + 0.01
        speeds = jnp.stack([jnp.linalg.norm(o.velocity(physics)) for o in self.cubes])
        alone = ~(self._between_walls(state, others) & (others[:, 2] < known(c.bin_height))).any()
        at_rest = speeds[state.cube] < _SLOW
        inside = self._between_walls(state, cube) & low
        return inside & at_rest & alone & self._released(physics)


_FAR_X, _FAR_Y = 0.2, 0.15  # [m] beyond the cubes' region and the bins a cube is out of reach


def _home_places(config: PickPlaceConfig) -> list[tuple[float, float]]:
    """Where the cubes of the "home" keyframe are [m]."""
    low, high = known(config.cube_low), known(config.cube_high)
    middle = 0.5 * (low[0] + high[0]) - 0.5 * known(config.gap) * config.distractors
    return [(middle + i * known(config.gap), 0.0) for i in range(config.distractors + 1)]

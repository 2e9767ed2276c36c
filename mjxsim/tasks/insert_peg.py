"""Grasp a square peg that stands on the table and insert it into a socket."""

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
from mjxsim.scenes.sockets import Socket
from mjxsim.tasks import grasps
from mjxsim.tasks.base import Start, TaskConfig, check_box, check_positive, filled, known
from mjxsim.tasks.handles import ArmHandle, ObjectHandle

_PEG_FRICTION = 0.2  # polished: a finger that comes first slides the peg and does not tip it over

_DESCENT = 0.008  # [m] by which the target is below the TCP while the expert inserts
_CLEAR = 0.02  # [m] over the rim while the expert carries the peg


@dataclasses.dataclass(frozen=True)
class InsertPegConfig(TaskConfig):
    """The peg, the socket, where each stands. Lengths in m, the robot's base frame."""

    episode_seconds: float = 5.0
    half_width: float | None = None  # of the peg; None, here and below: what suits the robot
    half_length: float | None = None  # of the peg
    clearance: float = 0.002  # between the centred peg and each wall of the hole
    hole_depth: float | None = None
    depth: float | None = None  # of the peg's tip below the rim for success
    mass: float = 0.1  # [kg]
    peg_low: tuple[float, float] | None = None
    peg_high: tuple[float, float] | None = None
    socket_low: tuple[float, float] | None = None
    socket_high: tuple[float, float] | None = None
    yaw: float = math.pi / 4  # [rad] half-width of both uniform starts; pi/4 is every yaw
    joint_noise: float = 0.05  # [rad] half-width of the uniform start around home
    grasp_force: float = 0.5  # [N] on each finger's pad for a grasp

    def __post_init__(self) -> None:
        super().__post_init__()
        check_box("peg", self.peg_low, self.peg_high)
        check_box("socket", self.socket_low, self.socket_high)
        check_positive(clearance=self.clearance, half_width=self.half_width, depth=self.depth)
        check_positive(half_length=self.half_length, hole_depth=self.hole_depth, mass=self.mass)
        if self.depth and self.hole_depth and self.depth > self.hole_depth:
            raise ValueError(
                f"depth must be at most hole_depth ({self.hole_depth} m), got {self.depth} m"
            )

    def for_robot(self, robot: RobotSpec) -> Self:
        size = robot.area.half_size
        (x_low, y_low), (x_high, y_high) = robot.area.table
        depth = known(filled(self, hole_depth=2.0 * size).hole_depth)
        # One on each side, so far apart that the gripper has room for its fingers.
        return filled(
            self,
            half_width=0.75 * size,
            half_length=2.0 * size,
            hole_depth=depth,
            depth=0.75 * depth,
            peg_low=(x_low, y_low + 0.65 * (y_high - y_low)),
            peg_high=(x_high, y_high),
            socket_low=(x_low, y_low),
            socket_high=(x_high, y_low + 0.35 * (y_high - y_low)),
        )


class InsertPegState(flax.struct.PyTreeNode):
    """What insert_peg remembers."""

    rim: jax.Array  # (3,) [m], middle of the hole's upper end
    yaw: jax.Array  # () [rad], of the socket
    held: jax.Array  # int32 (), consecutive steps with the peg inserted
    lined_up: jax.Array  # bool (), the peg is over the hole: what the expert goes by


def _fresh(rim: jax.Array, yaw: jax.Array) -> InsertPegState:
    return InsertPegState(rim=rim, yaw=yaw, held=jnp.int32(0), lined_up=jnp.zeros((), bool))


@dataclasses.dataclass(frozen=True)
class InsertPeg:
    """Grasp a 3 cm x 3 cm x 8 cm peg of 0.1 kg and put it 3 cm deep into a hole of 3.4 cm.

    Randomized: peg and socket each uniform in 0.2 m x 0.14 m on their own side, at every yaw;
    every arm joint within `joint_noise` of home.
    Success: the middle of the peg's lower end at least `depth` below the rim, inside the hole, for
    `hold_seconds` (0.25 s). The hole leaves `clearance` (2 mm) on each side of the peg.
    Failure: the peg tips over, which no gripper that points down can undo, or leaves the region in
    which the arm can reach it. An episode lasts 5 s.
    Reward terms: `reach` 1 - tanh(d / 0.1 m) from TCP to the peg's upper end; `grasp` 1 while both
    pads press the peg; `align` 2 (1 - tanh(d / 0.1 m)) from the peg's lower end to the rim, while
    grasped, and `turn` 0.5 (1 - tanh(a / 0.3 rad)) for its yaw; `insert` 4 times the share of
    `depth` reached inside the hole, where both count in full; `inserted` 3 at that depth.
    Source: clearance and staging follow ManiSkill's PegInsertionSide-v1; here the hole is vertical.
    """

    config: InsertPegConfig
    arm: ArmHandle
    peg: ObjectHandle
    socket: int  # row of the socket among the mocap bodies
    nominal: Start[InsertPegState]
    instructions: tuple[str, ...] = ("put the red peg into the hole of the blue socket",)

    @staticmethod
    def scene(config: InsertPegConfig, robot: RobotSpec) -> mujoco.MjSpec:
        width, length = known(config.half_width), known(config.half_length)
        peg = scenes.ObjectSpec(
            "peg", "box", (width, width, length), config.mass, friction=_PEG_FRICTION
        )
        hole = width + config.clearance
        socket = Socket(hole=hole, wall=1.1 * width, height=known(config.hole_depth))
        return scenes.build(robot, (peg,), fixtures=(socket,), goals=())

    @classmethod
    def build(cls, config: InsertPegConfig, robot: RobotSpec, model: mujoco.MjModel) -> Self:
        return cls(
            config,
            ArmHandle.bind(robot.arm, model),
            ObjectHandle.bind(model, "peg"),
            int(model.body("socket").mocapid[0]),
            Start.home(model, _fresh(jnp.zeros(3), jnp.float32(0))),
        )

    def reset(self, key: jax.Array) -> Start[InsertPegState]:
        c = self.config
        arm_key, peg_key, socket_key, yaw_key = jax.random.split(key, 4)
        peg = jax.random.uniform(
            peg_key, (2,), minval=jnp.array(c.peg_low), maxval=jnp.array(c.peg_high)
        )
        socket = jax.random.uniform(
            socket_key, (2,), minval=jnp.array(c.socket_low), maxval=jnp.array(c.socket_high)
        )
        peg_yaw, yaw = jax.random.uniform(yaw_key, (2,), minval=-c.yaw, maxval=c.yaw)
        turned = rotations.from_axis_angle(jnp.array([0.0, 0.0, 1.0]), yaw)
        at, nominal = self.socket, self.nominal
        rim = jnp.append(socket, known(c.hole_depth))
        standing = jnp.append(peg, known(c.half_length))
        start = nominal.replace(
            qpos=self.peg.put(nominal.qpos, standing, peg_yaw),
            mocap_pos=nominal.mocap_pos.at[at].set(jnp.append(socket, 0.0)),
            mocap_quat=nominal.mocap_quat.at[at].set(turned),
            task=_fresh(rim, yaw),
        )
        return self.arm.shake(start, arm_key, c.joint_noise)

    def update(self, state: InsertPegState, physics: PhysicsState) -> InsertPegState:
        error, turn = state.rim - self._tip(physics), jnp.abs(self._turn(state, physics))
        beside, clearance = jnp.linalg.norm(error[:2]), self.config.clearance
        over = (error[2] > -2.0 * _CLEAR) & self._grasped(physics)
        # Wider once lined up: a small swing does not lift the peg again.
        stays = state.lined_up & (beside < 4.0 * clearance)
        return state.replace(
            held=jnp.where(self._inserted(state, physics), state.held + 1, 0),
            lined_up=over & (stays | ((beside < clearance) & (turn < 0.04))),
        )

    def observe(self, state: InsertPegState, physics: PhysicsState) -> Mapping[str, jax.Array]:
        tcp, peg = self.arm.tcp(physics), self.peg.position(physics)
        turn = self._turn(state, physics)
        return {
            **self.arm.proprioception(physics),
            "tcp": tcp,
            "touch": jnp.tanh(self.arm.touch_forces(physics) / 20.0),
            "peg": peg,
            "peg_rotation": rotations.to_6d(self.peg.quat(physics)),
            "tcp_to_grip": self._grip(physics) - tcp,
            "socket": state.rim[:2],
            "tip_to_rim": state.rim - self._tip(physics),
            "peg_to_socket_yaw": jnp.stack([jnp.sin(4.0 * turn), jnp.cos(4.0 * turn)]),
        }

    def rewards(
        self, state: InsertPegState, physics: PhysicsState, action: jax.Array
    ) -> Mapping[str, jax.Array]:
        to_grip = jnp.linalg.norm(self._grip(physics) - self.arm.tcp(physics))
        grasped, entered = self._grasped(physics), self._entered(state, physics)
        below = state.rim[2] - self._tip(physics)[2]
        to_rim = jnp.linalg.norm(state.rim - self._tip(physics))
        turn = jnp.abs(self._turn(state, physics))
        share = jnp.clip(below / known(self.config.depth), 0.0, 1.0)
        return {
            "reach": reach_reward(to_grip, 0.1),
            "grasp": grasped.astype(jnp.float32),
            "align": 2.0 * jnp.where(entered, 1.0, reach_reward(to_rim, 0.1) * grasped),
            "turn": 0.5 * jnp.where(entered, 1.0, reach_reward(turn, 0.3) * grasped),
            "insert": 4.0 * share * entered,
            "inserted": 3.0 * self._inserted(state, physics),
        }

    def success(self, state: InsertPegState, physics: PhysicsState) -> jax.Array:
        return state.held >= self.config.hold_steps

    def failure(self, state: InsertPegState, physics: PhysicsState) -> jax.Array:
        c = self.config
        (x1, y1), (x2, y2) = known(c.peg_low), known(c.socket_low)
        (x3, y3), (x4, y4) = known(c.peg_high), known(c.socket_high)
        low, high = (min(x1, x2), min(y1, y2)), (max(x3, x4), max(y3, y4))
        tipped = self._axis(physics)[2] < 0.5
        return tipped | self.peg.out_of_reach(physics, low, high)

    def instruction(self, state: InsertPegState) -> jax.Array:
        return jnp.int32(0)

    def expert(self, state: InsertPegState, physics: PhysicsState) -> Motion:
        """Grasp the upper end, raise the peg, carry it over the hole, turn it, let it down."""
        tcp, tip = self.arm.tcp(physics), self._tip(physics)
        offset = self._grip(physics) - self.peg.position(physics)
        grasp = grasps.from_above(self.arm, self.peg, physics, offset=offset)
        held = self._grasped(physics)
        error, turn = state.rim - tip, self._turn(state, physics)
        clear = tip[2] > state.rim[2] + 0.3 * _CLEAR
        across = jnp.where(clear | state.lined_up, error[:2], 0.0)
        # Slowly down: an arm in fast motion lags to the side as well.
        down = jnp.clip(error[2] - 1.1 * known(self.config.depth), -_DESCENT, _DESCENT)
        rise = jnp.where(state.lined_up, down, error[2] + _CLEAR)
        carry = tcp + jnp.append(across, rise)
        return Motion(
            tcp=jnp.where(held, carry, grasp.tcp),
            open_gripper=~(grasp.close | held),
            quat=jnp.where(held, grasps.downwards(self.arm, physics, turn), grasp.quat),
        )

    def _axis(self, physics: PhysicsState) -> jax.Array:
        """The peg's axis, from its lower to its upper end; (3,)."""
        return rotations.rotate(self.peg.quat(physics), jnp.array([0.0, 0.0, 1.0]))

    def _tip(self, physics: PhysicsState) -> jax.Array:
        """The middle of the peg's lower end [m]; (3,)."""
        return self.peg.position(physics) - known(self.config.half_length) * self._axis(physics)

    def _grip(self, physics: PhysicsState) -> jax.Array:
        """Where to grasp the peg [m]; (3,): pads a little below its upper end."""
        height = known(self.config.half_length) - known(self.config.half_width)
        return self.peg.position(physics) + height * self._axis(physics)

    def _turn(self, state: InsertPegState, physics: PhysicsState) -> jax.Array:
        """The smallest turn about the vertical that brings the peg's faces along the hole [rad]."""
        x = rotations.rotate(self.peg.quat(physics), jnp.array([1.0, 0.0, 0.0]))
        turn = state.yaw - jnp.arctan2(x[1], x[0])
        return turn - 0.5 * jnp.pi * jnp.round(turn / (0.5 * jnp.pi))

    def _grasped(self, physics: PhysicsState) -> jax.Array:
        """Whether both pads press the peg between them."""
        pressed = (self.arm.touch_forces(physics) > self.config.grasp_force).all()
        to_grip = jnp.linalg.norm(self._grip(physics) - self.arm.tcp(physics))
        return pressed & (to_grip < 2.0 * known(self.config.half_width))

    def _entered(self, state: InsertPegState, physics: PhysicsState) -> jax.Array:
        """Whether the peg's lower end is below the rim and near the hole's axis: inside it."""
        error = state.rim - self._tip(physics)
        return (error[2] > 0.0) & (jnp.linalg.norm(error[:2]) < 3.0 * self.config.clearance)

    def _inserted(self, state: InsertPegState, physics: PhysicsState) -> jax.Array:
        below = state.rim[2] - self._tip(physics)[2]
        return self._entered(state, physics) & (below > known(self.config.depth))

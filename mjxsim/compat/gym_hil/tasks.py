"""gym-hil's two tasks as tasks of mjxsim: `PandaPickCube` and `PandaArrangeBoxes`.

Source: gym-hil 0.1.14, envs/panda_pick_gym_env.py and envs/panda_arrange_boxes_gym_env.py. Their
sensors, like all of `mj_step`, show where things were one physics step ago; so do these.
"""

import dataclasses
from collections.abc import Mapping
from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim.compat.gym_hil.scene import HALF_SIZE, Block, build
from mjxsim.control import Chain, Motion
from mjxsim.control.kinematics import forward
from mjxsim.physics.base import PhysicsState
from mjxsim.robots.base import RobotSpec
from mjxsim.tasks.base import Start, TaskConfig, check_positive
from mjxsim.tasks.handles import ArmHandle, ObjectHandle

Vec2 = tuple[float, float]

JOINTS = 7
GRIPPER_ENTRY = 14  # of agent_pos: the gripper's control, 0 to 255
LIFT = 0.1  # [m] above where it lay, from which a cube is picked
NEAR = 0.05  # [m] within which a TCP must be of a cube that it holds, for a dense reward's success
PLACED = 0.03  # [m] within which a block is at its target

SAMPLING = ((0.3, -0.15), (0.5, 0.15))  # [m] of a random cube, _SAMPLING_BOUNDS in both files
MARGIN = 0.05  # [m] beyond which an episode ends
SPREAD = 0.3  # [m] `block_range` of arrange-boxes, which widens that


@dataclasses.dataclass(frozen=True)
class HilConfig(TaskConfig):
    """What both tasks share."""

    control_dt: float = 0.1
    episode_seconds: float = 10.0
    hold_seconds: float = 0.0
    terminate_on_success: bool = True
    sparse_reward: bool = True
    physics_dt: float = 0.002  # [s]
    home: tuple[float, ...] = (0.0, 0.195, 0.0, -2.43, 0.0, 2.62, 0.785)  # [rad]
    # Whether "agent_pos" ends with the joints' mean velocities [rad/s] over the last control step.
    joint_velocity: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(physics_dt=self.physics_dt)
        if len(self.home) != JOINTS or not np.isfinite(self.home).all():
            raise ValueError(f"home takes {JOINTS} finite joint positions [rad], got {self.home}")


@dataclasses.dataclass(frozen=True)
class PickCubeConfig(HilConfig):
    """Of `PickCube`."""

    random_block_position: bool = False


@dataclasses.dataclass(frozen=True)
class ArrangeBoxesConfig(HilConfig):
    """Of `ArrangeBoxes`."""

    home: tuple[float, ...] = (0.0, -0.785, 0.0, -2.35, 0.0, 1.57, np.pi / 4)


class HilState(flax.struct.PyTreeNode):
    """What both tasks remember."""

    joints: jax.Array  # (7,) [rad] at the last control step
    velocity: jax.Array  # (7,) [rad/s] mean over it


@dataclasses.dataclass(frozen=True)
class Reading:
    """What gym-hil's sensors show of the arm and of blocks, one physics step late."""

    arm: ArmHandle
    chain: Chain
    timestep: float  # [s]

    @classmethod
    def bind(cls, robot: RobotSpec, model: mujoco.MjModel) -> Self:
        chain = Chain.from_model(model, robot.arm.joints, robot.arm.tcp_site)
        return cls(ArmHandle.bind(robot.arm, model), chain, float(model.opt.timestep))

    def start(self, start: Start[HilState]) -> Start[HilState]:
        """The same start, its state at rest in the start's joints."""
        joints = start.qpos[self.arm.arm_qpos]
        return start.replace(task=HilState(joints, jnp.zeros(JOINTS)))

    def after_step(self, state: HilState, physics: PhysicsState, control_dt: float) -> HilState:
        joints = self.arm.joints(physics)
        return HilState(joints, (joints - state.joints) / control_dt)

    def tcp(self, physics: PhysicsState) -> jax.Array:
        """(3,) [m]: a semi-implicit step moves joints by their new velocities."""
        q, qd = self.arm.joints(physics), self.arm.joint_velocities(physics)
        return forward(self.chain, q - self.timestep * qd)[0]

    def block(self, block: ObjectHandle, physics: PhysicsState) -> jax.Array:
        """(3,) [m]."""
        return block.position(physics) - self.timestep * block.velocity(physics)

    def agent_pos(self, physics: PhysicsState) -> jax.Array:
        """(18,): joints 7 [rad], their velocities 7 [rad/s], gripper control 0..255, TCP 3 [m]."""
        gripper = physics.ctrl[self.arm.gripper_actuator]
        q, qd = self.arm.joints(physics), self.arm.joint_velocities(physics)
        return jnp.concatenate([q, qd, gripper[None], self.tcp(physics)])


def _observed(
    config: HilConfig, reading: Reading, state: HilState, physics: PhysicsState, block: jax.Array
) -> Mapping[str, jax.Array]:
    agent_pos = reading.agent_pos(physics)
    if config.joint_velocity:
        agent_pos = jnp.concatenate([agent_pos, state.velocity])
    return {"agent_pos": agent_pos, "environment_state": block}


def _outside(block: jax.Array, margin: float) -> jax.Array:
    low, high = np.asarray(SAMPLING, np.float32)
    return jnp.any((block[:2] < low - margin) | (block[:2] > high + margin))


@dataclasses.dataclass(frozen=True)
class PickCube:
    """Grasp a 4 cm cube of 0.1 kg and lift it by 0.1 m.

    Randomized: nothing, or the cube's place in 0.2 m x 0.3 m with `random_block_position`.
    Success: lifted by more than 0.1 m, and with a dense reward within 0.05 m of the TCP too; it
    ends the episode. Failure: the cube is 5 cm outside the region of random places.
    Reward: 1 at success, or dense: `close` 0.3 exp(-20 d / m) and `lift` 0.7 times the share of it.
    Source: gym-hil 0.1.14, PandaPickCubeGymEnv.
    """

    config: PickCubeConfig
    reading: Reading
    cube: ObjectHandle
    nominal: Start[HilState]
    instructions: tuple[str, ...] = ("pick up the cube",)

    @staticmethod
    def scene(config: PickCubeConfig, robot: RobotSpec) -> mujoco.MjSpec:
        block = Block("block", (0.5, 0.0, HALF_SIZE), (0.6, 0.3, 0.6, 1.0))
        return build(robot, (block,), config.home, config.physics_dt)

    @classmethod
    def build(cls, config: PickCubeConfig, robot: RobotSpec, model: mujoco.MjModel) -> Self:
        reading = Reading.bind(robot, model)
        state = HilState(jnp.zeros(JOINTS), jnp.zeros(JOINTS))
        start = reading.start(Start.home(model, state))
        return cls(config, reading, ObjectHandle.bind(model, "block"), start)

    def reset(self, key: jax.Array) -> Start[HilState]:
        if not self.config.random_block_position:
            return self.nominal
        low, high = np.asarray(SAMPLING, np.float32)
        xy = jax.random.uniform(key, (2,), minval=low, maxval=high)
        place = jnp.append(xy, HALF_SIZE)
        return self.nominal.replace(qpos=self.cube.put(self.nominal.qpos, place))

    def update(self, state: HilState, physics: PhysicsState) -> HilState:
        return self.reading.after_step(state, physics, self.config.control_dt)

    def observe(self, state: HilState, physics: PhysicsState) -> Mapping[str, jax.Array]:
        cube = self.reading.block(self.cube, physics)
        return _observed(self.config, self.reading, state, physics, cube)

    def rewards(
        self, state: HilState, physics: PhysicsState, action: jax.Array
    ) -> Mapping[str, jax.Array]:
        share = jnp.clip(self._lift(physics) / LIFT, 0.0, 1.0)
        close = jnp.exp(-20.0 * self._distance(physics))
        return {"close": 0.3 * close, "lift": 0.7 * share}

    def success(self, state: HilState, physics: PhysicsState) -> jax.Array:
        lifted = self._lift(physics) > LIFT
        return lifted if self.config.sparse_reward else lifted & (self._distance(physics) < NEAR)

    def failure(self, state: HilState, physics: PhysicsState) -> jax.Array:
        return _outside(self.reading.block(self.cube, physics), MARGIN)

    def instruction(self, state: HilState) -> jax.Array:
        return jnp.int32(0)

    def expert(self, state: HilState, physics: PhysicsState) -> Motion:
        """Hover above the cube, descend, close, lift."""
        tcp, cube = self.reading.tcp(physics), self.reading.block(self.cube, physics)
        above = jnp.linalg.norm(cube[:2] - tcp[:2]) < 0.01
        down = above & (tcp[2] - cube[2] < 0.012)
        closed = physics.ctrl[self.reading.arm.gripper_actuator] > 250.0
        # The TCP trails its target by some 2 cm; asking for more than is wanted gets there.
        goal = cube.at[2].add(jnp.where(above, -0.005, 0.08))
        goal = jnp.where(closed & down, tcp.at[2].add(0.05), goal)
        holding = closed & (self._lift(physics) > 0.005)
        goal = jnp.where(holding, tcp.at[2].add(0.05), goal)
        return Motion(tcp=goal, open_gripper=~(down | holding))

    def _lift(self, physics: PhysicsState) -> jax.Array:
        return self.reading.block(self.cube, physics)[2] - HALF_SIZE

    def _distance(self, physics: PhysicsState) -> jax.Array:
        return jnp.linalg.norm(self.reading.block(self.cube, physics) - self.reading.tcp(physics))


_PLACES = (-0.3, -0.15, 0.0, 0.15, 0.3)  # [m] along y, of blocks and of their targets
_COLOURS = (
    (1.0, 0.0, 0.0, 1.0),
    (0.0, 0.0, 1.0, 1.0),
    (0.1, 0.3, 0.1, 1.0),
    (0.2, 0.66, 0.32, 1.0),
    (0.6, 0.3, 0.6, 1.0),
)


@dataclasses.dataclass(frozen=True)
class ArrangeBoxes:
    """Put five blocks of 4 cm, in a row at x = 0.3 m, on the mark of their colour at x = 0.5 m.

    Randomized: which block lies where in the row.
    Success: every block within 0.03 m of its mark, which ends the episode. Failure: the first block
    is 0.35 m outside the region in which pick-cube has its cube. Reward: 1 at success, or dense:
    the sum over blocks of exp(-20 d / m).
    Source: gym-hil 0.1.14, PandaArrangeBoxesGymEnv.
    """

    config: ArrangeBoxesConfig
    reading: Reading
    blocks: tuple[ObjectHandle, ...]
    goals: np.ndarray  # (5, 3) [m]
    nominal: Start[HilState]
    instructions: tuple[str, ...] = ("put every block on the mark of its colour",)

    @staticmethod
    def scene(config: ArrangeBoxesConfig, robot: RobotSpec) -> mujoco.MjSpec:
        blocks = tuple(
            Block(f"block{i + 1}", (0.3, y, HALF_SIZE), rgba, goal=(0.5, y, 0.0))
            for i, (y, rgba) in enumerate(zip(_PLACES, _COLOURS, strict=True))
        )
        return build(robot, blocks, config.home, config.physics_dt)

    @classmethod
    def build(cls, config: ArrangeBoxesConfig, robot: RobotSpec, model: mujoco.MjModel) -> Self:
        reading = Reading.bind(robot, model)
        names = [f"block{i + 1}" for i in range(len(_PLACES))]
        state = HilState(jnp.zeros(JOINTS), jnp.zeros(JOINTS))
        return cls(
            config,
            reading,
            tuple(ObjectHandle.bind(model, name) for name in names),
            np.stack([model.geom(f"{name}_goal").pos for name in names]).astype(np.float32),
            reading.start(Start.home(model, state)),
        )

    def reset(self, key: jax.Array) -> Start[HilState]:
        places = jax.random.permutation(key, np.asarray(_PLACES, np.float32))
        qpos = self.nominal.qpos
        for block, y in zip(self.blocks, places, strict=True):
            qpos = block.put(qpos, jnp.stack([jnp.float32(0.3), y, jnp.float32(HALF_SIZE)]))
        return self.nominal.replace(qpos=qpos)

    def update(self, state: HilState, physics: PhysicsState) -> HilState:
        return self.reading.after_step(state, physics, self.config.control_dt)

    def observe(self, state: HilState, physics: PhysicsState) -> Mapping[str, jax.Array]:
        first = self.reading.block(self.blocks[0], physics)
        return _observed(self.config, self.reading, state, physics, first)

    def rewards(
        self, state: HilState, physics: PhysicsState, action: jax.Array
    ) -> Mapping[str, jax.Array]:
        return {"close": jnp.exp(-20.0 * self._distances(physics)).sum()}

    def success(self, state: HilState, physics: PhysicsState) -> jax.Array:
        return (self._distances(physics) < PLACED).all()

    def failure(self, state: HilState, physics: PhysicsState) -> jax.Array:
        return _outside(self.reading.block(self.blocks[0], physics), MARGIN + SPREAD)

    def instruction(self, state: HilState) -> jax.Array:
        return jnp.int32(0)

    def expert(self, state: HilState, physics: PhysicsState) -> Motion:
        """Carry the first block that is not at its mark there, as `PickCube` picks."""
        tcp = self.reading.tcp(physics)
        waiting = self._distances(physics) >= PLACED
        which = jnp.argmax(waiting)
        cube = self._positions(physics)[which]
        mark = jnp.asarray(self.goals)[which]
        closed = physics.ctrl[self.reading.arm.gripper_actuator] > 250.0
        above = jnp.linalg.norm(cube[:2] - tcp[:2]) < 0.01
        down = above & (tcp[2] - cube[2] < 0.012)
        holding = closed & down
        there = jnp.linalg.norm(cube[:2] - mark[:2]) < 0.015
        over = jnp.append(mark[:2] + (tcp - cube)[:2], jnp.where(there, 0.0, 0.15))
        high = jnp.append(tcp[:2], 0.15)
        carry = jnp.where(there | (cube[2] > 0.1), over, high)
        pick = cube.at[2].add(jnp.where(above, -0.005, 0.1))
        goal = jnp.where(holding, carry, pick)
        done = there & (cube[2] < HALF_SIZE + 0.01)
        goal = jnp.where(waiting.any(), goal, high)
        return Motion(tcp=goal, open_gripper=~down | done)

    def _positions(self, physics: PhysicsState) -> jax.Array:
        return jnp.stack([self.reading.block(block, physics) for block in self.blocks])

    def _distances(self, physics: PhysicsState) -> jax.Array:
        """(5,) [m] from each block to its mark."""
        return jnp.linalg.norm(self._positions(physics) - self.goals, axis=1)

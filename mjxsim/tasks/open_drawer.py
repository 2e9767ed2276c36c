"""Pull a drawer of a cabinet open by its handle."""

import dataclasses
from collections.abc import Mapping
from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim import scenes
from mjxsim.control import Motion
from mjxsim.math import reach_reward
from mjxsim.physics.base import PhysicsState
from mjxsim.robots.base import ArmSpec, RobotSpec
from mjxsim.scenes.cabinet import Cabinet
from mjxsim.tasks.base import Start, TaskConfig, check_box, check_positive, filled, known
from mjxsim.tasks.handles import ArmHandle

_CLEARANCE = 0.04  # [m] above the bar's middle, at which closed fingertips pass over it
_INSTRUCTIONS = {
    1: ("open the drawer",),
    2: ("open the left drawer", "open the right drawer"),
}


def _closed_tips(arm: ArmSpec, model: mujoco.MjModel) -> np.ndarray:
    """The middle of the pads in the TCP's frame when the gripper is closed [m]; float32 (3,)."""
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key("home").id)
    for joint in arm.gripper_joints:
        data.joint(joint).qpos = arm.gripper_closed_qpos / len(arm.gripper_joints)
    mujoco.mj_kinematics(model, data)
    tcp = data.site(arm.tcp_site)
    pads = [data.geom(name).xpos for pad in arm.finger_pad_geoms for name in pad]
    tips = tcp.xmat.reshape(3, 3).T @ (np.mean(pads, axis=0) - tcp.xpos)
    return tips.astype(np.float32)


@dataclasses.dataclass(frozen=True)
class OpenDrawerConfig(TaskConfig):
    """The cabinet, where it stands, what counts as open. Lengths in m, the robot's base frame."""

    episode_seconds: float = 4.0
    drawers: int = 2  # 1, or 2 side by side of which every episode names one
    opening: float = 0.85  # of the travel: the drawer is open from here on
    travel: float | None = None  # None, here and below: what suits the robot
    width: float | None = None  # of one drawer
    handle_height: float | None = None
    gap: float = 0.034  # between a handle and the front behind it
    front_low: tuple[float, float] | None = None  # x, y of the middle of the closed fronts
    front_high: tuple[float, float] | None = None
    cabinet_yaw: float = 0.25  # [rad] half-width of the uniform start around facing the robot
    joint_noise: float = 0.05  # [rad] half-width of the uniform start around home

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.drawers not in _INSTRUCTIONS:
            raise ValueError(f"drawers must be 1 or 2, got {self.drawers}")
        if not 0.0 < self.opening < 1.0:
            raise ValueError(f"opening must be between 0 and 1, got {self.opening}")
        check_box("front", self.front_low, self.front_high)
        check_positive(travel=self.travel, width=self.width, gap=self.gap)
        check_positive(handle_height=self.handle_height)

    def for_robot(self, robot: RobotSpec) -> Self:
        (x0, y0), (x1, y1) = robot.area.table
        long, wide, middle = x1 - x0, y1 - y0, 0.5 * (y0 + y1)
        behind = Cabinet(gap=self.gap).standoff
        # An open drawer, turned by the cabinet's yaw, still has its handle over this region.
        return filled(
            self,
            travel=0.6 * long,
            width=0.325 * wide,
            handle_height=robot.area.air[0][2],
            front_low=(x1 + behind - 0.4 * long, middle - 0.25 * wide),
            front_high=(x1 + behind - 0.25 * long, middle + 0.25 * wide),
        )

    @property
    def cabinet(self) -> Cabinet:
        """The cabinet of these sizes."""
        travel = known(self.travel)
        return Cabinet(
            drawers=self.drawers,
            width=known(self.width),
            depth=travel + 0.06,
            handle_height=known(self.handle_height),
            gap=self.gap,
            travel=travel,
        )


class OpenDrawerState(flax.struct.PyTreeNode):
    """What open_drawer remembers."""

    drawer: jax.Array  # int32 (), which drawer is to be opened
    held: jax.Array  # int32 (), consecutive steps with it open


@dataclasses.dataclass(frozen=True)
class OpenDrawer:
    """Pull the named drawer of a cabinet open by its handle and leave it open.

    The handle is a horizontal bar that stands off the front; the gripper hooks it from above, or
    grasps it. The cabinet has one drawer, or two side by side; a green ball hovers
    over the front of the one that is named.
    Randomized: which drawer; the cabinet's position (3 cm x 20 cm for the Panda) and its yaw within
    `cabinet_yaw`; every arm joint within `joint_noise` of home.
    Success: the named drawer open by `opening` (85 %) of its travel (12 cm for the Panda) for
    `hold_seconds` (0.25 s).
    Failure: none. An episode lasts 4 s.
    Reward terms: `reach` 1 - tanh(d / 0.1 m), where d is the length of the way over the bar into
    the space behind it; `open` 2 x the part of the needed opening that is reached; `opened` 3 while
    open.
    Source: the task is that of ManiSkill's OpenCabinetDrawer-v1 and of Meta-World's drawer-open-v3;
    the cabinet and the reward are our own.
    """

    config: OpenDrawerConfig
    cabinet: Cabinet
    arm: ArmHandle
    handles: np.ndarray  # (drawers,) ids of the sites in the middle of the bars
    slides: np.ndarray  # (drawers,) addresses in qpos of the openings [m]
    pose: np.ndarray  # (3,) addresses in qpos of the cabinet's x, y [m] and yaw [rad]
    tips: np.ndarray  # (3,) [m] where the closed fingertips are, in the TCP's frame
    nominal: Start[OpenDrawerState]

    @property
    def instructions(self) -> tuple[str, ...]:
        return _INSTRUCTIONS[self.config.drawers]

    @staticmethod
    def scene(config: OpenDrawerConfig, robot: RobotSpec) -> mujoco.MjSpec:
        return scenes.build(robot, fixtures=(config.cabinet,))

    @classmethod
    def build(cls, config: OpenDrawerConfig, robot: RobotSpec, model: mujoco.MjModel) -> Self:
        def addresses(*joints: str) -> np.ndarray:
            return np.array([model.joint(name).qposadr[0] for name in joints])

        names = config.cabinet.names
        return cls(
            config,
            config.cabinet,
            ArmHandle.bind(robot.arm, model),
            np.array([model.site(f"{name}_handle").id for name in names]),
            addresses(*(f"{name}_slide" for name in names)),
            addresses("cabinet_x", "cabinet_y", "cabinet_yaw"),
            _closed_tips(robot.arm, model),
            Start.home(model, OpenDrawerState(drawer=jnp.int32(0), held=jnp.int32(0))),
        )

    def reset(self, key: jax.Array) -> Start[OpenDrawerState]:
        c = self.config
        arm_key, drawer_key, place_key, yaw_key = jax.random.split(key, 4)
        drawer = jax.random.randint(drawer_key, (), 0, c.drawers)
        yaw = jax.random.uniform(yaw_key, (), minval=-c.cabinet_yaw, maxval=c.cabinet_yaw)
        front = jax.random.uniform(
            place_key, (2,), minval=jnp.array(c.front_low), maxval=jnp.array(c.front_high)
        )
        # Only sums: products with the yaw's sine would be fused with them in some programs, and a
        # start would not have the same bits in all.
        sides = 0.5 * (c.drawers - 1 - 2 * np.arange(c.drawers)) * self.cabinet.width
        beside = front[1] + jnp.asarray(sides, jnp.float32)[drawer]
        ball = jnp.stack([front[0], beside, jnp.float32(self.cabinet.height + 0.03)])
        start = self.nominal.replace(
            qpos=self.nominal.qpos.at[self.pose].set(jnp.append(front, yaw)),
            mocap_pos=ball[None],
            task=OpenDrawerState(drawer=drawer, held=jnp.int32(0)),
        )
        return self.arm.shake(start, arm_key, c.joint_noise)

    def update(self, state: OpenDrawerState, physics: PhysicsState) -> OpenDrawerState:
        is_open = self._opening(state, physics) >= self._needed
        return state.replace(held=jnp.where(is_open, state.held + 1, 0))

    def observe(self, state: OpenDrawerState, physics: PhysicsState) -> Mapping[str, jax.Array]:
        tcp, handle = self.arm.tcp(physics), self._handle(state, physics)
        openings = physics.qpos[self.slides] / known(self.config.travel)
        return {
            **self.arm.proprioception(physics),
            "tcp": tcp,
            "touch": jnp.tanh(self.arm.touch_forces(physics) / 20.0),
            "handle": handle[:2],
            "tcp_to_handle": handle - tcp,
            "pull": self._pull(physics)[:2],
            "openings": openings,
            "opening": openings[state.drawer][None],
        }

    def rewards(
        self, state: OpenDrawerState, physics: PhysicsState, action: jax.Array
    ) -> Mapping[str, jax.Array]:
        part = jnp.clip(self._opening(state, physics) / self._needed, 0.0, 1.0)
        return {
            "reach": reach_reward(self._way(state, physics), 0.1),
            "open": 2.0 * part,
            "opened": 3.0 * (part >= 1.0),
        }

    def success(self, state: OpenDrawerState, physics: PhysicsState) -> jax.Array:
        return state.held >= self.config.hold_steps

    def failure(self, state: OpenDrawerState, physics: PhysicsState) -> jax.Array:
        return jnp.zeros((), bool)

    def instruction(self, state: OpenDrawerState) -> jax.Array:
        return state.drawer

    def expert(self, state: OpenDrawerState, physics: PhysicsState) -> Motion:
        """Close the gripper, go over the bar, down behind it, and pull until a little beyond."""
        hook = self._hook(state, physics)
        out, aside, up = self._from_hook(state, physics)
        over = (jnp.abs(out) < 0.008) & (jnp.abs(aside) < 0.02)
        # Fingertips go on pulling from a little higher than from where they begin.
        deep = up < jnp.where(out > 0.005, 0.014, 0.007)
        hooked = (jnp.abs(out) < self.cabinet.hook_depth) & deep
        enough = self._needed + 0.5 * (known(self.config.travel) - self._needed)
        left = enough - self._opening(state, physics)
        # The last bit is pulled as firmly as the others, against friction.
        pulled = self._tips(physics) + jnp.where(left > 0.0, left + 0.02, 0.0) * self._pull(physics)
        hook = hook.at[2].add(-0.004)
        target = jnp.where(over, hook, hook.at[2].add(_CLEARANCE))
        target = jnp.where(hooked, pulled.at[2].set(hook[2]), target)
        return Motion(
            tcp=target + self.arm.tcp(physics) - self._tips(physics),
            open_gripper=jnp.zeros((), bool),
        )

    @property
    def _needed(self) -> float:
        """How far the drawer has to come out [m]."""
        return self.config.opening * known(self.config.travel)

    def _opening(self, state: OpenDrawerState, physics: PhysicsState) -> jax.Array:
        """How far the named drawer is out [m]; ()."""
        return physics.qpos[self.slides][state.drawer]

    def _handle(self, state: OpenDrawerState, physics: PhysicsState) -> jax.Array:
        """The middle of the named bar [m]; (3,)."""
        return physics.site_xpos[self.handles][state.drawer]

    def _pull(self, physics: PhysicsState) -> jax.Array:
        """The direction in which drawers open, a unit vector (3,)."""
        yaw = physics.qpos[self.pose[2]]
        return -jnp.stack([jnp.cos(yaw), jnp.sin(yaw), jnp.zeros_like(yaw)])

    def _hook(self, state: OpenDrawerState, physics: PhysicsState) -> jax.Array:
        """The middle of the space behind the named bar [m]; (3,)."""
        return self._handle(state, physics) - self.cabinet.hook_depth * self._pull(physics)

    def _tips(self, physics: PhysicsState) -> jax.Array:
        """Where the fingertips are when they are closed [m]; (3,).

        A gripper with one fixed jaw closes beside its TCP.
        """
        return self.arm.tcp(physics) + self.arm.tcp_matrix(physics) @ jnp.asarray(self.tips)

    def _from_hook(
        self, state: OpenDrawerState, physics: PhysicsState
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """The fingertips from there: out of the cabinet, along the bar, up [m]; each ()."""
        rel, pull = self._tips(physics) - self._hook(state, physics), self._pull(physics)
        return rel @ pull, rel[1] * pull[0] - rel[0] * pull[1], rel[2]

    def _way(self, state: OpenDrawerState, physics: PhysicsState) -> jax.Array:
        """Length of the way from the fingertips over the bar into the space behind it [m]; ()."""
        out, aside, up = self._from_hook(state, physics)
        # Before the bar, fingertips have to be 3 cm above it first.
        before = jnp.clip(out / self.cabinet.hook_depth, 0.0, 1.0)
        climb = jnp.maximum(0.03 * before - up, 0.0)
        # The bar is half as wide as the drawer's front: anywhere on its middle third will do.
        aside = jnp.maximum(jnp.abs(aside) - 0.13 * self.cabinet.width, 0.0)
        return jnp.sqrt(out**2 + aside**2 + up**2 + 1e-12) + 2.0 * climb

"""What a person wants, as an action of whatever controller the environment has.

Pure and unbatched. Speeds are in m/s and rad/s, so that the robot feels the same at every control
rate; a controller's own largest step per action still limits them.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.control import Motion
from mjxsim.control.actuation import Actuation
from mjxsim.control.arms import Arms
from mjxsim.control.base import (
    Controller,
    ControlState,
    JointControlState,
    OscControlState,
    TcpControlState,
)
from mjxsim.control.end_effector import EndEffectorDelta
from mjxsim.control.ik import IkConfig, solve
from mjxsim.control.impedance import OperationalSpace
from mjxsim.control.joint import JointPosition, JointPositionDelta
from mjxsim.control.kinematics import Chain, forward
from mjxsim.math import poses, rotations
from mjxsim.physics import PhysicsState
from mjxsim.teleop.devices.base import Command

_Tcp = EndEffectorDelta | OperationalSpace
_Joint = JointPosition | JointPositionDelta
_Array = jax.Array | np.ndarray


@dataclasses.dataclass(frozen=True)
class Speeds:
    """How fast a device at its end moves the robot."""

    linear: float = 0.25  # [m/s] of the TCP; gym-hil's 2.5 cm at 10 Hz
    angular: float = 1.0  # [rad/s] of the TCP
    joint: float = 2.0  # [rad/s] at which the joints follow a leader arm's at most

    def __post_init__(self) -> None:
        """Raise ValueError for a speed that is not positive."""
        for name, value in dataclasses.asdict(self).items():
            if not (math.isfinite(value) and value > 0.0):
                raise ValueError(f"speeds.{name} must be positive, got {value}")


class Wish(flax.struct.PyTreeNode):
    """What the person wants of one control step; n joints of one arm."""

    linear: _Array  # (3,) [-1, 1] along the base's x, y, z
    angular: _Array  # (3,) [-1, 1] about the base's x, y, z
    gripper: _Array  # float32 () 0 closed to 1 open; NaN leaves it
    joints: _Array  # (n,) [rad] of a leader arm; NaN where there is none
    expert: _Array  # bool (), the task's expert acts in the person's place
    arm: _Array  # int32 (), which arm is meant


def wish(command: Command, joints: int, arm: int = 0) -> Wish:
    """A command as arrays, for an arm of so many joints; on the host.

    Raises:
      ValueError: the command is of a leader arm with another number of joints.
    """
    leader = np.full(joints, np.nan, np.float32)
    if command.joints is not None:
        if len(command.joints) != joints:
            raise ValueError(
                f"the leader arm has {len(command.joints)} joints and the robot's arm {joints}: "
                "use a robot of the same kind, such as --robot so101"
            )
        leader = np.asarray(command.joints, np.float32)
    return Wish(
        linear=np.clip(command.linear, -1.0, 1.0).astype(np.float32),
        angular=np.clip(command.angular, -1.0, 1.0).astype(np.float32),
        gripper=np.array(_opening(command), np.float32),
        joints=leader,
        expert=np.array(command.expert),
        arm=np.array(arm, np.int32),
    )


def _opening(command: Command) -> float:
    """The gripper's wish from 0 to 1; NaN to leave it."""
    if isinstance(command.gripper, str):
        return {"hold": np.nan, "open": 1.0, "close": 0.0}[command.gripper]
    return min(max(command.gripper, 0.0), 1.0)


def arm_joints(controller: Controller[Any]) -> int:
    """How many joints an arm has; of several arms the first."""
    return _arms(controller)[0].chain.size


def opening(controller: Controller[Any], physics: PhysicsState) -> jax.Array:
    """How far each arm's gripper is told to be open (arms,), 0 closed to 1 open."""
    return jnp.stack([_present(c.actuation, physics) for c in _arms(controller)])


def hold(controller: Controller[Any], state: Any, physics: PhysicsState) -> jax.Array:
    """The action (action_size,) that leaves every target, and the gripper, where it is."""
    return _joined(controller, state, lambda c, s, _: _hold(c, s, physics))


def steer(
    controller: Controller[Any],
    state: Any,
    physics: PhysicsState,
    want: Wish,
    speeds: Speeds,
    dt: float,
) -> jax.Array:
    """The action (action_size,) that follows a wish for one control step of `dt` [s].

    Arms that the wish does not mean stay where they are.
    """

    def of(c: _Tcp | _Joint, s: ControlState, i: int) -> jax.Array:
        moved = _steer(c, s, physics, want, speeds, dt)
        return jnp.where(jnp.asarray(want.arm) == i, moved, _hold(c, s, physics))

    return _joined(controller, state, of)


def _arms(controller: Controller[Any]) -> tuple[_Tcp | _Joint, ...]:
    each = controller.each if isinstance(controller, Arms) else (controller,)
    known: list[_Tcp | _Joint] = []
    for one in each:
        if not isinstance(
            one, EndEffectorDelta | OperationalSpace | JointPosition | JointPositionDelta
        ):
            raise ValueError(f"a {type(one).__name__} cannot be steered by a person")
        known.append(one)
    return tuple(known)


# (an arm's controller, its state, which arm) -> its part of the action
_Part = Callable[[_Tcp | _Joint, ControlState, int], jax.Array]


def _joined(controller: Controller[Any], state: Any, of: _Part) -> jax.Array:
    states = state if isinstance(controller, Arms) else (state,)
    arms = zip(_arms(controller), states, strict=True)
    return jnp.concatenate([of(c, s, i) for i, (c, s) in enumerate(arms)])


def _hold(c: _Tcp | _Joint, state: ControlState, physics: PhysicsState) -> jax.Array:
    still = jnp.zeros(c.action_size - c.actuation.gripper_size, jnp.float32)
    if isinstance(c, JointPosition):
        assert isinstance(state, JointControlState)
        still = _share(c, state.joint_target)
    return jnp.concatenate([still, _grip(c.actuation, physics, jnp.float32(jnp.nan))])


def _steer(
    c: _Tcp | _Joint,
    state: ControlState,
    physics: PhysicsState,
    want: Wish,
    speeds: Speeds,
    dt: float,
) -> jax.Array:
    grip = _grip(c.actuation, physics, jnp.asarray(want.gripper))
    led = ~jnp.isnan(jnp.asarray(want.joints)[0])
    joints = jnp.asarray(want.joints)
    linear = speeds.linear * dt * jnp.asarray(want.linear)
    angular = speeds.angular * dt * jnp.asarray(want.angular)
    if isinstance(c, EndEffectorDelta | OperationalSpace):
        assert isinstance(state, TcpControlState | OscControlState)
        integrator = c.integrator
        turn = {"position": angular[:0], "position_yaw": angular[2:], "pose": angular}
        moves = jnp.concatenate(
            [
                linear / integrator.max_position_step,
                turn[integrator.motion] / integrator.max_rotation_step,
            ]
        )
        led_to = poses.from_matrix(*forward(c.chain, jnp.nan_to_num(joints)))
        led_moves = integrator.toward(
            state.target, Motion(tcp=led_to.pos, open_gripper=jnp.bool_(True), quat=led_to.quat)
        )
        moves = jnp.clip(jnp.where(led, led_moves, moves), -1.0, 1.0)
        usual = jnp.zeros(c.action_size - len(moves) - len(grip), jnp.float32)  # stiffness
        return jnp.concatenate([moves, usual, grip])

    assert isinstance(state, JointControlState)
    target = state.joint_target
    moved = _moved(c.chain, target, linear, angular)
    ahead = jnp.clip(joints - target, -speeds.joint * dt, speeds.joint * dt)
    moved = jnp.where(led, target + ahead, moved)
    if isinstance(c, JointPosition):
        action = _share(c, moved)
    else:
        action = (moved - target) / c.max_step
    return jnp.concatenate([jnp.clip(action, -1.0, 1.0), grip])


def _moved(chain: Chain, target: jax.Array, linear: jax.Array, angular: jax.Array) -> jax.Array:
    """Joint targets (n,) after the TCP's target moved by [m] and turned by [rad], base frame."""
    pos, mat = forward(chain, target)
    root = jnp.asarray(chain.root_mat)
    turn = rotations.to_matrix(rotations.exp(_matvec(root, angular)))
    turned = jnp.sum(turn[:, :, None] * mat[None, :, :], axis=1)
    found = solve(chain, target, pos + _matvec(root, linear), turned, IkConfig(posture_gain=0.0))
    still = jnp.all(linear == 0.0) & jnp.all(angular == 0.0)
    return jnp.where(still, target, found)  # the solver's rounding would creep


def _matvec(matrix: jax.Array, vector: jax.Array) -> jax.Array:
    return jnp.sum(matrix * vector[None, :], axis=1)


def _share(c: JointPosition, q: jax.Array) -> jax.Array:
    """Joints (n,) as an action: -1 and 1 are the ends of their ranges."""
    return 2.0 * (q - c.lower) / (c.upper - c.lower) - 1.0


def _grip(a: Actuation, physics: PhysicsState, wanted: jax.Array) -> jax.Array:
    """The gripper's entries (gripper_size,) for an opening 0 to 1; NaN keeps the last control."""
    share = jnp.where(jnp.isnan(wanted), _present(a, physics), wanted)
    return jnp.clip(2.0 * share - 1.0, -1.0, 1.0)[None][: a.gripper_size].astype(jnp.float32)


def _present(a: Actuation, physics: PhysicsState) -> jax.Array:
    """The gripper's control as an opening 0 to 1."""
    span = a.gripper_open - a.gripper_closed
    return (physics.ctrl[a.gripper] - a.gripper_closed) / span

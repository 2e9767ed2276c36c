"""What a person wants as an action, in every control mode; judged by where the targets then go."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxsim
from mjxsim.control import ControlConfig, ControlMode, JointControlState
from mjxsim.control.kinematics import forward
from mjxsim.envs import Env, State
from mjxsim.physics import PhysicsState
from mjxsim.teleop import mapping
from mjxsim.teleop.devices import Command
from mjxsim.teleop.mapping import Speeds

DT = 0.05
SPEEDS = Speeds(linear=0.2, angular=0.8, joint=1.5)
# Tolerance of where a target goes: float32 positions of about a metre, and two steps of a damped
# solver that stops some tenths of a millimetre short.
EXACT, SOLVED = 2e-6, 1e-3


@dataclasses.dataclass(frozen=True)
class Rig:
    """A controller in one mode at an episode's start."""

    env: Env
    start: State
    after: Callable  # (wish, physics) -> (next control state, ctrl, action)

    def run(self, command: Command, arm: int = 0, physics: PhysicsState | None = None) -> tuple:
        want = mapping.wish(command, mapping.arm_joints(self.env.controller), arm)
        return self.after(want, physics or self.start.physics)


@functools.cache
def rig(mode: ControlMode, gripper: str = "binary", robot: str = "panda") -> Rig:
    task = "handover" if robot == "aloha" else "reach"
    control = ControlConfig(mode=mode, gripper=gripper)  # type: ignore[arg-type]
    env = mjxsim.make(task, robot, "c", control=control, announce=False)
    state = mjxsim.jit(env.start)(jax.random.key(0))

    @mjxsim.jit
    def after(want: mapping.Wish, physics: PhysicsState) -> tuple:
        action = mapping.steer(env.controller, state.control, physics, want, SPEEDS, DT)
        return *env.controller(state.control, physics, action), action

    return Rig(env, state, after)


def tcp(of: Rig, control) -> tuple[np.ndarray, np.ndarray]:
    """Where the targets put the TCP: position (3,) [m] and orientation (3, 3)."""
    c = of.env.controller
    if not isinstance(control, JointControlState):
        return np.asarray(control.target.pos), _matrix(np.asarray(control.target.quat))
    pos, mat = forward(c.chain, control.joint_target)
    return np.asarray(pos), np.asarray(mat)


def _matrix(quat: np.ndarray) -> np.ndarray:
    from mjxsim.math import rotations

    return np.asarray(rotations.to_matrix(jnp.asarray(quat)))


MODES = ["ee_delta_pose", "osc_yaw", "joint", "joint_delta"]


@pytest.mark.parametrize("mode", MODES)
def test_the_tcp_moves_at_its_speed(mode: ControlMode) -> None:
    of = rig(mode)
    before, _ = tcp(of, of.start.control)
    tolerance = SOLVED if mode.startswith("joint") else EXACT
    for linear in ((1.0, 0.0, 0.0), (0.0, -0.5, 1.0), (0.0, 0.0, -1.0)):
        control, _, _ = of.run(Command(linear=linear))
        moved = tcp(of, control)[0] - before
        np.testing.assert_allclose(
            moved, SPEEDS.linear * DT * np.array(linear), atol=tolerance, err_msg=str(linear)
        )


@pytest.mark.parametrize("mode", ["ee_delta_pose", "osc_yaw", "joint"])
def test_the_tcp_turns_at_its_speed(mode: ControlMode) -> None:
    of = rig(mode)
    _, before = tcp(of, of.start.control)
    control, _, _ = of.run(Command(angular=(0.0, 0.0, 1.0)))
    turn = tcp(of, control)[1] @ before.T
    angle = np.arctan2(turn[1, 0] - turn[0, 1], turn[0, 0] + turn[1, 1])
    assert angle == pytest.approx(SPEEDS.angular * DT, abs=SOLVED)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_wanted_moves_nothing(mode: ControlMode) -> None:
    of = rig(mode)
    control, ctrl, _ = of.run(Command())
    before = tcp(of, of.start.control)
    np.testing.assert_allclose(tcp(of, control)[0], before[0], atol=EXACT)
    arm = of.env.robot.arm
    gripper = of.env.engine.model.actuator(arm.gripper_actuator).id
    assert ctrl[gripper] == pytest.approx(arm.gripper_open_ctrl)


@pytest.mark.parametrize("mode", ["ee_delta_pose", "joint"])
def test_the_gripper_keeps_what_was_wanted_last(mode: ControlMode) -> None:
    of = rig(mode)
    arm, state = of.env.robot.arm, of.start
    gripper = of.env.engine.model.actuator(arm.gripper_actuator).id
    _, closed, _ = of.run(Command(gripper="close"))
    assert closed[gripper] == pytest.approx(arm.gripper_closed_ctrl)
    _, kept, _ = of.run(Command(), physics=state.physics.replace(ctrl=closed))
    assert kept[gripper] == pytest.approx(arm.gripper_closed_ctrl)


def test_a_continuous_gripper_follows_a_number() -> None:
    of = rig("joint", "continuous", "so101")
    arm = of.env.robot.arm
    gripper = of.env.engine.model.actuator(arm.gripper_actuator).id
    _, ctrl, _ = of.run(Command(gripper=0.25))
    span = arm.gripper_open_ctrl - arm.gripper_closed_ctrl
    assert ctrl[gripper] == pytest.approx(arm.gripper_closed_ctrl + 0.25 * span, abs=1e-5)


@pytest.mark.parametrize("mode", ["joint", "joint_delta"])
def test_joints_follow_a_leader_arm_no_faster_than_they_may(mode: ControlMode) -> None:
    of = rig(mode)
    target = np.asarray(of.start.control.joint_target)
    near = target + np.array([0.02, -0.03, 0.0, 0.01, 0.0, 0.02, -0.01])
    control, _, _ = of.run(Command(joints=tuple(near.tolist())))
    np.testing.assert_allclose(control.joint_target, near, atol=1e-5)
    control, _, _ = of.run(Command(joints=tuple((target + 1.0).tolist())))
    np.testing.assert_allclose(control.joint_target - target, SPEEDS.joint * DT, atol=1e-5)


def test_an_end_effector_follows_a_leader_arm_s_own() -> None:
    of = rig("ee_delta_pose")
    state, chain = of.start, of.env.controller.chain
    led = np.asarray(state.control.joint_target) + 0.004
    wanted, _ = forward(chain, jnp.asarray(led))
    control, _, _ = of.run(Command(joints=tuple(led.tolist())))
    np.testing.assert_allclose(control.target.pos, wanted, atol=EXACT)


def test_two_arms_are_steered_one_at_a_time() -> None:
    of = rig("ee_delta", robot="aloha")
    before = [np.asarray(c.target.pos) for c in of.start.control]
    for arm in (0, 1):
        control, _, _ = of.run(Command(linear=(0.0, 0.0, 1.0)), arm)
        moved = [
            np.abs(np.asarray(c.target.pos) - b).max() for c, b in zip(control, before, strict=True)
        ]
        assert moved[arm] == pytest.approx(SPEEDS.linear * DT, abs=EXACT)
        assert moved[1 - arm] == 0.0


def test_a_leader_arm_of_another_kind() -> None:
    with pytest.raises(ValueError, match="5 joints and the robot's arm 7") as caught:
        mapping.wish(Command(joints=(0.0,) * 5), 7)
    assert "\n" not in str(caught.value)


def test_a_device_is_never_beyond_its_end() -> None:
    with np.errstate(over="raise"):
        want = mapping.wish(Command(linear=(5.0, 0.0, -1e300)), 7)
    np.testing.assert_array_equal(want.linear, [1.0, 0.0, -1.0])
    action = rig("ee_delta_pose").run(Command(angular=(0.0, 0.0, -9.0)))[2]
    assert action[5] == pytest.approx(-SPEEDS.angular * DT / 0.1)


def test_speeds_are_positive() -> None:
    with pytest.raises(ValueError, match=r"speeds.linear must be positive"):
        Speeds(linear=0.0)
    with pytest.raises(ValueError, match=r"speeds.joint must be positive, got inf"):
        Speeds(joint=float("inf"))

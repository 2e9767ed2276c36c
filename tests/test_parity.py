"""MJX-JAX and MJX-Warp against C on pick_cube's model, whose steps are `mj_step`'s.

Without contact the three engines compute the same formulas, C in float64 and the others in
float32, so they agree to rounding. In contact almost every single step still does, but a contact
that is made a step earlier in one of them parts the trajectories; over many steps the tests compare
what physics fixes: heights, momentum, energy, friction, forces of a grasp.
"""

from collections.abc import Callable

import mujoco
import numpy as np
import pytest
from conftest import NUM_WORLDS, Worlds, solve_arm

from mjxsim.physics import PhysicsState
from mjxsim.robots.panda.constants import PANDA

ARM = slice(0, 7)
CUBE = 9  # where the cube begins in qpos and qvel
HALF = 0.02  # [m] of the cube
GRAVITY = 9.81  # [m/s^2]
MASS = 0.1  # [kg]
Pair = Callable[[str], tuple[Worlds, Worlds]]


@pytest.fixture(params=("mjx", "warp"))
def pair(request: pytest.FixtureRequest, worlds: Callable[[str], Worlds]) -> tuple[Worlds, Worlds]:
    """The engine under test, and C."""
    return worlds(request.param), worlds("c")


def home(w: Worlds) -> np.ndarray:
    """The home pose in every world (NUM_WORLDS, nq)."""
    return np.repeat(w.engine.model.key("home").qpos[None], NUM_WORLDS, axis=0)


def cube(state: PhysicsState) -> np.ndarray:
    """The cube's position (NUM_WORLDS, 3) [m]."""
    return np.asarray(state.qpos[:, CUBE : CUBE + 3])


def cube_velocity(state: PhysicsState) -> np.ndarray:
    """The cube's velocity, linear and angular (NUM_WORLDS, 6) [m/s, rad/s]."""
    return np.asarray(state.qvel[:, CUBE : CUBE + 6])


def anywhere(w: Worlds) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random qpos, qvel, ctrl with nothing touching: the cube tumbles a metre above the arm.

    Half of the worlds ask for more than the actuators' force limits give.
    """
    random = np.random.default_rng(0)
    model = w.engine.model
    qpos = home(w)
    qpos[:, ARM] += random.uniform(-0.3, 0.3, (NUM_WORLDS, 7))
    qpos[:, 7:9] = 0.02  # away from the fingers' limits
    qpos[:, CUBE + 2] = 1.5
    quat = random.normal(size=(NUM_WORLDS, 4))
    qpos[:, CUBE + 3 :] = quat / np.linalg.norm(quat, axis=1, keepdims=True)
    qvel = random.uniform(-1.0, 1.0, (NUM_WORLDS, model.nv))
    qvel[:, 7:9] = 0.0
    reach = np.where(np.arange(NUM_WORLDS) % 2, 0.3, 0.01)[:, None]
    ctrl = np.repeat(model.key("home").ctrl[None], NUM_WORLDS, axis=0)
    ctrl[:, ARM] = qpos[:, ARM] + reach * random.uniform(-1.0, 1.0, (NUM_WORLDS, 7))
    ctrl[:, 7] = 0.02
    return qpos, qvel, ctrl


def test_one_step_without_contact(pair: tuple[Worlds, Worlds]) -> None:
    w, reference = pair
    got, expected = (x.step(x.init(*anywhere(x))) for x in (w, reference))
    # float32 has 6e-8 of a force of up to 87 N m; on the smallest inertia (0.1 kg m^2 of
    # armature) over 5 ms that is 3e-7 rad/s, times a few operations and the conditioning of M.
    np.testing.assert_allclose(got.qvel, expected.qvel, atol=5e-6)
    # qpos is rounded to float32 itself: 1.2e-7 at 2 rad.
    np.testing.assert_allclose(got.qpos, expected.qpos, atol=3e-7)
    # Poses chain eight rotations, each to 1e-7, over at most 1.5 m.
    for field in ("xpos", "xquat", "site_xpos", "site_xmat"):
        np.testing.assert_allclose(getattr(got, field), getattr(expected, field), atol=2e-6)
    np.testing.assert_allclose(got.time, expected.time, atol=1e-9)


def test_arm_trajectory_without_contact(pair: tuple[Worlds, Worlds]) -> None:
    w, reference = pair
    states = []
    for x in (w, reference):
        qpos, qvel, ctrl = anywhere(x)
        state = x.run(x.init(qpos, qvel, ctrl), 30)
        state = x.step(state, np.roll(ctrl, 1, axis=1) * 0.1 + 0.9 * ctrl)
        states.append(x.run(state, 29))
    got, expected = states
    # The servos contract, so a step's error of 1e-6 rad/s does not grow over these 0.3 s; it adds
    # up to less than 60 of them, plus the rounding of qpos at every step.
    np.testing.assert_allclose(got.qpos[:, ARM], expected.qpos[:, ARM], atol=5e-6)
    np.testing.assert_allclose(got.qvel[:, ARM], expected.qvel[:, ARM], atol=5e-5)
    # The cube turns freely: an error in its spin, 1e-6 rad/s, does not decay either.
    np.testing.assert_allclose(got.qpos[:, CUBE:], expected.qpos[:, CUBE:], atol=5e-6)


def test_one_step_in_contact(pair: tuple[Worlds, Worlds]) -> None:
    """From the very same state and warm start, with the hand jerking about at the cube."""
    w, reference = pair
    model = w.engine.model
    random = np.random.default_rng(0)
    around = solve_arm(model, (0.5, 0.0, 0.02))
    qpos = home(w)
    qpos[:, ARM] = around
    qpos[:, CUBE : CUBE + 2] += random.uniform(-0.01, 0.01, (NUM_WORLDS, 2))
    ctrl = np.repeat(model.key("home").ctrl[None], NUM_WORLDS, axis=0)
    data = mujoco.MjData(model)
    state = reference.init(qpos, ctrl=ctrl)
    errors = []
    for _ in range(25):
        ctrl[:, ARM] = around + random.uniform(-0.02, 0.02, (NUM_WORLDS, 7))
        ctrl[:, 7] = np.where(random.random(NUM_WORLDS) < 0.7, 0.0, 0.04)
        for _ in range(5):
            state = reference.step(state, ctrl)
        warm = []
        for row in np.asarray(state.raw["row"]).view(np.float64):
            mujoco.mj_setState(model, data, row, mujoco.mjtState.mjSTATE_INTEGRATION)
            warm.append(data.qacc_warmstart.astype(np.float32))
        start = w.init(state.qpos, state.qvel, ctrl)
        start = start.replace(raw={**start.raw, "qacc_warmstart": np.stack(warm)})
        errors.append(np.abs(w.step(start, ctrl).qvel - reference.step(state, ctrl).qvel))
    error = np.concatenate(errors)
    # Measured on both engines: 7e-7 (arm, rad/s), 2e-7 (cube, m/s) and 2e-6 (cube, rad/s) in the
    # median, and 30e-6 rad/s at 90 %. In about 1 % of steps a contact is made in one precision and
    # not in the other, or a solver stops at its last iteration: no bound would mean anything.
    linear, angular = error[:, CUBE : CUBE + 3].max(axis=1), error[:, CUBE + 3 :].max(axis=1)
    assert np.quantile(error[:, ARM].max(axis=1), 0.9) < 1e-5
    assert np.quantile(linear, 0.9) < 1e-5
    assert np.quantile(angular, 0.9) < 2e-4


def test_dropped_cube(pair: tuple[Worlds, Worlds]) -> None:
    w, reference = pair
    dt = w.engine.model.opt.timestep
    height = np.linspace(0.005, 0.05, NUM_WORLDS)  # [m] above the table
    yaw = np.linspace(0, np.pi / 2, NUM_WORLDS)
    states, peaks = [], []
    for x in (w, reference):
        qpos = home(x)
        qpos[:, CUBE + 2] = HALF + height
        qpos[:, CUBE + 3], qpos[:, CUBE + 6] = np.cos(yaw / 2), np.sin(yaw / 2)
        state = x.init(qpos)
        start_energy = MASS * GRAVITY * height
        peak = np.zeros(NUM_WORLDS)
        for i in range(200):
            state = x.step(state)
            z, v = cube(state)[:, 2] - HALF, cube_velocity(state)[:, 2]
            if i == 5:  # 30 ms: those above 5 mm still fall, and momentum is the impulse of weight
                falling = height > 0.006
                np.testing.assert_allclose(v[falling], -GRAVITY * 6 * dt, rtol=1e-5)
            energy = MASS * (GRAVITY * z + v**2 / 2)
            # Semi-implicit Euler loses g^2 dt^2 / 2 a step in free fall, contacts only dissipate.
            assert (energy < start_energy + 1e-6).all()
            peak = np.maximum(peak, np.where(v > 0, v, 0.0))
        states.append(state)
        peaks.append(peak)
    got, expected = states
    # The contact's damping ratio is 2: what bounces is small, and the same to a few mm/s.
    assert (peaks[0] < 0.1).all()
    np.testing.assert_allclose(peaks[0], peaks[1], atol=5e-3)
    # At rest after 1 s: no velocity, where it was dropped, and as deep in the table as C's.
    for state in states:
        assert np.abs(cube_velocity(state)).max() < 1e-3
    np.testing.assert_allclose(cube(got)[:, :2], cube(expected)[:, :2], atol=1e-4)
    depth, expected_depth = HALF - cube(got)[:, 2], HALF - cube(expected)[:, 2]
    assert (expected_depth > 0).all()
    # Heights are float32 near 0.02 (2e-9), the solver's residual gives the rest.
    np.testing.assert_allclose(depth, expected_depth, atol=2e-6)
    assert (depth < 1e-4).all()


def test_sliding_cube_stops_where_friction_says(pair: tuple[Worlds, Worlds]) -> None:
    w, reference = pair
    speed = np.linspace(0.2, 0.8, NUM_WORLDS)
    travels = []
    for x in (w, reference):
        qpos = home(x)
        qpos[:, ARM] = solve_arm(x.engine.model, (0.4, 0.0, 0.4))  # out of the way
        ctrl = np.array(x.engine.model.key("home").ctrl)
        ctrl[ARM] = qpos[0, ARM]
        settled = np.array(x.run(x.init(qpos, ctrl=ctrl), 40).qpos)
        qvel = np.zeros((NUM_WORLDS, x.engine.model.nv))
        qvel[:, CUBE + 1] = speed
        state = x.run(x.init(settled, qvel, ctrl), 80)
        assert np.abs(cube_velocity(state)[:, :2]).max() < 2e-3
        travels.append(cube(state)[:, 1] - settled[:, CUBE + 1])
    friction = w.engine.model.pair("table-cube").friction[0]
    # The sum over 5 ms steps of a speed that falls linearly: half a step short of the integral.
    ideal = speed**2 / (2 * friction * GRAVITY) - speed * w.engine.model.opt.timestep / 2
    np.testing.assert_allclose(travels[0], ideal, rtol=0.1, atol=1e-3)
    np.testing.assert_allclose(travels[0], travels[1], atol=2e-4)


def test_grasp_lifts_and_holds(pair: tuple[Worlds, Worlds]) -> None:
    model = pair[0].engine.model
    low, high = solve_arm(model, (0.5, 0.0, 0.02)), solve_arm(model, (0.5, 0.0, 0.12))
    offset = np.linspace(-0.01, 0.01, NUM_WORLDS)
    slips, forces, heights = [], [], []
    for w in pair:
        qpos = home(w)
        qpos[:, ARM] = low
        qpos[:, CUBE] += offset  # along the fingers' faces
        ctrl = np.repeat(model.key("home").ctrl[None], NUM_WORLDS, axis=0)
        ctrl[:, ARM], ctrl[:, 7] = low, PANDA.arm.gripper_closed_ctrl
        state = w.run(w.init(qpos, ctrl=ctrl), 60)  # close
        held = in_hand(model, state)
        for part in np.linspace(0.0, 1.0, 100):  # lift by 0.1 m in 0.5 s
            ctrl[:, ARM] = low + part * (high - low)
            state = w.step(state, ctrl)
        state = w.run(state, 40)  # hold
        slips.append(np.linalg.norm(in_hand(model, state) - held, axis=1))
        forces.append(np.asarray(state.sensordata))
        heights.append(cube(state)[:, 2])
    np.testing.assert_allclose(heights[0], 0.12, atol=2e-3)  # as the servo follows, in C too
    np.testing.assert_allclose(heights[0], heights[1], atol=5e-4)
    assert max(s.max() for s in slips) < 1e-3
    # Each pad presses with half the gripper's force, whatever the contact's history.
    np.testing.assert_allclose(forces[0], forces[1], rtol=0.02)
    assert forces[0].min() > 20.0


def in_hand(model: mujoco.MjModel, state: PhysicsState) -> np.ndarray:
    """The cube in the frame of the TCP (NUM_WORLDS, 3) [m]."""
    site = model.site(PANDA.arm.tcp_site).id
    offset = cube(state) - np.asarray(state.site_xpos[:, site])
    return np.einsum("nij,ni->nj", np.asarray(state.site_xmat[:, site]), offset)

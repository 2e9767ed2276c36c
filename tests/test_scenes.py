"""The tabletop scene: structure, rest, and a grasp that holds a cube under load, in C MuJoCo."""

import copy
import itertools

import jax
import mujoco
import numpy as np
import pytest
from conftest import solve_arm
from mujoco import mjx

import mjxsim
from mjxsim.envs.make import substeps_of
from mjxsim.robots.panda.constants import PANDA
from mjxsim.scenes import ObjectSpec, SceneOptions, build
from mjxsim.tasks.reach import ReachConfig

CUBE = ObjectSpec(name="cube")  # 4 cm, 0.1 kg
WEIGHT = CUBE.mass * 9.81  # [N]


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return build(PANDA, (CUBE,)).compile()


def _run(model: mujoco.MjModel, data: mujoco.MjData, seconds: float) -> None:
    mujoco.mj_step(model, data, nstep=round(seconds / model.opt.timestep))
    mujoco.mj_forward(model, data)


def _cube_in_hand(data: mujoco.MjData) -> np.ndarray:
    """Cube centre relative to the TCP, in the TCP frame (3,) [m]."""
    tcp = data.site(PANDA.arm.tcp_site)
    return tcp.xmat.reshape(3, 3).T @ (data.body("cube").xpos - tcp.xpos)


@pytest.fixture(scope="module")
def lifted(model: mujoco.MjModel) -> mujoco.MjData:
    """The arm closed its fingers on the cube where it lay and lifted it by 0.2 m in 1 s."""
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    low, high = solve_arm(model, (0.5, 0.0, 0.02)), solve_arm(model, (0.5, 0.0, 0.22))
    data.qpos[:7] = data.ctrl[:7] = low
    data.ctrl[7] = PANDA.arm.gripper_closed_ctrl
    _run(model, data, 0.3)
    assert data.sensordata.min() > 20.0  # both pads press within 0.3 s
    for part in np.linspace(0.0, 1.0, 50):
        data.ctrl[:7] = low + part * (high - low)
        _run(model, data, 0.02)
    _run(model, data, 0.5)
    return data


def test_layout(model: mujoco.MjModel) -> None:
    assert (model.nq, model.nv, model.nu) == (9 + 7, 9 + 6, 8)
    assert model.joint("cube_joint").qposadr[0] == 9
    assert model.body("goal").mocapid[0] == 0
    assert {model.camera(i).name for i in range(model.ncam)} == {"front", "side", "top", "wrist"}
    assert model.body(model.camera("wrist").bodyid[0]).name == PANDA.arm.hand_body
    np.testing.assert_allclose(model.key("home").qpos[:9], PANDA.home_qpos)
    np.testing.assert_allclose(model.key("home").ctrl, PANDA.home_ctrl)
    np.testing.assert_allclose(model.key("home").qpos[9:], (0.5, 0, 0.02, 1, 0, 0, 0))


def test_contacts_come_only_from_the_explicit_pairs(model: mujoco.MjModel) -> None:
    assert not model.geom_contype.any()
    assert not model.geom_conaffinity.any()
    pads = set(itertools.chain(*PANDA.arm.finger_pad_geoms))
    expected = {frozenset(("table", "cube"))}
    expected |= {frozenset((g, "cube")) for g in (*pads, *PANDA.arm.other_collision_geoms)}
    expected |= {
        frozenset((g, "table"))
        for g in (*PANDA.arm.finger_tip_geoms, *PANDA.arm.other_collision_geoms)
    }
    names = [model.geom(i).name for i in range(model.ngeom)]
    pairs = {
        frozenset((names[a], names[b]))
        for a, b in zip(model.pair_geom1, model.pair_geom2, strict=True)
    }
    assert pairs == expected


def test_pair_parameters_are_the_options(model: mujoco.MjModel) -> None:
    options = SceneOptions()
    assert model.pair("left_pad_1-cube").friction[0] == options.pad_friction
    assert model.pair("table-cube").friction[0] == CUBE.friction
    assert model.pair("table-left_pad_1").dim[0] == 1
    np.testing.assert_array_equal(
        model.pair_solref, np.tile(options.contact_solref, (model.npair, 1))
    )
    assert options.contact_solref[0] >= 2 * options.timestep
    assert model.opt.timestep == options.timestep
    assert model.opt.iterations == options.iterations


@pytest.mark.parametrize(
    "obj",
    (
        CUBE,
        ObjectSpec(name="cube", half_size=(0.03, 0.02, 0.04), mass=0.3),
        ObjectSpec(name="cube", shape="sphere", half_size=(0.03,)),
        ObjectSpec(name="cube", shape="cylinder", half_size=(0.03, 0.04)),
    ),
)
def test_object_rests_on_the_table(obj: ObjectSpec) -> None:
    model = build(PANDA, (obj,)).compile()
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    data.qpos[11] += 0.01  # dropped from 1 cm
    _run(model, data, 2.0)
    np.testing.assert_allclose(data.qpos[9:12], (0.5, 0.0, obj.half_size[-1]), atol=5e-4)
    assert np.abs(data.qvel[9:]).max() < 1e-3


def test_cube_is_lifted(lifted: mujoco.MjData) -> None:
    # The TCP servo is exact to about a millimetre and the cube follows it.
    np.testing.assert_allclose(lifted.body("cube").xpos, (0.5, 0.0, 0.22), atol=2e-3)


def test_grasp_holds_five_times_the_weight(model: mujoco.MjModel, lifted: mujoco.MjData) -> None:
    data = copy.copy(lifted)
    before = _cube_in_hand(data)
    data.xfrc_applied[model.body("cube").id, 2] = -4 * WEIGHT
    _run(model, data, 2.0)
    assert np.linalg.norm(_cube_in_hand(data) - before) < 1e-3


def test_grasp_does_not_creep_in_five_seconds(model: mujoco.MjModel, lifted: mujoco.MjData) -> None:
    data = copy.copy(lifted)
    before = _cube_in_hand(data)
    _run(model, data, 5.0)
    assert np.linalg.norm(_cube_in_hand(data) - before) < 5e-4  # 0.25 mm measured


def test_grasp_survives_shaking(model: mujoco.MjModel, lifted: mujoco.MjData) -> None:
    data = copy.copy(lifted)
    before, rest = _cube_in_hand(data), data.ctrl.copy()
    fastest = 0.0
    for step in range(600):  # 3 s, base, wrist and flange at 2, 3 and 2.5 Hz
        time = step * model.opt.timestep
        wave = min(time / 0.5, 1.0) * np.sin(2 * np.pi * time * np.array([2.0, 3.0, 2.5]))
        data.ctrl[[0, 5, 6]] = rest[[0, 5, 6]] + wave * (0.06, 0.04, 0.12)
        mujoco.mj_step(model, data)
        fastest = max(fastest, np.linalg.norm(data.qvel[9:12]))
    data.ctrl[:] = rest
    _run(model, data, 0.5)
    assert fastest > 0.2  # it was shaken, at up to about 5 m/s^2
    assert np.linalg.norm(_cube_in_hand(data) - before) < 3e-3  # 1.8 mm measured


def test_touch_is_the_squeezing_force(model: mujoco.MjModel, lifted: mujoco.MjData) -> None:
    # At rest each pad presses with half of the actuator force (see the Panda's constants); the
    # weight is carried by friction, which touch does not count.
    np.testing.assert_allclose(lifted.sensordata, -lifted.actuator_force[7] / 2, rtol=0.01)
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    _run(model, data, 0.1)
    np.testing.assert_array_equal(data.sensordata, 0.0)


def test_closed_empty_gripper_presses_on_nothing(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    data.ctrl[7] = PANDA.arm.gripper_closed_ctrl
    _run(model, data, 2.0)
    np.testing.assert_allclose(data.qpos[7:9], 0.0, atol=1e-3)
    np.testing.assert_array_equal(data.sensordata, 0.0)


def test_goal_moves_and_touches_nothing(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    data.mocap_pos[0] = (0.5, 0.0, 0.02)  # inside the cube
    _run(model, data, 0.5)
    np.testing.assert_allclose(data.body("goal").xpos, (0.5, 0.0, 0.02))
    np.testing.assert_allclose(data.qpos[9:12], (0.5, 0.0, 0.02), atol=5e-4)


def test_mjx_accepts_every_shape() -> None:
    shapes = (
        ObjectSpec(name="a"),
        ObjectSpec(name="b", shape="sphere", half_size=(0.02,), pos=(0.4, 0.1)),
        ObjectSpec(name="c", shape="capsule", half_size=(0.02, 0.02), pos=(0.4, -0.1)),
    )
    model = build(PANDA, shapes, object_contacts=True).compile()
    assert mjx.put_model(model).nq == 9 + 3 * 7  # raises where a pair has no collider
    cylinder = ObjectSpec(name="d", shape="cylinder", half_size=(0.02, 0.02))
    mjx.put_model(build(PANDA, (cylinder,)).compile())


@pytest.mark.parametrize(
    ("make", "message"),
    (
        (lambda: ObjectSpec(shape="bxo"), "did you mean 'box'"),
        (lambda: ObjectSpec(half_size=(0.02,)), "takes 3 positive half_size"),
        (lambda: ObjectSpec(mass=0.0), "must be positive"),
        (lambda: build(PANDA, (CUBE, CUBE)), "'cube' is used more than once"),
        (lambda: build(PANDA, (ObjectSpec(name="hand"),)), "'hand' is used more than once"),
        (
            lambda: build(
                PANDA,
                (CUBE, ObjectSpec(name="can", shape="cylinder", half_size=(0.02, 0.04))),
                object_contacts=True,
            ),
            "cannot collide a cylinder with a box",
        ),
    ),
)
def test_bad_input_is_one_clear_line(make, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("rate", "count"), [(10, 20), (20, 10), (25, 8), (30, 7), (50, 4), (60, 4), (200, 1), (300, 1)]
)
def test_any_control_rate_is_a_whole_number_of_physics_steps(rate: int, count: int) -> None:
    """Physics steps get a little shorter where 5 ms do not divide a control step."""
    substeps, timestep = substeps_of(1.0 / rate, 0.005)
    assert substeps == count
    assert substeps * timestep == pytest.approx(1.0 / rate)
    assert timestep <= 0.005
    assert (timestep == 0.005) == (200 % rate == 0), "the very number, for the very bits"


def test_a_world_runs_at_lerobots_thirty(capsys: pytest.CaptureFixture[str]) -> None:
    env = mjxsim.make("reach", engine="c", config=ReachConfig(control_dt=1.0 / 30.0))
    assert "physics steps of 4.762 ms, for 5 ms do not divide 33.33 ms" in capsys.readouterr().out
    assert env.engine.model.opt.timestep == pytest.approx(1.0 / 210.0)
    step = env.jit(lambda s: env.step(s, np.zeros(env.action_size, np.float32))[0])
    state = step(step(step(env.jit(env.reset)(jax.random.key(0)))))
    assert float(state.physics.time) == pytest.approx(0.1)

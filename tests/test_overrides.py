"""Per-world model fields: derived constants, and the same steps as freshly compiled models."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from conftest import NUM_WORLDS, Worlds, solve_arm
from mujoco import mjx

import mjxsim
from mjxsim.physics import Engine, PhysicsState, complete, make_engine
from mjxsim.physics.mujoco_c import MujocoC
from mjxsim.physics.overrides import field_of
from mjxsim.robots.panda.constants import PANDA
from mjxsim.tasks.pick_cube import PickCube, PickCubeConfig

INERTIAL = ("body_mass", "body_inertia", "body_ipos", "body_iquat", "dof_armature")
DERIVED = (
    "body_subtreemass",
    "dof_M0",
    "dof_invweight0",
    "body_invweight0",
    "tendon_invweight0",
    "actuator_acc0",
)
PARAMETERS = (
    *INERTIAL,
    "site_pos",
    "dof_damping",
    "pair_friction",
    "opt.gravity",
    "actuator_gainprm",
    "actuator_biasprm",
)
# Exact in float32, so that the compiled model and the override hold the same numbers.
Change = Callable[[mujoco.MjSpec], None]


def heavier_cube(spec: mujoco.MjSpec) -> None:
    spec.geom("cube").mass = 0.375  # and its inertia with it


def lighter_link(spec: mujoco.MjSpec) -> None:
    link = spec.body("link3")
    link.mass = 2.25
    link.fullinertia = [0.03125, 0.03125, 0.0078125, 0.001953125, -0.00390625, 0.0]


def shifted_link(spec: mujoco.MjSpec) -> None:
    spec.body("link4").ipos = [-0.0625, 0.125, 0.03125]


def shifted_hand(spec: mujoco.MjSpec) -> None:
    """A finger's inertial frame is its own frame, of which C makes use."""
    spec.body("hand").ipos = [0.03125, 0.0625, 0.0]
    finger = spec.body("left_finger")
    finger.ipos = [0.0, 0.015625, 0.03125]
    finger.mass = 0.03125
    spec.site(PANDA.arm.tcp_site).pos = [0.015625, 0.0, 0.125]


def more_armature(spec: mujoco.MjSpec) -> None:
    for name, armature in zip(
        PANDA.arm.joints, (0.25, 0.5, 0.125, 0.25, 0.5, 0.0625, 1.0), strict=True
    ):
        spec.joint(name).armature = armature
    for name in PANDA.arm.gripper_joints:
        spec.joint(name).armature = 4.0


def softer_servo(spec: mujoco.MjSpec) -> None:
    for name in PANDA.arm.actuators:
        actuator = spec.actuator(name)
        gain, bias = np.array(actuator.gainprm), np.array(actuator.biasprm)
        gain[0], bias[1], bias[2] = 512.0, -512.0, -32.0
        actuator.gainprm, actuator.biasprm = gain, bias


def more_damping(spec: mujoco.MjSpec) -> None:
    for name in PANDA.arm.joints:
        damping = np.array(spec.joint(name).damping)
        damping.flat[0] = 8.0
        spec.joint(name).damping = damping


def slippery(spec: mujoco.MjSpec) -> None:
    for pair in spec.pairs:
        if pair.condim == 3:
            pair.friction = [0.25, 0.25, 0.005, 0.0001, 0.0001]


def moon(spec: mujoco.MjSpec) -> None:
    spec.option.gravity = [0.0, 0.25, -1.625]


CHANGES = (
    heavier_cube,
    lighter_link,
    shifted_link,
    shifted_hand,
    more_armature,
    softer_servo,
    more_damping,
    slippery,
    moon,
)


@dataclasses.dataclass(frozen=True)
class Variant:
    name: str
    model: mujoco.MjModel  # compiled with the change
    overrides: dict[str, np.ndarray]  # the fields in which it differs, completed


@pytest.fixture(scope="module")
def nominal(pick_cube_model: mujoco.MjModel) -> mjx.Model:
    return mjx.put_model(pick_cube_model, impl="jax")


@pytest.fixture(scope="module")
def variants(pick_cube_model: mujoco.MjModel, nominal: mjx.Model) -> list[Variant]:
    """Every change alone, then all of them together."""
    found = []
    finish = mjxsim.jit(lambda overrides: complete(nominal, overrides))
    everything = lambda spec: [change(spec) for change in CHANGES]  # noqa: E731
    for name, change in (*((c.__name__, c) for c in CHANGES), ("everything", everything)):
        spec = PickCube.scene(PickCubeConfig().for_robot(PANDA), PANDA)
        change(spec)
        model = spec.compile()
        given = {
            field: field_of(model, field).astype(np.float32)
            for field in PARAMETERS
            if not np.array_equal(field_of(model, field), field_of(pick_cube_model, field))
        }
        assert given, name
        if not set(INERTIAL).isdisjoint(given):  # with all of them, so that it compiles once
            inertial = {f: field_of(model, f).astype(np.float32) for f in INERTIAL}
            given |= jax.tree.map(np.asarray, finish(inertial))
        found.append(Variant(name, model, given))
    return found


def test_completed_constants_are_the_compiler_s(
    variants: list[Variant], pick_cube_model: mujoco.MjModel
) -> None:
    for variant in variants:
        inertial = set(INERTIAL) & set(variant.overrides)
        assert set(DERIVED).isdisjoint(variant.overrides) != bool(inertial), variant.name
        for field, value in variant.overrides.items():
            # float32 through sums over the bodies and an inverse of the mass matrix: 7e-7 measured.
            expected = field_of(variant.model, field)
            np.testing.assert_allclose(
                value, expected, rtol=5e-6, atol=1e-9, err_msg=f"{variant.name}: {field}"
            )
        for field in DERIVED:
            if field not in variant.overrides:  # then it must not have changed
                np.testing.assert_array_equal(
                    field_of(variant.model, field), field_of(pick_cube_model, field)
                )


def test_complete_moves_every_derived_constant(
    variants: list[Variant], pick_cube_model: mujoco.MjModel
) -> None:
    """The comparison above would be empty if the changes changed nothing."""
    together = variants[-1].model
    for field in DERIVED:
        value, before = field_of(together, field), field_of(pick_cube_model, field)
        assert np.abs(value - before).max() > 0.05 * np.abs(before).max(), field


def test_complete_follows_a_geom_s_size(
    nominal: mjx.Model, pick_cube_model: mujoco.MjModel
) -> None:
    spec = PickCube.scene(PickCubeConfig().for_robot(PANDA), PANDA)
    for geom in spec.geoms:  # boxes, capsules, spheres, cylinders
        geom.size = np.array(geom.size) * 1.5
    model = spec.compile()
    got = complete(nominal, {"geom_size": model.geom_size})
    assert (model.geom_rbound > pick_cube_model.geom_rbound).sum() > 30
    np.testing.assert_allclose(got["geom_rbound"], model.geom_rbound, rtol=1e-6)
    assert complete(nominal, {"pair_friction": nominal.pair_friction}).keys() == {"pair_friction"}


def begin(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """qpos, qvel, ctrl of one world: the arm swings, the cube slides and turns on the table."""
    home = model.key("home")
    qpos, qvel, ctrl = home.qpos.copy(), np.zeros(model.nv), home.ctrl.copy()
    qpos[7:9] = 0.02  # away from the fingers' limits
    qpos[11] = 0.01999  # in the table by as much as float32 sees too
    ctrl[:8] = qpos[:8] + np.array([0.05, -0.05, 0.03, 0.05, -0.05, 0.05, -0.05, 0.0])
    qvel[9:15] = [0.5, 0.25, 0.0, 0.0, 0.0, 1.0]
    return qpos.astype(np.float32), qvel.astype(np.float32), ctrl.astype(np.float32)


def begin_closing(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The fingers close on the cube, 1 cm off their middle, so that one pushes it."""
    home = model.key("home")
    qpos, qvel, ctrl = home.qpos.copy(), np.zeros(model.nv), home.ctrl.copy()
    qpos[:7] = ctrl[:7] = solve_arm(model, (0.5, 0.0, 0.02))
    qpos[10] += 0.01
    ctrl[7] = PANDA.arm.gripper_closed_ctrl
    return qpos.astype(np.float32), qvel.astype(np.float32), ctrl.astype(np.float32)


Start = Callable[[mujoco.MjModel], tuple[np.ndarray, np.ndarray, np.ndarray]]


def advanced(
    engine: Engine, overrides: dict[str, np.ndarray], start: Start = begin, steps: int = 10
) -> PhysicsState:
    """One world after some control steps."""
    home = engine.model.key("home")
    mocap = home.mpos.reshape(-1, 3), home.mquat.reshape(-1, 4)
    overrides = {k: jnp.asarray(v) for k, v in overrides.items()}
    state = engine.init(overrides, *map(jnp.asarray, start(engine.model)), *mocap)
    step = mjxsim.jit(engine.step)
    for _ in range(steps):
        state = step(overrides, state, state.ctrl)
    return state


@pytest.mark.parametrize("start", (begin, begin_closing))
def test_c_steps_the_compiled_model(
    start: Start, variants: list[Variant], pick_cube_model: mujoco.MjModel
) -> None:
    engine = MujocoC(pick_cube_model, 5)
    unchanged = advanced(engine, {}, start)
    changed = set()
    for variant in variants:
        got = advanced(engine, variant.overrides, start)
        # `start` of the nominal model: the change may move the hand.
        fresh = advanced(MujocoC(variant.model, 5), {}, lambda _: start(pick_cube_model))
        if set(DERIVED).isdisjoint(variant.overrides):  # the very same numbers: the very same step
            np.testing.assert_array_equal(got.raw["row"], fresh.raw["row"], err_msg=variant.name)
        else:  # derived constants are float32 here and float64 there: 4e-9, 6e-8 measured
            for field in ("qpos", "qvel", "site_xpos"):
                np.testing.assert_allclose(
                    getattr(got, field),
                    getattr(fresh, field),
                    rtol=0,
                    atol=1e-6,
                    err_msg=f"{variant.name}: {field}",
                )
        if np.abs(got.qpos - unchanged.qpos).max() > 1e-5:
            changed.add(variant.name)
    # A cube slides the same whatever its mass; a closing hand slides nothing.
    assert {v.name for v in variants} - changed == ({"heavier_cube"} if start is begin else set())


@pytest.mark.parametrize("name", ("mjx", "warp"))
def test_every_world_steps_its_own_compiled_model(
    name: str, variants: list[Variant], worlds: Callable[[str], Worlds]
) -> None:
    w = worlds(name)
    overrides = {k: v.copy() for k, v in w.nominal.items()}
    chosen = [variants[i % len(variants)] for i in range(NUM_WORLDS)]
    for lane, variant in enumerate(chosen):
        for field, value in variant.overrides.items():
            overrides[field][lane] = value
    state = w.init(*begin(w.engine.model), overrides=overrides)
    state = w.run(state, 50, overrides=overrides)
    for lane, variant in enumerate(chosen):
        expected = advanced(MujocoC(variant.model, 5), {})
        # The arm as in test_parity. The cube slides, and loses up to 0.6 m/s to a friction that
        # float32 solves to 1e-5 and, where a corner leaves the table a step apart, to 1e-3.
        for field, arm, cube in (("qpos", 5e-6, 2e-4), ("qvel", 5e-5, 2e-3)):
            got, want = (
                np.asarray(getattr(state, field)[lane]),
                np.asarray(getattr(expected, field)),
            )
            np.testing.assert_allclose(got[:7], want[:7], atol=arm, err_msg=variant.name)
            np.testing.assert_allclose(got[9:], want[9:], atol=cube, err_msg=variant.name)


def _pendulum(friction: float = 0.0) -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(
        f"""<mujoco><option timestep="0.005" integrator="implicitfast"/><worldbody><body>
        <joint type="hinge" axis="0 1 0" frictionloss="{friction}"/>
        <geom type="sphere" size=".05" pos="0 0 -.25" contype="0" conaffinity="0"/>
        <site name="tip" pos="0 0 -.25"/></body></worldbody></mujoco>"""
    )


@pytest.mark.parametrize("name", ("c", "mjx", "warp"))
def test_friction_loss_from_zero(name: str) -> None:
    """Engines leave out rows of friction loss where the compiled model has none."""
    if name == "warp":
        pytest.importorskip("warp")
    engine = make_engine(name, _pendulum(), 10, announce=False)
    loss = np.array([0.0, 0.25, 0.5])
    nothing = np.zeros((0, 3)), np.zeros((0, 4))

    def swing(loss: jax.Array) -> jax.Array:
        overrides = {"dof_frictionloss": loss[None]}
        state = engine.init(overrides, np.ones(1), np.zeros(1), np.zeros(0), *nothing)
        state, _ = jax.lax.scan(
            lambda s, _: (engine.step(overrides, s, s.ctrl), None), state, length=5
        )
        return state.qpos[0]

    got = mjxsim.jit(jax.vmap(swing))(jnp.asarray(loss, jnp.float32))
    for value, angle in zip(loss, got, strict=True):
        model = _pendulum(value)
        data = mujoco.MjData(model)
        data.qpos[:] = 1.0
        mujoco.mj_step(model, data, nstep=50)
        np.testing.assert_allclose(angle, data.qpos[0], atol=2e-5)  # float32, 50 steps
    assert got[2] > got[1] + 0.01


@pytest.mark.parametrize(
    ("field", "shape", "message"),
    (
        ("body_mas", (14,), "did you mean 'body_mass'"),
        ("geom_type", (73,), "'geom_type' is structure"),
        ("pair_dim", (15,), "'pair_dim' is structure"),
        ("opt.timestep", (), "'opt.timestep' is structure"),
        ("opt.gravitation", (3,), "did you mean 'opt.gravity'"),
        ("body_mass", (3,), r"must have shape \(14,\) in one world, got \(3,\)"),
        ("opt.density", (), "'opt.density' is zero in the compiled model"),
    ),
)
def test_a_bad_field_is_one_clear_line(
    field: str, shape: tuple[int, ...], message: str, pick_cube_model: mujoco.MjModel
) -> None:
    home = pick_cube_model.key("home")
    engine = MujocoC(pick_cube_model, 1)
    with pytest.raises(ValueError, match=message) as error:
        engine.init({field: jnp.zeros(shape)}, *begin(pick_cube_model), home.mpos, home.mquat)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ("mjx", "warp"))
def test_a_field_of_c_only_is_one_clear_line(name: str, worlds: Callable[[str], Worlds]) -> None:
    engine = worlds(name).engine
    model = engine.model
    home = model.key("home")
    value = {"site_size": jnp.asarray(model.site_size)}
    with pytest.raises(ValueError, match=f"engine '{name}' cannot vary mjModel field") as error:
        engine.init(value, *begin(model), home.mpos, home.mquat)
    assert "\n" not in str(error.value)


def test_complete_refuses_to_unbalance_a_simple_body(
    nominal: mjx.Model, pick_cube_model: mujoco.MjModel
) -> None:
    """The cube's mass matrix is stored as a diagonal; an offset centre of mass has no place."""
    cube = pick_cube_model.body("cube").id
    shifted = np.array(pick_cube_model.body_ipos, np.float32)
    shifted[cube] = [0.005, 0.0, 0.0]
    with pytest.raises(ValueError, match="body_ipos of body 'cube' was compiled with") as error:
        complete(nominal, {"body_ipos": shifted})
    assert "\n" not in str(error.value)
    traced = mjxsim.jit(lambda v: complete(nominal, {"body_ipos": v}))(shifted)
    np.testing.assert_array_equal(traced["body_ipos"][cube], pick_cube_model.body_ipos[cube])

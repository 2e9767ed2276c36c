"""Drawn physics: what changes, by how much, and that every engine steps the model meant."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from mujoco.batch import MODEL_FIELDS

import mjxsim
from mjxsim import scenes
from mjxsim.physics import Model, Overrides, PhysicsState, complete, make_engine, put_model
from mjxsim.physics.mujoco_c import MujocoC
from mjxsim.physics.overrides import check_fields, field_of
from mjxsim.randomization import (
    STANDARD,
    ContactPhysics,
    EnvironmentPhysics,
    ObjectPhysics,
    PhysicsRandomization,
    RandomizationConfig,
    Range,
    RobotPhysics,
    physics_randomizer,
    prepare,
)
from mjxsim.robots import ROBOTS, registry
from mjxsim.robots.panda.constants import PANDA

SUBSTEPS = 5  # a control step of 25 ms: the cube slides, the ball lands; then the cube tumbles

# Everything there is, wide enough that a field left stale would show.
EVERYTHING = PhysicsRandomization(
    objects=ObjectPhysics(
        mass=Range(0.5, 2.0, "scale", "loguniform"),
        inertia=Range(0.8, 1.2, "scale"),
        com_offset=Range(-0.004, 0.004, "add"),
        friction=Range(0.3, 0.9),
        restitution=Range(0.0, 0.3),
    ),
    robot=RobotPhysics(
        joint_damping=Range(0.5, 2.0, "scale"),
        joint_friction=Range(0.1, 0.5),
        armature=Range(0.5, 2.0, "scale"),
        servo_kp=Range(0.75, 1.5, "scale"),
        servo_kv=Range(0.75, 1.5, "scale"),
        pad_friction=Range(0.5, 1.2),
    ),
    environment=EnvironmentPhysics(
        gravity=Range(-0.1, 0.1, "add"), air_resistance=Range(0.0, 0.001)
    ),
    contact=ContactPhysics(
        time_constant=Range(1.0, 2.0, "scale"), impedance_width=Range(0.5, 2.0, "scale")
    ),
)
OBJECTS = (
    scenes.ObjectSpec("cube", pos=(0.5, 0.0)),
    scenes.ObjectSpec("ball", "sphere", (0.015,), mass=0.05, pos=(0.5, 0.1)),
)
CUBE = slice(9, 15)  # in qvel


def one(name: str, given: Range) -> PhysicsRandomization:
    """A configuration with this entry alone."""
    section, entry = name.split(".")
    config = PhysicsRandomization()
    return dataclasses.replace(
        config, **{section: dataclasses.replace(vars(config)[section], **{entry: given})}
    )


def scene(config: PhysicsRandomization | None = EVERYTHING) -> mujoco.MjModel:
    """Two objects that may touch; contacts whose impedance depends on depth."""
    options = scenes.SceneOptions(contact_solimp=(0.99, 0.995, 0.001))
    spec = scenes.build(PANDA, OBJECTS, object_contacts=True, options=options)
    if config is not None:
        prepare(spec, config, PANDA)
    return spec.compile()


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return scene()


@pytest.fixture(scope="module")
def nominal(model: mujoco.MjModel) -> Model:
    return put_model(model)


Draw = Callable[[int], dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def draw(model: mujoco.MjModel, nominal: Model) -> Draw:
    """Completed overrides of everything, by seed."""
    randomize = physics_randomizer(EVERYTHING, model, PANDA)
    compiled = mjxsim.jit(lambda key: complete(nominal, randomize(key, nominal)))
    return lambda seed: jax.tree.map(np.asarray, compiled(jax.random.key(seed)))


def fresh(given: Overrides, derived: bool = True) -> mujoco.MjModel:
    """The scene compiled anew with these values, and what MuJoCo derives from them."""
    model = scene()
    for field, value in given.items():
        field_of(model, field)[...] = value
    if derived:
        mujoco.mj_setConst(model, mujoco.MjData(model))
    return model


# What is drawn.

PADS = {name for finger in PANDA.arm.finger_pad_geoms for name in finger}
JOINTS = tuple(range(9))


def pairs(model: mujoco.MjModel, objects: set[str], *, pads: bool) -> np.ndarray:
    """Ids of frictional pairs with one of these objects, with or without the pads' pairs."""
    found = []
    for i in range(model.npair):
        names = {
            model.geom(int(model.pair_geom1[i])).name,
            model.geom(int(model.pair_geom2[i])).name,
        }
        if model.pair_dim[i] == 3 and names & objects and (pads or not names & PADS):
            found.append(i)
    return np.array(found)


def expected(model: mujoco.MjModel) -> dict[str, tuple[Range, dict[str, tuple[object, ...]]]]:
    """Per entry: a range that leaves no value alone, and where in which fields it must act."""
    bodies = np.array([model.body("cube").id, model.body("ball").id])
    felt = pairs(model, {"cube", "ball"}, pads=True)
    hard = pairs(model, {"cube", "ball"}, pads=False)
    with_pads = np.setdiff1d(felt, hard)
    joints, every, free = np.array(JOINTS), slice(None), np.arange(9, 21)
    more = Range(1.5, 2.0, "scale")
    return {
        "objects.mass": (more, {"body_mass": (bodies,), "body_inertia": (bodies,)}),
        "objects.inertia": (more, {"body_inertia": (bodies,)}),
        "objects.com_offset": (Range(0.001, 0.002, "add"), {"body_ipos": (bodies,)}),
        "objects.friction": (Range(0.9, 1.0), {"pair_friction": (felt, slice(0, 2))}),
        "objects.restitution": (Range(0.1, 0.3), {"pair_solref": (hard,)}),
        "robot.joint_damping": (more, {"dof_damping": (joints,)}),
        "robot.joint_friction": (Range(0.1, 0.2), {"dof_frictionloss": (joints,)}),
        "robot.armature": (more, {"dof_armature": (joints,)}),
        "robot.servo_kp": (
            more,
            {"actuator_gainprm": (every, 0), "actuator_biasprm": (every, 1)},
        ),
        "robot.servo_kv": (more, {"actuator_biasprm": (slice(0, 7), 2)}),
        "robot.pad_friction": (Range(1.0, 1.1), {"pair_friction": (with_pads, slice(0, 2))}),
        "environment.gravity": (Range(0.05, 0.1, "add"), {"opt.gravity": (every,)}),
        "environment.air_resistance": (Range(0.0005, 0.001), {"dof_damping": (free,)}),
        "contact.time_constant": (more, {"pair_solref": (every, 0)}),
        "contact.impedance": (Range(0.9, 0.95), {"pair_solimp": (every, slice(0, 2))}),
        "contact.impedance_width": (more, {"pair_solimp": (every, 2)}),
    }


def test_every_entry_is_expected_somewhere(model: mujoco.MjModel) -> None:
    sections = vars(PhysicsRandomization())
    entries = {f"{s}.{f.name}" for s, v in sections.items() for f in dataclasses.fields(v)}
    assert set(expected(model)) == entries


def test_an_entry_changes_what_it_says_and_nothing_else(
    model: mujoco.MjModel, nominal: Model
) -> None:
    for name, (given, where) in expected(model).items():
        randomize = physics_randomizer(one(name, given), model, PANDA)
        got = mjxsim.jit(lambda key, r=randomize: r(key, nominal))(jax.random.key(3))
        assert set(got) == set(where) == set(randomize.fields), name
        check_fields(model, got)
        for field, index in where.items():
            before = field_of(model, field).astype(np.float32)
            changed = np.asarray(got[field]) != before
            meant = np.zeros(before.shape, bool)
            meant[index] = True
            np.testing.assert_array_equal(changed, meant, err_msg=f"{name}: {field}")


def test_width_zero_is_the_nominal_model(model: mujoco.MjModel, nominal: Model) -> None:
    """And half a width is half as far, in the entries that are linear in it."""
    randomize = physics_randomizer(EVERYTHING, model, PANDA)
    compiled = mjxsim.jit(lambda key, width: randomize(key, nominal, width))
    full, half, none = (compiled(jax.random.key(5), width) for width in (1.0, 0.5, 0.0))
    for field, value in none.items():
        before = field_of(model, field).astype(np.float32)
        np.testing.assert_array_equal(value, before, err_msg=field)
    for field in ("body_ipos", "opt.gravity", "dof_frictionloss", "actuator_gainprm"):
        np.testing.assert_allclose(
            half[field] - none[field],
            0.5 * (full[field] - none[field]),
            rtol=1e-4,
            atol=1e-6,
            err_msg=field,
        )


def test_each_entry_has_its_own_width(model: mujoco.MjModel, nominal: Model) -> None:
    randomize = physics_randomizer(EVERYTHING, model, PANDA)
    compiled = mjxsim.jit(lambda width: randomize(jax.random.key(5), nominal, width))
    full, got = (compiled({"environment.gravity": width}) for width in (1.0, 0.0))
    np.testing.assert_array_equal(got["opt.gravity"], model.opt.gravity.astype(np.float32))
    for field in set(full) - {"opt.gravity"}:
        np.testing.assert_array_equal(got[field], full[field])


def test_draws_are_independent_of_one_another(model: mujoco.MjModel, nominal: Model) -> None:
    """Two objects differ; one entry more leaves the others' draws alone."""
    given = EVERYTHING.objects.mass
    assert given is not None
    randomizers = (
        physics_randomizer(config, model, PANDA)
        for config in (one("objects.mass", given), EVERYTHING)
    )
    alone, together = (mjxsim.jit(lambda key, r=r: r(key, nominal)) for r in randomizers)
    key = jax.random.key(0)
    cube, ball = (model.body(n).id for n in ("cube", "ball"))
    mass = alone(key)["body_mass"]
    factor = np.asarray(mass) / np.maximum(model.body_mass, 1e-9)
    assert abs(factor[cube] - factor[ball]) > 0.01
    np.testing.assert_array_equal(mass, together(key)["body_mass"])


def test_objects_in_touch_have_the_greater_friction(model: mujoco.MjModel, nominal: Model) -> None:
    got = physics_randomizer(one("objects.friction", Range(0.3, 0.9)), model, PANDA)(
        jax.random.key(1), nominal
    )["pair_friction"]
    names = [
        frozenset((model.geom(int(a)).name, model.geom(int(b)).name))
        for a, b in zip(model.pair_geom1, model.pair_geom2, strict=True)
    ]
    friction = dict(zip(names, np.asarray(got[:, 0]), strict=True))
    cube, ball = (friction[frozenset(("table", n))] for n in ("cube", "ball"))
    assert cube != ball
    assert friction[frozenset(("cube", "ball"))] == max(cube, ball)
    assert friction[frozenset(("left_pad_1", "cube"))] == cube


# That engines step what was drawn.


# Of cameras and lights that follow a centre of mass, and of bodies that sleep: no scene has any.
UNUSED = ("cam_poscom0", "light_poscom0", "dof_length")


def test_every_field_is_that_of_a_compiled_model(
    model: mujoco.MjModel, nominal: Model, draw: Draw
) -> None:
    """No derived constant is stale: all float fields of mjModel, for everything drawn at once."""
    fields = physics_randomizer(EVERYTHING, model, PANDA).fields
    for seed in range(4):
        got = draw(seed)
        compiled = fresh({f: got[f] for f in fields})
        compared = 0
        for field in MODEL_FIELDS:
            want = field_of(compiled, field)
            if want.dtype.kind != "f" or not want.size or field in UNUSED:
                continue
            value = got.get(field, field_of(model, field))
            # float32 through an inverse of the mass matrix, as in test_override_bounds.
            np.testing.assert_allclose(value, want, rtol=1e-4, atol=1e-6, err_msg=field)
            compared += 1
        assert compared > 100
        follows = int(mujoco.mjtCamLight.mjCAMLIGHT_TRACKCOM)
        assert follows not in (*compiled.cam_mode, *compiled.light_mode)
        assert not compiled.opt.enableflags & int(mujoco.mjtEnableBit.mjENBL_SLEEP)


def begin(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arm swings, the cube slides and turns on the table, the ball lands beside it."""
    home = model.key("home")
    qpos, qvel, ctrl = home.qpos.copy(), np.zeros(model.nv), home.ctrl.copy()
    qpos[7:9] = 0.02
    qpos[11] = 0.01999
    qpos[18] = 0.0152
    ctrl[:8] = qpos[:8] + np.array([0.05, -0.05, 0.03, 0.05, -0.05, 0.05, -0.05, 0.0])
    qvel[CUBE] = [0.5, 0.25, 0.0, 0.0, 0.0, 1.0]
    return qpos.astype(np.float32), qvel.astype(np.float32), ctrl.astype(np.float32)


def reference(model: mujoco.MjModel) -> mujoco.MjData:
    """One control step of plain `mj_step`."""
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:], data.ctrl[:] = begin(model)
    mocap = model.key("home")
    data.mocap_pos[:], data.mocap_quat[:] = mocap.mpos.reshape(-1, 3), mocap.mquat.reshape(-1, 4)
    mujoco.mj_step(model, data, nstep=SUBSTEPS)
    return data


Step = Callable[[Overrides], PhysicsState]


def stepper(name: str, model: mujoco.MjModel) -> Step:
    """One control step from `begin` in an engine."""
    engine = make_engine(name, model, SUBSTEPS, announce=False)
    home = model.key("home")
    mocap = jnp.asarray(home.mpos, jnp.float32).reshape(-1, 3), jnp.asarray(home.mquat, jnp.float32)
    start = [jnp.asarray(x) for x in begin(model)]

    def run(overrides: Overrides) -> PhysicsState:
        state = engine.init(overrides, *start, mocap[0], mocap[1].reshape(-1, 4))
        return engine.step(overrides, state, state.ctrl)

    return mjxsim.jit(run)


def test_c_takes_the_step_of_a_compiled_model(model: mujoco.MjModel, draw: Draw) -> None:
    fields = physics_randomizer(EVERYTHING, model, PANDA).fields
    step = stepper("c", model)
    unchanged = np.asarray(step({}).qpos)
    for seed in range(4):
        got = draw(seed)
        state = step(got)
        # The very numbers: the very step.
        same = reference(fresh(got, derived=False))
        np.testing.assert_array_equal(state.qpos, same.qpos.astype(np.float32))
        np.testing.assert_array_equal(state.qvel, same.qvel.astype(np.float32))
        # Derived constants in float64, which come out the same to 1e-9.
        own = reference(fresh({f: got[f] for f in fields}))
        np.testing.assert_allclose(state.qpos, own.qpos, rtol=0, atol=1e-6)
        np.testing.assert_allclose(state.qvel, own.qvel, rtol=0, atol=1e-5)
        assert np.abs(state.qpos - unchanged).max() > 1e-4


# Of objects' qpos and qvel in float32. Measured over 12 draws: 7e-6 and 2e-3 (the spin of the ball,
# 5 rad/s) in MJX-JAX, 9e-7 and 7e-5 in Warp.
@pytest.mark.parametrize(("name", "qpos", "qvel"), (("mjx", 5e-5, 5e-3), ("warp", 5e-6, 5e-4)))
def test_other_engines_take_the_same_step(
    name: str, qpos: float, qvel: float, model: mujoco.MjModel, draw: Draw
) -> None:
    if name == "warp":
        pytest.importorskip("warp")
    step, in_c = stepper(name, model), stepper("c", model)
    for seed in range(4):
        overrides = draw(seed)
        got, want = step(overrides), in_c(overrides)
        for field, arm, objects in (("qpos", 5e-6, qpos), ("qvel", 5e-5, qvel)):
            a, b = np.asarray(getattr(got, field)), np.asarray(getattr(want, field))
            np.testing.assert_allclose(a[:9], b[:9], rtol=0, atol=arm, err_msg=f"{seed}: {field}")
            np.testing.assert_allclose(a[9:], b[9:], rtol=0, atol=objects, err_msg=field)


def test_friction_loss_leaves_a_landing_cube_to_mjx_s_solver() -> None:
    """A row without friction used to hold a resting joint until Newton ran out of iterations.

    With the scene's 10 iterations one cube of these 64 then turned at 6 rad/s when it should not.
    """
    model = scene(None)
    randomize = physics_randomizer(one("robot.joint_friction", Range(0.1, 0.5)), model, PANDA)
    nominal = put_model(model)
    home = model.key("home")
    mocap = jnp.asarray(home.mpos, jnp.float32), jnp.asarray(home.mquat, jnp.float32)
    qpos, qvel, ctrl = (jnp.asarray(x) for x in begin(model))

    def land(name: str) -> np.ndarray:
        engine = make_engine(name, model, 1, announce=False)

        def step(key: jax.Array, slide: jax.Array) -> jax.Array:
            overrides = randomize(key, nominal)
            start = qvel.at[CUBE].multiply(slide)
            mocaps = mocap[0].reshape(-1, 3), mocap[1].reshape(-1, 4)
            state = engine.init(overrides, qpos, start, ctrl, *mocaps)
            return engine.step(overrides, state, state.ctrl).qvel

        keys = jax.random.split(jax.random.key(0), 64)
        return np.asarray(mjxsim.jit(jax.vmap(step))(keys, jnp.linspace(-2.0, 2.0, 64)))

    # 0.012 measured, in a world whose cube comes to rest.
    np.testing.assert_allclose(land("mjx"), land("c"), rtol=0, atol=0.03)


def test_a_standard_world_on_every_robot() -> None:
    for robot in map(registry.get, ROBOTS):
        spec = scenes.build(robot, OBJECTS[:1])
        prepare(spec, STANDARD, robot)
        model = spec.compile()
        randomize, nominal = physics_randomizer(STANDARD, model, robot), put_model(model)
        got = mjxsim.jit(lambda key, r=randomize, n=nominal: r(key, n))(jax.random.key(0))
        check_fields(model, got)
        for field, value in got.items():
            assert np.isfinite(value).all(), f"{robot.name}: {field}"


# What the numbers mean.


def rebounds(model: mujoco.MjModel, overrides: Overrides, name: str) -> np.ndarray:
    """Rebound over impact speed of an object dropped flat from 1 to 8 cm, in C; (ndrop,)."""
    address = model.jnt_qposadr[model.body(name).jntadr[0]]
    dof = model.jnt_dofadr[model.body(name).jntadr[0]]
    heights = np.linspace(0.01, 0.08, 15)
    qpos = np.repeat(model.key("home").qpos[None], len(heights), axis=0).astype(np.float32)
    qpos[:, address + 2] += heights
    engine = MujocoC(model, 1)
    home = model.key("home")
    mocap = jnp.asarray(home.mpos.reshape(-1, 3)), jnp.asarray(home.mquat.reshape(-1, 4))

    def fall(qpos: jax.Array) -> jax.Array:
        state = engine.init(
            overrides, qpos, jnp.zeros(model.nv), jnp.asarray(home.ctrl, jnp.float32), *mocap
        )

        def step(state: PhysicsState, _: None) -> tuple[PhysicsState, jax.Array]:
            state = engine.step(overrides, state, state.ctrl)
            return state, state.qvel[dof + 2]

        return jax.lax.scan(step, state, length=60)[1]

    speeds = np.asarray(mjxsim.jit(jax.vmap(fall))(jnp.asarray(qpos)))
    ratio = []
    for speed in speeds:
        impact = int(np.argmax(np.diff(speed) > 0.01))  # the last substep of free fall
        assert speed[impact] < -0.3
        ratio.append(speed[impact + 1 :].max() / -speed[impact])
    return np.array(ratio)


@pytest.mark.parametrize("asked", (0.1, 0.2, 0.3, 0.6))
def test_a_dropped_object_bounces_as_asked(asked: float, nominal: Model) -> None:
    """Measured: the mean within 0.005; single drops 0.05 apart, by the phase of the substep."""
    spec = scenes.build(PANDA, OBJECTS)
    model = spec.compile()
    config = one("objects.restitution", Range(asked, asked))
    got = physics_randomizer(config, model, PANDA)(jax.random.key(0), put_model(model))
    for name in ("cube", "ball"):
        measured = rebounds(model, got, name)
        assert abs(measured.mean() - asked) < 0.02, name
        assert np.abs(measured - asked).max() < 0.1, name


def test_no_bounce_is_the_nominal_contact(nominal: Model, model: mujoco.MjModel) -> None:
    config = one("objects.restitution", Range(0.0, 0.0))
    got = physics_randomizer(config, model, PANDA)(jax.random.key(0), nominal)
    np.testing.assert_array_equal(got["pair_solref"], model.pair_solref.astype(np.float32))
    assert rebounds(model, got, "cube").max() < 0.1


def test_air_is_mujoco_s_own_viscosity() -> None:
    """The drag of the inertia-box model on a box of three edges, flying and spinning."""
    spec = scenes.build(PANDA, (scenes.ObjectSpec("brick", half_size=(0.01, 0.02, 0.04)),))
    still = spec.compile()
    config = one("environment.air_resistance", Range(0.25, 0.25))  # Pa s: like olive oil, or more
    got = physics_randomizer(config, still, PANDA)(jax.random.key(0), put_model(still))
    spec.option.viscosity = 0.25
    fluid, ours = spec.compile(), spec.compile()
    ours.opt.viscosity = 0.0
    ours.dof_damping[:] = got["dof_damping"]
    ends = []
    for model in (fluid, ours):
        model.opt.gravity[:] = 0.0
        data = mujoco.MjData(model)
        mujoco.mj_resetDataKeyframe(model, data, 0)
        data.qpos[11] = 1.0
        data.qvel[CUBE] = [0.5, -0.25, 0.1, 1.0, 0.5, 0.0]
        mujoco.mj_step(model, data, nstep=40)
        ends.append(data.qvel[CUBE].copy())
    start = np.array([0.5, -0.25, 0.1])
    # Damping is integrated implicitly by another route: a few 1e-5 of the speed.
    np.testing.assert_allclose(ends[1], ends[0], rtol=0, atol=1e-4)
    assert np.linalg.norm(ends[0][:3]) < 0.99 * np.linalg.norm(start)


# What is refused.


@pytest.mark.parametrize(
    ("name", "given", "message"),
    (
        (
            "objects.mass",
            Range(-0.2, 0.1, "add"),
            r"objects.mass \[-0.2, 0.1\]: added amounts must",
        ),
        ("objects.restitution", Range(0.0, 0.9), "can give back 0.74 of the speed at most"),
        ("robot.joint_damping", Range(-50.0, 1.0, "add"), "must not make it less than 0"),
        ("robot.joint_friction", Range(0.5, 2.0, "scale"), "dof_frictionloss is 0 in this model"),
        ("contact.time_constant", Range(0.5, 1.0, "scale"), "must not make it less than 0.01"),
        ("contact.impedance_width", Range(0.5, 1.0, "scale"), "d0 equals dmax"),
        ("objects.com_offset", Range(-0.1, 0.1, "add"), "body 'cube' was compiled with its centre"),
    ),
)
def test_what_the_model_cannot_have_is_one_line(name: str, given: Range, message: str) -> None:
    model = scenes.build(PANDA, OBJECTS).compile()
    with pytest.raises(ValueError, match=message) as error:
        physics_randomizer(one(name, given), model, PANDA)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("section", "entry", "given", "message"),
    (
        (ObjectPhysics, "mass", Range(0.0, 1.0), r"objects.mass \[0.0, 1.0\]: values must keep it"),
        (ObjectPhysics, "inertia", Range(0.8, 1.2), "how must be one of scale, got 'absolute'"),
        (RobotPhysics, "joint_friction", Range(-1.0, 1.0), "must not make it less than 0"),
        (EnvironmentPhysics, "gravity", Range(-9.9, -9.7), "how must be one of add, scale"),
        (ContactPhysics, "impedance", Range(0.9, 1.0), "more than 0.9999"),
    ),
)
def test_what_nothing_can_have_is_one_line(
    section: type, entry: str, given: Range, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        section(**{entry: given})
    assert "\n" not in str(error.value)


def test_an_unknown_object_names_the_nearest(model: mujoco.MjModel) -> None:
    with pytest.raises(ValueError, match="did you mean 'cube'"):
        physics_randomizer(EVERYTHING, model, PANDA, ["cub"])


def test_a_scene_without_objects_says_so() -> None:
    model = scenes.build(PANDA).compile()
    with pytest.raises(ValueError, match=r"objects\.mass: the scene has no objects") as error:
        physics_randomizer(STANDARD, model, PANDA)
    assert "without_objects()" in str(error.value)
    left = physics_randomizer(STANDARD.without_objects(), model, PANDA).ranges
    assert set(STANDARD.entries()) - set(left) == {
        "objects.mass",
        "objects.inertia",
        "objects.friction",
        "objects.restitution",
        "environment.air_resistance",
    }


def test_a_factor_on_friction_that_there_is_not_is_refused_by_a_whole_environment() -> None:
    """`prepare` must not make some up for it to act on."""
    config = RandomizationConfig(physics=one("robot.joint_friction", Range(0.5, 2.0, "scale")))
    with pytest.raises(ValueError, match="dof_frictionloss is 0 in this model"):
        mjxsim.make("reach", engine="c", randomization=config, announce=False)


def test_prepare_changes_next_to_nothing(model: mujoco.MjModel) -> None:
    """The compiled model but for 2 micrometres in two centres of mass, and 1e-6 of friction."""
    plain = scene(None)
    bodies = [model.body(n).id for n in ("cube", "ball")]
    assert (plain.body_simple[bodies] > 0).all()
    assert (model.body_simple[bodies] == 0).all()
    for field in ("body_mass", "body_inertia", "body_quat", "geom_pos", "dof_damping"):
        np.testing.assert_array_equal(field_of(model, field), field_of(plain, field))
    np.testing.assert_allclose(model.body_ipos, plain.body_ipos, atol=2.1e-6)
    np.testing.assert_allclose(model.dof_frictionloss, plain.dof_frictionloss, atol=1.1e-6)
    ours, theirs = reference(model), reference(plain)
    # The ball lands that far beside its centre, and rolls: 7e-6 measured in its quaternion.
    np.testing.assert_allclose(ours.qpos, theirs.qpos, rtol=0, atol=1e-4)

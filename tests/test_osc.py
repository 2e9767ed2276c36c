"""Operational-space control: torques, their stability, and experts under it."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mjxsim
from mjxsim import envs, scenes
from mjxsim.control import ControlConfig, OperationalSpace, OscConfig, build, torque_driven
from mjxsim.control.dynamics import evaluate
from mjxsim.control.ik import IkConfig, solve
from mjxsim.control.kinematics import forward
from mjxsim.physics import PhysicsState, make_engine
from mjxsim.robots import registry

TIMESTEP = 0.005  # [s]
CONTROL_DT = 0.05  # [s]
HELD = 10  # physics steps in a control step
STEP = 0.05  # [m]
DIRECTIONS = np.float32([[1, 0, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1], [-0.6, 0.48, 0.64]])
WORLDS = len(DIRECTIONS)
PANDA = registry.get("panda")


@functools.cache
def _model() -> mujoco.MjModel:
    """The Panda over its table with torque motors, and a crumb fixed at its TCP."""
    spec = scenes.build(PANDA)
    torque_driven(spec, PANDA)
    hand, tcp = spec.body(PANDA.arm.hand_body), spec.site(PANDA.arm.tcp_site)
    load = hand.add_body(name="load", pos=tcp.pos, mass=1e-6, inertia=[1e-7] * 3)
    load.explicitinertial = True
    return spec.compile()


def _controller(osc: OscConfig, mode: str = "osc_pose") -> OperationalSpace:
    controller = build(ControlConfig(mode=mode, osc=osc), PANDA, _model(), CONTROL_DT)
    assert isinstance(controller, OperationalSpace)
    return controller


@dataclasses.dataclass(frozen=True)
class Run:
    """What worlds did; leaves have a leading world axis."""

    physics: PhysicsState  # at the end
    target: np.ndarray  # (world, 3) [m]
    path: np.ndarray  # (world, substep, 3) [m] of the TCP


@functools.cache
def _compiled(rate: str):
    controller, model = _controller(OscConfig(rate=rate)), _model()
    engine, key = make_engine("c", model, 1, announce=False), model.key("home")
    site, load = model.site(PANDA.arm.tcp_site).id, model.body("load").id
    mocap = jnp.float32(key.mpos).reshape(-1, 3), jnp.float32(key.mquat).reshape(-1, 4)
    rest, ctrl = jnp.zeros(model.nv, jnp.float32), jnp.float32(key.ctrl)

    def run(q, offset, stiffness, mass):
        overrides = {"body_mass": jnp.float32(model.body_mass).at[load].set(mass)}
        qpos = jnp.float32(key.qpos).at[:7].set(q)
        physics = engine.init(overrides, qpos, rest, ctrl, *mocap)
        state = controller.init(physics)
        target = state.target.replace(pos=state.target.pos + offset)
        state = state.replace(target=target, stiffness=jnp.full(4, stiffness))

        def substep(physics, held):
            fresh = controller.feedback(state, physics, physics.ctrl)
            ctrl = fresh if controller.every_substep else held
            physics = engine.step(overrides, physics, ctrl)
            return physics, physics.site_xpos[site]

        def control_step(physics, _):
            held = controller.feedback(state, physics, physics.ctrl)
            return jax.lax.scan(lambda p, _: substep(p, held), physics, length=HELD)

        physics, path = jax.lax.scan(control_step, physics, length=60)
        return physics, state.target.pos, path.reshape(-1, 3)

    return mjxsim.jit(jax.vmap(run))


def _run(rate: str, **options: object) -> Run:
    """Worlds from rest under a constant target, for 3 s.

    Args:
      rate: of the controller.
      **options: by world: ``q (7,)``, where it starts; ``offset (3,)`` of the target [m];
        ``stiffness``; ``mass`` [kg] fixed at the TCP, of which the controller knows nothing.
    """
    defaults = {"q": PANDA.arm.home_qpos[:7], "offset": (0, 0, 0), "stiffness": 150, "mass": 1e-6}
    values = {k: np.asarray(options.get(k, v), np.float32) for k, v in defaults.items()}
    inner = {"q": 1, "offset": 1, "stiffness": 0, "mass": 0}
    rows = [np.broadcast_to(v, (WORLDS, *v.shape[v.ndim - inner[k] :])) for k, v in values.items()]
    physics, target, path = _compiled(rate)(*rows)
    return Run(physics, np.asarray(target), np.asarray(path))


def _respond(rate: str, stiffness: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the way along each direction by substep, in steps of 5 cm, and the way aside [m]."""
    run = _run(rate, offset=STEP * DIRECTIONS, stiffness=stiffness)
    moved = run.path - (run.target - STEP * DIRECTIONS)[:, None]
    along = np.einsum("nti,ni->nt", moved, DIRECTIONS)
    aside = np.linalg.norm(moved - along[..., None] * DIRECTIONS[:, None], axis=-1)
    return along / STEP, aside


def _ideal(rate: str, stiffness: float, substeps: int) -> np.ndarray:
    """A unit mass on a spring, critically damped, stepped as the engines do; from 0 to 1."""
    x, v, force, path = 0.0, 0.0, 0.0, []
    for i in range(substeps):
        if rate == "physics" or i % HELD == 0:
            force = stiffness * (1.0 - x) - 2.0 * np.sqrt(stiffness) * v
        v += TIMESTEP * force
        x += TIMESTEP * v
        path.append(x)
    return np.array(path)


@pytest.mark.parametrize(
    ("rate", "off", "coupled"), [("physics", 0.02, 4e-4), ("control", 0.07, 2e-3)]
)
def test_a_step_of_5_cm_is_a_critically_damped_response(rate, off, coupled):
    """As a unit mass on each axis, whatever the arm's inertia, damping and Coriolis forces.

    Held torques see the arm move on by up to 5 cm before they are renewed, so they decouple less.
    """
    along, aside = _respond(rate, 150.0)
    half_second = round(0.5 / TIMESTEP) - 1
    assert (np.abs(1.0 - along[:, half_second]) * STEP < 0.01).all()
    assert along.max() < 1.02  # critical damping does not overshoot; 20 % would be far off
    ideal = _ideal(rate, 150.0, along.shape[1])
    np.testing.assert_allclose(along, np.tile(ideal, (len(along), 1)), atol=off)
    assert aside.max() < coupled


def test_the_stiffest_gain_allowed_at_the_control_rate_is_stable_and_twice_it_is_not():
    allowed = (1.5 / (2 * CONTROL_DT)) ** 2  # 225
    along, _ = _respond("control", allowed)
    assert along.max() < 1.02 and np.abs(along[:, 400:] - 1.0).max() < 0.01
    unstable, _ = _respond("control", 2.0 * allowed)
    assert np.ptp(unstable[:, 400:], axis=1).min() > 0.1


def test_gains_that_a_held_torque_makes_unstable_are_refused():
    for osc, said in (
        (OscConfig(rate="control", stiffness=230.0), "at most 225"),
        (OscConfig(rate="control", stiffness=100.0, impedance="action"), "reaches 600"),
        (OscConfig(rate="control", damping_ratio=2.0), "at most 56"),
        (OscConfig(stiffness=30000.0), "at most 22500"),
    ):
        with pytest.raises(ValueError) as error:
            _controller(osc)
        assert said in str(error.value) and "\n" not in str(error.value)
    _controller(OscConfig(rate="control", stiffness=225.0))


def test_under_a_load_it_yields_as_its_stiffness_says():
    """1 kg at the TCP moves it by mobility times weight over stiffness, about 1 cm by default.

    To a tenth: the posture's pull leaks through ``min_mobility``.
    """
    stiffness = np.array([75.0, 150.0, 300.0, 600.0, 600.0])
    mass = np.array([1.0, 1.0, 1.0, 1.0, 0.5])
    run, controller = _run("physics", stiffness=stiffness, mass=mass), _controller(OscConfig())
    assert np.abs(run.physics.qvel[:, :7]).max() < 2e-3  # has come to rest
    now = mjxsim.jit(jax.vmap(lambda q: evaluate(controller.dynamics, q)))(run.physics.qpos[:, :7])
    for i in range(WORLDS):
        passive = np.diag(controller.hold * controller.dynamics.damping)
        inertia = np.asarray(now.mass_matrix[i]) + passive
        jac = np.asarray(now.jacobian[i])
        mobility = jac @ np.linalg.solve(inertia, jac.T)
        expected = (mobility @ [0, 0, -9.81 * mass[i], 0, 0, 0] / stiffness[i])[:3]
        yielded = run.path[i, -1] - run.target[i]
        np.testing.assert_allclose(yielded, expected, atol=0.1 * np.linalg.norm(expected))
        assert stiffness[i] != 150.0 or 0.005 < -yielded[2] < 0.02


def test_posture_moves_the_elbow_home_and_not_the_tcp():
    """Start with the elbow swung out at the same TCP; it comes back while the TCP stays."""
    controller = _controller(OscConfig())
    home, chain = jnp.asarray(controller.rest), controller.chain

    @mjxsim.jit
    def swung(sign):
        goal, bent = forward(chain, home), jnp.float32([0.8, 0, -0.8, 0, 0, 0, 0])
        q = solve(chain, home, *goal, IkConfig(iterations=100), rest=home + sign * bent)
        return solve(chain, q, *goal, IkConfig(iterations=30, posture_gain=0.0))

    q = np.stack([swung(sign) for sign in np.linspace(-1.0, 1.0, WORLDS, dtype=np.float32)])
    before = np.linalg.norm(q - home, axis=1)
    assert (before[[0, -1]] > 0.3).all()
    run = _run("physics", q=q)
    after = np.linalg.norm(run.physics.qpos[:, :7] - home, axis=1)
    assert (after < 0.1 * before + 1e-3).all()
    assert np.linalg.norm(run.path - run.target[:, None], axis=2).max() < 1e-3


def test_torques_stay_within_the_actuators_and_nan_is_counted():
    offset = np.float32([[0.5, 0.5, 0.5], [-0.9, 0, 0.5], [0, 0, 2.0], [0, 2.0, 0], [np.nan] * 3])
    run = _run("physics", offset=offset)
    limit = _model().actuator_forcerange[:7, 1]
    assert (np.abs(run.physics.ctrl[:4, :7]) <= limit).all()
    assert (np.asarray(run.physics.faults.diverged) > 0).tolist() == [False] * 4 + [True]


@pytest.mark.parametrize(("mode", "size"), [("osc", 3), ("osc_yaw", 4), ("osc_pose", 6)])
def test_actions(mode, size):
    for impedance, extra in (("fixed", 0), ("action", 4)):
        controller = _controller(OscConfig(impedance=impedance), mode)
        assert controller.action_size == size + extra + 1 == controller.stay().shape[0]


def test_vmap_equals_a_loop_and_feedback_repeats_the_call():
    controller, model = _controller(OscConfig(impedance="action")), _model()
    engine, key = make_engine("c", model, 1, announce=False), model.key("home")
    mocap = jnp.float32(key.mpos).reshape(-1, 3), jnp.float32(key.mquat).reshape(-1, 4)
    traces = []

    def call(seed):
        traces.append(None)
        keys = jax.random.split(jax.random.key(seed), 3)
        qpos = jnp.float32(key.qpos).at[:7].add(0.1 * jax.random.normal(keys[0], 7))
        qvel = 0.3 * jax.random.normal(keys[1], model.nv)
        physics = engine.init({}, qpos, qvel, jnp.float32(key.ctrl), *mocap)
        action = jax.random.uniform(keys[2], (controller.action_size,), minval=-1.5, maxval=1.5)
        first = controller.init(physics)
        state, ctrl = controller(first, physics, action)
        again = controller.feedback(state, physics, jnp.zeros_like(ctrl))
        return first, state, ctrl, again, action

    first, states, ctrl, again, actions = mjxsim.jit(jax.vmap(call))(jnp.arange(WORLDS))
    # Torques of up to 87 N m in float32, by sums that XLA may order differently.
    np.testing.assert_allclose(again[:, :7], ctrl[:, :7], atol=2e-3)
    for one in jax.tree.leaves(jax.tree.map(lambda x: x.weak_type, (states, ctrl))):
        assert not one
    describe = functools.partial(jax.tree.map, lambda x: (x.shape, x.dtype))
    assert describe(states) == describe(first) and len(traces) == 1
    np.testing.assert_allclose(mjxsim.jit(call)(3)[2], ctrl[3], atol=2e-3)
    # A quarter, the same and four times the stiffness for -1, 0 and 1.
    wanted = 150.0 * 4.0 ** np.clip(actions[:, 6:10], -1, 1)
    np.testing.assert_allclose(states.stiffness, wanted, rtol=1e-4)


def test_torque_driven_keeps_all_but_the_arms_servos():
    spec = scenes.build(PANDA)
    plain = spec.compile()
    torque_driven(spec, PANDA)
    driven = spec.compile()
    for name in PANDA.arm.actuators:
        motor = driven.actuator(name)
        np.testing.assert_array_equal(motor.ctrlrange, plain.actuator(name).forcerange)
        assert motor.gainprm[0] == 1.0 and not motor.biasprm.any()
    gripper = PANDA.arm.gripper_actuator
    for field in ("gainprm", "biasprm", "ctrlrange", "forcerange"):
        before, after = (getattr(m.actuator(gripper), field) for m in (plain, driven))
        np.testing.assert_array_equal(before, after)
    for field in ("dof_damping", "dof_armature", "body_mass"):
        np.testing.assert_array_equal(getattr(plain, field), getattr(driven, field))


def test_home_keyframe_holds_an_arm_without_gravity_compensation():
    spec = scenes.build(PANDA)
    for body in spec.bodies:
        body.gravcomp = 0.0
    torque_driven(spec, PANDA)
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key("home").id)
    assert np.abs(data.ctrl[:7]).max() > 10.0
    mujoco.mj_forward(model, data)
    assert np.abs(data.qacc[:7]).max() < 1e-6


def test_bad_input_gets_one_line():
    servo = scenes.build(PANDA).compile()
    weak = scenes.build(PANDA)
    weak.actuator("actuator3").forcerange = [0.0, 0.0]
    for call, said in (
        (lambda: OscConfig(rate="phyics"), "did you mean 'physics'"),
        (lambda: OscConfig(impedance="actions"), "did you mean 'action'"),
        (lambda: OscConfig(stiffness=0.0), "osc stiffness must be positive"),
        (lambda: OscConfig(stiffness_span=0.5), "stiffness_span must be at least 1"),
        (lambda: build(ControlConfig(mode="osc"), PANDA, servo), "torque_driven"),
        (lambda: build(ControlConfig(), PANDA, _model()), "must be a position servo"),
        (
            lambda: build(
                ControlConfig(mode="osc", osc=OscConfig(rate="control")), PANDA, _model()
            ),
            "needs control_dt",
        ),
        (lambda: torque_driven(weak, PANDA), "'actuator3' needs a forcerange"),
    ):
        with pytest.raises(ValueError) as error:
            call()
        assert said in str(error.value) and "\n" not in str(error.value)


def _expert_success(task: str, robot: str, control: ControlConfig, worlds: int) -> float:
    env = mjxsim.make(task, robot, "c", control=control, announce=False)
    state = mjxsim.jit(lambda key: envs.reset_batch(env, key, worlds))(jax.random.key(0))

    def step(state: envs.State, _: None):
        state, transition = jax.vmap(env.step)(state, jax.vmap(env.expert)(state))
        return state, transition.metrics["success"]

    run = mjxsim.jit(lambda s: jax.lax.scan(step, s, length=env.task.config.episode_steps)[1])
    return float(run(state)[-1].mean())


@pytest.mark.parametrize(
    ("task", "robot", "control"),
    [
        ("reach", "panda", ControlConfig(mode="osc", osc=OscConfig(rate="control"))),
        ("pick_cube", "panda", ControlConfig(mode="osc_yaw", osc=OscConfig(impedance="action"))),
        ("reach", "so100", ControlConfig(mode="osc")),  # five joints, often one at its limit
    ],
    ids=["reach", "pick_cube", "reach-so100"],
)
def test_experts_succeed(task, robot, control):
    """At least 90 % of 64; measured 100 % of 256 of each."""
    assert _expert_success(task, robot, control, 64) >= 0.9


def test_every_arm_of_a_robot_is_driven():
    robot = registry.get("aloha")
    spec = scenes.build(robot)
    torque_driven(spec, robot)
    model = spec.compile()
    controller = build(ControlConfig(mode="osc"), robot, model)
    assert controller.every_substep and controller.action_size == 8
    engine = make_engine("c", model, 1, announce=False)
    key = model.key("home")
    mocap = jnp.float32(key.mpos).reshape(-1, 3), jnp.float32(key.mquat).reshape(-1, 4)
    qvel = 0.1 * jnp.ones(model.nv, jnp.float32)

    @mjxsim.jit
    def call():
        physics = engine.init({}, jnp.float32(key.qpos), qvel, jnp.float32(key.ctrl), *mocap)
        state, ctrl = controller(controller.init(physics), physics, controller.stay())
        return ctrl, controller.feedback(state, physics, jnp.zeros_like(ctrl))

    ctrl, again = call()
    for arm in robot.arms:
        ids = np.array([model.actuator(name).id for name in arm.actuators])
        assert np.abs(ctrl[ids]).max() > 0.1
        np.testing.assert_allclose(again[ids], ctrl[ids], atol=1e-4)


@pytest.mark.parametrize("other", ["mjx", "warp"])
def test_one_control_step_is_the_same_on_every_engine(other):
    """Ten torques and ten steps without contact: float32 against float64 physics."""
    if other == "warp":
        pytest.importorskip("warp")
    states = {}
    for engine in ("c", other):
        env = mjxsim.make("reach", engine=engine, control="osc_pose", announce=False)
        assert env.repeats == 10 and env.engine.substeps == 1
        start = mjxsim.jit(lambda key, env=env: envs.reset_batch(env, key, 8))(jax.random.key(0))
        shape = (8, env.action_size)
        action = jax.random.uniform(jax.random.key(1), shape, minval=-1.0, maxval=1.0)
        states[engine] = mjxsim.jit(jax.vmap(env.step))(start, action)[0].physics
    c, there = states["c"], states[other]
    np.testing.assert_allclose(there.time, c.time, rtol=1e-5)
    np.testing.assert_allclose(there.qpos, c.qpos, atol=1e-5)
    np.testing.assert_allclose(there.qvel, c.qvel, atol=1e-4)
    np.testing.assert_allclose(there.ctrl, c.ctrl, atol=5e-3)

"""insert_peg: what the socket lets through, and what counts as inserted."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mjxsim
from mjxsim.envs import Env, State
from mjxsim.physics import PhysicsState
from mjxsim.robots.registry import ROBOTS
from mjxsim.scenes.sockets import Socket
from mjxsim.tasks.insert_peg import InsertPeg, InsertPegConfig

STAY = jnp.array([0.0, 0.0, 0.0, 0.0, 1.0])
CONFIG = InsertPegConfig().for_robot(ROBOTS["panda"])
HOLE_DEPTH = 0.04  # [m] of CONFIG
# The peg's lower end from the rim [m], and its turn against the hole [rad].
CASES = {
    "inserted": (0.0, 0.0, -HOLE_DEPTH, 0.0),
    "half": (0.0, 0.0, -0.5 * HOLE_DEPTH, 0.0),
    "over": (0.0, 0.0, 0.004, 0.0),
    "off centre": (0.004, 0.0, 0.004, 0.0),  # twice the clearance: the lip leads it in
    "turned": (0.0, 0.0, 0.004, 0.35),
    "turned far": (0.0, 0.0, 0.004, jnp.pi / 4),
    "beside": (0.0, 0.1, -HOLE_DEPTH, 0.0),
}


@pytest.fixture(scope="module")
def env() -> Env:
    return mjxsim.make("insert_peg", engine="c", control="ee_delta_yaw", announce=False)


@pytest.fixture(scope="module")
def starts(env: Env) -> State:
    """One world per case, at rest, with the arm at home."""
    task = env.task
    assert isinstance(task, InsertPeg)

    def place(case: jax.Array) -> State:
        state = env.reset(jax.random.key(3))
        old = state.physics
        centre = state.task.rim + case[:3] + jnp.array([0.0, 0.0, CONFIG.half_length])
        qpos = task.peg.put(old.qpos, centre, state.task.yaw + case[3])
        physics = env.engine.init(
            {}, qpos, jnp.zeros_like(old.qvel), old.ctrl, old.mocap_pos, old.mocap_quat
        )
        return state.replace(physics=physics)

    return mjxsim.jit(jax.vmap(place))(jnp.array(list(CASES.values()), jnp.float32))


@pytest.fixture(scope="module")
def later(env: Env, starts: State) -> tuple[State, jax.Array]:
    """The worlds 1 s later, with the arm at rest, and whether each succeeded; (time, case)."""
    step = jax.vmap(env.step, in_axes=(0, None))

    def run(state: State) -> tuple[State, jax.Array]:
        def one(state: State, _: None) -> tuple[State, jax.Array]:
            state, transition = step(state, STAY)
            return state, transition.metrics["success_now"] > 0

        return jax.lax.scan(one, state, None, length=20)

    return mjxsim.jit(run)(starts)


def depths(env: Env, states: State) -> dict[str, float]:
    """How far the peg's lower end is below the rim [m]."""
    tips = jax.vmap(env.task._tip)(states.physics)
    return dict(zip(CASES, np.asarray(states.task.rim - tips)[:, 2].tolist(), strict=True))


def test_the_hole_is_as_wide_as_stated() -> None:
    """Spheres are tangent to the hole: half the peg's width and the clearance from its axis."""
    model = InsertPeg.scene(CONFIG, ROBOTS["panda"]).compile()
    names = Socket().object_geoms
    spheres = [model.geom(name) for name in names]
    reach = [np.abs(g.pos[:2]).max() - g.size[0] for g in spheres]
    np.testing.assert_allclose(reach, 0.015 + 0.002, atol=1e-7)
    assert max(g.pos[2] + g.size[0] for g in spheres) == pytest.approx(HOLE_DEPTH)
    assert sum(p.startswith("socket") for p in pair_names(model)) == len(names) + 4


def pair_names(model: mujoco.MjModel) -> list[str]:
    return [model.pair(i).name for i in range(model.npair)]


def test_what_fits_falls_in_and_nothing_else(env: Env, later: tuple[State, jax.Array]) -> None:
    depth = depths(env, later[0])
    for case in ("inserted", "half", "over", "off centre"):
        assert depth[case] == pytest.approx(HOLE_DEPTH, abs=1e-3), case
    # Its corners, up to 4 mm too far out, lie on the lip.
    assert depth["turned"] < 0.008
    assert depth["turned far"] < 0.008


def test_success_needs_depth_inside_the_hole_for_a_while(later: tuple[State, jax.Array]) -> None:
    succeeded = np.asarray(later[1])
    when = dict(zip(CASES, succeeded.T, strict=True))
    assert CONFIG.hold_steps == 5
    assert when["inserted"].tolist() == [False] * 4 + [True] * 16
    assert when["over"][-1] and not when["over"][:5].any()
    assert not when["turned"].any()
    assert not when["beside"].any()


def test_hovering_over_the_hole_is_no_success(env: Env, starts: State) -> None:
    """However long it lasts: the task looks at the same state again and again."""
    state, physics = jax.tree.map(lambda x: x[list(CASES).index("over")], starts), None
    task_state, physics = state.task, state.physics
    for _ in range(2 * CONFIG.hold_steps):
        task_state = env.task.update(task_state, physics)
    assert not env.task.success(task_state, physics)


def test_deeper_is_worth_more(env: Env, starts: State) -> None:
    terms = jax.vmap(env.task.rewards, in_axes=(0, 0, None))(starts.task, starts.physics, STAY)
    worth = dict(zip(CASES, np.asarray(sum(terms.values())).tolist(), strict=True))
    assert worth["over"] < worth["half"] < worth["inserted"]
    assert worth["beside"] < worth["half"]


def test_a_peg_that_tips_over_is_lost(env: Env, starts: State) -> None:
    task = env.task
    physics: PhysicsState = jax.tree.map(lambda x: x[0], starts.physics)
    state = jax.tree.map(lambda x: x[0], starts.task)
    assert not task.failure(state, physics)
    lying = jnp.array([jnp.sqrt(0.5), jnp.sqrt(0.5), 0.0, 0.0])
    fallen = physics.replace(xquat=physics.xquat.at[task.peg.body].set(lying))
    assert task.failure(state, fallen)


def test_peg_and_socket_start_apart(env: Env) -> None:
    """The gripper's fingers have room beside the peg; every yaw occurs."""
    start = mjxsim.jit(jax.vmap(env.task.reset))(jax.random.split(jax.random.key(0), 256))
    peg = start.qpos[:, env.task.peg.qpos : env.task.peg.qpos + 2]
    apart = np.linalg.norm(np.asarray(peg - start.task.rim[:, :2]), axis=1)
    assert apart.min() > 0.08
    assert np.ptp(start.task.yaw) > 1.4


@pytest.mark.parametrize("robot", sorted(n for n, r in ROBOTS.items() if len(r.arms) == 1))
def test_every_arm_gets_a_peg_that_it_can_grasp(robot: str) -> None:
    spec = ROBOTS[robot]
    config = InsertPegConfig().for_robot(spec)
    assert 2.0 * config.half_width < spec.arm.gripper_max_width
    assert config.depth < config.hole_depth < 2.0 * config.half_length
    InsertPeg.scene(config, spec).compile()


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"clearance": 0.0}, "clearance must be positive, got 0.0"),
        ({"depth": 0.05, "hole_depth": 0.04}, r"depth must be at most hole_depth \(0.04 m\)"),
        ({"peg_low": (0.6, 0.0), "peg_high": (0.5, 0.1)}, "peg_low"),
    ],
)
def test_impossible_settings_are_one_line(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        InsertPegConfig(**fields)
    assert "\n" not in str(error.value)


def test_a_socket_shallower_than_its_lip_is_refused() -> None:
    with pytest.raises(ValueError, match=r"height must be at least twice the wall's 0\.016 m"):
        Socket(height=0.02)

"""open_drawer and its cabinet: what counts as open, where it stands, how its drawers run."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mjxsim
from mjxsim import envs
from mjxsim.robots.panda.constants import PANDA
from mjxsim.scenes.cabinet import Cabinet
from mjxsim.tasks.base import Start
from mjxsim.tasks.open_drawer import OpenDrawer, OpenDrawerConfig, OpenDrawerState


@pytest.fixture(scope="module")
def env() -> envs.Env:
    return mjxsim.make("open_drawer", engine="c", announce=False)


@pytest.fixture(scope="module")
def step(env: envs.Env):
    return mjxsim.jit(env.step)


def _with_openings(env: envs.Env, named: int, openings: tuple[float, float]) -> envs.State:
    """A world in which drawer `named` is asked for and the two are open by so much [m]."""
    state = env.reset(jax.random.key(0))
    p = state.physics
    qpos = p.qpos.at[env.task.slides].set(jnp.array(openings))
    physics = env.engine.init({}, qpos, 0.0 * p.qvel, p.ctrl, p.mocap_pos, p.mocap_quat)
    task = OpenDrawerState(drawer=jnp.int32(named), held=jnp.int32(0))
    return state.replace(physics=physics, task=task)


def _stay(env: envs.Env, step, state: envs.State) -> list[float]:
    """Whether it is a success after each of the next control steps, the arm standing still."""
    seen = []
    for _ in range(env.task.config.hold_steps + 1):
        state, transition = step(state, env.controller.stay())
        seen.append(float(transition.metrics["success_now"]))
    return seen


def test_only_the_named_drawer_counts_and_only_after_a_while(env: envs.Env, step) -> None:
    travel, wait = env.task.config.travel, env.task.config.hold_steps
    assert _stay(env, step, _with_openings(env, 0, (0.0, 0.0))) == [0.0] * (wait + 1)
    assert _stay(env, step, _with_openings(env, 0, (0.0, travel))) == [0.0] * (wait + 1)
    assert _stay(env, step, _with_openings(env, 1, (0.0, 0.8 * travel))) == [0.0] * (wait + 1)
    opened = [0.0] * (wait - 1) + [1.0] * 2
    assert _stay(env, step, _with_openings(env, 1, (0.0, 0.9 * travel))) == opened


def test_starts(env: envs.Env) -> None:
    """Closed, both drawers asked for, and every handle stays over the region that the arm works in.

    Open by the needed part, a handle may be where the cabinet's yaw has turned it, 2 cm outside.
    """
    task = env.task
    starts = jax.vmap(task.reset)(jax.random.split(jax.random.key(1), 1000))
    assert 400 < int(starts.task.drawer.sum()) < 600
    assert (starts.qpos[:, task.slides] == 0.0).all()
    (x0, y0), (x1, y1) = PANDA.area.table
    x, y, yaw = np.asarray(starts.qpos[:, task.pose]).T
    side = 0.5 * task.cabinet.width
    for aside in (-side, side):
        for out in (0.0, task.config.opening * task.config.travel):
            back = task.cabinet.standoff + out
            handle_x = x - back * np.cos(yaw) - aside * np.sin(yaw)
            handle_y = y - back * np.sin(yaw) + aside * np.cos(yaw)
            assert (handle_x > x0 - 0.02).all() and (handle_x < x1).all()
            assert (handle_y > y0 - 0.02).all() and (handle_y < y1 + 0.02).all()
    np.testing.assert_allclose(np.ptp(yaw), 2 * task.config.cabinet_yaw, rtol=0.02)


def test_the_ball_hovers_over_the_named_drawer(env: envs.Env) -> None:
    """The ball is nearer to the named handle than to the other by most of a drawer's width."""
    task = env.task
    starts = jax.vmap(task.reset)(jax.random.split(jax.random.key(2), 16))
    physics = jax.vmap(lambda s: env.engine.init({}, *_physical(s)))(starts)
    handles = np.asarray(physics.site_xpos[:, task.handles])
    ball = np.asarray(starts.mocap_pos)
    distance = np.linalg.norm((handles - ball)[..., :2], axis=-1)
    named = np.asarray(starts.task.drawer)
    assert set(named.tolist()) == {0, 1}
    worlds = np.arange(16)
    nearer = distance[worlds, 1 - named] - distance[worlds, named]
    assert (nearer > 0.4 * task.cabinet.width).all()


def _physical(start: Start) -> tuple[jax.Array, ...]:
    return start.qpos, start.qvel, start.ctrl, start.mocap_pos, start.mocap_quat


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return OpenDrawer.scene(OpenDrawerConfig().for_robot(PANDA), PANDA).compile()


def _pull(model: mujoco.MjModel, force: float, seconds: float) -> mujoco.MjData:
    """The left drawer under a constant pull [N], the cabinet turned by 0.2 rad."""
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    data.joint("cabinet_yaw").qpos = 0.2
    data.joint("left_drawer_slide").qfrc_applied = force
    mujoco.mj_step(model, data, nstep=round(seconds / model.opt.timestep))
    return data


def test_runners_stick_slide_and_stop(model: mujoco.MjModel) -> None:
    """1 N of friction holds against half of it; beyond, the drawer runs to its stop.

    Friction in MuJoCo is regularized: a stuck drawer creeps, here 0.1 mm in a second.
    """
    assert abs(float(_pull(model, 0.5, 1.0).joint("left_drawer_slide").qpos[0])) < 2e-4
    data = _pull(model, 5.0, 3.0)
    opening = float(data.joint("left_drawer_slide").qpos[0])
    assert opening == pytest.approx(OpenDrawerConfig().for_robot(PANDA).travel, abs=2e-3)
    assert float(data.joint("right_drawer_slide").qpos[0]) == pytest.approx(0.0, abs=1e-4)


def test_cabinet_stands_firm(model: mujoco.MjModel) -> None:
    """A pull of 50 N on an open drawer moves it by 50 N / (1e6 N s/m) x 5 s = 0.25 mm."""
    data = _pull(model, 50.0, 5.0)
    moved = np.abs([data.joint(f"cabinet_{n}").qpos[0] for n in "xy"] - np.array([0.6, 0.0]))
    assert moved.max() < 4e-4
    assert float(data.joint("cabinet_yaw").qpos[0]) == pytest.approx(0.2, abs=1e-3)


def test_one_drawer() -> None:
    config = OpenDrawerConfig(drawers=1)
    env = mjxsim.make("open_drawer", config=config, engine="c", announce=False)
    assert env.task.instructions == ("open the drawer",)
    state = envs.reset_batch(env, jax.random.key(0), 16)
    step = mjxsim.jit(lambda s: jax.vmap(env.step)(s, jax.vmap(env.expert)(s)))
    for _ in range(40):
        state, _ = step(state)
    assert int(state.succeeded.sum()) >= 15
    assert (np.asarray(env.instruction(jax.tree.map(lambda x: x[0], state))) == 0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OpenDrawerConfig(drawers=3), "drawers must be 1 or 2, got 3"),
        (lambda: OpenDrawerConfig(opening=1.0), "opening must be between 0 and 1"),
        (lambda: OpenDrawerConfig(travel=-0.1), "travel must be positive"),
        (lambda: Cabinet(drawers=4), "a cabinet has 1 or 2 drawers, got 4"),
        (lambda: Cabinet(travel=0.3), "less than the cabinet's depth"),
    ],
)
def test_errors_are_one_line(make, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)

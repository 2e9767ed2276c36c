"""Forces from outside: what every engine makes of them, and when an environment applies them."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mjxsim
from mjxsim.physics import Engine, PhysicsState, make_engine
from mjxsim.randomization.pushes import Pushes, PushRandomization
from mjxsim.randomization.ranges import Range
from mjxsim.robots.panda.constants import PANDA

MASS, SUBSTEPS, TIMESTEP = 0.5, 4, 0.005
INERTIA = np.array([0.002, 0.003, 0.004])
# A body whose centre of mass is beside its frame's origin, in the air without gravity.
MODEL = f"""
<mujoco>
  <option timestep="{TIMESTEP}" gravity="0 0 0" integrator="implicitfast"/>
  <worldbody>
    <body name="thing" pos="0 0 1">
      <freejoint/>
      <inertial pos="0.1 0 0" mass="{MASS}" diaginertia="0.002 0.003 0.004"/>
      <geom type="sphere" size="0.05" contype="0" conaffinity="0"/>
    </body>
    <body name="arm" pos="1 0 1">
      <joint name="hinge" axis="0 0 1"/>
      <geom type="sphere" size="0.05" mass="1" contype="0" conaffinity="0"/>
    </body>
  </worldbody>
  <actuator><motor joint="hinge"/></actuator>
</mujoco>
"""
THING = 1  # its body id


@dataclasses.dataclass(frozen=True)
class Air:
    """An engine with two worlds of MODEL, in the first of which the thing is pushed."""

    engine: Engine
    step: Callable[..., PhysicsState]
    start: PhysicsState

    def pushed(self, wrench: list[float], state: PhysicsState | None = None) -> PhysicsState:
        both = np.zeros((2, self.engine.model.nbody, 6), np.float32)
        both[0, THING] = wrench
        return self.step(self.start if state is None else state, jnp.asarray(both))


@pytest.fixture(scope="module", params=["c", "mjx", "warp"])
def air(request: pytest.FixtureRequest) -> Air:
    if request.param == "warp":
        pytest.importorskip("warp")
    model = mujoco.MjModel.from_xml_string(MODEL)
    engine = make_engine(request.param, model, SUBSTEPS, announce=False)

    def init(qpos: jax.Array) -> PhysicsState:
        none = jnp.zeros((0, 3)), jnp.zeros((0, 4))
        return engine.init({}, qpos, jnp.zeros(model.nv), jnp.zeros(model.nu), *none)

    def step(state: PhysicsState, wrench: jax.Array | None) -> PhysicsState:
        ctrl = jnp.zeros(model.nu)
        if wrench is None:
            return engine.step({}, state, ctrl)
        return engine.step({}, state, ctrl, wrench)

    start = mjxsim.jit(jax.vmap(init))(jnp.tile(jnp.asarray(model.qpos0, jnp.float32), (2, 1)))
    return Air(engine, mjxsim.jit(jax.vmap(step)), start)


def test_force_accelerates_the_centre_of_mass(air: Air) -> None:
    """F = m a, and no turning: it acts at the centre of mass. float32 over 4 substeps: 1e-5."""
    force = np.array([1.0, -2.0, 0.5])
    qvel = np.asarray(air.pushed([*force, 0.0, 0.0, 0.0]).qvel)
    np.testing.assert_allclose(qvel[0, :3], force / MASS * SUBSTEPS * TIMESTEP, rtol=1e-5)
    np.testing.assert_allclose(qvel[0, 3:], 0.0, atol=1e-6)
    np.testing.assert_allclose(qvel[1], 0.0, atol=1e-7)


def test_torque_turns(air: Air) -> None:
    """I alpha = torque about a principal axis."""
    qvel = np.asarray(air.pushed([0.0, 0.0, 0.0, 0.0, 0.0, 0.002]).qvel)[0]
    assert qvel[5] == pytest.approx(0.002 / INERTIA[2] * SUBSTEPS * TIMESTEP, rel=1e-4)


def test_push_ends_with_its_step(air: Air) -> None:
    """What was pushed coasts on, whether the next step says no forces or nothing."""
    moving = air.pushed([1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    for later in (air.pushed([0.0] * 6, moving), air.step(moving, None)):
        np.testing.assert_allclose(later.qvel[0], moving.qvel[0], rtol=1e-5, atol=1e-6)
    if air.engine.name == "c":
        forces = mujoco.mjtState.mjSTATE_XFRC_APPLIED
        before = mujoco.mj_stateSize(
            air.engine.model, int(mujoco.mjtState.mjSTATE_INTEGRATION) & (int(forces) - 1)
        )
        row = np.asarray(moving.raw["row"]).view(np.float64)[0]
        kept = row[before : before + mujoco.mj_stateSize(air.engine.model, forces)]
        assert kept.shape == (6 * air.engine.model.nbody,) and not kept.any()


# When an environment pushes.

PERIOD = 0.05


@pytest.fixture(scope="module")
def pushes(pick_cube_model: mujoco.MjModel) -> Pushes:
    config = PushRandomization(force=Range(2.0, 5.0), interval=0.5, duration=0.1)
    built = Pushes.build(config, pick_cube_model, PANDA, PERIOD)
    assert built is not None
    return built


def test_one_push_in_every_interval(pushes: Pushes, pick_cube_model: mujoco.MjModel) -> None:
    steps, worlds = jnp.arange(30), jax.random.split(jax.random.key(0), 200)
    over_time = jax.vmap(pushes.wrench, in_axes=(None, None, 0))
    wrenches = np.asarray(jax.vmap(lambda key: over_time(key, 1.0, steps))(worlds))
    cube = pick_cube_model.body("cube").id
    assert not np.delete(wrenches, cube, axis=2).any()  # the only free body
    force = wrenches[:, :, cube, :3].reshape(200, 3, 10, 3)  # world, interval, step in it
    assert not wrenches[..., 3:].any() and not force[..., 2].any()  # no torque; horizontal
    size = np.linalg.norm(force, axis=-1)
    assert ((size > 0).sum(axis=2) == 2).all()
    assert ((size == 0) | ((size >= 2.0 - 1e-5) & (size <= 5.0 + 1e-5))).all()
    starts = (size > 0).argmax(axis=2)
    assert np.bincount(starts.ravel(), minlength=10).tolist()[9:] == [0]  # it ends within
    assert len(np.unique(starts)) == 9
    # Constant while it lasts, another one each time.
    where = np.indices(starts.shape)
    first, second = force[*where, starts], force[*where, starts + 1]
    np.testing.assert_array_equal(first, second)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) == 600
    # 600 directions on a circle: the mean has a standard deviation of 0.03.
    assert np.abs((first / np.linalg.norm(first, axis=-1, keepdims=True)).mean((0, 1))).max() < 0.15


def test_width_opens_the_force(pushes: Pushes) -> None:
    over_time = jax.vmap(pushes.wrench, in_axes=(None, None, 0))
    none, half, full = (
        np.asarray(over_time(jax.random.key(1), width, jnp.arange(10))) for width in (0.0, 0.5, 1.0)
    )
    assert not none.any()
    np.testing.assert_allclose(2.0 * half, full, rtol=1e-6)


def test_bodies_can_be_named(pick_cube_model: mujoco.MjModel) -> None:
    config = PushRandomization(force=Range(1.0, 1.0), bodies=("cube", "hand"), horizontal=False)
    built = Pushes.build(config, pick_cube_model, PANDA, PERIOD)
    assert built is not None
    keys = jax.random.split(jax.random.key(0), 400)
    over_time = jax.vmap(built.wrench, in_axes=(None, None, 0))
    wrench = np.asarray(jax.vmap(lambda k: over_time(k, 1.0, jnp.arange(20)))(keys)).sum(1)
    hits = [np.count_nonzero(wrench[:, pick_cube_model.body(b).id].any(1)) for b in config.bodies]
    assert sum(hits) == 400 and min(hits) > 150  # 200 +- 10 each
    assert np.count_nonzero(wrench[:, :, 2].sum(1)) == 400


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bodies": ("cub",)}, "unknown body to push 'cub': did you mean 'cube'"),
        ({"bodies": ("goal",)}, "body 'goal' is fixed and cannot be pushed: .*cube.* can"),
        ({"duration": 0.01}, "a push of 0.01 s is over before it is felt"),
        ({"duration": 2.0}, r"duration must be positive and at most the interval \(1.0 s\)"),
        ({"force": Range(-1.0, 1.0)}, "push force"),
    ],
)
def test_what_cannot_be(
    settings: dict[str, object], message: str, pick_cube_model: mujoco.MjModel
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        config = PushRandomization(**{"force": Range(1.0, 2.0), **settings})  # type: ignore[arg-type]
        Pushes.build(config, pick_cube_model, PANDA, PERIOD)
    assert "\n" not in str(caught.value)

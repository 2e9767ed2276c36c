"""Every engine inside jit, vmap and scan: exactness, isolation of worlds, faults, choice."""

import importlib.util
from collections.abc import Callable

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from conftest import NUM_WORLDS, Worlds, solve_arm

import mjxsim
from mjxsim.physics import Engine, Faults, PhysicsState, make_engine
from mjxsim.physics import compile as compiling
from mjxsim.physics.mujoco_c import MujocoC
from mjxsim.robots.panda.constants import PANDA

ENGINES = ("c", "mjx", "warp")
SUBSTEPS = 10
CONTROL_STEPS = 100
LANES = 6
CUBE = slice(9, 16)  # in qpos
INTEGRATION = mujoco.mjtState.mjSTATE_INTEGRATION


def rows(state: PhysicsState) -> np.ndarray:
    """The C engine's complete states as float64 (..., nstate)."""
    return np.asarray(state.raw["row"]).view(np.float64)


def scanned(engine: Engine) -> Callable[[PhysicsState, jax.Array], tuple[PhysicsState, jax.Array]]:
    """Steps a batch through controls (time, world, nu); the last state and all rows."""

    def advance(state: PhysicsState, ctrl: jax.Array) -> tuple[PhysicsState, jax.Array]:
        state = jax.vmap(engine.step, in_axes=(None, 0, 0))({}, state, ctrl)
        return state, state.raw["row"]

    return mjxsim.jit(lambda state, ctrl: jax.lax.scan(advance, state, ctrl))


def begin(engine: Engine, qpos: np.ndarray, ctrl: np.ndarray) -> PhysicsState:
    """Worlds at rest at qpos (n, nq) under ctrl (n, nu)."""
    home = engine.model.key("home")

    def init(qpos: jax.Array, ctrl: jax.Array) -> PhysicsState:
        mocap = home.mpos.reshape(-1, 3), home.mquat.reshape(-1, 4)
        return engine.init({}, qpos, np.zeros(engine.model.nv), ctrl, *mocap)

    to_f32 = jnp.float32
    return mjxsim.jit(jax.vmap(init))(jnp.asarray(qpos, to_f32), jnp.asarray(ctrl, to_f32))


@pytest.fixture(scope="module")
def scuffle(pick_cube_model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray]:
    """Starts (world, nq) with the open hand around the cube, and controls (time, world, nu).

    The hand jerks about at random and opens and closes, so it grasps, pushes and drops the cube.
    """
    model = pick_cube_model
    random = np.random.default_rng(0)
    around = solve_arm(model, (0.5, 0.0, 0.02))
    qpos = np.repeat(model.key("home").qpos[None], LANES, axis=0)
    qpos[:, :7] = around
    qpos[:, 9:11] += random.uniform(-0.01, 0.01, (LANES, 2))
    ctrl = np.zeros((CONTROL_STEPS, LANES, model.nu))
    ctrl[:, :, :7] = around + random.uniform(-0.02, 0.02, (CONTROL_STEPS, LANES, 7))
    squeeze = np.repeat(random.random((CONTROL_STEPS // 10, LANES)) < 0.6, 10, axis=0)
    squeeze[:20] = True
    ctrl[:, :, 7] = np.where(squeeze, PANDA.arm.gripper_closed_ctrl, PANDA.arm.gripper_open_ctrl)
    return qpos.astype(np.float32), ctrl.astype(np.float32)


@pytest.fixture(scope="module")
def scuffled(pick_cube_model: mujoco.MjModel, scuffle: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """The rows (time, world, nstate) that the C engine gave."""
    qpos, ctrl = scuffle
    engine = MujocoC(pick_cube_model, SUBSTEPS)
    _, out = scanned(engine)(begin(engine, qpos, ctrl[0]), jnp.asarray(ctrl))
    return np.asarray(out).view(np.float64)


def test_c_is_mj_step_bit_for_bit(
    pick_cube_model: mujoco.MjModel,
    scuffle: tuple[np.ndarray, np.ndarray],
    scuffled: np.ndarray,
) -> None:
    model = pick_cube_model
    qpos, ctrl = scuffle
    table, cube = model.geom("table").id, model.geom("cube").id
    expected = np.zeros_like(scuffled)
    pressed, moved = np.zeros(LANES, int), np.zeros(LANES)
    for lane in range(LANES):
        data = mujoco.MjData(model)
        data.mocap_pos[:] = model.key("home").mpos.reshape(-1, 3).astype(np.float32)
        data.qpos[:] = qpos[lane]
        for t in range(CONTROL_STEPS):
            data.ctrl[:] = ctrl[t, lane]
            for _ in range(SUBSTEPS):
                mujoco.mj_step(model, data)
            mujoco.mj_getState(model, data, expected[t, lane], INTEGRATION)
            pressed[lane] += any(cube in c.geom and table not in c.geom for c in data.contact)
        moved[lane] = np.linalg.norm(data.qpos[CUBE][:3] - qpos[lane, CUBE][:3])
    assert (pressed > 10).all(), pressed  # the hand was at the cube in every world
    assert (moved > 0.005).all()  # [m]
    np.testing.assert_array_equal(scuffled.view(np.uint64), expected.view(np.uint64))


def test_c_does_not_depend_on_the_batch(
    pick_cube_model: mujoco.MjModel,
    scuffle: tuple[np.ndarray, np.ndarray],
    scuffled: np.ndarray,
) -> None:
    qpos, ctrl = scuffle
    engine = MujocoC(pick_cube_model, SUBSTEPS, nthread=1)
    half = LANES // 2
    _, out = scanned(engine)(
        begin(engine, qpos[half:], ctrl[0, half:]), jnp.asarray(ctrl[:, half:])
    )
    assert np.asarray(out).tobytes() == np.ascontiguousarray(scuffled[:, half:]).tobytes()
    state = jax.tree.map(lambda x: x[0], begin(engine, qpos[:1], ctrl[0, :1]))
    alone = mjxsim.jit(lambda state, ctrl: engine.step({}, state, ctrl))
    for t in range(10):
        state = alone(state, jnp.asarray(ctrl[t, 0]))
    np.testing.assert_array_equal(rows(state), scuffled[9, 0])


def test_c_nests_vmap(
    pick_cube_model: mujoco.MjModel,
    scuffle: tuple[np.ndarray, np.ndarray],
    scuffled: np.ndarray,
) -> None:
    qpos, ctrl = scuffle
    engine = MujocoC(pick_cube_model, SUBSTEPS)
    state = begin(engine, qpos, ctrl[0])
    state, ctrl = jax.tree.map(lambda x: x.reshape(2, LANES // 2, *x.shape[1:]), (state, ctrl[0]))
    nested = jax.vmap(jax.vmap(lambda state, ctrl: engine.step({}, state, ctrl)))
    out = mjxsim.jit(nested)(state, ctrl)
    np.testing.assert_array_equal(rows(out).reshape(LANES, -1), scuffled[0])


@pytest.mark.parametrize("name", ENGINES)
def test_a_step_traces_once(name: str, worlds: Callable[[str], Worlds]) -> None:
    w = worlds(name)
    state = w.init(w.engine.model.key("home").qpos)
    stepped = w.step(w.step(state))
    described = [
        jax.tree.map(lambda x: (x.shape, x.dtype, x.weak_type), s) for s in (state, stepped)
    ]
    assert described[0] == described[1]
    assert w.compiled_step._cache_size() == 1


@pytest.mark.parametrize("name", ENGINES)
def test_states_can_be_selected(name: str, worlds: Callable[[str], Worlds]) -> None:
    w = worlds(name)
    start = w.init(w.engine.model.key("home").qpos, ctrl=np.zeros(8))
    moved = w.run(start, 3)
    done = np.arange(NUM_WORLDS) % 2 == 0

    def pick(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(done.reshape(-1, *(1,) * (a.ndim - 1)), a, b)

    mixed = jax.tree.map(pick, start, moved)
    after = w.step(mixed)
    for side, lanes in ((w.step(start), done), (w.step(moved), ~done)):
        same = jax.tree.map(lambda a, b, k=lanes: bool((a[k] == b[k]).all()), after, side)
        assert all(jax.tree.leaves(same))


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("poison", ("ctrl", "qvel"))
def test_nan_stays_in_its_world(name: str, poison: str, worlds: Callable[[str], Worlds]) -> None:
    w = worlds(name)
    model = w.engine.model
    start = w.run(w.init(model.key("home").qpos, ctrl=np.zeros(8)), 2)
    lane, others = 5, np.arange(NUM_WORLDS) != 5
    clean = w.run(start, 3)

    state, ctrl = start, np.array(start.ctrl)
    if poison == "ctrl":
        ctrl[lane] = np.nan
    elif name == "c":
        size = mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_TIME) + model.nq
        row = rows(start).copy()
        row[lane, size] = np.nan
        state = start.replace(raw={"row": jnp.asarray(row.view(np.uint32))})
    else:
        state = start.replace(qvel=start.qvel.at[lane, 0].set(jnp.nan))
    state = w.step(state, ctrl)

    assert state.faults.diverged[lane] == 1
    assert not state.faults.diverged[others].any()
    finite = {k: np.isfinite(v).all() for k, v in vars(state).items() if k not in ("faults", "raw")}
    assert all(finite.values()), finite
    if poison == "ctrl":  # the world keeps the state it had
        for field in ("qpos", "qvel", "ctrl", "time"):
            np.testing.assert_array_equal(getattr(state, field)[lane], getattr(start, field)[lane])
    after = w.run(state.replace(ctrl=start.ctrl), 2)
    assert after.faults.diverged[lane] == 1  # it goes on
    same = jax.tree.map(lambda a, b: bool((a[others] == b[others]).all()), after, clean)
    assert all(jax.tree.leaves(same)), same


@pytest.mark.parametrize("name", ENGINES)
def test_too_fast_is_diverged(name: str, worlds: Callable[[str], Worlds]) -> None:
    w = worlds(name)
    model = w.engine.model
    qvel = np.zeros((NUM_WORLDS, model.nv))
    qvel[3, 9] = 2e4  # the cube, m/s
    state = w.step(w.init(model.key("home").qpos, qvel))
    np.testing.assert_array_equal(np.flatnonzero(state.faults.diverged), [3])


def _marbles(count: int, memory: int = -1) -> mujoco.MjModel:
    """Marbles on a plane: `count` contacts, four rows each; `memory` is MuJoCo's arena [bytes]."""
    spec = mujoco.MjSpec()
    spec.option.timestep = 0.005
    spec.memory = memory
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[9, 9, 1], contype=0)
    for i in range(count):
        body = spec.worldbody.add_body(pos=[0.3 * i, 0, 0.0999])
        body.add_freejoint()
        body.add_geom(size=[0.1, 0, 0], conaffinity=0)
    spec.geoms[0].conaffinity = 1
    return spec.compile()


def _faults(engine: Engine, steps: int = 2, gap: float = -1e-4) -> Faults:
    """What three worlds count in a few control steps; in world 0 everything hangs in the air.

    In the others all marbles are `gap` [m] above the plane.
    """
    qpos = np.repeat(engine.model.qpos0[None], 3, axis=0)
    qpos[:, 2::7] = 0.1 + np.array([[1.0], [gap], [gap]])

    def init(qpos: jax.Array) -> PhysicsState:
        nothing = np.zeros((0, 3)), np.zeros((0, 4))
        return engine.init({}, qpos, np.zeros(engine.model.nv), np.zeros(0), *nothing)

    state = mjxsim.jit(jax.vmap(init))(jnp.asarray(qpos, jnp.float32))
    step = mjxsim.jit(jax.vmap(lambda state: engine.step({}, state, state.ctrl)))
    for _ in range(steps):
        state = step(state)
    finite = jax.tree.map(lambda x: bool(jnp.isfinite(x).all()), (state.qpos, state.xpos))
    assert all(finite)
    assert state.time[0] == pytest.approx(steps * engine.substeps * engine.model.opt.timestep)
    return jax.tree.map(np.asarray, state.faults)


@pytest.mark.parametrize(
    ("memory", "contact", "constraint"),
    # 40 contacts take 24 kB and their rows more; at 25 kB not even the contacts fit.
    ((-1, [0, 0, 0], [0, 0, 0]), (30_000, [0, 0, 0], [0, 2, 2]), (25_000, [0, 2, 2], [0, 2, 2])),
)
def test_c_counts_overflow(memory: int, contact: list[int], constraint: list[int]) -> None:
    faults = _faults(MujocoC(_marbles(40, memory), 2))
    assert faults.contact_overflow.tolist() == contact
    assert faults.constraint_overflow.tolist() == constraint
    assert not faults.diverged.any()


def test_c_world_that_mujoco_gives_up_does_not_stop_the_others() -> None:
    # Room for contacts and rows, but none left to compute with: mj_step raises an error.
    faults = _faults(MujocoC(_marbles(40, 100_000), 1), steps=6, gap=1e-4)
    assert faults.diverged[0] == 0
    assert (faults.diverged[1:] > 0).all()
    np.testing.assert_array_equal(faults.constraint_overflow, faults.diverged)


@pytest.mark.parametrize(
    ("room", "contact", "constraint"),
    (
        ({}, [0, 0, 0], [0, 0, 0]),
        # Room for 3 x 2 contacts, and two worlds with 4: whose were dropped is not known.
        ({"max_contacts": 2}, [2, 2, 2], [0, 0, 0]),
        # 3 x 3 are enough: what the world in the air leaves, the others may use.
        ({"max_contacts": 3, "max_constraints": 8}, [0, 0, 0], [0, 2, 2]),
    ),
)
def test_warp_counts_overflow(
    room: dict[str, int], contact: list[int], constraint: list[int]
) -> None:
    pytest.importorskip("warp")
    from mjxsim.physics.warp import MjxWarp

    engine = MjxWarp(_marbles(4), 2, **room)
    assert room or (engine.max_contacts, engine.max_constraints) == (4, 16)
    faults = _faults(engine)
    assert faults.contact_overflow.tolist() == contact
    assert faults.constraint_overflow.tolist() == constraint
    assert not faults.diverged.any()


def test_warp_nests_vmap_and_counts_substeps(worlds: Callable[[str], Worlds]) -> None:
    w = worlds("warp")
    from mjxsim.physics.warp import MjxWarp

    once = w.run(start := w.init(w.engine.model.key("home").qpos, ctrl=np.zeros(8)), 3)
    engine = MjxWarp(w.engine.model, 3)

    def step(state: PhysicsState) -> PhysicsState:
        return engine.step({}, state, state.ctrl)

    def compare(state: PhysicsState, lanes: slice | int) -> None:
        for field in ("qpos", "qvel", "xpos", "site_xmat", "sensordata"):
            np.testing.assert_array_equal(getattr(state, field), getattr(once, field)[lanes])

    compare(mjxsim.jit(jax.vmap(step))(start), slice(None))
    nested = jax.tree.map(lambda x: x.reshape(2, 8, *x.shape[1:]), start)
    out = mjxsim.jit(jax.vmap(jax.vmap(step)))(nested)
    compare(jax.tree.map(lambda x: x.reshape(16, *x.shape[2:]), out), slice(None))
    alone = jax.tree.map(lambda x: x[0], start)
    compare(mjxsim.jit(step)(alone), 0)

    def again(carry: tuple[jax.Array, PhysicsState]) -> tuple[jax.Array, PhysicsState]:
        return carry[0] + 1, jax.vmap(step)(carry[1])

    _, looped = mjxsim.jit(
        lambda s: jax.lax.while_loop(lambda carry: carry[0] < 1, again, (jnp.int32(0), s))
    )(start)
    compare(looped, slice(None))


def test_auto_names_its_choice_and_reason(
    pick_cube_model: mujoco.MjModel, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jax.default_backend() == "cpu", "these tests run on the CPU"
    assert make_engine("auto", pick_cube_model, 1).name == "c"
    assert "engine 'c' (JAX runs on the CPU" in capsys.readouterr().out
    make_engine("c", pick_cube_model, 1, announce=False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("backend", "installed", "expected", "reason"),
    (
        ("gpu", True, "warp", "NVIDIA"),
        ("gpu", False, "mjx", "pip install 'mjxsim[warp]'"),
        ("tpu", False, "mjx", "JAX runs on tpu"),
        ("cpu", True, "c", "CPU"),
    ),
)
def test_auto_follows_the_machine(
    backend: str, installed: bool, expected: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mjxsim.physics import select

    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    found = object() if installed else None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found)
    name, why = select.choose("auto")
    assert name == expected
    assert reason in why


def test_unknown_engine_gets_the_nearest_name(pick_cube_model: mujoco.MjModel) -> None:
    with pytest.raises(ValueError, match="unknown engine 'wrap': did you mean 'warp'") as error:
        make_engine("wrap", pick_cube_model, 1)
    assert "\n" not in str(error.value)


def test_missing_engine_names_the_extra(
    pick_cube_model: mujoco.MjModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match=r"pip install 'mjxsim\[warp\]'") as error:
        make_engine("warp", pick_cube_model, 1)
    assert "\n" not in str(error.value)


def test_an_option_that_xla_does_not_know_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """JAX 0.12 refuses whole programs for the option that 0.10 runs MJX faster with."""
    monkeypatch.setattr(compiling, "_CPU_OPTIONS", {"xla_cpu_no_such_option": False})
    compiling.cpu_options.cache_clear()
    try:
        assert compiling.cpu_options() == {}
    finally:
        compiling.cpu_options.cache_clear()

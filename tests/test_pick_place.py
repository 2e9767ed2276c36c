"""pick_place: where cubes start and what counts as putting the named one into the named bin, on C.

One world is compiled; every test puts its cubes where it wants them and lets time pass.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxsim
from mjxsim import envs
from mjxsim.robots.panda.constants import PANDA
from mjxsim.tasks.pick_place import PickPlace, PickPlaceConfig

STARTS = 1000
RED, GREEN = 0, 1
LEFT, RIGHT = 0, 1

Place = tuple[float, float, float]  # [m]
Step = Callable[[envs.State, jax.Array], tuple[envs.State, envs.Transition]]
Init = Callable[[envs.State, jax.Array, jax.Array], envs.State]
Put = Callable[[envs.State, dict[int, Place]], envs.State]


@pytest.fixture(scope="module")
def env() -> envs.Env:
    return mjxsim.make("pick_place", engine="c", control="ee_delta_yaw", announce=False)


@pytest.fixture(scope="module")
def task(env: envs.Env) -> PickPlace:
    return env.task


@pytest.fixture(scope="module")
def step(env: envs.Env) -> Step:
    return mjxsim.jit(env.step)


@pytest.fixture(scope="module")
def start(env: envs.Env) -> envs.State:
    """The red cube is to go into the left bin."""
    state = mjxsim.jit(env.reset)(jax.random.key(0))
    return state.replace(task=state.task.replace(cube=jnp.int32(RED), bin=jnp.int32(LEFT)))


@pytest.fixture(scope="module")
def init(env: envs.Env) -> Init:
    def at(state: envs.State, qpos: jax.Array, qvel: jax.Array) -> envs.State:
        p = state.physics
        fresh = env.engine.init({}, qpos, qvel, p.ctrl, p.mocap_pos, p.mocap_quat)
        return state.replace(physics=fresh)

    return mjxsim.jit(at)


@pytest.fixture(scope="module")
def put(task: PickPlace, init: Init) -> Put:
    """The state with these cubes there, upright and at rest."""

    def at(state: envs.State, places: dict[int, Place]) -> envs.State:
        qpos = state.physics.qpos
        for cube, place in places.items():
            qpos = task.cubes[cube].put(qpos, jnp.array(place))
        return init(state, qpos, jnp.zeros_like(state.physics.qvel))

    return at


def _wait(
    env: envs.Env, step: Step, state: envs.State, steps: int
) -> tuple[envs.State, envs.Transition]:
    for _ in range(steps):
        state, transition = step(state, env.controller.stay())
    return state, transition


def _in_bin(task: PickPlace, side: int, dx: float = 0.0) -> Place:
    x, y = task.config.bin_places[side]
    return (x + dx, y, task.config.half_size)


def test_cubes_start_apart_and_outside_the_bins(task: PickPlace) -> None:
    starts = jax.jit(jax.vmap(task.reset))(jax.random.split(jax.random.key(0), STARTS))
    places = np.stack([starts.qpos[:, c.qpos : c.qpos + 3] for c in task.cubes], axis=1)
    c = task.config
    corner = np.sqrt(2.0) * c.half_size  # how far a cube reaches at the worst yaw
    apart = np.linalg.norm(places[:, 0] - places[:, 1], axis=1)
    assert apart.min() >= c.gap - 1e-6 > 2 * corner
    assert (places[..., :2] >= np.array(c.cube_low) - 1e-6).all()
    assert (places[..., :2] <= np.array(c.cube_high) + 1e-6).all()
    wall = c.bin_y - c.bin_half_size - 0.006
    assert np.abs(places[..., 1]).max() + corner < wall
    # Every cube may be anywhere: the ranges drawn nearly fill the region.
    for cube in range(2):
        spread = np.ptp(places[:, cube, :2], axis=0)
        assert (spread > 0.9 * np.subtract(c.cube_high, c.cube_low)).all()


def test_every_sentence_is_drawn(task: PickPlace) -> None:
    assert task.instructions == (
        "put the red cube into the left bin",
        "put the red cube into the right bin",
        "put the green cube into the left bin",
        "put the green cube into the right bin",
    )
    starts = jax.jit(jax.vmap(task.reset))(jax.random.split(jax.random.key(0), STARTS))
    drawn = np.asarray(jax.vmap(task.instruction)(starts.task))
    # A quarter each, to 5 standard deviations.
    assert np.abs(np.bincount(drawn, minlength=4) - STARTS / 4).max() < 70


@pytest.mark.parametrize(
    ("fields", "sentences"),
    [
        ({"distractors": 0, "bins": ("left",)}, ["put the red cube into the bin"]),
        (
            {"distractors": 2, "bins": ("right",)},
            [f"put the {c} cube into the bin" for c in ("red", "green", "blue")],
        ),
    ],
)
def test_cubes_and_bins_can_be_chosen(fields: dict[str, object], sentences: list[str]) -> None:
    config = PickPlaceConfig(**fields).for_robot(PANDA)
    model = PickPlace.scene(config, PANDA).compile()
    task = PickPlace.build(config, PANDA, model)
    assert list(task.instructions) == sentences
    starts = jax.jit(jax.vmap(task.reset))(jax.random.split(jax.random.key(0), STARTS))
    x = np.stack([starts.qpos[:, c.qpos] for c in task.cubes], axis=1)
    if config.distractors:
        assert np.diff(np.sort(x, axis=1), axis=1).min() >= config.gap - 1e-6


def test_observation_follows_the_name(env: envs.Env, start: envs.State) -> None:
    """The first cube observed is the named one, the bin's place that of the named bin."""
    task, physics = env.task, start.physics
    observe = jax.jit(task.observe)
    for cube in (RED, GREEN):
        for side in (LEFT, RIGHT):
            state = start.task.replace(cube=jnp.int32(cube), bin=jnp.int32(side))
            seen = observe(state, physics)
            np.testing.assert_array_equal(seen["cube"], task.cubes[cube].position(physics))
            other = task.cubes[1 - cube].position(physics)
            np.testing.assert_array_equal(seen["tcp_to_distractors"], other - seen["tcp"])
            place = (seen["cube"] + seen["cube_to_bin"])[:2]
            np.testing.assert_allclose(place, task.config.bin_places[side], atol=1e-6)
            assert task.instruction(state) == 2 * cube + side


def test_placed_is_success_after_a_while(
    env: envs.Env, put: Put, step: Step, start: envs.State
) -> None:
    state = put(start, {RED: _in_bin(env.task, LEFT, 0.02)})
    hold = env.task.config.hold_steps
    assert _wait(env, step, state, hold - 1)[1].metrics["success_now"] == 0
    assert _wait(env, step, state, hold)[1].metrics["success_now"] == 1


def test_wrong_bin_or_wrong_cube_is_no_success(
    env: envs.Env, put: Put, step: Step, start: envs.State
) -> None:
    wait = env.task.config.hold_steps + 2
    wrong_bin = put(start, {RED: _in_bin(env.task, RIGHT)})
    wrong_cube = put(start, {GREEN: _in_bin(env.task, LEFT)})
    shared = {RED: _in_bin(env.task, LEFT, 0.023), GREEN: _in_bin(env.task, LEFT, -0.023)}
    both = put(start, shared)
    for state in (wrong_bin, wrong_cube, both):
        transition = _wait(env, step, state, wait)[1]
        assert transition.metrics["success_now"] == 0
        assert not transition.terminated


def test_above_the_bin_is_no_success(env: envs.Env, put: Put, start: envs.State) -> None:
    """A cube over the bin, as an arm would hold it, and one that has not yet fallen."""
    task = env.task
    x, y, z = _in_bin(task, LEFT)
    for height in (0.015, 0.1):
        state = put(start, {RED: (x, y, z + height)})
        assert task.update(state.task.replace(held=jnp.int32(9)), state.physics).held == 0
        assert task.rewards(state.task, state.physics, env.controller.stay())["placed"] == 0


def test_a_dropped_cube_stays_in_the_bin(
    env: envs.Env, put: Put, step: Step, start: envs.State
) -> None:
    """Let go 5 cm above the table close to a wall, it ends inside, at rest, and does not sink."""
    x, y, z = _in_bin(env.task, LEFT, 0.024)
    state = put(start, {RED: (x, y, z + 0.05)})
    state, transition = _wait(env, step, state, 20)
    assert transition.metrics["success_now"] == 1
    assert abs(env.task.cubes[RED].position(state.physics)[2] - z) < 1e-3


@pytest.mark.parametrize("inside", [True, False])
def test_walls_stop_a_sliding_cube(
    env: envs.Env, init: Init, step: Step, start: envs.State, inside: bool
) -> None:
    """A cube at 0.8 m/s would slide on for 5 cm; the wall turns it back.

    Contacts give way for their time constant, 0.01 s: less than the wall's 6 mm at this speed.
    """
    c = env.task.config
    x, y = c.bin_places[LEFT]
    if inside:
        at, stop = y, y + c.bin_half_size - c.half_size
    else:
        stop = y - c.bin_half_size - 0.006 - c.half_size
        at = stop - 0.01
    cube = env.task.cubes[RED]
    qpos = cube.put(start.physics.qpos, jnp.array([x, at, c.half_size]))
    state = init(start, qpos, jnp.zeros(env.engine.model.nv).at[cube.dof + 1].set(0.8))
    reached = []
    for _ in range(12):
        state, _ = step(state, env.controller.stay())
        reached.append(float(cube.position(state.physics)[1]))
    assert stop - 0.02 < max(reached) < stop + 0.006
    assert reached[-1] < stop + 5e-4


def test_cubes_do_not_pass_through_each_other(
    env: envs.Env, put: Put, step: Step, start: envs.State
) -> None:
    half = env.task.config.half_size
    state = put(start, {RED: (0.5, 0.0, half), GREEN: (0.5, 0.0, 3 * half + 0.01)})
    state, _ = _wait(env, step, state, 15)
    positions = [np.asarray(c.position(state.physics)) for c in env.task.cubes]
    assert np.linalg.norm(positions[0] - positions[1]) > 2 * half - 2e-3


def test_lost_cube_ends_the_episode(env: envs.Env, put: Put, start: envs.State) -> None:
    task, half = env.task, env.task.config.half_size
    lost = put(start, {RED: (0.9, 0.0, half)})
    assert task.failure(lost.task, lost.physics)
    other = put(start, {GREEN: (0.9, 0.0, half)})
    assert not task.failure(other.task, other.physics)
    for side in (LEFT, RIGHT):
        binned = put(start, {RED: _in_bin(task, side)})
        assert not task.failure(binned.task, binned.physics)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"distractors": 3}, "distractors must be from 0 to 2, got 3"),
        ({"bins": ()}, r"bins must be \('left',\), \('right',\) or \('left', 'right'\), got \(\)"),
        ({"mass": -1.0}, "mass must be positive, got -1.0"),
        ({"distractors": 2, "gap": 0.15}, "3 cubes need 0.300 m along x and have 0.200 m"),
    ],
)
def test_bad_settings_are_one_line(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        PickPlaceConfig(**fields).for_robot(PANDA)
    assert "\n" not in str(error.value)

"""stack_cubes: what counts as stacked, where cubes start, whether a stack stands."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxsim
from mjxsim import envs
from mjxsim.tasks.stack_cubes import StackCubes, StackCubesConfig, StackCubesState

HALF = 0.02  # [m], of the Panda's cubes
RED_ON_GREEN, GREEN_ON_RED = 0, 1


@pytest.fixture(scope="module")
def env() -> envs.Env:
    return mjxsim.make("stack_cubes", engine="c", control="ee_delta_yaw", announce=False)


@pytest.fixture(scope="module")
def step(env: envs.Env):
    return mjxsim.jit(env.step)


def _world(
    env: envs.Env,
    pair: int,
    red: tuple[float, float, float],
    green: tuple[float, float, float],
    yaw: float = 0.0,
) -> envs.State:
    """The cubes at these places [m], the red one turned by `yaw`, the arm at home."""
    state = env.reset(jax.random.key(0))
    p = state.physics
    qpos = env.task.cubes[0].put(p.qpos, jnp.array(red), yaw)
    qpos = env.task.cubes[1].put(qpos, jnp.array(green))
    physics = env.engine.init({}, qpos, 0.0 * p.qvel, p.ctrl, p.mocap_pos, p.mocap_quat)
    return state.replace(
        physics=physics, task=StackCubesState(pair=jnp.int32(pair), held=jnp.int32(0))
    )


def _stay(env: envs.Env, step, state: envs.State, steps: int = 20) -> tuple[list, envs.State]:
    seen = []
    for _ in range(steps):
        state, transition = step(state, env.controller.stay())
        seen.append(bool(transition.metrics["success_now"]))
    return seen, state


@pytest.mark.parametrize("yaw", [0.0, 0.3, np.pi / 4])
def test_a_standing_stack_counts_after_a_while(env: envs.Env, step, yaw: float) -> None:
    """For a second, at any turn of the upper cube, half a half size off: still and up to 1 mm high.

    The contact's compliance lets a cube of 0.1 kg sink by some tenths of a millimetre.
    """
    red, green = (0.41, -0.11, 3 * HALF), (0.42, -0.11, HALF)
    seen, state = _stay(env, step, _world(env, RED_ON_GREEN, red, green, yaw))
    wait = env.task.config.hold_steps
    assert not any(seen[: wait - 1])
    assert all(seen[wait + 1 :])
    np.testing.assert_allclose(env.task.cubes[0].position(state.physics), red, atol=1e-3)
    assert float(jnp.abs(state.physics.qvel).max()) < 0.01


@pytest.mark.parametrize(
    ("pair", "red", "green"),
    [
        (GREEN_ON_RED, (0.42, -0.11, 3 * HALF), (0.42, -0.11, HALF)),  # the wrong way round
        (RED_ON_GREEN, (0.42, -0.06, HALF), (0.42, -0.11, HALF)),  # beside it
        (RED_ON_GREEN, (0.42, -0.11 + 1.3 * HALF, 3 * HALF), (0.42, -0.11, HALF)),  # falls off
        (RED_ON_GREEN, (0.42, -0.11, 0.3), (0.42, -0.05, HALF)),  # dropped beside it
    ],
)
def test_other_arrangements_do_not_count(env, step, pair, red, green) -> None:
    seen, _ = _stay(env, step, _world(env, pair, red, green))
    assert not any(seen)


@pytest.fixture(scope="module")
def expert(env: envs.Env) -> dict[str, np.ndarray]:
    """What the scripted expert's episodes look like; (time, world)."""
    task = env.task

    def look(state: envs.State) -> dict[str, jax.Array]:
        upper, lower = task._named(state.task, state.physics)
        return {
            "placed": task._placed(upper, lower),
            "touched": (task.arm.touch_forces(state.physics) > 1.0).any(),
            "stacked": task._stacked(state.task, state.physics),
            "success": task.success(state.task, state.physics),
        }

    run = mjxsim.jit(lambda s: jax.vmap(env.step)(s, jax.vmap(env.expert)(s))[0])
    see = mjxsim.jit(jax.vmap(look))
    state, seen = envs.reset_batch(env, jax.random.key(3), 16), []
    for _ in range(70):
        state = run(state)
        seen.append(see(state))
    return {k: np.stack([s[k] for s in seen]) for k in seen[0]}


def test_a_cube_in_the_gripper_is_not_stacked(expert: dict[str, np.ndarray]) -> None:
    """Every episode passes through a moment at which it lies there and is still held."""
    still_held = expert["placed"] & expert["touched"]
    assert (still_held.any(axis=0)).sum() >= 14
    assert not (expert["stacked"] & expert["touched"]).any()
    assert expert["success"][-1].sum() >= 14  # and at the end it is let go


@pytest.mark.parametrize("distractors", [0, 1, 2])
def test_starts_do_not_overlap(distractors: int) -> None:
    """1000 starts: cubes apart by more than their diagonals, on the table, in reach, all different.

    Two cubes of half size h turned by 45 degrees touch at 2 sqrt(2) h; a gripper needs more.
    """
    config = StackCubesConfig(distractors=distractors)
    env = mjxsim.make("stack_cubes", config=config, engine="c", announce=False)
    task = env.task
    assert isinstance(task, StackCubes)
    starts = jax.vmap(task.reset)(jax.random.split(jax.random.key(0), 1000))
    at = np.array([cube.qpos for cube in task.cubes])
    centres = np.stack([np.asarray(starts.qpos[:, a : a + 3]) for a in at], axis=1)
    (x0, y0), (x1, y1) = task.config.cube_low, task.config.cube_high
    assert (centres > np.array([x0, y0, HALF]) - 1e-6).all()
    assert (centres < np.array([x1, y1, HALF]) + 1e-6).all()
    for a, b in itertools.combinations(range(len(task.cubes)), 2):
        assert (np.abs(centres[:, a, 1] - centres[:, b, 1]) > 4.4 * HALF).all()
        # Neither colour is always on the same side.
        assert 300 < (centres[:, a, 1] > centres[:, b, 1]).sum() < 700
    counts = np.bincount(starts.task.pair, minlength=len(task.pairs))
    assert (counts > 0.7 * 1000 / len(task.pairs)).all()
    assert len(set(task.instructions)) == len(task.pairs)


def test_a_stack_of_three_has_one_base_on_the_table() -> None:
    """Red on green does not count while green stands on blue."""
    config = StackCubesConfig(distractors=1)
    env = mjxsim.make("stack_cubes", config=config, engine="c", announce=False)
    pair = env.task.instructions.index("stack the red cube on the green cube")
    other = env.task.instructions.index("stack the green cube on the blue cube")
    state = _world(env, pair, (0.42, -0.11, 5 * HALF), (0.42, -0.11, 3 * HALF))
    p = state.physics
    qpos = env.task.cubes[2].put(p.qpos, jnp.array([0.42, -0.11, HALF]))
    physics = env.engine.init({}, qpos, 0.0 * p.qvel, p.ctrl, p.mocap_pos, p.mocap_quat)
    step = mjxsim.jit(env.step)
    for asked, counts in ((pair, False), (other, True)):
        task = StackCubesState(pair=jnp.int32(asked), held=jnp.int32(0))
        seen, _ = _stay(env, step, state.replace(physics=physics, task=task), 8)
        assert seen[-1] is counts


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StackCubesConfig(distractors=3), "distractors must be from 0 to 2, got 3"),
        (
            lambda: StackCubesConfig(half_size=0.02, cube_low=(0.4, 0.0), cube_high=(0.6, 0.05)),
            "2 cubes 0.090 m apart in y do not fit",
        ),
    ],
)
def test_errors_are_one_line(make, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)

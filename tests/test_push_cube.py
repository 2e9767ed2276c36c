"""push_cube: where it starts and what counts as pushing a cube to its goal, on C."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxsim
from mjxsim import envs
from mjxsim.robots.panda.constants import PANDA
from mjxsim.tasks.push_cube import PushCube, PushCubeConfig

STARTS = 1000


@dataclasses.dataclass(frozen=True)
class World:
    """An environment with what the tests share of it, compiled once."""

    env: envs.Env
    start: envs.State
    step: object  # (state, action) -> (state, transition)
    put: object  # (state, xyz (3,) [m]) -> the state with the cube there, upright and at rest

    @property
    def task(self) -> PushCube:
        return self.env.task

    def wait(self, state: envs.State, steps: int) -> envs.Transition:
        for _ in range(steps):
            state, transition = self.step(state, self.env.controller.stay())
        return transition

    def at(self, dx: float = 0.0, height: float = 0.0) -> envs.State:
        """The cube beside its goal by dx [m] and above its rest by a height [m]."""
        place = self.start.task.goal + jnp.array([dx, 0.0])
        return self.put(self.start, jnp.append(place, self.task.config.half_size + height))


def _world(config: PushCubeConfig) -> World:
    env = mjxsim.make(
        "push_cube", engine="c", config=config, control="ee_delta_yaw", announce=False
    )

    def put(state: envs.State, xyz: jax.Array) -> envs.State:
        p = state.physics
        qpos = env.task.cube.put(p.qpos, xyz)
        at_rest = jnp.zeros_like(p.qvel)
        fresh = env.engine.init({}, qpos, at_rest, p.ctrl, p.mocap_pos, p.mocap_quat)
        return state.replace(physics=fresh)

    start = mjxsim.jit(env.reset)(jax.random.key(1))
    return World(env, start, mjxsim.jit(env.step), mjxsim.jit(put))


@pytest.fixture(scope="module")
def world() -> World:
    return _world(PushCubeConfig())


def test_goals_lie_in_the_region_and_away_from_the_cube(world: World) -> None:
    task, c = world.task, world.task.config
    start = jax.jit(jax.vmap(task.reset))(jax.random.split(jax.random.key(0), STARTS))
    cube = np.asarray(start.qpos[:, task.cube.qpos : task.cube.qpos + 2])
    goal = np.asarray(start.task.goal)
    for points in (cube, goal):
        assert (points >= np.array(c.table_low) - 1e-6).all()
        assert (points <= np.array(c.table_high) + 1e-6).all()
    distance = np.linalg.norm(goal - cube, axis=1)
    assert distance.min() >= c.push_low - 1e-6
    assert distance.max() <= c.push_high + 1e-6
    # In every direction: a quarter of the goals lies in each quadrant, to 5 standard deviations.
    quadrant = 2 * (goal[:, 0] > cube[:, 0]) + (goal[:, 1] > cube[:, 1])
    assert np.bincount(quadrant, minlength=4).min() > STARTS / 4 - 70
    np.testing.assert_array_equal(start.mocap_pos[:, 0, :2], goal)


def test_at_rest_on_the_goal_is_success_only_after_a_while(world: World) -> None:
    state = world.at(0.8 * world.task.config.threshold)
    hold = world.task.config.hold_steps
    assert world.wait(state, hold - 1).metrics["success_now"] == 0
    assert world.wait(state, hold).metrics["success_now"] == 1


def test_beside_the_goal_is_no_success(world: World) -> None:
    transition = world.wait(
        world.at(1.2 * world.task.config.threshold), world.task.config.hold_steps + 2
    )
    assert transition.metrics["success_now"] == 0
    assert not transition.terminated


def test_above_the_goal_counts_for_nothing(world: World) -> None:
    """A cube in the air over its goal: neither at the goal nor pushed."""
    task = world.task
    low, high = world.at(height=0.008), world.at(height=0.03)
    for above in (low, high):
        terms = task.rewards(above.task, above.physics, world.env.controller.stay())
        assert terms["at_goal"] == 0
        assert task.update(above.task.replace(held=jnp.int32(9)), above.physics).held == 0
    assert not task.failure(low.task, low.physics)
    assert task.failure(high.task, high.physics)


def test_sparse_reward_is_success() -> None:
    world = _world(PushCubeConfig(sparse_reward=True))
    assert world.wait(world.start, 1).reward == 0.0
    assert world.wait(world.at(), world.task.config.hold_steps).reward == 1.0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"push_low": 0.2, "push_high": 0.16},
            r"push_low must not exceed push_high \(0.16 m\), got 0.2 m",
        ),
        ({"threshold": 0.0}, "threshold must be positive, got 0.0"),
        ({"table_low": (1.0, 0.0), "table_high": (0.5, 0.1)}, "table_low .* must not exceed"),
    ],
)
def test_bad_settings_are_one_line(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        PushCubeConfig(**fields)
    assert "\n" not in str(error.value)


def test_an_own_cube_keeps_its_size() -> None:
    config = PushCubeConfig(half_size=0.03, threshold=0.03).for_robot(PANDA)
    assert config.half_size == config.lift_limit == 0.03
    assert config.table_low == PANDA.area.table[0]

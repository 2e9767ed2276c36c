"""The replay memory against a deque, and what the expert's demonstrations hold."""

import dataclasses
from collections import deque
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxsim
from mjxsim.control import ControlConfig
from mjxsim.envs import Env, reset_batch
from mjxsim.learning import demonstrations
from mjxsim.learning.demonstrations import Demonstrations
from mjxsim.learning.replay import Experience, Replay
from mjxsim.tasks.reach import ReachConfig

ROW = {"x": jax.ShapeDtypeStruct((2,), jnp.float32), "flag": jax.ShapeDtypeStruct((), jnp.bool_)}
LANES, SLOTS = 3, 12
Rows = dict[str, jax.Array]


def rows(first: int, n: int) -> Rows:
    """Rows that say when they were and in which lane: lane 1 has 100 more than lane 0."""
    number = jnp.arange(first, first + n, dtype=jnp.float32)[:, None]
    number = number + 100 * jnp.arange(LANES)
    return {"x": jnp.stack([number, -number], -1), "flag": number % 2 == 0}


def held(replay: Replay[Rows], lane: int = 0) -> list[int]:
    return np.asarray(replay.rows["x"][lane, : int(replay.size), 0]).astype(int).tolist()


def test_it_remembers_the_newest_rows_of_each_lane() -> None:
    replay, newest, first = Replay.init(ROW, LANES, SLOTS), deque(maxlen=SLOTS), 0
    add = jax.jit(Replay.add)
    for n in (5, 5, 1, 4, 12, 7, 5):  # ends before the edge, on it, and all around
        replay = add(replay, rows(first, n))
        newest.extend(range(first, first + n))
        first += n
        assert replay.size == len(newest)
        for lane in range(LANES):
            assert sorted(held(replay, lane)) == [100 * lane + i for i in sorted(newest)]
    # A row stays together.
    x, flag = replay.rows["x"], replay.rows["flag"]
    np.testing.assert_array_equal(x[..., 1], -x[..., 0])
    np.testing.assert_array_equal(flag, x[..., 0] % 2 == 0)


def test_more_at_once_than_there_is_room_for() -> None:
    with pytest.raises(ValueError, match="of 12 rows per lane cannot take 13 at once"):
        Replay.init(ROW, LANES, SLOTS).add(rows(0, 13))


def test_samples_are_uniform_over_what_is_held() -> None:
    replay = Replay.init(ROW, LANES, SLOTS).add(rows(10, 4))
    drawn = replay.sample(jax.random.key(0), 12_000)
    values, counts = np.unique(np.asarray(drawn["x"][:, 0]), return_counts=True)
    np.testing.assert_array_equal(
        values, [100 * i + j for i in range(LANES) for j in range(10, 14)]
    )
    # 1000 each, with a standard deviation of 30: five of those is a one in 200,000 event.
    assert np.abs(counts - 1000).max() < 150
    np.testing.assert_array_equal(drawn["flag"], drawn["x"][:, 0] % 2 == 0)


def test_only_valid_rows_are_taken_over() -> None:
    flat = jax.tree.map(lambda x: x[:, 0], rows(0, 5))
    replay = Replay.of(flat, jnp.array([False, True, True, False, True]))
    assert (replay.lanes, replay.slots) == (1, 5)
    assert held(replay) == [1, 2, 4]

    def add(replay: Replay[Rows], first: int, n: int) -> list[int]:
        return held(replay.add(jax.tree.map(lambda x: x[:, :1], rows(first, n))))

    assert add(replay, 7, 2) == [1, 2, 4, 7, 8]
    assert add(Replay.of(flat, jnp.ones(5, bool)), 7, 1) == [7, 1, 2, 3, 4]


# Demonstrations.

EPISODES = 3
TASK = ReachConfig(episode_seconds=2.0)


@pytest.fixture(scope="module")
def env() -> Env:
    return mjxsim.make("reach", engine="c", config=TASK, announce=False)


Collect = Callable[[jax.Array, jax.Array], Demonstrations]


@pytest.fixture(scope="module")
def collect(env: Env) -> Collect:
    """(key, noise) -> demonstrations; compiled once."""
    return mjxsim.jit(lambda key, noise: demonstrations.collect(env, key, EPISODES, noise))


def test_without_noise_they_are_the_experts_own_episodes(env: Env, collect: Collect) -> None:
    shown = collect(jax.random.key(0), jnp.float32(0.0))
    assert (shown.episodes, shown.tried) == (EPISODES, EPISODES)
    steps = env.task.config.episode_steps
    assert shown.replay.size == EPISODES * steps
    by_episode = jax.tree.map(lambda x: x.reshape(EPISODES, steps, *x.shape[2:]), shown.replay.rows)
    assert not by_episode.terminated.any()  # they run out of time
    np.testing.assert_array_equal(by_episode.obs[:, 1:], by_episode.next_obs[:, :-1])

    # The start of the second episode, and the expert's own action there.
    _, key = jax.random.split(jax.random.key(0))
    state = reset_batch(env, jax.random.split(key, 3)[0], EPISODES)
    np.testing.assert_allclose(by_episode.obs[:, 0], state.obs, atol=1e-6)
    np.testing.assert_allclose(by_episode.action[:, 0], jax.vmap(env.expert)(state), atol=1e-6)
    # It arrives: what success means is a distance below the threshold at the end.
    at = env.observation_layout["tcp"], env.observation_layout["goal"]
    end = by_episode.next_obs[:, -1]
    distance = np.linalg.norm(end[:, at[0]] - end[:, at[1]], axis=1)
    assert (distance < TASK.threshold).all()


def test_noise_is_in_the_actions_and_within_bounds(env: Env, collect: Collect) -> None:
    clean = collect(jax.random.key(1), jnp.float32(0.0)).replay.rows
    noisy = collect(jax.random.key(1), jnp.float32(0.5)).replay.rows
    assert jnp.abs(noisy.action).max() <= 1.0
    # At the goal the expert holds still, so what moves there is noise.
    steps = env.task.config.episode_steps
    still = [
        jnp.abs(x.action[..., :3].reshape(-1, steps, 3)[:, -5:]).mean() for x in (clean, noisy)
    ]
    assert still[0] < 0.02 < 0.05 < still[1]


def test_only_successes_are_kept_and_it_gives_up_in_the_end(collect: Collect) -> None:
    shown = collect(jax.random.key(2), jnp.float32(30.0))  # nothing of the expert is left
    assert shown.tried == demonstrations._MAX_ROUNDS * EPISODES
    assert shown.episodes < EPISODES
    assert shown.replay.size == int(shown.episodes) * TASK.episode_steps


def test_an_episode_that_ends_early_leaves_no_rows_of_after_its_end() -> None:
    task = dataclasses.replace(TASK, terminate_on_success=True)
    env = mjxsim.make("reach", engine="c", config=task, announce=False)
    shown = mjxsim.jit(lambda key: demonstrations.collect(env, key, EPISODES, 0.0))(
        jax.random.key(0)
    )
    size = int(shown.replay.size)
    assert shown.episodes == EPISODES
    assert EPISODES * task.hold_steps < size < EPISODES * task.episode_steps
    rows: Experience = jax.tree.map(lambda x: x[0, :size], shown.replay.rows)
    assert rows.terminated.sum() == EPISODES
    assert rows.terminated[-1]
    # Within an episode a row goes on where the one before it ended.
    goes_on = ~np.asarray(rows.terminated[:-1])
    np.testing.assert_array_equal(rows.obs[1:][goes_on], rows.next_obs[:-1][goes_on])


def test_a_controller_that_cannot_follow_the_expert_is_refused() -> None:
    env = mjxsim.make("reach", engine="c", control=ControlConfig("joint_delta"), announce=False)
    with pytest.raises(ValueError, match="a scripted expert needs an end-effector controller"):
        jax.eval_shape(
            lambda key: demonstrations.collect(env, key, EPISODES, 0.0), jax.random.key(0)
        )

"""handover: who holds the bar, and when that counts."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxsim
from mjxsim import envs
from mjxsim.envs import Env, State
from mjxsim.tasks.handover import HandoverConfig
from mjxsim.tasks.registry import robots_for

NUM_ENVS = 8
MEETING = HandoverConfig().meeting


@dataclasses.dataclass(frozen=True)
class Episode:
    """What was seen of the expert; leaves (time, world, ...)."""

    env: Env
    bar: np.ndarray  # (..., 3) [m]
    left: np.ndarray  # (..., 2) [N] on the pads
    right: np.ndarray  # (..., 2) [N]
    success: np.ndarray  # bool, at this step
    terms: dict[str, np.ndarray]
    failed: np.ndarray  # bool
    last: State


@pytest.fixture(scope="module")
def episode() -> Episode:
    """The goal is where the bar is handed over: both arms hold it there, then one does."""
    config = HandoverConfig(goal_low=MEETING, goal_high=MEETING)
    env = mjxsim.make(
        "handover", "aloha", "c", config=config, control="ee_delta_yaw", announce=False
    )
    task = env.task

    def step(state: State, _: None):
        state, t = jax.vmap(env.step)(state, jax.vmap(env.expert)(state))
        forces = [jax.vmap(arm.touch_forces)(state.physics) for arm in task.arms]
        bar = jax.vmap(task.bar.position)(state.physics)
        return state, (bar, *forces, t.metrics, t.terminated)

    def run(key: jax.Array):
        start = envs.reset_batch(env, key, NUM_ENVS)
        return jax.lax.scan(step, start, None, length=100)

    last, seen = mjxsim.jit(run)(jax.random.key(2))
    bar, left, right, metrics, terminated = jax.tree.map(np.asarray, seen)
    terms = {k: v for k, v in metrics.items() if k.startswith("reward/")}
    return Episode(env, bar, left, right, metrics["success_now"] > 0, terms, terminated, last)


def test_success_is_the_right_arm_alone(episode: Episode) -> None:
    """Both hold the bar at the goal for several steps first, and that does not count."""
    at_goal = np.linalg.norm(episode.bar - MEETING, axis=-1) < 0.03
    left, right = (episode.left > 0.5).all(-1), (episode.right > 0.5).all(-1)
    steps = episode.env.task.config.hold_steps
    both, only_left = at_goal & left & right, at_goal & left & ~right
    assert (both.sum(axis=0) >= 4).all()
    assert (only_left.sum(axis=0) >= steps).all()
    assert not episode.success[both | only_left].any()
    assert (episode.left[episode.success] == 0.0).all()
    assert right[episode.success].all()
    assert episode.success[-1].all()


def test_success_lasts(episode: Episode) -> None:
    """It first counts when the condition has held for `hold_seconds`."""
    steps = episode.env.task.config.hold_steps
    met = episode.terms["reward/at_goal"] > 0
    for world in range(NUM_ENVS):
        first = int(np.argmax(episode.success[:, world]))
        assert met[first - steps + 1 : first + 1, world].all()
        assert not met[first - steps, world]


def test_no_stage_of_the_reward_is_worth_undoing(episode: Episode) -> None:
    """Grasped < lifted to the meeting point < in both hands < in the right hand."""
    total = sum(episode.terms.values())
    left, right = (episode.left > 0.5).all(-1), (episode.right > 0.5).all(-1)
    high = episode.bar[..., 2] > 0.13
    for world in range(NUM_ENVS):
        stages = [
            total[0, world],
            total[:, world][(left & ~right & high)[:, world]].max(),
            total[:, world][(left & right)[:, world]].max(),
            total[-1, world],
        ]
        assert all(a + 0.5 < b for a, b in itertools.pairwise(stages)), stages


def test_a_bar_out_of_reach_is_lost(episode: Episode) -> None:
    task, last = episode.env.task, jax.tree.map(lambda x: x[0], episode.last)
    assert not episode.failed.any()
    physics = last.physics
    away = physics.replace(xpos=physics.xpos.at[task.bar.body].set(jnp.array([0.0, 0.9, 0.01])))
    assert task.failure(last.task, away)


def test_goals_are_on_the_right_arm_s_side() -> None:
    env = mjxsim.make("handover", "aloha", "c", announce=False)
    start = mjxsim.jit(jax.vmap(env.task.reset))(jax.random.split(jax.random.key(0), 64))
    bar = np.asarray(start.qpos[:, env.task.bar.qpos])
    assert (bar < 0.0).all()
    assert (np.asarray(start.task.goal)[:, 0] > 0.0).all()
    np.testing.assert_array_equal(start.mocap_pos[:, 0], start.task.goal)


def test_one_arm_is_not_enough() -> None:
    assert robots_for("handover") == ("aloha",)
    message = "task 'handover' needs a robot with 2 arms, and 'panda' has 1: use aloha"
    with pytest.raises(ValueError, match=message):
        mjxsim.make("handover", "panda", "c", announce=False)


def test_a_grip_beyond_the_bar_is_refused() -> None:
    with pytest.raises(ValueError, match=r"grip must be at most half the bar's length \(0.08 m\)"):
        HandoverConfig(grip=0.09)

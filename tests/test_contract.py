"""What every task promises on every engine.

One compiled reset, batch step and single-world step per task and engine serve all tests here.
"""

import dataclasses
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxsim
from mjxsim import envs, evaluation
from mjxsim.tasks import TASKS
from mjxsim.tasks.registry import robots_for

NUM_ENVS = 16
ENGINES = ["c", "mjx"] + (["warp"] if importlib.util.find_spec("warp") else [])


@dataclasses.dataclass(frozen=True)
class Subject:
    """An environment with what the tests share of it."""

    env: envs.Env
    reset: object  # key -> batch
    step: object  # (batch, actions) -> (batch, transitions), with autoreset
    start: envs.State
    states: list[envs.State]  # after each of episode_steps + 3 random steps
    transitions: envs.Transition  # of those steps; leaves (time, world, ...)
    traces: int  # how often the step was traced for them
    expert: envs.Transition  # one episode of the scripted expert; leaves (time, world, ...)


# Every task runs on C. MJX and Warp take half a minute to compile one, so one of them stands for
# what the engines must do; `python -m benchmarks.experts --engines mjx` goes through all.
SUBJECTS = [f"{t}-c" for t in sorted(TASKS)]
SUBJECTS += [f"{'pick_cube' if e == 'mjx' else 'reach'}-{e}" for e in ENGINES[1:]]


@pytest.fixture(scope="module", params=SUBJECTS)
def subject(request: pytest.FixtureRequest) -> Subject:
    task, engine = request.param.rsplit("-", 1)
    # The first robot that can do it, with a controller that can turn the gripper, as experts need.
    robot = robots_for(task)[0]
    env = mjxsim.make(task, robot, engine, control="ee_delta_yaw", announce=False)
    reset = mjxsim.jit(lambda key: envs.reset_batch(env, key, NUM_ENVS))
    step = mjxsim.jit(lambda state, action: envs.step_autoreset(env, state, action))
    start = state = reset(jax.random.key(0))
    states, transitions, expert_transitions = [], [], []
    for i in range(env.task.config.episode_steps + 3):
        shape = (NUM_ENVS, env.action_size)
        action = jax.random.uniform(jax.random.key(i), shape, minval=-1.0, maxval=1.0)
        state, transition = step(state, action)
        states.append(state)
        transitions.append(transition)
    traces = step._cache_size()
    state, expert = reset(jax.random.key(7)), mjxsim.jit(jax.vmap(env.expert))
    for _ in range(env.task.config.episode_steps):
        state, transition = step(state, expert(state))
        expert_transitions.append(transition)
    return Subject(
        env, reset, step, start, states, _stack(transitions), traces, _stack(expert_transitions)
    )


def _stack(transitions: list[envs.Transition]) -> envs.Transition:
    return jax.tree.map(lambda *x: np.stack(x), *transitions)


def _same_bits(a: object, b: object) -> bool:
    a, b = jax.tree.leaves(a), jax.tree.leaves(b)
    raw = [
        np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)
        for x in a + b
    ]
    half = len(raw) // 2
    return all(x.tobytes() == y.tobytes() for x, y in zip(raw[:half], raw[half:], strict=True))


def test_shapes_and_types(subject: Subject) -> None:
    env, t = subject.env, subject.transitions
    steps = t.reward.shape[0]
    assert t.obs.shape == t.next_obs.shape == (steps, NUM_ENVS, env.observation_size)
    assert t.action.shape == (steps, NUM_ENVS, env.action_size)
    assert t.obs.dtype == t.reward.dtype == np.float32
    assert t.terminated.dtype == t.truncated.dtype == np.bool_
    assert {"success", "contact_force", "diverged"} <= set(t.metrics)
    assert sum(s.stop - s.start for s in env.observation_layout.values()) == env.observation_size


def test_everything_is_finite(subject: Subject) -> None:
    for leaf in jax.tree.leaves(subject.transitions):
        assert np.isfinite(leaf).all()
    assert subject.transitions.metrics["diverged"].sum() == 0


def test_reward_is_the_sum_of_its_terms(subject: Subject) -> None:
    t = subject.transitions
    terms = sum(v for k, v in t.metrics.items() if k.startswith("reward/"))
    np.testing.assert_allclose(t.reward, terms, rtol=1e-5, atol=1e-5)


def test_same_key_same_bits(subject: Subject) -> None:
    again = subject.reset(jax.random.key(0))
    assert _same_bits(subject.start, again)
    action = jnp.full((NUM_ENVS, subject.env.action_size), 0.3, jnp.float32)
    assert _same_bits(subject.step(again, action), subject.step(subject.start, action))


def test_different_keys_differ(subject: Subject) -> None:
    other = subject.reset(jax.random.key(1))
    assert not np.array_equal(other.obs, subject.start.obs)


def test_starts_are_randomized(subject: Subject) -> None:
    """No two worlds start alike."""
    assert len(np.unique(np.asarray(subject.start.obs), axis=0)) == NUM_ENVS


def test_no_observation_is_constant(subject: Subject) -> None:
    obs = np.concatenate([subject.transitions.obs, subject.expert.obs])
    obs = obs.reshape(-1, subject.env.observation_size)
    for name, where in subject.env.observation_layout.items():
        assert (np.ptp(obs[:, where], axis=0) > 0).all(), f"observation {name!r} has a constant"


def test_vmap_equals_a_loop(subject: Subject) -> None:
    """A world steps in a batch as it does alone: to the bit on C; elsewhere to rounding.

    XLA may order float32 sums differently for another batch size, so MJX agrees to a few ulp of
    joint angles of order 1 after one control step.
    """
    env = subject.env
    single = mjxsim.jit(env.step)
    action = jnp.linspace(-1.0, 1.0, env.action_size, dtype=jnp.float32)
    batch, _ = subject.step(subject.start, jnp.tile(action, (NUM_ENVS, 1)))
    for world in (0, NUM_ENVS - 1):
        alone, _ = single(jax.tree.map(lambda x, w=world: x[w], subject.start), action)
        tolerance = 0.0 if env.engine.name == "c" else 2e-4
        np.testing.assert_allclose(alone.obs, batch.obs[world], atol=tolerance, rtol=0.0)


def test_steps_trace_once(subject: Subject) -> None:
    """A state that came out of a step goes back in without a new trace (no weak types)."""
    assert subject.traces == 1


def test_episodes_end_at_their_limit(subject: Subject) -> None:
    limit = subject.env.task.config.episode_steps
    done = subject.transitions.terminated | subject.transitions.truncated
    assert not (subject.transitions.terminated & subject.transitions.truncated).any()
    never_ended_early = ~done[: limit - 1].any(axis=0)
    assert never_ended_early.any()
    assert subject.transitions.truncated[limit - 1][never_ended_early].all()


def test_autoreset_leaks_nothing(subject: Subject) -> None:
    """A restarted world is bit for bit what a fresh reset from its key gives."""
    limit = subject.env.task.config.episode_steps
    before, after = subject.states[limit - 2], subject.states[limit - 1]
    done = (subject.transitions.terminated | subject.transitions.truncated)[limit - 1]
    assert done.any()
    fresh = mjxsim.jit(jax.vmap(subject.env.reset))(before.key)
    exact = subject.env.engine.name == "c"
    for world in np.flatnonzero(done)[:3]:
        a = jax.tree.map(lambda x, w=world: x[w], after)
        b = jax.tree.map(lambda x, w=world: x[w], fresh)
        if exact:
            assert _same_bits(a, b)
        else:  # another compiled program may round differently
            np.testing.assert_allclose(a.obs, b.obs, atol=1e-5)
            assert _same_bits((a.task, a.step_count, a.key), (b.task, b.step_count, b.key))
    # The learner sees the true last observation, not the new episode's first.
    last = subject.transitions.next_obs[limit - 1][done]
    assert not np.allclose(last, np.asarray(after.obs)[done])
    following = subject.transitions.obs[limit][done]
    np.testing.assert_array_equal(following, np.asarray(after.obs)[done])


def test_scripted_expert_succeeds(subject: Subject) -> None:
    """At least 14 of 16: the expert's own rate is above 0.95, so fewer is a 1 in 100 event."""
    succeeded = (subject.expert.metrics["success"] > 0).any(axis=0)
    assert succeeded.sum() >= NUM_ENVS - 2


def test_bad_action_ends_its_own_world_only(subject: Subject) -> None:
    good = jnp.zeros((NUM_ENVS, subject.env.action_size))
    bad = good.at[3, 0].set(jnp.nan)
    clean_state, clean = subject.step(subject.start, good)
    state, transition = subject.step(subject.start, bad)
    assert np.asarray(transition.terminated).tolist() == [i == 3 for i in range(NUM_ENVS)]
    assert transition.metrics["invalid_action"][3] == 1
    others = np.arange(NUM_ENVS) != 3
    np.testing.assert_array_equal(state.obs[others], clean_state.obs[others])
    np.testing.assert_array_equal(transition.reward[others], clean.reward[others])
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(transition))


def test_wrong_action_shape_is_one_line(subject: Subject) -> None:
    env = subject.env
    world = jax.tree.map(lambda x: x[0], subject.start)
    with pytest.raises(ValueError, match=rf"shape \({env.action_size},\) per world, got \(2,\)"):
        jax.eval_shape(env.step, world, jnp.zeros(2))


@pytest.mark.parametrize(
    ("task", "robot"), [(t, r) for t in sorted(TASKS) for r in robots_for(t)[1:] if r != "aloha"]
)
def test_expert_succeeds_on_the_other_robots(task: str, robot: str) -> None:
    """At least 14 of 16, as above."""
    env = mjxsim.make(task, robot, "c", control="ee_delta_yaw", announce=False)
    result = evaluation.evaluate_from_state(env, envs.expert_policy(env), episodes=NUM_ENVS, seed=0)
    assert result.success_rate >= (NUM_ENVS - 2) / NUM_ENVS
    assert result.diverged_rate == 0.0

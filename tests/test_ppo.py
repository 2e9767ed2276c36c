"""PPO's advantages against a plain sum, the normalizer against NumPy, and one update as a whole."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxsim
from mjxsim.envs import Env, Transition
from mjxsim.learning.normalize import Normalizer
from mjxsim.learning.ppo import PPO, PolicyParams, PPOConfig, TrainState, _Sample

CONFIG = PPOConfig(unroll_length=8, minibatches=2, epochs=2, hidden=(16,), gae_lambda=0.7)
NUM_ENVS = 4


@dataclasses.dataclass(frozen=True)
class Learner:
    """A small PPO on reach with its update compiled once, and a fresh state."""

    ppo: PPO
    update: Callable[[TrainState], tuple[TrainState, dict[str, jax.Array]]]
    start: TrainState


@pytest.fixture(scope="module")
def env() -> Env:
    return mjxsim.make("reach", engine="c", announce=False)


@pytest.fixture(scope="module")
def learner(env: Env) -> Learner:
    ppo = PPO(env, CONFIG, NUM_ENVS, total_steps=10_000)
    return Learner(ppo, mjxsim.jit(ppo.update), mjxsim.jit(ppo.init)(jax.random.key(0)))


def assert_finite(tree: object) -> None:
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        assert np.isfinite(leaf).all(), jax.tree_util.keystr(path)


# Advantages.

STEPS = 6
ENDS = 2  # the step at which the lanes that end do so
TRUNCATED, TERMINATED, RUNNING = 0, 1, 2


def transitions(env: Env) -> Transition:
    """Three lanes: one truncated and one terminated at step ENDS, then a new episode; one runs."""
    rng = np.random.default_rng(0)
    shape = (STEPS + 1, 3, env.observation_size)
    obs = rng.normal(size=shape).astype(np.float32)
    next_obs = obs[1:].copy()
    # The true last observation is not the one that the next step of the lane starts from.
    next_obs[ENDS, :RUNNING] = rng.normal(size=(2, env.observation_size))
    ends = np.zeros((STEPS, 3), bool)
    ends[ENDS] = True
    lane = np.arange(3)
    return Transition(
        obs=jnp.asarray(obs[:-1]),
        action=jnp.zeros((STEPS, 3, env.action_size)),
        reward=jnp.asarray(rng.normal(size=(STEPS, 3)), jnp.float32),
        terminated=jnp.asarray(ends & (lane == TERMINATED)),
        truncated=jnp.asarray(ends & (lane == TRUNCATED)),
        next_obs=jnp.asarray(next_obs),
        metrics={},
    )


def plain_advantage(t: Transition, value: np.ndarray, next_value: np.ndarray) -> np.ndarray:
    """Schulman et al. 2016, eq. 16: the discounted sum of TD errors up to the episode's end."""
    advantage = np.zeros((STEPS, 3))
    for lane in range(3):
        for first in range(STEPS):
            weight = 1.0
            for step in range(first, STEPS):
                after = 0.0 if t.terminated[step, lane] else next_value[step, lane]
                error = t.reward[step, lane] + CONFIG.discount * after - value[step, lane]
                advantage[first, lane] += weight * float(error)
                weight *= CONFIG.discount * CONFIG.gae_lambda
                if t.terminated[step, lane] or t.truncated[step, lane]:
                    break
    return advantage


@pytest.fixture(scope="module")
def policy(env: Env, learner: Learner) -> PolicyParams:
    """Fresh weights behind a normalizer that has seen something."""
    params = learner.ppo.actor.init(jax.random.key(1)).params
    seen = 0.5 + 2.0 * jax.random.normal(jax.random.key(2), (100, env.observation_size))
    return PolicyParams(params, Normalizer.init(env.observation_size).update(seen))


def test_advantages_are_those_of_the_plain_sum(
    env: Env, learner: Learner, policy: PolicyParams
) -> None:
    t = transitions(env)
    log_prob = jnp.zeros((STEPS, 3))
    samples = learner.ppo._samples(policy, t, t.action, log_prob, {})

    def value_of(obs: jax.Array) -> np.ndarray:
        value = learner.ppo.network.value(policy.params, policy.normalizer(obs))
        return np.asarray(value, np.float64)

    value, next_value = value_of(t.obs), value_of(t.next_obs)
    assert np.abs(next_value[ENDS]).min() > 0.01, "else nothing below tells bootstrap from none"
    expected = plain_advantage(t, value, next_value)
    # Sums of six float32 numbers of order one.
    np.testing.assert_allclose(samples.advantage, expected, atol=1e-5)
    np.testing.assert_allclose(samples.target, expected + value, atol=1e-5)

    # The same once more, by hand, where the lanes end.
    rewards = np.asarray(t.reward)[ENDS]
    bootstrapped = rewards + CONFIG.discount * next_value[ENDS] - value[ENDS]
    at_end = np.asarray(samples.advantage)[ENDS]
    np.testing.assert_allclose(at_end[TRUNCATED], bootstrapped[TRUNCATED], atol=1e-5)
    np.testing.assert_allclose(at_end[TERMINATED], (rewards - value[ENDS])[TERMINATED], atol=1e-5)
    assert abs(at_end[RUNNING] - bootstrapped[RUNNING]) > 1e-3, "it goes on"


# The normalizer.


def test_normalizer_in_chunks_is_that_of_all_data() -> None:
    rng = np.random.default_rng(0)
    data = (rng.normal(size=(600, 5)) * [1, 10, 0.1, 1, 0] + [0, 5, -3, 50, 2]).astype(np.float32)
    n = Normalizer.init(5)
    for chunk in (data[:1], data[1:100], data[100:500].reshape(20, 20, 5), data[500:]):
        n = n.update(jnp.asarray(chunk))
    assert n.count == 600
    # float32 next to means of up to 50 times the standard deviation.
    mean, variance = data.mean(0, np.float64), data.var(0, np.float64)
    np.testing.assert_allclose(n.mean, mean, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(n.m2 / n.count, variance, rtol=1e-3, atol=1e-9)

    # The last entry never varies: it must neither be divided by zero nor blown up.
    obs = jnp.asarray(mean + np.array([1.0, -10.0, 0.05, 0.0, 0.0]), jnp.float32)
    std = np.sqrt(variance)
    expected = [1.0 / std[0], -10.0 / std[1], 0.05 / std[2], 0.0, 0.0]
    np.testing.assert_allclose(n(obs), expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(n(obs + 1e6), 10.0)
    np.testing.assert_array_equal(n(obs - 1e6), -10.0)


def test_normalizer_that_has_seen_nothing_changes_nothing() -> None:
    obs = jnp.array([1e3, -2.0])
    np.testing.assert_array_equal(Normalizer.init(2)(obs), obs)


# One update.


def ending_soon(learner: Learner) -> TrainState:
    """The fresh state with two worlds whose time runs out within the update, and two that go on."""
    limit = learner.ppo.env.task.config.episode_steps
    count = jnp.array([limit - 2, limit - CONFIG.unroll_length, 0, 0], jnp.int32)
    return learner.start.replace(env_state=learner.start.env_state.replace(step_count=count))


def test_update_learns_and_counts(learner: Learner) -> None:
    before = ending_soon(learner)
    state, metrics = learner.update(before)
    assert_finite((state.policy, state.opt_state, metrics))
    assert state.updates == 1
    assert state.policy.normalizer.count == NUM_ENVS * CONFIG.unroll_length
    assert metrics["episodes"] == 2
    # Lengths as seen by the learner, which began to count with the first step here: 2 and 8.
    assert metrics["episode_length"] == (2 + CONFIG.unroll_length) / 2
    np.testing.assert_array_equal(state.episode_length, [6, 0, 8, 8])
    assert metrics["diverged"] == metrics["invalid_action"] == 0
    for path, moved in jax.tree_util.tree_flatten_with_path(
        jax.tree.map(lambda a, b: jnp.abs(a - b).max(), before.policy.params, state.policy.params)
    )[0]:
        assert 0 < moved < 0.1, jax.tree_util.keystr(path)


@pytest.mark.parametrize("what", ["row", "qpos"])
def test_a_broken_world_does_not_reach_the_weights(learner: Learner, what: str) -> None:
    """World 2 is not finite when the update begins: it fails, starts anew and spoils nothing."""
    start = ending_soon(learner)
    physics = start.env_state.physics
    nan = np.float64(np.nan).view(np.uint64)
    halves = jnp.asarray([nan & 0xFFFFFFFF, nan >> 32], jnp.uint32)
    if what == "row":  # all of the engine's own state
        row = physics.raw["row"]
        raw = {"row": row.at[2].set(jnp.tile(halves, row.shape[1] // 2))}
        physics = physics.replace(raw=raw)
    else:  # what the controller reads
        physics = physics.replace(qpos=physics.qpos.at[2].set(jnp.nan))
    broken = start.replace(env_state=start.env_state.replace(physics=physics))

    state, metrics = learner.update(broken)
    assert metrics["diverged"] >= 1
    assert metrics["episodes"] == 3  # two by their time limit, world 2 by breaking down
    np.testing.assert_array_equal(state.episode_length, [6, 0, 7, 8])
    assert_finite((state.policy, state.opt_state, metrics))
    assert_finite((state.env_state.physics.qpos, state.env_state.obs, state.episode_return))
    _, metrics = learner.update(state)
    assert metrics["diverged"] == 0


@pytest.mark.parametrize(
    ("mean", "pull"), [(0.9, 0.0), (-1.5, 2 * 0.1 * -0.5), (2.0, 2 * 0.1 * 1.0)]
)
def test_means_beyond_the_bounds_are_pulled_back(
    env: Env, learner: Learner, mean: float, pull: float
) -> None:
    """By the gradient of the squared excess, and by nothing where advantages are all the same."""
    config = dataclasses.replace(CONFIG, bound_coefficient=0.1)
    ppo = PPO(env, config, NUM_ENVS, total_steps=10_000)
    params = jax.tree.map(jnp.zeros_like, learner.start.policy.params)
    means = jnp.full(env.action_size, 0.5).at[1].set(mean)  # the last layer's bias is the mean
    params["params"]["actor"]["Dense_1"]["bias"] = means
    zero = jnp.zeros(8)
    samples = _Sample(
        obs=jnp.zeros((8, env.observation_size)),
        images={},
        action=jnp.broadcast_to(means, (8, env.action_size)),
        log_prob=zero,
        advantage=zero,
        target=zero,
        value=zero,
    )
    grads, _ = ppo._gradient(params, samples)
    got = grads["params"]["actor"]["Dense_1"]["bias"]
    np.testing.assert_allclose(got, jnp.zeros(env.action_size).at[1].set(pull), atol=1e-6)


def test_minibatches_must_divide_the_batch(env: Env) -> None:
    config = dataclasses.replace(CONFIG, minibatches=5)
    with pytest.raises(ValueError, match=r"32 must be a multiple of minibatches \(5\)$") as raised:
        PPO(env, config, NUM_ENVS, total_steps=1000)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "bad",
    [
        {"unroll_length": 0},
        {"minibatches": 0},
        {"epochs": 0},
        {"learning_rate": 0.0},
        {"clip": -0.1},
        {"max_grad_norm": float("nan")},
        {"discount": 1.5},
        {"gae_lambda": -0.1},
        {"bound_coefficient": -0.1},
    ],
    ids=lambda bad: next(iter(bad)),
)
def test_hyperparameters_out_of_range(bad: dict[str, float]) -> None:
    (field,) = bad
    with pytest.raises(ValueError, match=rf"^ppo {field} must be [^\n]*, got {bad[field]}$"):
        dataclasses.replace(CONFIG, **bad)

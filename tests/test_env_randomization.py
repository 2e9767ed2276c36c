"""What an environment randomizes around the physics, in episodes on the C engine.

Three environments serve all tests of behaviour: one without, one whose parts have fixed sizes, so
that what they do can be told exactly, and one with everything at once.
"""

import dataclasses
import pathlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tyro

import mjxsim
from mjxsim import codec, envs
from mjxsim.control import ControlConfig
from mjxsim.envs import Env, State, Transition
from mjxsim.envs.gym_env import GymEnv
from mjxsim.learning import checkpoint
from mjxsim.learning.ppo import PPO, PPOConfig
from mjxsim.physics import Model
from mjxsim.randomization.actuation import ActuationRandomization, Actuators
from mjxsim.randomization.config import RandomizationConfig
from mjxsim.randomization.frequency import Keys
from mjxsim.randomization.pushes import PushRandomization
from mjxsim.randomization.ranges import Range
from mjxsim.randomization.schedule import LinearSchedule, SuccessSchedule
from mjxsim.randomization.sensing import SensorRandomization
from mjxsim.tasks.reach import ReachConfig

DT = 0.05  # [s], ReachConfig().control_dt
STEPS = 10  # of an episode
SHORT = ReachConfig(episode_seconds=STEPS * DT)
JOINT = ControlConfig(mode="joint", gripper="none")


def exactly(value: float) -> Range:
    return Range(value, value)


def slippery(key: jax.Array, nominal: Model, width: jax.Array) -> dict[str, jax.Array]:
    """Draws the damping of every joint; a field from which nothing is derived."""
    return {"dof_damping": Range(0.5, 2.0, "scale").draw(key, nominal.dof_damping, width)}


@dataclasses.dataclass(frozen=True)
class Running:
    """A compiled environment of n worlds."""

    env: Env
    n: int
    reset: Callable[[jax.Array], State]
    step: Callable[[State, jax.Array], tuple[State, Transition]]

    @classmethod
    def of(cls, env: Env, n: int) -> "Running":
        return cls(
            env,
            n,
            mjxsim.jit(lambda key: envs.reset_batch(env, key, n)),
            mjxsim.jit(lambda state, action: envs.step_autoreset(env, state, action)),
        )

    def play(self, state: State, actions: np.ndarray) -> tuple[list[State], Transition]:
        """The state before and after every step, and the transitions, time first."""
        states, transitions = [state], []
        for action in actions:
            both = np.broadcast_to(action, (self.n, self.env.action_size)).astype(np.float32)
            state, transition = self.step(state, jnp.asarray(both))
            states.append(state)
            transitions.append(transition)
        return states, jax.tree.map(lambda *x: np.stack(x), *transitions)


def same_bits(a: object, b: object) -> bool:
    def host(tree: object) -> list[bytes]:
        leaves = jax.tree.leaves(tree)
        typed = [jnp.issubdtype(x.dtype, jax.dtypes.prng_key) for x in leaves]
        raw = [jax.random.key_data(x) if t else x for x, t in zip(leaves, typed, strict=True)]
        return [np.asarray(x).tobytes() for x in raw]

    return host(a) == host(b)


# Delay.


@pytest.fixture(scope="module")
def delayed() -> Running:
    """Joint positions as actions; a delay of up to 0.12 s, which a test sets for each world."""
    randomization = RandomizationConfig(
        actuation=ActuationRandomization(delay=Range(0.0, 0.12), resolution=0.01)
    )
    env = mjxsim.make(
        "reach", engine="c", config=SHORT, control=JOINT, randomization=randomization,
        announce=False,
    )  # fmt: skip
    return Running.of(env, 8)


DELAYS = np.array([0.0, 0.004, 0.006, 0.01, 0.03, 0.05, 0.074, 0.12], np.float32)


@pytest.fixture(scope="module")
def response(delayed: Running) -> tuple[list[State], Transition]:
    """Eight equal worlds but for the delay; a command of theirs changes at step 3."""
    one = jax.tree.map(lambda x: x[:1], delayed.reset(jax.random.key(0)))
    state = jax.tree.map(lambda x: jnp.concatenate([x] * 8), one)
    drawn = state.actuation.drawn.replace(delay=jnp.asarray(DELAYS))
    state = state.replace(actuation=state.actuation.replace(drawn=drawn))
    actions = np.zeros((9, delayed.env.action_size))
    actions[3:] = 0.3
    return delayed.play(state, actions)


def test_a_control_step_is_split_where_commands_are_late(delayed: Running) -> None:
    assert delayed.env.repeats == 5 and delayed.env.engine.substeps == 2
    assert delayed.env.actuators is not None
    assert delayed.env.actuators.period == pytest.approx(0.01)


def test_step_response_is_late_by_the_delay(
    delayed: Running, response: tuple[list[State], Transition]
) -> None:
    """To the bit what the engine gives under the commands of 0, 0, 1, 1, 3, 5, 7 and 12 calls ago.

    0.004 s and 0.006 s lie on either side of half an engine call of 0.01 s, and 0.12 s is longer
    than two control steps.
    """
    states, _ = response
    late = [0, 0, 1, 1, 3, 5, 7, 12]
    start = states[0].physics
    sent = [np.asarray(start.ctrl)] * 12  # before the episode; then one for every call
    for state in states[1:]:
        sent += [np.asarray(state.physics.ctrl)] * 5
    call = mjxsim.jit(jax.vmap(lambda physics, ctrl: delayed.env.engine.step({}, physics, ctrl)))
    physics = start
    for i in range(5 * 9):
        received = np.stack([sent[12 + i - k][world] for world, k in enumerate(late)])
        physics = call(physics, jnp.asarray(received))
        if i % 5 == 4:
            expected = states[i // 5 + 1].physics
            np.testing.assert_array_equal(physics.qpos, expected.qpos)
            np.testing.assert_array_equal(physics.qvel, expected.qvel)
    # And it is a response: the worlds part, later and later, after the command at step 3.
    assert len(np.unique(np.asarray(physics.qpos[:, 0]))) == 6


def test_observations_show_commands_as_they_were_sent(
    response: tuple[list[State], Transition],
) -> None:
    states, _ = response
    sent = np.asarray(states[4].physics.ctrl)  # after the step of the new command
    np.testing.assert_array_equal(sent, np.tile(sent[0], (8, 1)))
    assert not np.array_equal(sent[0], states[3].physics.ctrl[0])


def test_delays_are_drawn_from_their_range(delayed: Running) -> None:
    first = delayed.reset(jax.random.key(0))
    delays = np.asarray(first.actuation.drawn.delay)
    assert len(np.unique(delays)) == 8
    assert (delays >= 0.0).all() and (delays <= 0.12).all()
    states, _ = delayed.play(first, np.zeros((STEPS + 1, delayed.env.action_size)))
    for state in states[:STEPS]:  # an episode's own
        np.testing.assert_array_equal(state.actuation.drawn.delay, delays)
    assert not np.isin(np.asarray(states[STEPS].actuation.drawn.delay), delays).any()


def test_a_command_that_is_not_finite_is_not_sent() -> None:
    actuators = Actuators(ActuationRandomization(delay=exactly(0.02)), period=0.01)
    key = jax.random.key(0)
    state = actuators.start(Keys(key, key), 1.0, jnp.array([1.0, 2.0]))
    state, _ = actuators.send(state, jnp.array([3.0, jnp.nan]))
    state, _ = actuators.send(state, jnp.array([5.0, 6.0]))
    state, received = actuators.send(state, jnp.array([7.0, 8.0]))
    assert received.tolist() == [3.0, 2.0]


def test_action_noise_has_its_deviation() -> None:
    """40 000 draws: the sample's deviation is within 2 %, 5 sigma; an action stays in [-1, 1]."""
    actuators = Actuators(ActuationRandomization(noise=exactly(0.1)), period=DT)
    key = jax.random.key(0)
    state = actuators.start(Keys(key, key), 1.0, jnp.zeros(1))
    assert state.sent is None
    keys = jax.random.split(jax.random.key(1), 10_000)
    action = jnp.array([0.0, 0.5, -0.5, 1.0])
    noisy = np.asarray(jax.vmap(lambda k: actuators.disturb(k, state, action))(keys))
    off = noisy - np.asarray(action)
    np.testing.assert_allclose(off[:, :3].std(axis=0), 0.1, rtol=0.02)
    np.testing.assert_allclose(off[:, :3].mean(axis=0), 0.0, atol=0.005)
    assert noisy.max() == 1.0
    halved = actuators.start(Keys(key, key), 0.5, jnp.zeros(1)).drawn.noise
    assert float(halved) == pytest.approx(0.05)


# Sensors.

NOISE, LATENCY = 0.01, 0.11  # [rad], [s]: 2 control steps


@pytest.fixture(scope="module")
def sensed() -> tuple[Running, list[State], Transition]:
    """Each part of the observation has one error at most; two episodes and a half. And pushes."""
    randomization = RandomizationConfig(
        pushes=PushRandomization(exactly(20.0), interval=STEPS * DT, duration=2 * DT),
        sensors=(
            SensorRandomization(("arm_qpos",), noise=exactly(NOISE)),
            SensorRandomization(("arm_qvel",), bias=Range(-0.02, 0.02)),
            SensorRandomization(("gripper",), bias=Range(0.1, 0.2), frequency="session"),
            SensorRandomization(("tcp", "goal"), latency=exactly(LATENCY)),
        ),
    )
    env = mjxsim.make("reach", engine="c", config=SHORT, randomization=randomization,
                      announce=False)  # fmt: skip
    running = Running.of(env, 32)
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (25, 32, env.action_size))
    states, transitions = running.play(running.reset(jax.random.key(0)), actions)
    return running, states, transitions


@pytest.fixture(scope="module")
def errors(sensed: tuple[Running, list[State], Transition]) -> dict[str, np.ndarray]:
    """Shown minus true, by part: (time, world, size)."""
    running, states, _ = sensed
    true = mjxsim.jit(jax.vmap(running.env.observe))
    off = np.stack([np.asarray(s.obs) - np.asarray(true(s)) for s in states])
    return {name: off[..., part] for name, part in running.env.observation_layout.items()}


def test_sensor_noise_has_its_deviation(errors: dict[str, np.ndarray]) -> None:
    """5824 draws: their deviation is within 5 %, 5 sigma. New at every step, reset and entry."""
    noise = errors["arm_qpos"]
    assert noise.std() == pytest.approx(NOISE, rel=0.05)
    assert np.abs(noise.mean()) < 5 * NOISE / np.sqrt(noise.size)
    for axis in range(3):
        flat = np.moveaxis(noise, axis, 0).reshape(noise.shape[axis], -1)
        assert np.abs(np.corrcoef(flat[0], flat[1])[0, 1]) < 0.5


def test_sensor_bias_lasts_an_episode_or_a_session(errors: dict[str, np.ndarray]) -> None:
    """Differences of float32 numbers of order 1: 1e-6."""
    bias = errors["arm_qvel"]
    episodes = bias[:STEPS], bias[STEPS : 2 * STEPS], bias[2 * STEPS :]
    for episode in episodes:
        np.testing.assert_allclose(episode, np.tile(episode[0], (len(episode), 1, 1)), atol=1e-6)
    assert (np.abs(episodes[0][0] - episodes[1][0]) > 1e-5).mean() > 0.95
    assert np.abs(bias).max() <= 0.02 + 1e-6 and np.abs(bias).max() > 0.019
    lasting = errors["gripper"]
    np.testing.assert_allclose(lasting, np.tile(lasting[0], (len(lasting), 1, 1)), atol=1e-6)
    assert (lasting > 0.1 - 1e-6).all() and np.ptp(lasting[0]) > 0.05


def test_latency_is_exact(sensed: tuple[Running, list[State], Transition]) -> None:
    """Two steps ago, to the bit; at the start of an episode its first observation."""
    running, states, _ = sensed
    true = mjxsim.jit(jax.vmap(running.env.observe))
    where = np.r_[running.env.observation_layout["tcp"], running.env.observation_layout["goal"]]
    shown = np.stack([np.asarray(s.obs) for s in states])[..., where]
    actual = np.stack([np.asarray(true(s)) for s in states])[..., where]
    for t in range(len(states)):
        first = t - t % STEPS
        np.testing.assert_array_equal(shown[t], actual[max(first, t - 2)])
    assert not np.array_equal(actual[2], actual[4])


def test_other_parts_are_true(errors: dict[str, np.ndarray]) -> None:
    assert not errors["arm_lag"].any() and not errors["tcp_to_goal"].any()


def test_the_learner_sees_what_is_shown(
    sensed: tuple[Running, list[State], Transition],
) -> None:
    _, states, transitions = sensed
    for t, after in enumerate(states[1:]):
        np.testing.assert_array_equal(transitions.obs[t], states[t].obs)
        if (t + 1) % STEPS:
            np.testing.assert_array_equal(transitions.next_obs[t], after.obs)
    np.testing.assert_array_equal(transitions.obs[STEPS], states[STEPS].obs)


def test_pushes_move_the_world(sensed: tuple[Running, list[State], Transition]) -> None:
    """The same state and action at each time of an episode: pushed at two of them, alike."""
    running, states, _ = sensed
    action = jnp.zeros((32, running.env.action_size))
    start = states[0].replace(physics=states[5].physics, control=states[5].control)
    speeds: list[np.ndarray] = []
    for step in range(STEPS - 1):  # the last one's ends in a reset
        count = jnp.full(32, step, jnp.int32)
        after, _ = running.step(start.replace(step_count=count), action)
        speeds.append(np.asarray(after.physics.qvel))
    for world in range(32):
        kinds, times = np.unique(np.stack(speeds)[:, world], axis=0, return_counts=True)
        assert sorted(times.tolist()) in ([2, 7], [1, 8])  # 1 if the other is the last step
        assert np.abs(kinds[0] - kinds[1]).max() > 0.01  # [rad/s], 20 N on the hand for 0.05 s


# Everything at once.

EVERYTHING = RandomizationConfig(
    physics_frequency=3,
    actuation=ActuationRandomization(Range(0.01, 0.05), Range(0.0, 0.1), frequency="step"),
    sensors=(
        SensorRandomization((), Range(0.0, 0.01), Range(-0.01, 0.01), Range(0.0, 0.1)),
        SensorRandomization(("gripper",), bias=Range(0.1, 0.2), frequency="session"),
    ),
    pushes=PushRandomization(Range(1.0, 5.0), interval=0.3),
    schedule="linear",
    linear=LinearSchedule(start=0.25, end_step=2 * STEPS),
)


@pytest.fixture(scope="module")
def everything() -> tuple[Running, list[State], Transition, np.ndarray]:
    env = mjxsim.make("reach", engine="c", config=SHORT, randomization=EVERYTHING,
                      randomizer=slippery, announce=False)  # fmt: skip
    running = Running.of(env, 4)
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (32, 4, env.action_size))
    states, transitions = running.play(running.reset(jax.random.key(0)), actions)
    return running, states, transitions, actions


def test_model_fields_are_drawn_every_n_steps(
    everything: tuple[Running, list[State], Transition, np.ndarray],
) -> None:
    """In steps 0, 3, 6 and 9 of an episode; states[t] is what step t - 1 left, or a reset."""
    _, states, _, _ = everything
    damping = np.stack([np.asarray(s.overrides["dof_damping"]) for s in states])
    changed = (np.diff(damping, axis=0) != 0).any(axis=2)
    for world in range(4):  # the step that ends an episode shows the next one's draw
        assert np.flatnonzero(changed[:, world]).tolist() == [3, 6, 9, 13, 16, 19, 23, 26, 29]


def test_actuation_is_drawn_at_every_step(
    everything: tuple[Running, list[State], Transition, np.ndarray],
) -> None:
    _, states, _, _ = everything
    delays = np.stack([np.asarray(s.actuation.drawn.delay) for s in states])
    # The first step of an episode has what its reset drew.
    redrawn = [(np.diff(delays, axis=0)[t] != 0).all() for t in range(32)]
    assert redrawn == [t % STEPS != 0 for t in range(32)]
    # A quarter wide at first: a range is closed towards no delay.
    assert delays[0].max() <= 0.25 * 0.05 + 1e-6 < delays[2 * STEPS + 1 :].max() <= 0.05


def test_schedule_goes_on_through_episodes(
    everything: tuple[Running, list[State], Transition, np.ndarray],
) -> None:
    _, states, transitions, _ = everything
    widths = transitions.metrics["randomization_width"]
    expected = np.r_[[0.25] * STEPS, [0.625] * STEPS, [1.0] * 12]
    np.testing.assert_allclose(widths, np.tile(expected[:, None], (1, 4)), atol=1e-6)
    assert states[-1].progress.steps.tolist() == [32] * 4


def test_a_training_tells_how_wide_ranges_are(
    everything: tuple[Running, list[State], Transition, np.ndarray],
) -> None:
    running, *_ = everything
    config = PPOConfig(unroll_length=2, minibatches=2, epochs=1, hidden=(16,))
    ppo = PPO(running.env, config, num_envs=4, total_steps=64)
    _, metrics = jax.eval_shape(ppo.update, jax.eval_shape(ppo.init, jax.random.key(0)))
    assert metrics["randomization_width"].shape == ()


def test_a_session_draw_opens_with_the_schedule(
    everything: tuple[Running, list[State], Transition, np.ndarray],
) -> None:
    _, states, _, _ = everything
    at = [np.asarray(states[t].sensing.drawn[1].bias) for t in (0, STEPS, 2 * STEPS, 3 * STEPS)]
    for bias, width in zip(at, (0.25, 0.625, 1.0, 1.0), strict=True):
        np.testing.assert_allclose(bias, width * at[-1], rtol=1e-5)
    assert same_bits([s.session for s in states[:-1]], [s.session for s in states[1:]])


def test_same_key_same_bits(
    everything: tuple[Running, list[State], Transition, np.ndarray],
) -> None:
    running, states, transitions, actions = everything
    again, their = running.play(running.reset(jax.random.key(0)), actions)
    assert same_bits((states, transitions), (again, their))
    assert running.step._cache_size() == 1  # type: ignore[attr-defined]


def test_resume_is_exact(
    everything: tuple[Running, list[State], Transition, np.ndarray], tmp_path: pathlib.Path
) -> None:
    """In the middle of an episode, of a push, of what is on its way, of the schedule."""
    running, states, _, actions = everything
    saved = checkpoint.save(tmp_path, 17, {"state": states[17]}, {})
    shapes = jax.eval_shape(lambda: {"state": states[17]})
    restored = checkpoint.load(saved).fill(shapes)["state"]
    resumed, _ = running.play(restored, actions[17:])
    assert same_bits(resumed, states[17:])


# Model fields by session and by episode, and the rest of the interface.


@pytest.mark.parametrize("frequency", ["session", "episode"])
def test_model_fields_of_a_session_and_of_an_episode(frequency: str) -> None:
    env = mjxsim.make("reach", engine="c", config=SHORT, randomizer=slippery,
                      randomization=RandomizationConfig(physics_frequency=frequency),
                      announce=False)  # fmt: skip

    def two_episodes(key: jax.Array) -> tuple[State, State]:
        first = env.reset(key)
        return first, env.restart(first)

    keys = jax.random.split(jax.random.key(0), 4)
    first, second = mjxsim.jit(jax.vmap(two_episodes))(keys)
    a, b = (np.asarray(s.overrides["dof_damping"]) for s in (first, second))
    assert len(np.unique(a[:, 0])) == 4
    assert np.allclose(a, b, rtol=1e-6) == (frequency == "session")
    assert not np.allclose(first.task.goal, second.task.goal)
    assert env.lasting == (frequency == "session")


def test_success_rate_moves_the_width() -> None:
    """A policy that always succeeds is given wider ranges, one that never does narrower ones."""
    randomization = RandomizationConfig(
        sensors=(SensorRandomization(noise=Range(0.0, 0.01)),),
        schedule="success",
        success=SuccessSchedule(start=0.5, step=0.25, episodes=2),
    )
    config = dataclasses.replace(SHORT, threshold=10.0)  # [m]: everywhere is near enough
    env = mjxsim.make("reach", engine="c", config=config, randomization=randomization,
                      announce=False)  # fmt: skip
    running = Running.of(env, 4)
    actions = np.zeros((4 * STEPS + 1, 4, env.action_size))
    actions[:, 2:] = np.nan  # which fails at once
    states, _ = running.play(running.reset(jax.random.key(0)), actions)
    widths = np.stack([np.asarray(s.progress.width) for s in states])
    for t, width in ((1, 0.5), (2 * STEPS - 1, 0.5), (2 * STEPS, 0.75), (4 * STEPS, 1.0)):
        np.testing.assert_allclose(widths[t, :2], width, atol=1e-6)
    for t, width in ((1, 0.5), (2, 0.25), (4, 0.0), (20, 0.0)):
        np.testing.assert_allclose(widths[t, 2:], width, atol=1e-6)


def test_gymnasium_keeps_a_session_until_it_is_seeded() -> None:
    randomization = RandomizationConfig(
        sensors=(SensorRandomization(("gripper",), bias=Range(0.0, 1.0), frequency="session"),)
    )

    def biases(env: mjxsim.envs.vector.BatchedVectorEnv) -> np.ndarray:
        return np.asarray(env._state.sensing.drawn[0].bias)

    env = mjxsim.make_vec("reach", 3, engine="c", episode_seconds=0.5,
                          randomization=randomization, announce=False)  # fmt: skip
    env.reset(seed=0)
    first = biases(env)
    goals = np.asarray(env._state.task.goal)
    env.reset()
    np.testing.assert_allclose(biases(env), first, rtol=1e-6)
    assert not np.allclose(env._state.task.goal, goals)
    env.reset(seed=[7, None, None])
    assert np.isclose(biases(env), first, rtol=1e-6).all(axis=1).tolist() == [False, True, True]
    env.reset(seed=0)
    np.testing.assert_allclose(biases(env), first, rtol=1e-6)
    np.testing.assert_allclose(env._state.task.goal, goals)
    env.close()
    # One world alone is world 0 of them.
    alone = GymEnv("reach", engine="c", episode_seconds=0.5, randomization=randomization)
    shown = [alone.reset(seed=0)[0], alone.reset()[0]]
    bias = np.asarray(alone._state.sensing.drawn[0].bias)
    np.testing.assert_allclose(bias, first[0], rtol=1e-6)
    assert not np.allclose(*shown)


def test_nothing_randomized_carries_nothing() -> None:
    env = mjxsim.make("reach", engine="c", config=SHORT, announce=False)
    assert env.repeats == 1 and not env.lasting
    state, _ = jax.eval_shape(env.step, *_shapes(env))
    assert [state.session, state.progress, state.actuation, state.sensing] == [None] * 4


def test_restart_is_reset_from_the_key_where_nothing_lasts() -> None:
    env = mjxsim.make("reach", engine="c", config=SHORT, announce=False,
                      randomization=RandomizationConfig(
                          actuation=ActuationRandomization(delay=Range(0.01, 0.05))
                      ))  # fmt: skip
    state = mjxsim.jit(env.reset)(jax.random.key(3))
    both = mjxsim.jit(lambda s: (env.restart(s), env.reset(s.key)))(state)
    assert not env.lasting and same_bits(*both)


def _shapes(env: Env) -> tuple[State, jax.ShapeDtypeStruct]:
    state = jax.eval_shape(env.reset, jax.random.key(0))
    return state, jax.ShapeDtypeStruct((env.action_size,), jnp.float32)


def test_torques_are_late_too() -> None:
    """A controller at the physics rate is delayed by whole physics steps."""
    env = mjxsim.make("reach", engine="c", config=SHORT, control="osc", announce=False,
                      randomization=RandomizationConfig(
                          actuation=ActuationRandomization(delay=exactly(0.02))
                      ))  # fmt: skip
    assert env.repeats == 10 and env.actuators is not None and env.actuators.longest == 4
    state, _ = jax.eval_shape(env.step, *_shapes(env))
    assert state.actuation.sent.shape == (4, env.engine.model.nu)


def test_physics_and_a_dictionary_reach_the_environment() -> None:
    """The dictionary's mass factors are those of the cube, and its delay that of the actuators."""
    data = {
        "object_properties": {"mass_range": [0.5, 2.0]},
        "robot_parameters": {"actuator_delay_range": [0.01, 0.05]},
    }
    config = RandomizationConfig.from_dict(data, frequency="session")
    assert config.physics_frequency == config.actuation.frequency == "session"
    env = mjxsim.make("pick_cube", engine="c", randomization=config, announce=False)
    state = mjxsim.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), 16))
    cube = env.engine.model.body("cube").id
    factor = np.asarray(state.overrides["body_mass"])[:, cube] / env.engine.model.body_mass[cube]
    assert len(np.unique(factor)) == 16 and 0.5 <= factor.min() < factor.max() <= 2.0
    assert "dof_invweight0" in state.overrides  # what follows from a mass is there too
    assert env.repeats == 5 and state.actuation.sent.shape[1] == 5
    with pytest.raises(ValueError, match=r"randomizer of your own or randomization\.physics"):
        mjxsim.make(
            "pick_cube", engine="c", randomization=config, randomizer=slippery, announce=False
        )


def test_flags_switch_on_and_widen() -> None:
    flags = ["--actuation.delay", "0.01,0.05,absolute", "--actuation.frequency", "20"]
    flags += ["--schedule", "success", "--success.episodes", "4"]
    config = tyro.cli(RandomizationConfig, args=flags)
    assert config.actuation == ActuationRandomization(delay=Range(0.01, 0.05), frequency=20)
    assert config.width == SuccessSchedule(episodes=4)


def test_configuration_survives_json() -> None:
    assert codec.decode(RandomizationConfig, codec.encode(EVERYTHING)) == EVERYTHING
    assert codec.decode(RandomizationConfig, {}) == RandomizationConfig()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: RandomizationConfig(sensors=(SensorRandomization(("arm_pos",)),)),
            "unknown part of the observation 'arm_pos': did you mean 'arm_qpos'",
        ),
        (
            lambda: RandomizationConfig(sensors=(SensorRandomization(latency=exactly(0.02)),)),
            "latency of at most 0.02 s is never felt: an observation is made every 0.05 s",
        ),
        (
            lambda: RandomizationConfig(
                sensors=(SensorRandomization(latency=exactly(0.1)),) * 2,
            ),
            "two sensors entries give a latency to 'arm_qpos'",
        ),
        (
            lambda: RandomizationConfig(
                actuation=ActuationRandomization(delay=exactly(0.004), resolution=0.05)
            ),
            "delay of at most 0.004 s is never felt: the engine is called every 0.05 s",
        ),
        (lambda: RandomizationConfig(physics_frequency="daily"), "physics_frequency must be"),
        (lambda: RandomizationConfig(schedule="liner"), "unknown schedule 'liner': .*'linear'"),
        (lambda: ActuationRandomization(delay=exactly(-0.01)), "actuation delay"),
        (lambda: ActuationRandomization(resolution=0.0), "resolution must be positive"),
        (lambda: SensorRandomization(noise=exactly(-1.0)), "sensor noise"),
        (lambda: SensorRandomization(bias=Range(0.5, 2.0, "scale")), "sensor bias"),
    ],
)
def test_what_cannot_be_is_one_line(build: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        config = build()
        assert isinstance(config, RandomizationConfig)
        mjxsim.make("reach", engine="c", randomization=config, announce=False)
    assert "\n" not in str(caught.value)

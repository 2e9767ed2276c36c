"""SAC's targets against plain NumPy, what it learns on a known answer, and a run as a whole."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxsim
from mjxsim import config as configs
from mjxsim import runs, train
from mjxsim.envs import Env
from mjxsim.learning import checkpoint
from mjxsim.learning.networks import SquashedGaussian
from mjxsim.learning.normalize import Normalizer
from mjxsim.learning.replay import Experience, Replay
from mjxsim.learning.sac import SAC, SACConfig, SACState, check_start, make_actor
from mjxsim.runs import session
from mjxsim.runs.run_dir import RunDir
from mjxsim.tasks.reach import ReachConfig

CONFIG = SACConfig(
    unroll_length=8,
    update_to_data=0.125,
    batch_size=32,
    buffer_size=48,
    demonstrations=2,
    critics=3,
    hidden=(16,),
)
NUM_ENVS = 4
TASK = ReachConfig(episode_seconds=2.0)
UPDATES = 6
STEPS = UPDATES * NUM_ENVS * CONFIG.unroll_length
RUN = configs.TrainConfig(
    task="reach",
    task_config=TASK,
    engine="c",
    algorithm="sac",
    sac=CONFIG,
    seed=5,
    num_envs=NUM_ENVS,
    total_steps=STEPS,
    evaluation=configs.EvaluationConfig(episodes=4, video=False),
    checkpoint=configs.CheckpointConfig(every_updates=2, keep=10),
)


@dataclasses.dataclass(frozen=True)
class Subject:
    """A small SAC on reach with its update compiled once, and a fresh state."""

    sac: SAC
    update: Callable[[SACState], tuple[SACState, dict[str, jax.Array]]]
    start: SACState


@pytest.fixture(scope="module")
def env() -> Env:
    return mjxsim.make("reach", engine="c", config=TASK, announce=False)


@pytest.fixture(scope="module")
def compile_once() -> Any:
    """Compiles each program once for all tests that use this in the place of session._compile."""
    original, compiled = session._compile, {}

    def compile_(env: Any, fun: Any, *args: Any, donate: bool = False) -> Any:
        sac = fun.__self__
        name = fun.__name__, sac.config, sac.num_envs, sac.env.task.config
        if name not in compiled:
            compiled[name] = original(env, fun, *args, donate=donate)
        return compiled[name]

    return compile_


@pytest.fixture(scope="module")
def subject(env: Env, compile_once: Any) -> Subject:
    sac, key = SAC(env, CONFIG, NUM_ENVS, total_steps=STEPS), jax.random.key(0)
    start = compile_once(sac.env, sac.init, key)(key)
    update = compile_once(sac.env, sac.update, start, donate=True)
    return Subject(sac, lambda state: update(jax.tree.map(jnp.copy, state)), start)


def assert_finite(tree: object) -> None:
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            assert np.isfinite(leaf).all(), jax.tree_util.keystr(path)


# The policy's distribution.


def test_density_of_a_squashed_action() -> None:
    """The density of tanh(x) is that of x over the slope of tanh, also where that is flat."""
    policy = SquashedGaussian(jnp.array([[0.3, -6.0]]), jnp.array([[-0.5, -1.0]]))
    noise = np.array([[0.7, 1.3]])
    action, log_prob = policy.at(jnp.asarray(noise, jnp.float32))
    x = np.float64(policy.mean) + np.exp(np.float64(policy.log_std)) * noise
    density = -0.5 * noise**2 - np.float64(policy.log_std) - 0.5 * np.log(2 * np.pi)
    # 1 - tanh(x)^2 = 1 / cosh(x)^2; about 1e-5 at x = -6, where float32's tanh is nearly -1.
    expected = (density + 2.0 * np.log(np.cosh(x))).sum(-1)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-5)
    np.testing.assert_allclose(action, np.tanh(x), rtol=1e-6)
    np.testing.assert_allclose(policy.mode(), np.tanh(np.float64(policy.mean)), rtol=1e-6)


# Targets and single steps.


def batch_of(env: Env, n: int = 6) -> Experience:
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> jax.Array:
        return jnp.asarray(rng.normal(size=shape), jnp.float32)

    return Experience(
        obs=normal(n, env.observation_size),
        action=jnp.tanh(normal(n, env.action_size)),
        reward=normal(n),
        next_obs=normal(n, env.observation_size),
        terminated=jnp.arange(n) % 3 == 0,
    )


@pytest.mark.parametrize("backup_entropy", [False, True])
def test_targets_bootstrap_unless_terminated(
    env: Env, subject: Subject, backup_entropy: bool
) -> None:
    config = dataclasses.replace(
        CONFIG, target_critics=3, backup_entropy=backup_entropy, initial_temperature=0.7
    )
    sac = SAC(env, config, NUM_ENVS, total_steps=1000)
    params, batch, key = subject.start.policy.params, batch_of(env), jax.random.key(3)
    learner = subject.start.learner.replace(log_temperature=jnp.log(jnp.float32(0.7)))
    target = sac._target(params, learner, batch, key)

    action, log_prob = sac._sample(params, batch.next_obs, jax.random.split(key)[0])
    values = np.asarray(sac.critics.forward(learner.target, batch.next_obs, action), np.float64)
    assert values.shape == (3, 6)
    future = values.min(0) - (0.7 * np.asarray(log_prob, np.float64) if backup_entropy else 0.0)
    assert np.abs(future).min() > 1e-3, "else nothing below tells bootstrap from none"
    expected = config.reward_scale * np.asarray(batch.reward, np.float64)
    expected += np.where(batch.terminated, 0.0, config.discount * future)
    np.testing.assert_allclose(target, expected, rtol=1e-4, atol=1e-6)  # float32 sums


def test_a_random_few_critics_speak_for_the_next_state(env: Env, subject: Subject) -> None:
    """With one of three, over many keys, each gives the target about a third of the time."""
    sac = SAC(env, dataclasses.replace(CONFIG, target_critics=1), NUM_ENVS, total_steps=1000)
    params, learner = subject.start.policy.params, subject.start.learner
    batch = batch_of(env, n=2).replace(reward=jnp.zeros(2), terminated=jnp.zeros(2, bool))

    def who(key: jax.Array) -> jax.Array:
        action, _ = sac._sample(params, batch.next_obs, jax.random.split(key)[0])
        values = sac.critics.forward(learner.target, batch.next_obs, action)
        target = sac._target(params, learner, batch, key) / CONFIG.discount
        return (jnp.abs(values - target) < 1e-4).all(1)

    spoke = np.asarray(jax.jit(jax.vmap(who))(jax.random.split(jax.random.key(0), 300)))
    np.testing.assert_array_equal(spoke.sum(1), 1)
    # 100 each, with a standard deviation of 8.
    assert np.abs(spoke.sum(0) - 100).max() < 40


def test_targets_follow_slowly(env: Env, subject: Subject) -> None:
    start = subject.start.learner
    batch = batch_of(env)
    step = mjxsim.jit(subject.sac._critic_step)
    learner, losses = step(subject.start.policy.params, start, batch, jax.random.key(0))
    assert losses["critic_loss"] > 0
    share = CONFIG.polyak
    expected = jax.tree.map(lambda a, b: (1 - share) * a + share * b, start.target, learner.critic)
    for a, b in zip(jax.tree.leaves(learner.target), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    moved = jax.tree.map(lambda a, b: jnp.abs(a - b).max() > 0, start.critic, learner.critic)
    assert all(jax.tree.leaves(moved))


@pytest.mark.parametrize("wanted", [-3.0, 3.0])
def test_temperature_moves_towards_the_wanted_entropy(
    env: Env, subject: Subject, wanted: float
) -> None:
    config = dataclasses.replace(CONFIG, target_entropy=wanted)
    sac = SAC(env, config, NUM_ENVS, total_steps=1000)
    start = subject.start
    step = mjxsim.jit(sac._actor_step)
    _, learner, losses = step(start.policy.params, start.learner, batch_of(env), jax.random.key(0))
    change = learner.log_temperature - start.learner.log_temperature
    # Hotter when there is less entropy than wanted.
    assert jnp.sign(change) == jnp.sign(wanted * env.action_size - losses["entropy"])


def test_half_of_a_batch_is_demonstrations(subject: Subject) -> None:
    start = subject.start
    shown, replay = start.demonstrations, start.replay
    shown = shown.replace(replay=mark(shown.replay, 1.0))
    replay = mark(replay.replace(size=jnp.int32(10)), -1.0)
    batch = subject.sac._batch(
        start.replace(demonstrations=shown, replay=replay), jax.random.key(0)
    )
    assert (batch.reward == 1.0).sum() == CONFIG.batch_size // 2
    assert (batch.reward == -1.0).sum() == CONFIG.batch_size // 2
    # As the policy sees them: by statistics of the demonstrations, at this point.
    assert start.policy.normalizer.count == shown.replay.slots
    seen = batch.obs[batch.reward == 1.0]
    assert jnp.abs(seen.mean()) < 0.5
    assert 0.3 < seen.std() < 2.0


def mark(replay: Replay[Experience], reward: float) -> Replay[Experience]:
    rows = replay.rows
    return replay.replace(rows=rows.replace(reward=jnp.full_like(rows.reward, reward)))


def test_it_finds_the_best_action_of_a_bandit(env: Env, subject: Subject) -> None:
    """Every transition is terminal and its reward falls with the distance to a known action."""
    config = dataclasses.replace(
        CONFIG,
        batch_size=64,
        demonstrations=0,
        update_to_data=30.0,
        learning_rate=3e-3,
        reward_scale=1.0,
        target_entropy=-2.0,
    )
    sac = SAC(env, config, NUM_ENVS, total_steps=1000)
    best = jnp.array([0.5, -0.3, 0.0, 0.7])[: env.action_size]
    keys = jax.random.split(jax.random.key(0), 2)
    obs = jnp.zeros((2000, env.observation_size))
    action = jax.random.uniform(keys[0], (2000, env.action_size), minval=-1.0)
    rows = Experience(obs, action, -((action - best) ** 2).sum(1), obs, jnp.ones(2000, bool))
    replay = Replay.of(rows, jnp.ones(2000, bool))
    # A normalizer that has seen nothing changes nothing; else the observation drowns the action.
    policy = subject.start.policy.replace(normalizer=Normalizer.init(env.observation_size))
    state = subject.start.replace(policy=policy, replay=replay, demonstrations=None)
    params, _, _ = mjxsim.jit(sac._learn)(state, keys[1])
    chosen = make_actor(config, env).act(state.policy.replace(params=params), obs[0])
    # Uniform actions are .58 away on average; what is left is the critics' error and the entropy.
    assert jnp.abs(chosen - best).mean() < 0.15


# One update.


def ending_soon(subject: Subject) -> SACState:
    """The fresh state with two worlds whose time runs out within the update, and two that go on."""
    limit = subject.sac.env.task.config.episode_steps
    count = jnp.array([limit - 2, limit - CONFIG.unroll_length, 0, 0], jnp.int32)
    return subject.start.replace(env_state=subject.start.env_state.replace(step_count=count))


def test_update_remembers_learns_and_counts(subject: Subject) -> None:
    before = ending_soon(subject)
    check_start(CONFIG, before)
    state, metrics = subject.update(before)
    assert_finite((state, metrics))
    assert state.updates == 1
    assert state.replay.size == CONFIG.unroll_length  # of each world
    assert metrics["episodes"] == 2
    # Lengths as seen by the learner, which began to count with the first step here: 2 and 8.
    assert metrics["episode_length"] == (2 + CONFIG.unroll_length) / 2
    np.testing.assert_array_equal(state.episode_length, [6, 0, 8, 8])
    for a, b in zip(
        jax.tree.leaves((before.policy.params, before.learner.critic)),
        jax.tree.leaves((state.policy.params, state.learner.critic)),
        strict=True,
    ):
        assert 0 < jnp.abs(a - b).max() < 0.1
    state, _ = subject.update(state)
    assert state.replay.size == CONFIG.buffer_size // NUM_ENVS  # 12 of 16


def test_a_truncated_episode_is_remembered_as_one_that_would_go_on(subject: Subject) -> None:
    state, _ = subject.update(ending_soon(subject))
    rows = jax.tree.map(
        lambda x: np.asarray(x[:, : CONFIG.unroll_length]).swapaxes(0, 1), state.replay.rows
    )
    assert not rows.terminated.any()
    follows = (rows.next_obs[:-1] == rows.obs[1:]).all(-1)
    # World 0 ran out of time at its second step: what it saw last is not what it saw next.
    expected = np.ones_like(follows)
    expected[1, 0] = False
    np.testing.assert_array_equal(follows, expected)
    tcp = subject.sac.env.observation_layout["tcp"]
    assert np.abs(rows.next_obs[1, 0] - rows.obs[1, 0])[tcp].max() < 0.05  # [m], one step further
    np.testing.assert_array_equal(rows.next_obs[-1, 2:], np.asarray(state.env_state.obs)[2:])


def test_a_broken_world_does_not_reach_the_weights(subject: Subject) -> None:
    """World 2 is not finite when the update begins: it fails, starts anew and spoils nothing."""
    start = ending_soon(subject)
    physics = start.env_state.physics
    physics = physics.replace(qpos=physics.qpos.at[2].set(jnp.nan))
    state, metrics = subject.update(
        start.replace(env_state=start.env_state.replace(physics=physics))
    )
    assert metrics["diverged"] >= 1
    assert metrics["episodes"] == 3
    assert state.replay.rows.terminated.sum() == 1
    assert_finite((state.policy, state.learner, state.replay, metrics))
    _, metrics = subject.update(state)
    assert metrics["diverged"] == 0


def test_without_demonstrations_all_is_experience(env: Env, subject: Subject) -> None:
    sac = SAC(env, dataclasses.replace(CONFIG, demonstrations=0), NUM_ENVS, total_steps=STEPS)
    state = jax.eval_shape(sac.init, jax.random.key(0))
    assert state.demonstrations is None
    replay = mark(subject.start.replay.replace(size=jnp.int32(10)), -1.0)
    state = subject.start.replace(replay=replay, demonstrations=None)
    batch = sac._batch(state, jax.random.key(0))
    assert (batch.reward == -1.0).sum() == CONFIG.batch_size


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"unroll_length": 0}, "unroll_length must be at least 1"),
        ({"critics": 0}, "critics must be at least 1"),
        ({"target_critics": 4}, r"target_critics must be from 1 to critics \(3\), got 4"),
        ({"update_to_data": 0.0}, "update_to_data must be positive"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive"),
        ({"discount": 1.5}, "discount must be from 0 to 1"),
        ({"polyak": -0.1}, "polyak must be from 0 to 1"),
        ({"demonstrations": -1}, "demonstrations must be at least 0"),
    ],
)
def test_hyperparameters_out_of_range(bad: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=rf"^sac {said}[^\n]*$"):
        dataclasses.replace(CONFIG, **bad)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"buffer_size": 31}, r"= 32 must not exceed buffer_size \(31\)"),
        ({"demonstration_share": 1.0}, "leaves no transition of one kind"),
    ],
)
def test_numbers_that_do_not_fit_together(env: Env, bad: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SAC(env, dataclasses.replace(CONFIG, **bad), NUM_ENVS, total_steps=1000)


# A run as a whole.


@pytest.fixture
def shared_programs(compile_once: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_compile", compile_once)


@pytest.fixture(scope="module")
def finished(compile_once: Any, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The directory of a run that nothing interrupted."""
    path = tmp_path_factory.mktemp("sac") / "finished"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "_compile", compile_once)
        train.run(dataclasses.replace(RUN, output_dir=path))
    return path


def final_state(path: pathlib.Path) -> dict[str, bytes]:
    found = checkpoint.latest(RunDir(path).checkpoints)
    assert found.step == STEPS
    return {name: array.tobytes() for name, array in found.arrays.items()}


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr."""
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    return text


@pytest.mark.usefixtures("shared_programs")
def test_resumes_to_the_same_bits(
    finished: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The memory, the demonstrations and all of the optimizers' state are in the checkpoint."""
    path = tmp_path / "run"
    shutil.copytree(finished, path)
    RunDir(path).result.unlink()
    for newer in checkpoint.steps(RunDir(path).checkpoints)[:2]:
        shutil.rmtree(newer)
    assert train.main(["--resume", "--output-dir", str(path)]) == 0
    assert f"at {STEPS // 3} of {STEPS} steps" in capsys.readouterr().out
    assert final_state(path) == final_state(finished)
    a, b = (json.loads(RunDir(p).result.read_text())["evaluation"] for p in (path, finished))
    assert a == b


def test_result_and_policy_on_disk(finished: pathlib.Path) -> None:
    result = json.loads(RunDir(finished).result.read_text())
    assert (result["algorithm"], result["env_steps"], result["episodes"]) == ("sac", STEPS, 4)
    run = runs.load(finished)
    assert run.config.sac == CONFIG
    state = mjxsim.jit(jax.vmap(run.env.reset))(jax.random.split(jax.random.key(0), 3))
    action = run.policy(state.obs)
    assert action.shape == (3, run.env.action_size)
    assert jnp.abs(action).max() < 1.0
    assert jnp.abs(action[0] - action[1]).max() > 0.0


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--algorithm", "ppo"], "algorithm is sac in the run to resume and ppo here"),
        (["--sac.critics", "4"], "sac.critics is 3 in the run to resume and 4 here"),
    ],
)
def test_another_algorithm_does_not_resume(
    finished: pathlib.Path, flags: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(["--resume", "--output-dir", str(finished), *flags]) == 2
    assert line in said(capsys)


def test_a_checkpoint_says_its_algorithm(finished: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """One without that word is of PPO, as all were before there was a choice."""
    found = checkpoint.latest(RunDir(finished).checkpoints)
    metadata: dict[str, Any] = json.loads(json.dumps(found.metadata))
    del metadata["identity"]["algorithm"]
    checkpoint.save(tmp_path / "checkpoints", 1, dict(found.arrays), metadata)
    with pytest.raises(checkpoint.CheckpointError, match="another algorithm: ppo there, sac here"):
        runs.load(tmp_path)


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (["--control.mode", "joint_delta"], "a scripted expert needs an end-effector controller"),
        (["--sac.buffer-size", "8"], "must not exceed buffer_size (8)"),
        (["--sac.learning-rat", "1"], "did you mean '--sac.learning-rate'"),
        (["--learning-rate", "1"], "did you mean '--sac.learning-rate'"),
    ],
)
def test_mistakes_are_one_line(
    finished: pathlib.Path,
    tmp_path: pathlib.Path,
    flags: list[str],
    line: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = str(RunDir(finished).config)
    argv = ["--config", config, "--output-dir", str(tmp_path / "run"), *flags]
    assert train.main(argv) == 2
    assert line in said(capsys)


def test_a_bad_start_and_a_bad_loss_are_one_line(
    finished: pathlib.Path,
    tmp_path: pathlib.Path,
    compile_once: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    collected = CONFIG.demonstrations - 1

    def broken(env: Any, fun: Any, *args: Any, donate: bool = False) -> Any:
        def init(key: jax.Array) -> SACState:
            state = compile_once(env, fun, *args)(key)
            shown = state.demonstrations.replace(episodes=jnp.int32(collected))
            return state.replace(demonstrations=shown)

        class Update:
            def __call__(self, state: SACState) -> Any:
                return state, {"critic_loss": np.float32(np.nan)}

            def memory_analysis(self) -> None:
                return None

        return init if fun.__name__ == "init" else Update()

    monkeypatch.setattr(session, "_compile", broken)
    argv = ["--config", str(RunDir(finished).config), "--output-dir", str(tmp_path / "run")]
    assert train.main(argv) == 2
    assert "the scripted expert succeeded in only 1 of 2 episodes, 2 were to be" in said(capsys)
    collected += 1
    assert train.main(argv) == 2
    assert "critic_loss not finite at step 32: lower --sac.learning-rate" in said(capsys)


TWO_DEVICES = """
import json
import jax, jax.numpy as jnp, numpy as np
import mjxsim
from mjxsim.learning.mesh import Shards
from mjxsim.learning.sac import SAC, SACConfig

config = SACConfig(
    unroll_length=4, batch_size=32, buffer_size=64, demonstrations=1, critics=2, hidden=(16,)
)
env = mjxsim.make("reach", engine="c", announce=False)
on1, on2 = (SAC(env, config, 4, 1000, Shards.over(jax.devices()[:n])) for n in (1, 2))
key = jax.random.key(0)


def apart(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(float(np.abs(np.asarray(x, float) - np.asarray(y, float)).max()) for x, y in pairs)


start1, start2 = mjxsim.jit(on1.init)(key), mjxsim.jit(on2.init)(key)
update2 = mjxsim.jit(on2.update)
(after1, metrics1), (after2, metrics2) = mjxsim.jit(on1.update)(start1), update2(start2)
weights = after2.policy.params, after2.learner
placed, metrics = update2(on2.place(jax.device_get(after2)))
print(json.dumps({
    "start": apart(start1.demonstrations, start2.demonstrations)
    + apart((start1.policy, start1.learner), (start2.policy, start2.learner)),
    "worlds": apart(start1.env_state.obs, start2.env_state.obs),
    "remembered": apart(after1.replay, after2.replay),
    "seen": apart(after1.policy.normalizer, after2.policy.normalizer),
    "reward": apart(metrics1["reward"], metrics2["reward"]),
    "between_devices": max(
        apart(x.addressable_data(0), x.addressable_data(1)) for x in jax.tree.leaves(weights)
    ),
    "learned": apart(start2.policy.params, after2.policy.params),
    "lanes": [x.data.shape[0] for x in after2.replay.rows.obs.addressable_shards],
    "went_on": int(placed.updates),
}))
"""


def test_worlds_and_what_they_remember_on_two_devices() -> None:
    """The same experience as on one device; then each learns from its own, to the same weights."""
    flags = "--xla_force_host_platform_device_count=2"
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES],
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    out = json.loads(done.stdout.splitlines()[-1])
    assert out["start"] == out["worlds"] == 0.0
    # Float32 sums in another order, over a few steps without contact.
    assert max(out["remembered"], out["reward"]) < 1e-4
    assert out["seen"] < 1e-3  # sums of squares of 120 observations
    assert out["between_devices"] == 0.0
    assert out["learned"] > 0.0
    assert out["lanes"] == [2, 2]
    assert out["went_on"] == 2

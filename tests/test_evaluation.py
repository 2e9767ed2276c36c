"""Evaluation: what is counted, in which episodes, and how it is told."""

import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mjxsim
from mjxsim import config as configs
from mjxsim import evaluate as command
from mjxsim import runs
from mjxsim.config import TrainConfig
from mjxsim.envs import Transition, expert_policy, random_policy
from mjxsim.evaluation import (
    Episodes,
    Evaluator,
    evaluate,
    evaluate_from_state,
    from_observations,
    run_episodes,
    wilson_interval,
)
from mjxsim.evaluation.episodes import Tally, episode_keys
from mjxsim.evaluation.metrics import summarize
from mjxsim.learning import checkpoint
from mjxsim.learning.ppo import PPOConfig, make_actor
from mjxsim.rendering import NoRendererError, gl
from mjxsim.runs.load import identity
from mjxsim.tasks.reach import ReachConfig

# Reaching a goal within 0.2 m by holding still: some episodes succeed and end at once, others run
# out of time after six steps.
SHORT = ReachConfig(episode_seconds=0.3, threshold=0.2, hold_seconds=0.1, terminate_on_success=True)


@pytest.fixture(scope="module")
def reach():
    return mjxsim.make("reach", engine="c", config=SHORT, announce=False)


def wiggle(obs: jax.Array) -> jax.Array:
    """Some policy of observations whose actions change: (n, observation) -> (n, 4)."""
    return jnp.sin(40.0 * obs[:, :4])


# Known values: formula (4) of Brown, Cai, DasGupta, Interval estimation for a binomial proportion
# (2001), worked out with 30 digits; the first is also R's prop.test(8, 10, correct = FALSE).
@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (8, 10, 0.49016247153664183, 0.9433178485456247),
        (0, 10, 0.0, 0.2775327998628892),
        (10, 10, 0.7224672001371108, 1.0),
        (236, 256, 0.8824167617091012, 0.9488593594315697),
    ],
)
def test_wilson_interval_known_values(successes, n, low, high):
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 2000), st.floats(0, 1))
def test_wilson_interval_inverts_the_score_test(n, share):
    successes = round(share * n)
    p = successes / n
    low, high = wilson_interval(successes, n)
    assert 0.0 <= low <= p <= high <= 1.0
    for bound in (low, high):
        if 0.0 < bound < 1.0:  # where the interval ends, p is 1.96 standard errors away
            assert abs(p - bound) / np.sqrt(bound * (1 - bound) / n) == pytest.approx(1.959964)


def test_wilson_interval_refuses_nonsense():
    for successes, n in ((1, 0), (-1, 5), (6, 5)):
        with pytest.raises(ValueError, match="0 <= successes <= n"):
            wilson_interval(successes, n)


def test_episodes_are_those_of_a_plain_loop(reach):
    """One unbatched world after another, each stopped where its episode ends."""
    reset, step = mjxsim.jit(reach.reset), mjxsim.jit(reach.step)
    act = mjxsim.jit(lambda obs: wiggle(obs[None])[0])
    seed, n = 3, 7
    rows = []
    keys, _ = episode_keys(seed, np.arange(n, dtype=np.uint32))
    for i in range(n):
        state = reset(keys[i])
        reward, steps, travel, force, last = 0.0, 0, 0.0, 0.0, None
        while True:
            action = act(state.obs)
            state, t = step(state, action)
            reward, steps = reward + float(t.reward), steps + 1
            travel += 0.0 if last is None else float(jnp.linalg.norm(t.action - last))
            force, last = max(force, float(t.metrics["contact_force"])), t.action
            if t.terminated or t.truncated:
                break
        smoothness = travel / max(steps - 1, 1)
        rows.append((float(t.metrics["success"]), reward, steps, smoothness, force))
    success, returned, steps, smoothness, force = np.array(rows).T
    assert 0 < success.sum() < n
    assert steps.min() < steps.max()

    # Three chunks of three lanes, of which two are surplus.
    evaluator = Evaluator(reach, lambda _, key, s: wiggle(s.obs), episodes=n, max_lanes=3)
    result = evaluator(None, seed=seed)
    assert result.episodes == n
    assert result.success_rate == success.mean()
    assert result.success_ci95 == wilson_interval(int(success.sum()), n)
    assert result.length_mean == steps.mean()
    assert result.length_seconds == pytest.approx(0.05 * steps.mean())
    assert result.endings["success"] == success.sum()
    assert result.endings["time limit"] == n - success.sum()
    assert sum(result.endings.values()) == n
    # Batched and single matrix products in the controller's IK round differently.
    assert result.return_mean == pytest.approx(returned.mean(), rel=1e-4)
    assert result.return_std == pytest.approx(returned.std(), rel=1e-4)
    assert result.action_smoothness == pytest.approx(smoothness.mean(), rel=1e-3)
    assert result.peak_force_mean == pytest.approx(force.mean(), abs=1e-3)


@pytest.fixture(scope="module")
def noisy(reach):
    """Evaluates random actions of a given size."""
    chance = random_policy(reach)
    return Evaluator(reach, lambda size, key, state: size * chance(key, state), episodes=20)


def test_a_seed_determines_the_result(noisy):
    first, again, other = (noisy(jnp.float32(1.0), seed=s) for s in (1, 1, 2))
    assert first == again
    assert dataclasses.replace(other, seed=1) != first


def test_new_parameters_do_not_compile_again(noisy):
    still, moving = noisy(jnp.float32(0.0), seed=0), noisy(jnp.float32(1.0), seed=0)
    assert still.action_smoothness == 0.0
    assert moving.action_smoothness > 0.1
    assert noisy._run._cache_size() == 1


def test_a_broken_lane_fails_by_name_and_harms_no_other(reach):
    keys = jax.random.split(jax.random.key(0), 16)
    right = reach.observation_layout["goal"].start + 1  # the goal's y

    @mjxsim.jit
    def run(limit: jax.Array) -> Episodes:
        def policy(obs: jax.Array) -> jax.Array:
            return jnp.where(obs[:, right, None] > limit, jnp.nan, wiggle(obs))

        return run_episodes(reach, from_observations(reach, policy), keys, jax.random.key(1))

    broken, intact = (jax.device_get(run(jnp.float32(limit))) for limit in (0.0, 10.0))
    bad = broken.invalid_action
    assert 0 < bad.sum() < 16
    assert not broken.success[bad].any()
    assert (broken.steps[bad] == 1).all()
    assert broken.terminated[bad].all()
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(broken))
    for a, b in zip(jax.tree.leaves(broken), jax.tree.leaves(intact), strict=True):
        np.testing.assert_array_equal(a[~bad], b[~bad])
    result = summarize(broken, environment="", engine="", seed=0, control_dt=0.05)
    assert result.endings["invalid action"] == bad.sum()
    assert sum(result.endings.values()) == 16


def made_up(**metrics: list[float]) -> Transition:
    """One step of three worlds."""
    zero = jnp.zeros(3)
    names = ("success", "success_now", "contact_force", "diverged", "invalid_action")
    names += ("contact_overflow", "constraint_overflow")
    given = {k: jnp.array(v) for k, v in metrics.items()}
    ended = given.pop("terminated", zero) > 0
    return Transition(
        obs=zero,
        action=given.pop("action", jnp.zeros((3, 1))),
        reward=jnp.ones(3),
        terminated=ended,
        truncated=jnp.zeros(3, bool),
        next_obs=zero,
        metrics={k: given.get(k, zero) for k in names},
    )


def test_a_diverged_episode_is_a_failure_even_after_success():
    tally = Tally.start(3, 1)
    tally = tally.add(made_up(success=[1, 1, 0], success_now=[1, 1, 0], contact_force=[5, 1, 0]))
    tally = tally.add(
        made_up(success=[1, 1, 0], diverged=[1, 0, 0], terminated=[1, 1, 0], action=[[1], [1], [1]])
    )
    tally = tally.add(made_up(success=[0, 0, 1], success_now=[1, 1, 1], contact_force=[9, 9, 9]))
    np.testing.assert_array_equal(tally.running, [False, False, True])
    e = tally.episodes
    np.testing.assert_array_equal(e.success, [False, True, True])
    np.testing.assert_array_equal(e.success_at_end, [False, False, True])
    np.testing.assert_array_equal(e.steps, [2, 2, 3])
    np.testing.assert_array_equal(e.returned, [2.0, 2.0, 3.0])
    np.testing.assert_array_equal(e.peak_force, [5.0, 1.0, 9.0])
    np.testing.assert_array_equal(e.action_travel, [1.0, 1.0, 2.0])
    result = summarize(e, environment="", engine="", seed=0, control_dt=0.05)
    assert result.endings == {
        "time limit": 1,
        "success": 0,
        "failure": 1,  # it had succeeded, and then the task ended it
        "diverged": 1,
        "invalid action": 0,
    }
    assert result.success_rate == pytest.approx(2 / 3)
    assert result.diverged_rate == pytest.approx(1 / 3)


def test_the_expert_succeeds_and_chance_does_not():
    env = mjxsim.make("pick_cube", engine="c", announce=False)
    expert = evaluate_from_state(env, expert_policy(env), episodes=64, seed=0)
    chance = evaluate_from_state(env, random_policy(env), episodes=64, seed=0)
    assert expert.success_rate >= 0.9
    assert expert.success_ci95[0] > chance.success_ci95[1]
    assert expert.peak_force_mean > 5.0  # the gripper's squeeze
    assert expert.diverged_rate == chance.diverged_rate == 0.0
    assert chance.action_smoothness > expert.action_smoothness


def test_a_result_is_json_and_a_table(noisy):
    result = noisy(jnp.float32(0.1), seed=0)
    assert json.loads(json.dumps(result.to_json())) == result.to_json()
    assert set(result.to_json()) == {f.name for f in dataclasses.fields(result)}
    low, high = result.success_ci95
    assert f"{result.success_rate:.3f}  95% interval [{low:.3f}, {high:.3f}]" in result.table()


def test_no_episodes_are_refused(reach):
    with pytest.raises(ValueError, match="at least 1 episode, got 0"):
        evaluate(reach, wiggle, episodes=0)


# The command, on the checkpoint of an untrained policy.


@pytest.fixture(scope="module")
def run_directory(reach, tmp_path_factory) -> pathlib.Path:
    config = TrainConfig(
        task="reach", task_config=SHORT, engine="c", ppo=PPOConfig(hidden=(16,)), seed=1
    )
    policy = make_actor(config.ppo, reach).init(jax.random.key(5))
    directory = tmp_path_factory.mktemp("run")
    metadata = {"identity": identity(config, reach), "config": configs.to_json(config)}
    checkpoint.save(directory / "checkpoints", 1234, {"policy": policy}, metadata)
    return directory


def test_command_prints_and_writes_what_evaluate_finds(run_directory, capsys):
    written = run_directory / "evaluation.json"
    assert command.main(["--checkpoint", str(run_directory), "--episodes", "9"]) == 0
    printed = capsys.readouterr().out
    found = json.loads(written.read_text("utf-8"))

    run = runs.load(run_directory)
    result = evaluate(run.env, run.policy, episodes=9, seed=run.config.evaluation.seed)
    assert {k: found[k] for k in result.to_json()} == json.loads(json.dumps(result.to_json()))
    assert found["env_steps"] == 1234
    assert found["versions"]["mjxsim"] == mjxsim.__version__
    assert result.table() in printed
    assert str(written) in printed


def test_command_on_one_checkpoint_leaves_it_whole(run_directory):
    (path,) = checkpoint.steps(run_directory / "checkpoints")
    assert command.main(["--checkpoint", str(path), "--episodes", "2", "--seed", "4"]) == 0
    beside = path.with_name(f"{path.name}.evaluation.json")
    assert json.loads(beside.read_text("utf-8"))["seed"] == 4
    checkpoint.verify(path)
    assert checkpoint.steps(path.parent) == [path]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--episods", "3"], 2, "did you mean '--episodes'"),
        (["--episodes", "0"], 2, "--episodes must be at least 1, got 0"),
        (["--episodes", "many"], 2, "invalid int value: 'many'"),
        (["--engine", "cc"], 2, "did you mean 'c'"),
        (["--checkpoint", "/nowhere"], 2, "no directory /nowhere"),
        (["here"], 2, "unexpected 'here'"),
        (["--episodes", "2", "--output", "/nowhere/e.json"], 1, "cannot write /nowhere/e.json: "),
    ],
)
def test_command_answers_a_mistake_in_one_line(run_directory, capsys, arguments, code, message):
    assert command.main(["--checkpoint", str(run_directory), *arguments]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_command_without_opengl_still_writes_the_numbers(
    run_directory, tmp_path, capsys, monkeypatch
):
    def nothing_draws() -> str:
        raise NoRendererError("install a renderer")

    monkeypatch.setattr(gl, "platform", nothing_draws)
    output, video = tmp_path / "e.json", tmp_path / "v.mp4"
    arguments = ["--episodes", "2", "--output", str(output), "--video", str(video)]
    assert command.main(["--checkpoint", str(run_directory), *arguments]) == 1
    assert capsys.readouterr().err == "error: no video: install a renderer\n"
    assert json.loads(output.read_text("utf-8"))["episodes"] == 2
    assert not video.exists()


def test_command_needs_a_checkpoint(capsys):
    assert command.main([]) == 2
    assert "--checkpoint" in capsys.readouterr().err

"""The scalar and the vector environment, as gymnasium defines them."""

import subprocess
import sys
import warnings

import gymnasium
import jax
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import mjxsim
from mjxsim.envs.registration import gymnasium_id
from mjxsim.tasks import registry as tasks

PICK = "mjxsim/PandaPickCube-v0"
REACH = "mjxsim/PandaReach-v0"
IDS = [gymnasium_id(t, r) for t in tasks.TASKS for r in tasks.robots_for(t)]
# Episodes of 6 steps, some of which end earlier, by success.
SHORT = {
    "episode_seconds": 0.3,
    "threshold": 0.2,
    "hold_seconds": 0.1,
    "terminate_on_success": True,
}


@pytest.fixture(scope="module")
def pick():
    env = gymnasium.make(PICK)
    yield env
    env.close()


@pytest.fixture(scope="module")
def vec():
    env = mjxsim.make_vec("reach", 3, engine="c", **SHORT)
    yield env
    env.close()


def make_reach() -> gymnasium.Env:
    return gymnasium.make(REACH, **SHORT)


def play(env, seed: int, steps: int) -> list:
    """Everything an environment says after reset(seed)."""
    env.action_space.seed(seed)
    said = [env.reset(seed=seed)]
    for _ in range(steps):
        said.append(env.step(env.action_space.sample()))
        if np.all(said[-1][2] | said[-1][3]) and not isinstance(env, gymnasium.vector.VectorEnv):
            said.append(env.reset())
    return said


def assert_same(a, b, atol: float, where: str = "") -> None:
    """Same structure, types, shapes and dtypes; numbers within `atol`."""
    assert type(a) is type(b), f"{where}: {type(a)} and {type(b)}"
    if isinstance(a, dict):
        assert a.keys() == b.keys(), f"{where}: {a.keys() ^ b.keys()}"
        for key in a:
            assert_same(a[key], b[key], atol, f"{where}[{key!r}]")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, atol, f"{where}[{i}]")
    elif isinstance(a, np.ndarray) and a.dtype == object:
        assert a.shape == b.shape, where
        assert_same(list(a), list(b), atol, where)
    elif isinstance(a, np.ndarray):
        assert (a.dtype, a.shape) == (b.dtype, b.shape), where
        if a.dtype == bool:
            np.testing.assert_array_equal(a, b, err_msg=where)
        else:
            np.testing.assert_allclose(a, b, rtol=0.0, atol=atol, err_msg=where)
    elif isinstance(a, float):
        assert abs(a - b) <= atol, where
    else:
        assert a == b, where


def test_ids_follow_the_registries():
    assert {PICK, REACH} <= set(IDS)
    assert gymnasium_id("pick_cube", "so100") == "mjxsim/SO100PickCube-v0"
    assert set(IDS) == {name for name in gymnasium.registry if name.startswith("mjxsim/")}


@pytest.mark.parametrize("name", IDS)
def test_gymnasiums_checker_passes(name):
    env = gymnasium.make(name).unwrapped
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env, skip_render_check=True)  # tests/test_video.py draws
    env.close()
    env.close()
    # A velocity has no bound, so neither has the observation space; the checker mentions it.
    said = [str(w.message) for w in caught if "WARN" in str(w.message)]
    assert all("infinity" in text for text in said), said


def test_spaces_are_float32_and_observations_lie_in_them(pick):
    assert pick.observation_space.dtype == pick.action_space.dtype == np.float32
    np.testing.assert_array_equal(pick.action_space.low, -1.0)
    np.testing.assert_array_equal(pick.action_space.high, 1.0)
    obs, info = pick.reset(seed=0)
    assert obs in pick.observation_space
    assert info["is_success"] is False
    obs, reward, terminated, truncated, info = pick.step(pick.action_space.sample())
    assert obs in pick.observation_space
    assert obs.flags.writeable
    assert [type(x) for x in (reward, terminated, truncated)] == [float, bool, bool]
    assert info["is_success"] is False


def test_a_seed_determines_everything(pick):
    first, again = play(pick, 3, 80), play(pick, 3, 80)  # past an episode's end
    assert_same(first, again, atol=0.0)
    other = play(pick, 4, 1)
    assert np.abs(first[0][0] - other[0][0]).max() > 1e-3


def test_episodes_truncate_once_at_the_tasks_limit(pick):
    assert pick.spec.max_episode_steps is None
    pick.reset(seed=0)
    steps = pick.unwrapped.env.task.config.episode_steps
    ends = [pick.step(np.zeros(4, np.float32))[2:4] for _ in range(steps)]
    assert ends == [(False, False)] * (steps - 1) + [(False, True)]
    with pytest.raises(ResetNeeded, match="call reset"):
        pick.step(np.zeros(4, np.float32))


def test_success_is_told_until_the_episode_ends():
    env = gymnasium.make(REACH, threshold=1.0, episode_seconds=0.5)
    env.reset(seed=0)
    told = [env.step(np.zeros(4, np.float32))[4]["is_success"] for _ in range(10)]
    assert told == [False] * 4 + [True] * 6  # held for 0.25 s, five steps of 0.05 s
    assert env.reset()[1] == {
        "is_success": False,
        "instruction": "move the gripper to the green ball",
    }
    env.close()


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.zeros(3), r"shape \(4,\), got \(3,\)"),
        (np.zeros((1, 4)), r"shape \(4,\), got \(1, 4\)"),
        ([0, 0, np.nan, 0], r"finite entries in \[-1, 1\], got nan at \[2\]"),
        (np.full(4, np.inf), "finite"),
        ("left", "array of numbers"),
    ],
)
def test_a_bad_action_gets_one_line_and_loses_nothing(pick, action, message):
    pick.reset(seed=1)
    with pytest.raises(ValueError, match=message) as caught:
        pick.step(action)
    assert "\n" not in str(caught.value)
    after_error = pick.step(np.ones(4, np.float32))[0]
    pick.reset(seed=1)
    np.testing.assert_array_equal(after_error, pick.step(np.ones(4, np.float32))[0])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"treshold": 0.1}, "did you mean 'threshold'"),
        ({"engine": "cc"}, "did you mean 'c'"),
        ({"control": "ee_dleta"}, "did you mean 'ee_delta'"),
        ({"render_mode": "human2"}, "unknown render mode"),
    ],
)
def test_a_bad_setting_names_the_nearest(kwargs, message):
    with pytest.raises(ValueError, match=message) as caught:
        mjxsim.make_vec("reach", 2, **{"engine": "c", **kwargs})
    assert "\n" not in str(caught.value)


def test_bad_vector_input_gets_one_line(vec):
    for bad in (0, -1):
        with pytest.raises(ValueError, match="at least 1 world"):
            mjxsim.make_vec("reach", bad, engine="c")
    with pytest.raises(ValueError, match="did you mean 'SameStep'"):
        mjxsim.make_vec("reach", 2, engine="c", autoreset_mode="samestep")
    vec.reset(seed=0)
    actions = np.zeros((3, 4), np.float32)
    actions[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"got nan at \[2, 1\]"):
        vec.step(actions)
    with pytest.raises(ValueError, match=r"shape \(3, 4\), got \(4,\)"):
        vec.step(actions[0])
    with pytest.raises(ValueError, match="one for each of 3 worlds, got 2"):
        vec.reset(seed=[1, 2])
    for mask in ([True] * 3, np.ones(3), np.ones(2, bool)):
        with pytest.raises(ValueError, match=r"bool array of shape \(3,\)"):
            vec.reset(options={"reset_mask": mask})
    with pytest.raises(ValueError, match="at least one True"):
        vec.reset(options={"reset_mask": np.zeros(3, bool)})
    with pytest.raises(ValueError, match="unknown reset option 'mask'"):
        vec.reset(options={"mask": 1})


@pytest.fixture(scope="module")
def scalars():
    """Three scalar environments, compiled once."""
    return [make_reach() for _ in range(3)]


def sync(scalars: list, mode: AutoresetMode) -> SyncVectorEnv:
    return SyncVectorEnv([lambda env=env: env for env in scalars], autoreset_mode=mode)


# Batched and single matrix products round differently in float32 (1e-7 relative); the servos turn
# that into at most a few 1e-6 of the largest entries, joint velocities of about 2 rad/s, and
# success is decided by 0.2 m.
ATOL = 2e-5


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_the_vector_env_says_what_sync_vector_env_says(scalars, mode):
    ours = mjxsim.make_vec("reach", 3, engine="c", autoreset_mode=mode, **SHORT)
    theirs = sync(scalars, mode)
    assert ours.metadata["autoreset_mode"] is theirs.metadata["autoreset_mode"] is mode
    for space in ("observation_space", "action_space", "single_observation_space"):
        assert getattr(ours, space) == getattr(theirs, space)

    assert_same(ours.reset(seed=7), theirs.reset(seed=7), ATOL, "reset")
    rng = np.random.default_rng(0)
    ended = np.zeros(3, bool)
    terminated, truncated = 0, 0
    for t in range(25):
        if mode is AutoresetMode.DISABLED and ended.any():
            resets = [e.reset(options={"reset_mask": ended.copy()}) for e in (ours, theirs)]
            assert_same(*resets, ATOL, f"reset at {t}")
        actions = rng.uniform(-1, 1, (3, 4)).astype(np.float32)
        a, b = ours.step(actions), theirs.step(actions)
        assert_same(a, b, ATOL, f"step {t}")
        ended = a[2] | a[3]
        terminated, truncated = terminated + a[2].sum(), truncated + a[3].sum()
    assert terminated > 0
    assert truncated > 0
    assert_same(ours.reset(seed=[3, None, 5]), theirs.reset(seed=[3, None, 5]), ATOL, "seeds")
    assert_same(ours.reset(), theirs.reset(), ATOL, "no seeds")
    mask = np.array([True, False, True])
    for seed in (None, 11):
        some = [e.reset(seed=seed, options={"reset_mask": mask.copy()}) for e in (ours, theirs)]
        assert_same(*some, ATOL, f"mask with seed {seed}")
    ours.close()


def test_all_worlds_may_end_at_once(scalars, vec):
    theirs = sync(scalars, AutoresetMode.SAME_STEP)
    goal = vec.env.observation_layout["tcp_to_goal"]
    far = [s for s in range(30) if np.linalg.norm(scalars[0].reset(seed=s)[0][goal]) > 0.25][:3]
    assert_same(vec.reset(seed=far), theirs.reset(seed=far), ATOL)
    for t in range(6):
        actions = np.zeros((3, 4), np.float32)
        a, b = vec.step(actions), theirs.step(actions)
        assert_same(a, b, ATOL, f"step {t}")
    assert a[3].all()


def test_infos_of_same_step(vec):
    obs, info = vec.reset(seed=0)
    assert info["is_success"].dtype == bool
    assert info["_is_success"].all()
    episodes = 0
    for _ in range(12):
        before = obs
        obs, _, terminated, truncated, info = vec.step(np.zeros((3, 4), np.float32))
        over = terminated | truncated
        assert info["is_success"].shape == info["_is_success"].shape == (3,)
        assert ("final_obs" in info) == bool(over.any())
        for i in np.flatnonzero(over):
            episodes += 1
            assert info["_final_obs"][i]
            assert info["_final_info"][i]
            # The last observation follows from the one before; the new episode has another goal.
            goal = vec.env.observation_layout["goal"]
            np.testing.assert_array_equal(info["final_obs"][i][goal], before[i][goal])
            assert np.abs(obs[i][goal] - before[i][goal]).max() > 1e-3
            assert info["final_info"]["is_success"][i] == terminated[i]
            assert not info["is_success"][i]
    assert episodes >= 6


def test_returned_arrays_are_the_callers(vec):
    obs, _ = vec.reset(seed=0)
    first = obs.copy()
    vec.step(np.ones((3, 4), np.float32))
    np.testing.assert_array_equal(obs, first)
    obs[:] = 0.0
    np.testing.assert_array_equal(vec.reset(seed=0)[0], first)


def test_a_seed_determines_the_vector_env(vec):
    assert_same(play(vec, 5, 10), play(vec, 5, 10), atol=0.0)


def test_one_step_traces_once(vec):
    vec.reset(seed=0)
    vec.step(np.zeros((3, 4), np.float32))
    count = vec._step._cache_size()
    for _ in range(8):
        vec.step(np.zeros((3, 4), np.float64))
    assert vec._step._cache_size() == count


def test_gymnasium_make_vec_gives_the_native_env():
    env = gymnasium.make_vec(
        REACH, num_envs=5, vectorization_mode="vector_entry_point", engine="c", announce=False
    )
    assert type(env).__name__ == "BatchedVectorEnv"
    assert env.spec.id == REACH
    obs, _ = env.reset(seed=0)
    assert obs.shape == (5, env.single_observation_space.shape[0])
    assert obs in env.observation_space
    env.close()
    env.close()


def test_engines_and_control_modes_can_be_chosen():
    env = gymnasium.make(REACH, engine="c", control="joint_delta", sparse_reward=True)
    assert env.action_space.shape == (8,)
    env.reset(seed=0)
    assert env.step(env.action_space.sample())[1] == 0.0
    assert env.unwrapped.env.engine.name == "c"
    env.close()


def test_async_vector_env_in_fresh_processes():
    asynchronous = AsyncVectorEnv(
        [make_reach] * 2, context="spawn", autoreset_mode=AutoresetMode.SAME_STEP
    )
    synchronous = SyncVectorEnv([make_reach] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    try:
        a, b = play(asynchronous, 0, 8), play(synchronous, 0, 8)
        assert_same(a, b, atol=0.0)  # the same program on the same machine
    finally:
        asynchronous.close()
        synchronous.close()


def test_a_forked_process_gets_one_line_instead_of_a_hang():
    program = (
        "import gymnasium, mjxsim\n"
        "from gymnasium.vector import AsyncVectorEnv\n"
        f"AsyncVectorEnv([lambda: gymnasium.make({REACH!r})] * 2, context='fork')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode != 0
    assert "use AsyncVectorEnv(..., context='spawn')" in done.stderr


def test_the_scalar_env_steps_as_env_step(pick):
    env = pick.unwrapped.env
    state = jax.jit(env.reset)(jax.random.key(np.uint32(9)))
    obs, _ = pick.reset(seed=9)
    np.testing.assert_array_equal(obs, state.obs)
    action = np.array([0.5, -0.5, -1.0, 1.0], np.float32)
    _, transition = mjxsim.jit(env.step)(state, action)
    obs, reward, *_ = pick.step(action)
    np.testing.assert_allclose(obs, transition.next_obs, rtol=0, atol=ATOL)
    assert abs(reward - transition.reward) < ATOL

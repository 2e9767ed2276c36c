"""Pictures in what a policy sees: what they show, when they are drawn, what learns of them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxsim
from mjxsim import envs
from mjxsim.config import TrainConfig
from mjxsim.envs import CameraConfig, pixels
from mjxsim.envs.gym_env import GymEnv
from mjxsim.envs.painting import Painter, Shot
from mjxsim.learning import sac
from mjxsim.learning.networks import EncoderConfig
from mjxsim.learning.ppo import PPO, PPOConfig, make_actor
from mjxsim.learning.seeing import Senses, shifted
from mjxsim.randomization import RandomizationConfig, Range, VisualRandomization
from mjxsim.randomization.post_processing import PostProcessing
from mjxsim.randomization.visual_config import CameraRandomization, Surface, Textures
from mjxsim.rendering import Visual, backends
from mjxsim.runs import algorithms
from mjxsim.tasks.reach import ReachConfig

CAMERAS = CameraConfig(names=("front", "wrist"), height=16, width=24, frames=2, hidden=("goal",))
ENCODER = EncoderConfig(filters=(4, 4), kernels=(4, 2), strides=(4, 2), features=8, shift=1)
NUM_ENVS, LENGTH = 4, 3


def make(cameras: CameraConfig | None = CAMERAS) -> envs.Env:
    config = ReachConfig(episode_seconds=LENGTH * 0.05, hold_seconds=0.0)
    return mjxsim.make("reach", engine="c", config=config, cameras=cameras, announce=False)


@pytest.fixture(scope="module")
def env() -> envs.Env:
    return make()


@pytest.fixture(scope="module")
def steps(env) -> list[envs.State]:
    """Worlds after their reset and after each of LENGTH + 1 steps, the last into new episodes."""
    state = env.jit(lambda key: envs.reset_batch(env, key, NUM_ENVS))(jax.random.key(2))
    step = env.jit(lambda s, a: envs.step_autoreset(env, s, a)[0])
    found = [state]
    for _ in range(LENGTH + 1):
        state = step(state, jnp.full((NUM_ENVS, env.action_size), 0.9))
        found.append(state)
    return found


def test_an_observation_is_a_dict_with_lerobots_names(env, steps):
    seen = env.observation(steps[0])
    shape = (NUM_ENVS, 16, 24, 6)
    assert {k: (v.shape, v.dtype) for k, v in seen.items() if k != pixels.STATE} == {
        "observation.images.front": (shape, np.uint8),
        "observation.images.wrist": (shape, np.uint8),
    }
    goal = env.observation_layout["goal"]
    kept = np.delete(np.asarray(steps[0].obs), np.r_[goal], axis=1)
    np.testing.assert_array_equal(seen[pixels.STATE], kept)


def test_without_cameras_an_observation_is_the_vector():
    env = make(None)
    state = env.jit(env.reset)(jax.random.key(0))
    assert state.sight is None
    assert env.observation(state) is state.obs


def test_the_newest_picture_comes_last_and_all_are_the_same_at_first(steps):
    for name in CAMERAS.names:
        first, second, third = (np.asarray(s.sight.pixels[name]) for s in steps[:3])
        np.testing.assert_array_equal(first[..., :3], first[..., 3:])
        np.testing.assert_array_equal(second[..., :3], first[..., 3:])
        np.testing.assert_array_equal(third[..., :3], second[..., 3:])
        assert (second[..., 3:] != first[..., 3:]).any()  # the arm has moved


def test_a_restarted_world_shows_its_new_episode(env, steps):
    ended, fresh = steps[LENGTH - 1], steps[LENGTH]
    assert (np.asarray(fresh.step_count) == 0).all()
    again = env.jit(jax.vmap(env.reset))(ended.key)
    for name in CAMERAS.names:
        np.testing.assert_array_equal(fresh.sight.pixels[name], again.sight.pixels[name])


def test_each_camera_is_drawn_once_a_step_and_never_among_restarts(env, steps, monkeypatch):
    drawn, original = [], backends.render_cameras

    def render_cameras(scene, physics, cameras, view, visual):
        drawn.append(cameras)
        return original(scene, physics, cameras, view, visual)

    monkeypatch.setattr(backends, "render_cameras", render_cameras)
    action = jnp.zeros((NUM_ENVS, env.action_size))
    jax.eval_shape(lambda s, a: envs.step_autoreset(env, s, a), steps[0], action)
    assert drawn == [CAMERAS.names]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ("frnot",)}, r"camera 'frnot'.*front"),
        ({"renderer": "opengl"}, r"renderer 'opengl'.*gl"),
        ({"hidden": ("gaol",)}, r"part of the observation to hide 'gaol'.*goal"),
        ({"hidden": tuple(make(None).observation_layout)}, r"hides all of the observation"),
    ],
)
def test_a_wrong_name_is_one_line(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(dataclasses.replace(CAMERAS, **change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["height", "width", "frames", "samples"])
def test_a_size_must_be_positive(name):
    with pytest.raises(ValueError, match=f"cameras.{name} must be at least 1, got 0"):
        CameraConfig(names=("front",), **{name: 0})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": "front"}, r"cameras.names must be a tuple of names such as .*got 'front'"),
        ({"names": ("front", "front")}, "cameras.names must differ"),
        ({"height": "64"}, "cameras.height must be a whole number, got '64'"),
        ({"width": 64.5}, "cameras.width must be a whole number, got 64.5"),
    ],
)
def test_what_no_camera_can_be_is_one_line(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        CameraConfig(**{"names": ("front",), **change})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"randomization": {"object_properties": {}}}, "a dict; RandomizationConfig.from_dict"),
        ({"randomization": VisualRandomization()}, "got a VisualRandomization"),
        ({"cameras": "front"}, r"cameras must be a CameraConfig.*got 'front'"),
    ],
)
def test_what_is_no_configuration_is_one_line(given, message):
    with pytest.raises(ValueError, match=message) as caught:
        mjxsim.make("reach", engine="c", announce=False, **given)
    assert "\n" not in str(caught.value)


def test_looks_that_nobody_sees_are_said(capsys):
    moved = CameraRandomization(position=Range(-0.1, 0.1, "add"))
    random = RandomizationConfig(visual=VisualRandomization(camera=moved))
    for cameras, said in (
        (None, "randomization.visual changes nothing without cameras"),
        (CameraConfig(("wrist",)), "visual.camera moves none of the cameras ['wrist']"),
        (CameraConfig(("wrist", "front")), None),
    ):
        mjxsim.make("reach", engine="c", cameras=cameras, randomization=random)
        lines = capsys.readouterr().out.splitlines()
        assert [said in line for line in lines if "visual" in line] == ([True] if said else [])


def test_something_hidden_needs_a_camera():
    with pytest.raises(ValueError, match="needs a camera"):
        CameraConfig(hidden=("goal",))


def test_a_shift_moves_a_picture_by_a_few_pixels(steps):
    state, images = steps[1], steps[1].sight.pixels
    moved = shifted(state, images, 2)["wrist"]
    for before, after in zip(np.asarray(images["wrist"]), np.asarray(moved), strict=True):
        padded = np.pad(before, ((2, 2), (2, 2), (0, 0)), mode="edge")
        windows = [padded[y : y + 16, x : x + 24] for y in range(5) for x in range(5)]
        assert any((after == w).all() for w in windows)
    assert shifted(state, images, 0) is images


@pytest.fixture(scope="module")
def learner(env) -> PPO:
    config = PPOConfig(unroll_length=2, minibatches=2, epochs=1, hidden=(16,), encoder=ENCODER)
    return PPO(env, config, NUM_ENVS, total_steps=64)


@pytest.fixture(scope="module")
def learned(learner) -> tuple:
    state = learner.env.jit(learner.init)(jax.random.key(1))
    return (state, *learner.env.jit(learner.update)(state))


def test_ppo_learns_from_pictures(learned):
    before, after, metrics = learned
    assert all(np.isfinite(v) for v in metrics.values())
    assert metrics["belief_loss"] > 0.0
    changed = jax.tree.map(
        lambda a, b: bool((a != b).any()),
        before.policy.params["params"],
        after.policy.params["params"],
    )
    for part in ("eye", "teller", "actor", "critic"):
        assert all(jax.tree.leaves(changed[part])), part


def test_the_actor_acts_on_the_pictures_and_not_on_what_is_hidden(env, learner, learned, steps):
    policy, act = learned[1].policy, jax.jit(make_actor(learner.config, env).act)
    seen = env.observation(steps[1])
    action = act(policy, seen)
    assert action.shape == (NUM_ENVS, env.action_size)
    dark = {k: jnp.zeros_like(v) if "images" in k else v for k, v in seen.items()}
    assert (act(policy, dark) != action).any()
    goal = env.observation_layout["goal"]
    other = steps[1].replace(obs=steps[1].obs.at[:, goal].add(1.0))
    np.testing.assert_array_equal(act(policy, env.observation(other)), action)


def test_the_critic_knows_what_is_hidden(learner, learned, steps):
    policy, obs = learned[1].policy, steps[1].obs
    value = learner.network.value(policy.params, policy.normalizer(obs))
    other = obs.at[:, learner.env.observation_layout["goal"]].add(1.0)
    assert (learner.network.value(policy.params, policy.normalizer(other)) != value).all()


def test_senses_divide_the_observation(env):
    senses = Senses.of(env)
    everything = np.sort(np.concatenate([senses.visible, senses.unseen]))
    np.testing.assert_array_equal(everything, np.arange(env.observation_size))
    assert len(senses.unseen) == 3
    assert senses.pictures == {"front": (16, 24, 6), "wrist": (16, 24, 6)}


def test_pictures_too_small_for_the_encoder_are_one_line(env):
    with pytest.raises(ValueError, match=r"pictures of 16 x 24 pixels are too small") as caught:
        PPO(env, PPOConfig(), NUM_ENVS, total_steps=64)
    assert "\n" not in str(caught.value)


def test_sac_refuses_cameras(env):
    config = TrainConfig(
        task="reach", task_config=ReachConfig(), algorithm="sac", sac=sac.SACConfig()
    )
    with pytest.raises(ValueError, match="does not learn from cameras"):
        algorithms.build(config, env)


def test_gymnasium_shows_the_same_pictures_to_one_world_and_to_many():
    short = {"episode_seconds": LENGTH * 0.05, "hold_seconds": 0.0}
    cameras = dataclasses.replace(CAMERAS, names=("wrist",))
    one = GymEnv("reach", cameras=cameras, **short)
    many = mjxsim.make_vec(
        "reach", 2, engine="c", cameras=cameras, channels_first=True, announce=False, **short
    )
    seen, _ = one.reset(seed=7)
    batch, _ = many.reset(seed=7)
    assert set(seen) == {pixels.STATE, f"{pixels.IMAGES}.wrist"}
    action = np.full(one.action_space.shape, 0.9, np.float32)
    for t in range(LENGTH):
        assert one.observation_space.contains(seen)
        assert many.observation_space.contains(batch)
        assert_same_world(seen, batch, 0)
        seen, _, _, truncated, _ = one.step(action)
        batch, _, _, ended, infos = many.step(np.stack([action, action]))
        assert truncated == ended[0] == (t == LENGTH - 1)
    # The last pictures of the episode are there, beside the first ones of the next.
    assert_same_world(seen, infos["final_obs"], 0)
    seen, _ = one.reset()
    assert_same_world(seen, batch, 0)
    # A world that is not reset shows what it did: no picture is pushed into its stack again.
    batch, *_ = many.step(np.stack([action, action]))
    after, _ = many.reset(options={"reset_mask": np.array([True, False])})
    for name, value in after.items():
        np.testing.assert_array_equal(value[1], batch[name][1])
        assert (value[0] != batch[name][0]).any()


def assert_same_world(seen: dict, batch, i: int) -> None:
    """`seen`, channels last, is what a batch, channels first, shows of world i."""
    its = batch[i] if isinstance(batch, np.ndarray) else {k: v[i] for k, v in batch.items()}
    for name, value in its.items():
        if name == pixels.STATE:
            np.testing.assert_allclose(value, seen[name], atol=1e-5)
        else:
            assert value.shape == (6, 16, 24)
            difference = np.abs(np.moveaxis(value, 0, -1).astype(int) - seen[name])
            assert (difference > 1).mean() < 0.01  # rounding, where an edge is


RANDOM = RandomizationConfig(
    visual=VisualRandomization(
        hand_camera=CameraRandomization(position=Range(-0.01, 0.01, "add")),
        textures=Textures(table=Surface(patterns=6, colors=8)),
        post_processing=PostProcessing(noise_std=Range(0.01, 0.05), delay=Range(1.0, 1.0)),
    )
)


@pytest.fixture(scope="module")
def varied() -> tuple[envs.Env, list[envs.State]]:
    """An environment in which worlds look different and pictures come a step late."""
    config = ReachConfig(episode_seconds=LENGTH * 0.05, hold_seconds=0.0)
    cameras = dataclasses.replace(CAMERAS, names=("wrist",), frames=1)
    env = mjxsim.make(
        "reach", engine="c", config=config, cameras=cameras, randomization=RANDOM, announce=False
    )
    state = env.jit(lambda key: envs.reset_batch(env, key, NUM_ENVS))(jax.random.key(2))
    step = env.jit(lambda s, a: envs.step_autoreset(env, s, a)[0])
    found = [state]
    for _ in range(LENGTH):
        found.append(step(found[-1], jnp.full((NUM_ENVS, env.action_size), 0.9)))
    return env, found


def test_worlds_look_different_and_keep_their_looks_in_an_episode(varied):
    _, (first, second, *_, fresh) = varied
    looks = np.asarray(first.sight.visual.rgba).reshape(NUM_ENVS, -1)
    assert len(np.unique(looks, axis=0)) > 1
    same = jax.tree.map(lambda a, b: (a == b).all(), first.sight.visual, second.sight.visual)
    assert all(jax.tree.leaves(same))
    other = jax.tree.map(lambda a, b: (a == b).all(), first.sight.visual, fresh.sight.visual)
    assert not all(jax.tree.leaves(other))


def test_pictures_come_late_and_an_episode_begins_with_its_own(varied):
    env, (first, second, third, fresh) = varied
    pictures = [np.asarray(s.sight.pixels["wrist"]) for s in (first, second, third, fresh)]
    np.testing.assert_array_equal(pictures[0], pictures[1])  # that of the reset, a step late
    assert (pictures[1] != pictures[2]).any()
    again = env.jit(jax.vmap(env.reset))(third.key)
    np.testing.assert_array_equal(again.sight.pixels["wrist"], pictures[3])


def test_people_see_the_looks_that_a_policy_sees(varied):
    """But for the camera's noise, whose mean size is below 0.05 * 0.8 of white."""
    env, (first, *_) = varied
    with Painter(env, (16, 24), "wrist") as painter:
        drawn = painter.draw(Shot.of(first)).astype(int)
        np.testing.assert_array_equal(painter.draw(Shot.of(first), [2, 0]), drawn[[2, 0]])
    seen = np.asarray(first.sight.pixels["wrist"]).astype(int)
    apart = np.abs(drawn[:, None] - seen[None]).mean((2, 3, 4))  # (painted, seen)
    assert np.diag(apart).max() < 0.04 * 255
    assert (apart.argmin(axis=1) == np.arange(NUM_ENVS)).all()


def test_a_geom_that_a_world_makes_larger_is_seen_larger(env):
    scene = env.eyes.scene
    plain = Visual.of(scene)
    size = np.array(env.engine.model.geom_size) * 2.0
    larger = plain.overridden(scene, {"geom_size": jnp.asarray(size), "body_mass": jnp.zeros(3)})
    np.testing.assert_allclose(larger.size, 2.0 * np.asarray(plain.size), rtol=1e-6)
    np.testing.assert_array_equal(larger.rgba, plain.rgba)

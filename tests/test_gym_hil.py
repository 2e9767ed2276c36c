"""gym-hil's contract: ids, keywords, spaces, infos, and what of its quirks is kept or mended."""

import json
import os
import pathlib
import re
import subprocess
import sys
from typing import Any

import gymnasium
import numpy as np
import pytest

import mjxsim
from mjxsim.compat import gym_hil
from mjxsim.compat.gym_hil.factory import make_env
from mjxsim.compat.gym_hil.wrappers import base
from mjxsim.envs import gym_hil_ids

RECORDED = json.loads((pathlib.Path(__file__).parent / "data" / "gym_hil.json").read_text("utf-8"))
OURS = "mjxsim_gym_hil"
HOLD = np.array([0.0, 0.0, 0.0, 1.0], np.float32)


def make(name: str, **options: Any) -> gymnasium.Env[Any, np.ndarray]:
    return gymnasium.make(f"{OURS}/{name}", disable_env_checker=True, **options)


def described(space: gymnasium.Space[Any]) -> Any:
    """As the recording describes a space."""
    if isinstance(space, gymnasium.spaces.Dict):
        return {k: described(v) for k, v in space.spaces.items()}
    assert isinstance(space, gymnasium.spaces.Box)
    bounds = [
        np.unique(b).astype(float).tolist() if b.size > 4 else b.tolist()
        for b in (space.low, space.high)
    ]
    shape = list(space.shape)
    return {"low": bounds[0], "high": bounds[1], "shape": shape, "dtype": str(space.dtype)}


@pytest.fixture(scope="module")
def pick() -> gymnasium.Env[Any, np.ndarray]:
    return make("PandaPickCube-v0", random_block_position=True)


def test_all_ids_are_there() -> None:
    names = [
        f"{task}{kind}-v0"
        for task in ("PandaPickCube", "PandaArrangeBoxes")
        for kind in ("Base", "Viewer", "", "Gamepad", "Keyboard", "Spacemouse")
    ]
    for name in names:
        assert gymnasium.spec(f"{OURS}/{name}").max_episode_steps == 100


def test_registering_loads_nothing() -> None:
    code = (
        "import sys, mjxsim, gymnasium; gymnasium.spec('mjxsim_gym_hil/PandaPickCube-v0'); "
        "print([m for m in sys.modules if m.startswith('mjxsim.compat.gym_hil')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[-2] == "[]"


def test_gym_hils_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    registry: dict[str, Any] = {}
    monkeypatch.setattr(gymnasium, "registry", registry)
    monkeypatch.setattr(
        gymnasium, "register", lambda name, **spec: registry.__setitem__(name, spec)
    )
    here: dict[str, Any] = {"gym_hil": None}
    monkeypatch.setattr(gym_hil_ids.importlib.util, "find_spec", lambda name: here[name])
    gym_hil_ids.register()
    assert "gym_hil/PandaPickCube-v0" in registry and f"{OURS}/PandaPickCube-v0" in registry
    # Installed: only where asked for.
    registry.clear()
    here["gym_hil"] = object()
    registry["gym_hil/PandaPickCube-v0"] = "gym-hil's own"
    imported: list[str] = []
    monkeypatch.setattr(gym_hil_ids.importlib, "import_module", imported.append)
    gym_hil_ids.register()
    assert registry["gym_hil/PandaPickCube-v0"] == "gym-hil's own" and not imported
    gym_hil_ids.register(override=True)
    assert registry["gym_hil/PandaPickCube-v0"] != "gym-hil's own" and imported == ["gym_hil"]


@pytest.mark.parametrize("name", [n for n in RECORDED["contracts"] if ":image" not in n])
def test_contract(name: str) -> None:
    recorded = RECORDED["contracts"][name]
    env = make(name)
    assert described(env.observation_space) == recorded["observation"]
    assert described(env.action_space) == recorded["action"]
    assert env.spec is not None and env.spec.max_episode_steps == recorded["max_episode_steps"]
    obs, info = env.reset(seed=0)
    assert sorted(info) == recorded["reset_info"]
    assert env.observation_space.contains(obs)
    assert env.action_space.shape is not None
    action = np.zeros(env.action_space.shape, np.float32)
    obs, reward, terminated, truncated, info = env.step(action)
    assert env.observation_space.contains(obs)
    # `is_success` is ours, for LeRobot, which asks for it at every step.
    assert sorted({*info} - {"is_success"}) == recorded["step_info"]
    assert (type(reward), type(terminated), type(truncated)) == (float, bool, bool)
    assert info["is_success"] is info["succeed"] is False


@pytest.mark.parametrize("name", [n for n in RECORDED["contracts"] if ":image" in n])
def test_image_spaces(name: str) -> None:
    recorded = RECORDED["contracts"][name]
    env = make(name.removesuffix(":image"), image_obs=True)
    assert described(env.observation_space) == recorded["observation"]
    assert list(env.observation_space["pixels"]) == ["front", "wrist"]  # type: ignore[index]


def test_pictures() -> None:
    """Both cameras, resized; the cube is in the middle of the front camera's picture, below."""
    env = make("PandaPickCube-v0", image_obs=True, resize_size=(96, 64))
    obs, _ = env.reset(seed=0)
    assert env.observation_space.contains(obs) and set(obs) == {"agent_pos", "pixels"}
    front = obs["pixels"]["front"].astype(int)
    assert front.shape == (96, 64, 3)
    purple = (front[..., 0] > front[..., 1] + 40) & (front[..., 2] > front[..., 1] + 40)
    rows, columns = np.nonzero(purple)
    assert 4 <= len(rows) < 60 and abs(columns.mean() - 32) < 2 and 70 < rows.mean() < 90
    assert obs["pixels"]["wrist"].std() > 20
    # One HWC frame, where gym-hil gives a list of two.
    np.testing.assert_array_equal(env.render(), obs["pixels"]["front"])


def test_state_mode_draws_nothing() -> None:
    """No OpenGL is loaded by making, resetting and stepping an environment that shows a state."""
    code = (
        "import sys, gymnasium, numpy, mjxsim\n"
        "env = gymnasium.make('mjxsim_gym_hil/PandaPickCube-v0')\n"
        "env.reset(seed=0); env.step(numpy.array([0, 0, 0, 1.0]))\n"
        "print([m for m in sys.modules if m in ('OpenGL', 'mujoco.egl', 'mujoco.osmesa', 'glfw')])"
    )
    environment = {**os.environ, "MUJOCO_GL": "disable"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split("\n")[-2] == "[]"


def test_seeds(pick: gymnasium.Env[Any, np.ndarray]) -> None:
    """gym-hil's cube does not heed the seed; ours does, and moves on without one."""

    def cube(seed: int | None) -> list[float]:
        return pick.reset(seed=seed)[0]["environment_state"].tolist()

    first = cube(3)
    second = cube(None)
    assert cube(3) == first != second and cube(None) == second and cube(4) != first
    low, high = (0.3, -0.15), (0.5, 0.15)
    for place in (first, second):
        assert low[0] <= place[0] <= high[0] and low[1] <= place[1] <= high[1]


def test_two_closes_unless_corrected(pick: gymnasium.Env[Any, np.ndarray]) -> None:
    """gym-hil's issue 27: the action called open closes; a policy trained there depends on it."""
    pick.reset(seed=0)
    close = np.array([0.0, 0.0, 0.0, 2.0], np.float32)
    info = pick.step(close)[4]
    assert info["discrete_penalty"] == -0.05
    obs, *_, info = pick.step(HOLD)
    assert obs["agent_pos"][14] == 255.0 and info["discrete_penalty"] == 0.0
    obs, *_, info = pick.step(np.array([0, 0, 0, 0], np.float32))
    assert obs["agent_pos"][14] == 0.0 and info["discrete_penalty"] == -0.05
    corrected = make("PandaPickCube-v0", corrected_gripper=True)
    corrected.reset(seed=0)
    assert corrected.step(close)[0]["agent_pos"][14] == 0.0
    assert corrected.step(2.0 * HOLD - close)[0]["agent_pos"][14] == 255.0


def test_settings_that_change_the_world() -> None:
    home = [0.1, 0.1, 0.0, -2.4, 0.0, 2.5, 0.8]
    env = make_env(
        "gym_hil/PandaPickCubeBase-v0",
        wrapper_kwargs={
            "fixed_reset_joint_positions": home,
            "add_joint_velocity_to_observation": True,
            "control_time_s": 0.3,
            "control_mode": "policy",
            "resize_size": [64, 64],
            "display_cameras": False,
        },
        reward_type="dense",
        reset_time_s=0.0,
    )
    obs, _ = env.reset(seed=0)
    np.testing.assert_allclose(obs["agent_pos"][:7], home, atol=1e-6)
    before = obs["agent_pos"][:7]
    rewards = []
    for k in range(3):
        obs, reward, terminated, truncated, _ = env.step(np.array([0, 0, -1.0, 1], np.float32))
        mean = (obs["agent_pos"][:7] - before) / 0.1
        np.testing.assert_allclose(obs["agent_pos"][18:], mean, atol=1e-4)
        assert (terminated, truncated) == (False, k == 2)
        before = obs["agent_pos"][:7]
        rewards.append(reward)
    assert 0.0 < rewards[0] < 0.3
    assert obs["agent_pos"].shape == env.observation_space["agent_pos"].shape == (25,)  # type: ignore[index]


def test_domain_randomization() -> None:
    """Every world of a batch has a cube of its own mass, within the standard range."""
    vec = gym_hil.make_vec(
        "gym_hil/PandaPickCubeBase-v0",
        4,
        "c",
        enable_domain_randomization=True,
        physics_randomization={"object_properties": {"mass_range": [0.5, 2.0]}},
        randomization_frequency="session",
        announce=False,
    )
    vec.reset(seed=0)
    assert vec._state is not None
    cube = vec.env.engine.model.body("block").id
    drawn = np.asarray(vec._state.overrides["body_mass"])[:, cube]
    assert len(set(drawn.tolist())) == 4 and (drawn >= 0.05).all() and (drawn <= 0.2).all()
    off = gym_hil.settings_of("PandaPickCube", {"enable_domain_randomization": False})
    assert off.randomization is None
    on = {"enable_domain_randomization": True}
    for said, looks, masses in (
        ({}, True, True),
        ({"visual_randomization": False}, False, True),
        ({"physics_randomization": False}, True, False),
        ({"visual_randomization": True}, True, False),
    ):
        config = gym_hil.settings_of("PandaPickCube", {**on, **said}).randomization
        assert config is not None and config.visual.changes_looks is looks
        assert (config.physics.objects.mass is not None) is masses


@pytest.mark.parametrize("wrapped", [False, True])
def test_native_vector_is_the_scalar_environment(wrapped: bool) -> None:
    """World i of seed s is the scalar environment of seed s + i: observations and infos."""
    name = "PandaPickCube-v0" if wrapped else "PandaPickCubeBase-v0"
    options = {"random_block_position": True, "control_time_s": 0.4}
    # An id of gym-hil's own namespace is found whether gym-hil is installed or not.
    vec = mjxsim.make_vec(f"gym_hil/{name}", num_envs=2, engine="c", announce=False, **options)
    assert vec.single_action_space.shape == ((4,) if wrapped else (7,))
    each = [make(name, **options) for _ in range(2)]
    seen, _ = vec.reset(seed=5)
    alone = [env.reset(seed=5 + i)[0] for i, env in enumerate(each)]
    for key in seen:
        np.testing.assert_array_equal(seen[key], [one[key] for one in alone])
    rng = np.random.default_rng(0)
    for k in range(4):
        actions = rng.uniform(-1, 1, vec.action_space.shape).astype(np.float32)  # type: ignore[arg-type]
        actions[:, -1] += 1.0 if wrapped else 0.0
        scale = 1.0 if wrapped else 0.02
        actions[:, :3] *= scale
        seen, reward, terminated, truncated, infos = vec.step(actions)
        stepped = [env.step(a) for env, a in zip(each, actions, strict=True)]
        if k == 3:
            assert truncated.all() and not terminated.any()
            seen = {key: np.stack([o[key] for o in infos["final_obs"]]) for key in seen}
            infos = infos["final_info"]
        for key in seen:
            # 0.025 times an action is rounded once more on its way through gym-hil's wrapper.
            expected = [s[0][key] for s in stepped]
            np.testing.assert_allclose(seen[key], expected, atol=2e-5)
        for key in stepped[0][4]:
            assert infos[key].tolist() == [s[4][key] for s in stepped]
        assert reward.tolist() == [s[1] for s in stepped]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reward_type": "dens"}, "unknown reward_type 'dens': did you mean 'dense'?"),
        ({"render_mode": "rgb"}, "unknown render_mode 'rgb'"),
        ({"imag_obs": True}, "unknown setting of PandaPickCube 'imag_obs': did you mean"),
        ({"control_mode": "joystick"}, "unknown control_mode 'joystick'"),
        ({"ee_step_size": {"x": 0.1}}, "ee_step_size takes positive x, y and z"),
        ({"control_time_s": 0.0}, "control_time_s must be a positive number"),
        ({"fixed_reset_joint_positions": [0.0]}, "takes 7 finite angles"),
        ({"resize_size": (64,)}, r"resize_size is \(height, width\)"),
        ({"resize_size": 64}, r"resize_size is \(height, width\)"),
        ({"reset_time_s": -1.0}, "a reset cannot be delayed by -1.0 s"),
        ({"reset_time_s": "soon"}, "a reset cannot be delayed by 'soon' s"),
        ({"control_dt": "fast"}, "control_dt must be a positive number"),
        ({"seed": -1}, "seed must be a whole number, not negative, got -1"),
        ({"ee_step_size": 0.1}, "ee_step_size takes positive x, y and z"),
        ({"gripper_penalty": None}, "gripper_penalty must be a finite number"),
        ({"render_spec": {"heigth": 64}}, "unknown field of render_spec 'heigth': did you mean"),
        ({"render_spec": (64, 64)}, r"render_spec is a GymRenderingSpec\(height, width\)"),
        ({"visual_randomization": "all"}, "True, False or a dictionary, got 'all'"),
        ({"image_obs": "no"}, "image_obs is True or False, got 'no'"),
        ({"corrected_gripper": "no"}, "corrected_gripper is True or False, got 'no'"),
        ({"use_gripper": "no"}, "use_gripper is True or False, got 'no'"),
        ({"display_cameras": "no"}, "display_cameras is True or False, got 'no'"),
        ({"enable_domain_randomization": "no"}, "is True or False, got 'no'"),
        ({"randomization_frequency": "sometimes"}, "must be 'step', 'episode', 'session' or"),
        ({"enable_domain_randomization": False, "visual_randomization": "no"}, "got 'no'"),
        ({"wrapper_kwargs": ["control_mode"]}, "wrapper_kwargs is a dictionary of keywords"),
        ({"wrapper_kwargs": {"control_dt": 0.0015}}, "must be a multiple of the physics timestep"),
    ],
)
def test_bad_settings_are_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        make_env("gym_hil/PandaPickCubeBase-v0", **options)
    assert "\n" not in str(error.value)


def test_bad_ids_actions_and_order(pick: gymnasium.Env[Any, np.ndarray]) -> None:
    with pytest.raises(ValueError, match="did you mean 'gym_hil/PandaPickCubeBase-v0'"):
        make_env("gym_hil/PandaPickCubBase-v0")
    with pytest.raises(ValueError, match="unknown id of a native vector environment"):
        mjxsim.make_vec("gym_hil/PandaPickCubeKeyboard-v0", num_envs=2)
    with pytest.raises(gymnasium.error.ResetNeeded):
        make_env("gym_hil/PandaPickCubeBase-v0").step(HOLD)
    pick.reset(seed=0)
    with pytest.raises(ValueError, match="finite"):
        pick.step(np.array([np.nan, 0, 0, 1]))
    with pytest.raises(ValueError, match="shape"):
        pick.step(np.zeros(7))
    # gym-hil crashes when a base environment is told of its wrappers' settings.
    given = {"use_gripper": True, "control_mode": "policy", "wrapper_kwargs": {"control_time_s": 3}}
    settings = base(make("PandaPickCubeBase-v0", **given)).settings
    assert settings.task == "PandaPickCube" and settings.control_time_s == 3
    with pytest.raises(ValueError, match="display_cameras needs gym-hil's wrappers"):
        make("PandaPickCubeBase-v0", display_cameras=True)


def test_the_page_runs() -> None:
    """docs/gym_hil.md as written, but for how many worlds."""
    page = pathlib.Path(__file__).parents[1] / "docs" / "gym_hil.md"
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.S | re.M))
    assert "num_envs=1024" in code
    names: dict[str, Any] = {"__name__": "docs"}
    exec(compile(code.replace("num_envs=1024", "num_envs=2"), "docs/gym_hil.md", "exec"), names)
    assert names["observations"]["agent_pos"].shape == (2, 18)
    assert base(names["env"]).settings.control_time_s == 15.0

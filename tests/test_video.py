"""Pictures and videos of a policy, with OpenGL and without."""

import os
import subprocess
import sys

import av
import gymnasium
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from pictures import needs_gl

import mjxsim
from mjxsim.envs import expert_policy
from mjxsim.evaluation import record_video, record_video_from_state
from mjxsim.rendering import GLRenderer
from mjxsim.tasks.pick_cube import PickCubeConfig
from mjxsim.tasks.reach import ReachConfig


@pytest.fixture(scope="module")
def pick():
    config = PickCubeConfig(episode_seconds=0.5)
    return mjxsim.make("pick_cube", engine="c", config=config, announce=False)


@pytest.fixture(scope="module")
def home(pick):
    """qpos, mocap_pos and mocap_quat with the goal beside the cube, both in view."""
    key = pick.engine.model.key("home")
    return np.array(key.qpos), np.array([[0.5, 0.2, 0.1]]), np.array([[1.0, 0, 0, 0]])


def frames(path) -> tuple[av.VideoStream, np.ndarray]:
    """The stream and its frames, uint8 (n, height, width, 3)."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(stream)]
        return stream, np.stack(pictures)


def reddish(picture: np.ndarray) -> np.ndarray:
    r, g, b = np.moveaxis(picture.astype(int), -1, 0)
    return (r > 100) & (r > 2 * g) & (r > 2 * b)


def greenish(picture: np.ndarray) -> np.ndarray:
    r, g, b = np.moveaxis(picture.astype(int), -1, 0)
    return (g > 100) & (2 * g > 3 * r) & (2 * g > 3 * b)


@needs_gl
def test_a_picture_shows_robot_cube_and_goal(pick, home):
    with GLRenderer(pick.engine.model, (240, 320)) as renderer:
        picture = renderer.render(*home)
        assert picture.shape == (240, 320, 3)
        assert picture.dtype == np.uint8
        # The front camera looks along -x, so +y is on the right; cube and goal lie below the sky.
        rows, columns = np.nonzero(reddish(picture))
        assert 20 < rows.size < 1000, "a 4 cm cube at 1.4 m"
        assert rows.mean() > 120
        assert abs(columns.mean() - 160) < 15
        rows, columns = np.nonzero(greenish(picture))
        assert 10 < rows.size < 1000, "the goal"
        assert columns.mean() > 175
        white = (picture > 180).all(axis=-1)
        assert white[:, 130:190].mean() > 0.1, "the arm stands in the middle"


@needs_gl
def test_a_picture_depends_on_its_arguments_alone(pick, home):
    model = pick.engine.model
    qpos, pos, quat = home
    bent = qpos.copy()
    bent[0] += 0.5
    black = np.array(model.geom_rgba)
    black[model.geom("cube").id, :3] = 0.0
    with GLRenderer(model, (120, 160)) as one, GLRenderer(model, (60, 80), "side") as two:
        first = one.render(qpos, pos, quat)
        other_camera = two.render(qpos, pos, quat)
        assert other_camera.shape == (60, 80, 3)
        assert (one.render(bent, pos, quat) != first).mean() > 0.05
        assert (one.render(qpos, pos + 0.1, quat) != first).any()
        dark = one.render(qpos, pos, quat, {"geom_rgba": black, "opt.gravity": np.zeros(3)})
        assert reddish(first).any()
        assert not reddish(dark).any()
        np.testing.assert_array_equal(one.render(qpos, pos, quat), first)
        np.testing.assert_array_equal(two.render(qpos, pos, quat), other_camera)
    two.close()
    with pytest.raises(RuntimeError, match="closed"):
        two.render(qpos, pos, quat)


def test_an_unknown_camera_names_the_nearest(pick, tmp_path):
    with pytest.raises(ValueError, match="did you mean 'front'"):
        record_video_from_state(pick, expert_policy(pick), tmp_path / "v.mp4", camera="fornt")


@needs_gl
def test_a_video_of_the_expert(pick, tmp_path):
    path = tmp_path / "new" / "expert.mp4"
    made = record_video_from_state(pick, expert_policy(pick), path, episodes=3, size=(201, 301))
    assert made == path
    assert [p.name for p in path.parent.iterdir()] == ["expert.mp4"]
    stream, pictures = frames(path)
    assert stream.codec_context.name == "h264"
    assert stream.pix_fmt == "yuv420p"
    assert stream.average_rate == 20
    # The start, ten steps, and half a second of the last picture; three episodes in a 2 x 2 grid.
    assert pictures.shape == (1 + 10 + 10, 200, 300, 3)
    episodes = [(0, 0), (0, 150), (100, 0)]
    for y, x in episodes:
        tile = pictures[:, y : y + 100, x : x + 150]
        assert reddish(tile[0]).any(), "the cube"
        assert (np.abs(tile[10].astype(int) - tile[0]) > 40).mean() > 0.01, "the arm has moved"
    assert pictures[:, 110:, 160:].max() < 40, "nothing in the fourth place"
    same = np.abs(pictures[-1].astype(int) - pictures[10])
    assert same.mean() < 1.0, "the end is held"


@needs_gl
def test_a_frame_tells_success_and_an_early_end(tmp_path):
    config = ReachConfig(episode_seconds=0.5, threshold=1.0, hold_seconds=0.2)
    env = mjxsim.make("reach", engine="c", config=config, announce=False)
    half = env.observation_layout["goal"].start + 1

    def policy(obs):  # breaks off where the goal's y is positive
        return jnp.where(obs[:, half, None] > 0, jnp.nan, jnp.zeros((1, env.action_size)))

    path = record_video(env, policy, tmp_path / "v.mp4", episodes=16, size=(400, 400))
    _, pictures = frames(path)
    border = pictures[:, 1:400:100, 50:400:100].reshape(len(pictures), 16, 3)
    red, green = reddish(border), greenish(border)
    assert not red[0].any()
    assert not green[0].any()
    broken = red[1]
    assert 0 < broken.sum() < 16, "an action that is not finite ends an episode at once"
    np.testing.assert_array_equal(red[-1], broken)
    assert not green[3].any()
    np.testing.assert_array_equal(green[4], ~broken)  # within 1 m for 0.2 s
    np.testing.assert_array_equal(green[-1], ~broken)


@needs_gl
def test_bad_requests_leave_nothing_behind(pick, tmp_path):
    policy = expert_policy(pick)
    with pytest.raises(ValueError, match="at least 1 episode"):
        record_video_from_state(pick, policy, tmp_path / "v.mp4", episodes=0)
    with pytest.raises(ValueError, match="do not fit into 16 x 16 pixels"):
        record_video_from_state(pick, policy, tmp_path / "v.mp4", size=(16, 16))
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        record_video_from_state(pick, policy, tmp_path / "file" / "v.mp4", size=(64, 64))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@needs_gl
def test_gymnasium_renders():
    env = gymnasium.make("mjxsim/PandaReach-v0", render_mode="rgb_array", height=60, width=80)
    check_env(env.unwrapped)
    env.reset(seed=0)
    assert env.render().shape == (60, 80, 3)
    env.close()
    env.close()
    vec = mjxsim.make_vec(
        "reach", 2, engine="c", render_mode="rgb_array", height=60, width=80, announce=False
    )
    vec.reset(seed=0)
    one, two = vec.render()
    assert one.shape == (60, 80, 3)
    assert (one != two).any(), "another goal"
    vec.close()


def in_another_process(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    hidden = ("MUJOCO_GL", "PYOPENGL_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY")
    return subprocess.run(
        [sys.executable, "-c", program],
        env={k: v for k, v in os.environ.items() if k not in hidden} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


DRAW = """
import mujoco
from mjxsim.rendering import GLRenderer, NoRendererError
world = "<mujoco><worldbody><camera name='front'/></worldbody></mujoco>"
model = mujoco.MjModel.from_xml_string(world)
try:
    GLRenderer(model, (8, 8))
except NoRendererError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="about Linux's choice of OpenGL platforms")
@pytest.mark.parametrize(
    ("environment", "message"),
    [
        # Neither EGL nor OSMesa starts on another OpenGL platform: as if neither were installed.
        ({"PYOPENGL_PLATFORM": "wgl"}, "libegl1 libgl1-mesa-dri, or libosmesa6"),
        ({"MUJOCO_GL": "disabled"}, "MUJOCO_GL=disabled turns it off): unset MUJOCO_GL"),
        # GLFW is installed with mujoco, but there is no display here.
        ({"MUJOCO_GL": "glfw"}, "(glfw: "),
    ],
)
def test_without_opengl_there_is_one_line_and_no_crash(environment, message):
    done = in_another_process(DRAW, **environment)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith("cannot draw offscreen with OpenGL (")
    assert message in line


def test_states_need_no_opengl():
    program = """
import sys, gymnasium, mjxsim
env = gymnasium.make("mjxsim/PandaReach-v0", render_mode="rgb_array")
env.reset(seed=0)
env.step(env.action_space.sample())
assert "OpenGL" not in sys.modules
"""
    done = in_another_process(program, MUJOCO_GL="disabled")
    assert done.returncode == 0, done.stderr

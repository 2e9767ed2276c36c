"""Ids that open a window: with displays that nobody sees, and what they say where there is none."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest

from mjxsim.compat import gym_hil
from mjxsim.compat.gym_hil import viewing
from mjxsim.compat.gym_hil.env import HilEnv
from mjxsim.rendering import NoRendererError
from mjxsim.teleop.devices import Command
from mjxsim.teleop.mujoco_view import Launched

TASKS = ("PandaPickCube", "PandaArrangeBoxes")
DEVICES = ("Gamepad", "Keyboard", "Spacemouse")
NONE: tuple[dict[str, str], ...] = ({}, {"DISPLAY": ":4711"})  # displays that are not there
linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the environment names none")
ROOT = pathlib.Path(__file__).parents[1]
IDLE = Command(intervene=False)


class Handle:
    """MuJoCo's viewer, without a window."""

    def __init__(self) -> None:
        self.synced = 0
        self.open = True

    def lock(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def sync(self) -> None:
        self.synced += 1

    def is_running(self) -> bool:
        return self.open

    def close(self) -> None:
        self.open = False


class Still:
    """A SpaceMouse that somebody holds still."""

    name = "spacemouse"
    closed = False

    def __init__(self, command: Command = IDLE) -> None:
        self.command = command

    def poll(self) -> Command:
        return self.command

    def messages(self) -> tuple[str, ...]:
        return ()

    def help(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def sdl() -> Iterator[Any]:
    """pygame with nothing open, before and after."""
    pygame = pytest.importorskip("pygame")
    pygame.display.quit()
    yield pygame
    pygame.display.quit()


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`blind(DISPLAY=":0")`: no display but this one."""

    def only(**displays: str) -> None:
        for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
            monkeypatch.delenv(name, raising=False)
        for name, value in displays.items():
            monkeypatch.setenv(name, value)

    return only


def make(name: str, **options: Any) -> gymnasium.Env[Any, np.ndarray]:
    return gymnasium.make(f"mjxsim_gym_hil/{name}", disable_env_checker=True, **options)


def play(env: gymnasium.Env[Any, np.ndarray]) -> dict[str, Any]:
    """The last info of two steps."""
    env.reset(seed=0)
    assert env.action_space.shape is not None
    action = np.zeros(env.action_space.shape, np.float32)
    env.step(action)
    return env.step(action)[4]


@pytest.mark.parametrize("task", TASKS)
def test_viewer_ids(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    handle = Handle()
    monkeypatch.setattr(viewing, "_passive", lambda *_: Launched(handle, set()))
    env = make(f"{task}Viewer-v0")
    assert set(play(env)) == {"succeed", "is_success"}
    handle.open = False  # the person closes it: the world goes on
    env.step(np.zeros(7, np.float32))
    assert handle.synced == 3
    env.close()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("task", TASKS)
def test_ids_for_a_person(
    task: str, device: str, sdl: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keyboard and gamepad are the real ones; a gamepad need not be there yet."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")  # of one's own choice: it is respected
    mouse = Still()
    if task != TASKS[0]:  # drawing is the same for both, and long to compile
        drawn = np.arange(128 * 128 * 3, dtype=np.uint8).reshape(128, 128, 3)
        monkeypatch.setattr(HilEnv, "pictures", lambda _: {"front": drawn, "wrist": drawn})
    options = {"make_device": lambda name: mouse} if device == "Spacemouse" else {}
    env = make(f"{task}{device}-v0", reset_delay_seconds=0.0, **options)
    info = play(env)
    assert info["is_intervention"] is False and "discrete_penalty" in info
    shown = sdl.surfarray.array3d(sdl.display.get_surface())
    assert shown.shape == (2 * 3 * 128, 3 * 128, 3) and shown.std() > 10
    env.close()
    assert not sdl.display.get_init() and mouse.closed is (device == "Spacemouse")


@linux
@pytest.mark.parametrize("display", NONE)
def test_no_display_for_the_cameras(
    display: dict[str, str], sdl: Any, blind: Callable[..., None]
) -> None:
    """SDL would draw where nobody looks."""
    blind(**display)
    why = "DISPLAY=:4711 cannot be opened" if display else "neither DISPLAY nor"
    cases: list[tuple[str, dict[str, Any]]] = [(device, {}) for device in DEVICES]
    for kind, options in (*cases, ("", {"display_cameras": True})):
        with pytest.raises(NoRendererError, match=f"a camera window .*{why}") as error:
            make(f"PandaPickCube{kind}-v0", **options)
        assert "\n" not in str(error.value) and "--headless" not in str(error.value)
        assert not sdl.display.get_init()


@linux
@pytest.mark.parametrize("display", NONE)
def test_no_display_for_the_viewer(
    display: dict[str, str], blind: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """MuJoCo's viewer would end the process."""
    viewer = pytest.importorskip("mujoco.viewer")
    monkeypatch.setattr(viewer, "launch_passive", lambda *_, **__: pytest.fail("it was launched"))
    blind(**display)
    env = make("PandaPickCubeViewer-v0")
    with pytest.raises(NoRendererError, match="MuJoCo's viewer does not open: no ") as error:
        env.reset(seed=0)
    assert "\n" not in str(error.value)
    env.close()


@pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="xvfb-run is not installed")
def test_mujocos_viewer_opens_and_closes() -> None:
    """In a process of its own, which used to crash when it ended."""
    code = (
        "import gymnasium, mjxsim\n"
        "env = gymnasium.make('mjxsim_gym_hil/PandaPickCubeViewer-v0')\n"
        "env.reset(seed=0); env.step(env.action_space.sample()); env.close()"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("WAYLAND_DISPLAY", None)
    command = ["xvfb-run", "-a", sys.executable, "-c", code]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    if "NoRendererError: MuJoCo's viewer does not open" in done.stderr and "GLX" in done.stderr:
        pytest.skip(f"no OpenGL for windows here: {done.stderr}")
    assert done.returncode == 0, done.stderr


def test_what_gym_hil_exports() -> None:
    """`__all__` of gym-hil 0.1.14, and its wrappers; docs/gym_hil.md names what is not here."""
    theirs = ("GymRenderingSpec", "PassiveViewerWrapper", "make_env", "wrap_env")
    wrappers = ("EEAction", "GripperPenalty", "InputsControl", "ResetDelay")
    for name in (*theirs, *(f"{w}Wrapper" for w in wrappers)):
        assert name in gym_hil.__all__ and hasattr(gym_hil, name)
    page = (ROOT / "docs" / "gym_hil.md").read_text("utf-8")
    for name in ("MujocoGymEnv", "FrankaGymEnv"):
        assert f"`{name}`" in page and not hasattr(gym_hil, name)


def test_wrappers_take_gym_hils_arguments(sdl: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    step = {"x": 0.01, "y": 0.02, "z": 0.03}
    world = gym_hil.PandaPickCubeGymEnv()
    env = gym_hil.EEActionWrapper(world, step)  # without the gripper, as by default there
    assert env.action_space.shape == (3,)
    np.testing.assert_allclose(env.action(np.array([1, -1, 0.5])), [0.01, -0.02, 0.015, 0, 0, 0, 0])
    with pytest.raises(ValueError, match="takes positive x, y and z"):
        gym_hil.EEActionWrapper(world, {"x": 0.01})
    driven = gym_hil.InputsControlWrapper(env, 0.5, 1.0, 1.0, use_gamepad=False)
    assert driven.device.name == "keyboard"
    driven.reset(seed=0)
    driven.device.close()
    driven.device = Still(Command(linear=(1.0, 0.5, 0.0), intervene=True))
    np.testing.assert_allclose(
        driven.step(np.zeros(3, np.float32))[4]["teleop_action"], [0.5, 0.5, 0]
    )
    four = gym_hil.EEActionWrapper(world, ee_action_step_size=step, use_gripper=True)
    assert four.action_space.shape == (4,) and four.action(np.array([0, 0, 0, 2.0]))[6] == 1.0

"""`python -m mjxsim.view`: pictures, a page, MuJoCo's viewer, and mistakes in one line."""

import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

import av
import jax.numpy as jnp
import numpy as np
import pytest

from mjxsim import runs, view
from mjxsim.config import load
from mjxsim.view import ViewConfig

ROOT = pathlib.Path(__file__).parents[1]


def decoded(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data), format="png_pipe") as stream:
        return next(stream.decode(video=0)).to_ndarray(format="rgb24")


def test_picture_of_every_camera(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "new" / "out.png"
    size = ["--height", "24", "--width", "32"]
    done = view.main(["--task", "reach", "--viewer", "png", "--output", str(output), *size])
    assert done == 0, capsys.readouterr().err
    assert capsys.readouterr().out == f"written to {output}\n"
    sheet = decoded(output.read_bytes())
    assert sheet.shape == (48, 64, 3)
    parts = sheet.reshape(2, 24, 2, 32, 3).swapaxes(1, 2).reshape(4, -1, 3)
    assert (parts.std(axis=1) > 1).any(axis=1).all(), "each camera sees something"
    front = sheet[:24, :32].astype(int)
    assert front[0, 0, 2] > front[0, 0, 0], "the sky, above"
    assert front[-1, 16, 0] > front[-1, 16, 2], "the table, below"


def test_page_plays_the_expert(capsys: pytest.CaptureFixture[str]) -> None:
    """At the speed that was asked for: not faster, and the rest is the machine's."""
    pytest.importorskip("viser")
    started = time.monotonic()
    options = ["--viewer", "web", "--port", "0", "--seconds", "2", "--speed", "2"]
    assert view.main(["--task", "reach", "--play", "expert", *options]) == 0
    assert time.monotonic() - started >= 0.9
    assert re.fullmatch(r"open http://127\.0\.0\.1:\d+; Ctrl-C ends it\n", capsys.readouterr().out)


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed")
def test_mujoco_viewer_opens_and_closes(tmp_path: pathlib.Path) -> None:
    """In a process of its own, which used to crash when it ended."""
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "640x480x24", "-nolisten", "tcp"],
        pass_fds=(write,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read) as told:
            number = told.readline().strip()
        environment = {**os.environ, "DISPLAY": f":{number}", "PYTHONPATH": str(ROOT)}
        environment.pop("WAYLAND_DISPLAY", None)
        command = [sys.executable, "-m", "mjxsim.view", "--task", "reach", "--seconds", "0.3"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
    finally:
        server.terminate()
        server.wait(10)
    if "GLX" in done.stderr and done.returncode == 2:
        pytest.skip(f"no OpenGL for windows here: {done.stderr}")
    assert (done.returncode, done.stderr) == (0, "")


def test_when_there_is_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", ":0")
    assert view.screen.why_none() is None
    monkeypatch.delenv("DISPLAY")
    assert view.screen.why_none() == "no display: neither DISPLAY nor WAYLAND_DISPLAY is set"
    monkeypatch.setattr(sys, "platform", "win32")
    assert view.screen.why_none() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--task stack_cube", "unknown task 'stack_cube': did you mean 'stack_cubes'? valid:"),
        ("--robot pandas", "unknown robot 'pandas': did you mean 'panda'? valid: aloha, panda"),
        ("--engine d", "unknown engine 'd'"),
        ("--task handover", "task 'handover' needs a robot with 2 arms"),
        ("--viewer web --host 192.0.2.1", "cannot listen at 192.0.2.1"),
        ("--viewer web --port 99999", "a port is 0 (any) to 65535, got 99999"),
        ("--viewer mujoco", "no display: neither DISPLAY nor WAYLAND_DISPLAY is set; look with"),
        ("--viewr web", "unknown option '--viewr': did you mean '--viewer'?"),
        ("--viewer webb", "invalid choice 'webb' for argument '--viewer'"),
        ("--viewer png", "a picture takes both: --viewer png --output FILE"),
        ("--output x.png", "a picture takes both: --viewer png --output FILE"),
        ("--play policy", "a policy takes both: --play policy --checkpoint DIR"),
        ("--play policy --checkpoint nowhere", "no directory nowhere: give a run directory"),
        ("--play expert --control joint", "a scripted expert needs an end-effector controller"),
        ("--speed 0", "speed must be positive, got 0.0"),
        ("--speed nan", "speed must be positive, got nan"),
        ("--seconds -1", "seconds must be finite and not negative, got -1.0"),
        ("--viewer png --output x.png --seconds inf", "seconds must be finite and not negative"),
        ("--seconds nan", "seconds must be finite and not negative, got nan"),
        ("--seed -1", "seed must be at least 0"),
        ("--height 0", "height and width must be positive, got 0, 480"),
    ],
)
def test_mistakes_in_one_line(
    options: str,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("viser")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert view.main(options.split()) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.startswith("error: ") and said.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_policy_of_a_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is of the run's own task, and another one is refused; loading is tested elsewhere."""
    run, config = pathlib.Path("runs/reach"), load(ROOT / "configs" / "reach.py")
    built = runs.build_env(config, engine="c")
    loaded = runs.Run(run, config, built, lambda seen: jnp.zeros(built.action_size) + seen[0], 0)
    monkeypatch.setattr(view.runs, "load", lambda directory, engine: loaded)
    env, act = view._player(ViewConfig(play="policy", checkpoint=run))
    assert env.name == "reach/panda"
    moments = list(view._episodes(env, act, 0, 3))
    assert len(moments) == 4
    assert all(np.isfinite(action).all() for _, (action, _) in moments)
    capsys.readouterr()
    options = ["--play", "policy", "--checkpoint", str(run), "--viewer", "web"]
    assert view.main([*options, "--task", "pick_cube"]) == 2
    said = capsys.readouterr().err
    assert said == (
        f"error: {run} was trained with --task reach, not pick_cube: leave --task out\n"
    )

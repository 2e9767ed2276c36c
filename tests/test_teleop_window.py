"""The window on a virtual display, with keys that X itself sends."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("pygame")
ROOT = pathlib.Path(__file__).parents[1]
# [s] for what takes a second on a machine that has nothing else to do
PATIENCE = 180.0
RED = (226, 62, 54)


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    for tool in ("Xvfb", "xdotool", "import"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}: apt-get install xvfb xdotool imagemagick")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24", "-nolisten", "tcp"],
        pass_fds=(write,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write)
    with os.fdopen(read) as number:
        name = f":{number.readline().strip()}"
    try:
        yield name
    finally:
        server.terminate()
        server.wait()


class Session:
    """`python -m mjxsim.teleop` with a window, and a person at the keyboard."""

    def __init__(self, display: str, folder: pathlib.Path, *flags: str) -> None:
        self._env = {**os.environ, "DISPLAY": display, "PYTHONPATH": str(ROOT)}
        self._env.pop("SDL_VIDEODRIVER", None)
        self._log = folder / "said.txt"
        self._folder = folder
        command = [sys.executable, "-m", "mjxsim.teleop", "--engine", "c", "--size", "16", *flags]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self._env, stdout=log, stderr=subprocess.STDOUT
            )

    @property
    def said(self) -> str:
        return self._log.read_text("utf-8")

    def wait_for(self, line: str) -> None:
        end = time.monotonic() + PATIENCE
        while line not in self.said:
            assert time.monotonic() < end, f"{line!r} never came in: {self.said}"
            assert self.process.poll() is None, self.said
            time.sleep(0.05)

    def tool(self, *words: str) -> str:
        done = subprocess.run(
            ["xdotool", *words], env=self._env, capture_output=True, text=True, check=False
        )
        return done.stdout

    def window(self) -> str:
        """The id of the session's window, which is the only one on the display."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = self.tool("search", "--onlyvisible", "--class", ".").split()
            if found:
                return found[-1]
            assert self.process.poll() is None, self.said
            time.sleep(0.1)
        raise AssertionError(f"no window: {self.said}")

    def screenshot(self, window: str, name: str) -> np.ndarray:
        """What is in a window, uint8 (height, width, 3)."""
        path = self._folder / f"{name}.ppm"
        subprocess.run(
            ["import", "-window", window, "-depth", "8", str(path)], env=self._env, check=True
        )
        import pygame

        return np.swapaxes(pygame.surfarray.array3d(pygame.image.load(str(path))), 0, 1)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def test_a_person_at_the_keyboard(display: str, tmp_path: pathlib.Path) -> None:
    with Session(display, tmp_path, "--lanes", "2", "--others", "expert") as session:
        window = session.window()
        session.tool("windowfocus", window)  # there is no window manager to do it
        # Keys are heard from the first moment on; what they say comes when the lanes run.
        session.tool("key", "space")
        session.wait_for("you steer")
        session.tool("key", "bracketright")
        session.wait_for("lane 2 of 2")
        session.tool("key", "c")
        session.wait_for("nothing to record into: give --output-dir")
        session.tool("key", "p")
        session.wait_for("paused")
        time.sleep(0.3)
        picture = session.screenshot(window, "window")
        # Two cameras of 384 pixels, of which something is to be seen.
        for left in (12, 408):
            assert picture[12:396, left : left + 384].std() > 20
        assert picture[:, 820:1080].std() > 10, "the keys"
        assert not (picture == RED).all(axis=-1).any(), "the light is off"
        session.tool("key", "q")
        assert session.process.wait(timeout=PATIENCE) == 0
        assert "jitter p50" in session.said

"""A session driven from a real browser: keys on the page move the arm, and Q ends it."""

import pathlib
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from chromium import chromium, needs_chromium, until

from mjxsim.teleop import build
from mjxsim.teleop.config import TeleopConfig
from mjxsim.teleop.devices.browser import BrowserDevice
from mjxsim.teleop.frame import Frame
from mjxsim.teleop.loop import Loop, Report


class Newest:
    """A sink that keeps the newest frame."""

    frame: Frame | None = None

    def show(self, frame: Frame) -> None:
        self.frame = frame

    def close(self) -> None:
        pass

    @property
    def gripper(self) -> np.ndarray:
        """Where the hand is [m]."""
        assert self.frame is not None
        return self.frame.bodies["gripper"][0]


@pytest.fixture
def device() -> Iterator[BrowserDevice]:
    opened = BrowserDevice(port=0)
    yield opened
    opened.close()


@needs_chromium
def test_keys_move_the_arm(device: BrowserDevice, tmp_path: pathlib.Path) -> None:
    pytest.importorskip("websockets")
    config = TeleopConfig(
        task="reach", robot="so100", engine="c", device="browser", headless=True, cameras=()
    )
    worlds = build.worlds(config, pictures=False)
    newest, reports = Newest(), list[Report]()
    loop = Loop(
        build.lanes(config, worlds),
        device,
        build.rules(config, worlds),
        names=worlds.names,
        sinks=[device, newest],
        say=lambda line: None,
    )
    thread = threading.Thread(target=lambda: reports.append(loop.run()), daemon=True)
    thread.start()
    try:
        with chromium(tmp_path) as browser:
            page = browser.page()
            page.open(device.url)
            until(lambda: newest.frame is not None, 60, "the first step")
            instruction = worlds.env.task.instructions[0]
            page.wait(f"document.body.innerText.includes({instruction!r})")
            before = newest.gripper.copy()
            page.key("ArrowLeft", down=True)
            until(lambda: newest.gripper[1] - before[1] > 0.03, 15, "the arm to move along +y")
            page.key("ArrowLeft", down=False)
            page.key("KeyQ", down=True)
            until(lambda: not thread.is_alive(), 15, "the session to end")
    finally:
        loop.stop()
        thread.join(15)
    (report,) = reports
    assert report.timing.steps > 0

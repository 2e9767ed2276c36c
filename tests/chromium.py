"""A real browser for tests: headless Chromium, driven through its DevTools protocol."""

import base64
import contextlib
import itertools
import json
import pathlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
needs_chromium = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    # WebGL without a GPU.
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--remote-debugging-port=0",
)


class Link:
    """A connection by the DevTools protocol."""

    def __init__(self, address: str) -> None:
        from websockets.sync.client import connect

        self._socket = connect(address, max_size=None, proxy=None)
        self._numbers = itertools.count()
        self.errors: list[str] = []

    def call(self, method: str, **parameters: object) -> dict:
        """One call of the protocol."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=30))
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(answer["params"]["exceptionDetails"])[:500])
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def end(self) -> None:
        self._socket.close()


class Page(Link):
    """One page of the browser, in a window of its own: a tab would hide the others."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        for domain in ("Page", "Runtime"):
            self.call(f"{domain}.enable")

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && document.body !== null", 30)

    def value(self, expression: str) -> object:
        """What a JavaScript expression gives."""
        result = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, expression: str, seconds: float = 15.0) -> None:
        """Until a JavaScript expression is true."""
        until(lambda: bool(self.value(expression)), seconds, expression)

    def key(self, code: str, *, down: bool) -> None:
        """Presses or releases a key, by its `KeyboardEvent.code`."""
        self.call(
            "Input.dispatchKeyEvent",
            type="rawKeyDown" if down else "keyUp",
            code=code,
            key=code,
        )

    def touch(self, *points: tuple[float, float]) -> None:
        """Fingers on these points [CSS pixels], and nowhere else."""
        kind = "touchStart" if points else "touchEnd"
        self.call(
            "Input.dispatchTouchEvent",
            type=kind,
            touchPoints=[{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)],
        )

    def middle(self, selector: str) -> tuple[float, float]:
        """Where the middle of an element is [CSS pixels]."""
        x, y = self.value(
            f"(() => {{ const r = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        return x, y

    def size(self, width: int, height: int, *, phone: bool = False) -> None:
        """Of the page [CSS pixels]; as a phone it has a touch screen."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)

    def screenshot(self) -> bytes:
        """PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.call("Page.close")
        self.end()


class Chromium:
    """A browser that runs."""

    def __init__(self, port: int, path: str) -> None:
        self._root = f"ws://127.0.0.1:{port}"
        self._link = Link(f"{self._root}{path}")

    def page(self) -> Page:
        """A new empty page."""
        made = self._link.call("Target.createTarget", url="about:blank", newWindow=True)
        return Page(f"{self._root}/devtools/page/{made['targetId']}")

    def close(self) -> None:
        self._link.end()


@contextlib.contextmanager
def chromium(folder: pathlib.Path) -> Iterator[Chromium]:
    """A browser with an empty profile in `folder`."""
    assert PROGRAM is not None
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, *_FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"],
            stdout=log,
            stderr=log,
        )
    try:
        told = folder / "profile" / "DevToolsActivePort"
        until(lambda: told.is_file() and len(told.read_text().split()) == 2, 30, "chromium")
        port, path = told.read_text().split()
        running = Chromium(int(port), path)
        yield running
        running.close()
    finally:
        process.terminate()
        process.wait(10)


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits for a condition, and fails when it takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(0.02)

"""The device `browser`: a page that shows the session and says what is pressed on it."""

import dataclasses
import importlib.resources
import ipaddress
import json
import secrets
import time
from collections.abc import Mapping

from mjxsim.teleop.devices import browser
from mjxsim.teleop.devices.base import Command
from mjxsim.teleop.devices.browser import controls
from mjxsim.teleop.devices.browser.pictures import Pictures
from mjxsim.teleop.devices.browser.pilot import Pilot
from mjxsim.teleop.devices.browser.server import Json, Server, Site
from mjxsim.teleop.devices.keymap import EVENTS, help_lines
from mjxsim.teleop.frame import Frame

PORT = 8090


class BrowserDevice:
    """Steers from a web page by keyboard or touch, and shows it what the cameras see.

    It is a device (`mjxsim.teleop.devices.Device`) and also what shows the session on the page
    (`mjxsim.teleop.frame.Sink`): a loop polls it and shows it every frame. It needs nothing but the
    standard library and PyAV, and any proxy that passes HTTP.

    Several pages may be open; the last one that was opened, or on which something was pressed,
    drives. When that page is closed, is hidden, loses the keyboard or is not heard of for
    `timeout`, everything that was held is let go.

    Args:
      host: the address that is listened at. "0.0.0.0" for all of them: phones can then join, and
        the page's address has a random word in it, without which nothing is answered.
      port: the first that is tried; 0 for any.
      keymap: changes of the keys, action -> `KeyboardEvent.code`; gym-hil's keys by default.
      timeout: [s] of silence after which everything is let go.
      token: the word in the address; chosen at random if None and `host` is not this machine only.

    Raises:
      ValueError: an unknown action or key, one key for two actions, or no such port.
      DeviceError: nothing can be listened at there.
    """

    name = "browser"

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = PORT,
        keymap: Mapping[str, str] | None = None,
        timeout: float = 0.5,
        token: str | None = None,
    ) -> None:
        self._keys = controls.customized(keymap)
        if token is None:
            token = "" if _only_here(host) else secrets.token_urlsafe(12)
        self._pilot, self._pictures = Pilot(timeout), Pictures()
        site = Site(token, self._page(), self._pilot, self._pictures, self._standing)
        self._server: Server | None = Server(host, port, site)
        self.port, self.path = self._server.port, f"/{token}/" if token else "/"
        seen_at = "127.0.0.1" if host in ("0.0.0.0", "::") else host
        self.url = f"http://{f'[{seen_at}]' if ':' in seen_at else seen_at}:{self.port}{self.path}"
        here = "" if seen_at == host else ", from elsewhere with this machine's name in it"
        self._pilot.say(f"browser: open {self.url}{here}")

    def poll(self) -> Command:
        return self._pilot.poll(time.monotonic())

    def messages(self) -> tuple[str, ...]:
        return self._pilot.messages()

    def help(self) -> tuple[str, ...]:
        return help_lines({action: controls.label(key) for action, key in self._keys.items()})

    def show(self, frame: Frame) -> None:
        """Takes one control step; returns at once."""
        self._pictures.show(frame)

    def close(self) -> None:
        if self._server:
            self._server.close()
            self._server = None

    def _page(self) -> bytes:
        html = importlib.resources.files(browser).joinpath("page.html").read_text("utf-8")
        known = {
            "keys": {key: action for action, key in self._keys.items()},
            "labels": {action: controls.label(key) for action, key in self._keys.items()},
            "events": list(EVENTS),
        }
        # "<" could end the script that it stands in.
        return html.replace("{{known}}", json.dumps(known).replace("<", "\\u003c")).encode()

    def _standing(self) -> dict[str, Json]:
        frame = self._pictures.frame
        if frame is None:
            return {"status": None}
        status = dataclasses.asdict(frame.status)
        return {"status": {**status, "reward": float(frame.reward), "time": float(frame.time)}}


def _only_here(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

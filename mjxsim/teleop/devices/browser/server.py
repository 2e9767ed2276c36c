"""The page's HTTP server: plain requests, which every proxy lets through.

GET  <root>/                  the page
POST <root>/report            what the page holds; answered with how the session stands
POST <root>/leave             the page was closed or is not looked at
GET  <root>/pictures?after=n  the newest pictures, as soon as they are others than those of n
"""

import dataclasses
import hmac
import http.server
import json
import math
import socketserver
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping

from mjxsim.teleop.address import LAST_PORT, check_address
from mjxsim.teleop.devices.base import DeviceError
from mjxsim.teleop.devices.browser.pictures import Pictures
from mjxsim.teleop.devices.browser.pilot import Pilot
from mjxsim.teleop.devices.keymap import ACTIONS

_LONGEST = 65536  # [bytes] of a request
_PATIENCE = 1.0  # [s] that a request for pictures waits
_TRIES = 20  # ports from the first one on

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


@dataclasses.dataclass(frozen=True, eq=False)
class Site:
    """What is served."""

    token: str  # that every path begins with; "" for none
    page: bytes
    pilot: Pilot  # who is told what the page holds
    pictures: Pictures  # what is shown
    standing: Callable[[], dict[str, Json]]  # how the session stands, for the page


class Server:
    """Serves one page from threads of its own.

    Args:
      host: the address that is listened at.
      port: the first that is tried; 0 for any.
      site: what is served.

    Raises:
      DeviceError: nothing can be listened at there.
      ValueError: `port` is none.
    """

    def __init__(self, host: str, port: int, site: Site) -> None:
        class Handler(_Handler):
            root = f"/{site.token}" if site.token else ""

        Handler.site = site
        self._server = _listen(host, port, Handler)
        self._pictures = site.pictures
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},
            name="mjxsim browser",
            daemon=True,
        )
        self._thread.start()

    def close(self) -> None:
        """Stops listening."""
        self._pictures.close()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5.0)


class _Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = sys.platform != "win32"  # which lets two listen at once

    def server_bind(self) -> None:
        """Without HTTPServer's look-up of the host's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "", int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A page that goes away in the middle of an answer is no error."""
        error = sys.exception()
        if not isinstance(error, OSError):
            print(f"browser: {type(error).__name__}: {error}", file=sys.stderr)


def _listen(host: str, port: int, handler: type["_Handler"]) -> _Listener:
    try:
        check_address(host, port)
    except OSError as error:
        raise DeviceError(f"browser: {error.strerror}") from error
    last = min(port + _TRIES - 1, LAST_PORT)
    why: OSError | None = None
    for candidate in range(port, last + 1) if port else (0,):
        try:
            return _Listener((host, candidate), handler)
        except OSError as error:
            why = error
    ports = f"{port} to {last}" if port else "any"
    raise DeviceError(
        f"browser: cannot listen at {host}, port {ports}: {why.strerror if why else ''}"
    )


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True
    timeout = 30.0  # [s] that an idle connection is kept
    root: str
    site: Site

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        match self._below(url.path):
            case "":  # so that the page's own links stay below its folder
                self.send_response(http.HTTPStatus.MOVED_PERMANENTLY)
                self.send_header("Location", f"{self.root}/")
                self.send_header("Content-Length", "0")
                self.end_headers()
            case "/":
                self._answer(self.site.page, "text/html; charset=utf-8")
            case "/pictures":
                given = urllib.parse.parse_qs(url.query).get("after", ["-1"])[0]
                try:
                    after = int(given)
                except ValueError:
                    return self._refuse(http.HTTPStatus.BAD_REQUEST)
                found = self.site.pictures.after(after, _PATIENCE)
                self._answer(found or b"", "application/octet-stream")
            case _:
                self._refuse(http.HTTPStatus.NOT_FOUND)
        return None

    def do_POST(self) -> None:
        try:
            length = int(self.headers.get("Content-Length", ""))
        except ValueError:
            length = -1
        if not 0 <= length <= _LONGEST:
            self.close_connection = True  # its body is not read
            return self._refuse(http.HTTPStatus.BAD_REQUEST)
        body = self.rfile.read(length)
        # Another site's page may not send this type without asking, and is not allowed to.
        if self.headers.get_content_type() != "application/json":
            return self._refuse(http.HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        path = self._below(urllib.parse.urlsplit(self.path).path)
        if path not in ("/report", "/leave"):
            return self._refuse(http.HTTPStatus.NOT_FOUND)
        try:
            said = json.loads(body)
            name = _text(said["page"])
            if path == "/leave":
                self.site.pilot.leave(name)
                return self._answer(b"{}", "application/json")
            answer = self.site.pilot.report(
                name,
                _count(said["number"]),
                [_action(a) for a in said["held"]],
                [(_count(n), _action(a)) for n, a in said["presses"]],
                time.monotonic(),
            )
        except (ValueError, KeyError, TypeError):
            return self._refuse(http.HTTPStatus.BAD_REQUEST)
        told = {"driving": answer.driving, "press": answer.press, **self.site.standing()}
        return self._answer(json.dumps(_plain(told)).encode(), "application/json")

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: a terminal has other things to show."""

    def _below(self, path: str) -> str | None:
        """The path below the root; None for a path that does not begin with the token."""
        n = len(self.root)
        # In a time that does not tell how much of a token was right.
        if not hmac.compare_digest(path[:n].encode(), self.root.encode()):
            return None
        return path[n:]

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(http.HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")  # the address may hold a token
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: http.HTTPStatus) -> None:
        body = f"{status.value} {status.phrase}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 64:
        raise ValueError("not a name")
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**53:
        raise ValueError("not a count")
    return value


def _action(value: object) -> str:
    if value not in ACTIONS:
        raise ValueError("not an action")
    return str(value)


def _plain(value: object) -> Json:
    """With None for numbers that JSON does not have."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    raise TypeError(f"{type(value).__name__} is not JSON")

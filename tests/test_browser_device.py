"""The device `browser`: who drives, what is answered, and a real browser's keys and touches."""

import importlib.machinery
import io
import json
import random
import socket
import sys
import types
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator

import av
import numpy as np
import pytest
from chromium import Chromium, Page, chromium, needs_chromium, until
from frames import frame, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from mjxsim.teleop.devices import Command, DeviceError, Event
from mjxsim.teleop.devices.browser import KEYS, BrowserDevice, display
from mjxsim.teleop.devices.browser.pictures import Pictures, jpeg
from mjxsim.teleop.devices.browser.pilot import Pilot
from mjxsim.teleop.devices.keymap import ACTIONS, KEYBOARD

STILL = Command()


# Who drives, and what counts.


def test_held_while_it_is_held() -> None:
    pilot = Pilot(timeout=0.5)
    assert pilot.poll(0.0) == STILL
    pilot.report("a", 0, ["forward", "up"], [(1, "forward"), (2, "up")], now=0.0)
    assert pilot.poll(0.1).linear == (1.0, 0.0, 1.0)
    assert pilot.poll(0.2).linear == (1.0, 0.0, 1.0)
    pilot.report("a", 1, ["up"], [], now=0.3)
    assert pilot.poll(0.3).linear == (0.0, 0.0, 1.0)
    pilot.report("a", 2, [], [], now=0.4)
    assert pilot.poll(0.4) == STILL


def test_opposites_cancel_and_gripper() -> None:
    pilot = Pilot(timeout=0.5)
    held = ["left", "right", "turn_left", "open"]
    pilot.report("a", 0, held, list(enumerate(held)), now=0.0)
    command = pilot.poll(0.0)
    assert command == Command(angular=(0.0, 0.0, 1.0), gripper="open")
    pilot.report("a", 1, ["open", "close"], [(9, "close")], now=0.0)
    assert pilot.poll(0.0).gripper == "hold"


def test_tap_between_two_polls_moves_once() -> None:
    pilot = Pilot(timeout=0.5)
    pilot.report("a", 0, ["back"], [(1, "back")], now=0.0)
    pilot.report("a", 1, [], [], now=0.01)
    assert pilot.poll(0.05).linear == (-1.0, 0.0, 0.0)
    assert pilot.poll(0.10) == STILL


def test_events_once_and_in_order() -> None:
    pilot = Pilot(timeout=0.5)
    presses = [(1, "success"), (2, "next_lane"), (3, "success")]
    for number in range(3):  # the page repeats what it does not know to be taken
        answer = pilot.report("a", number, [], presses, now=0.0)
    assert answer.press == 3
    assert pilot.poll(0.0).events == (Event.SUCCESS, Event.NEXT_LANE, Event.SUCCESS)
    assert pilot.poll(0.0).events == ()


PRESSED = st.tuples(st.just("press"), st.sampled_from(("forward", "close", "success", "pause")))
DELIVERED = st.tuples(st.just("deliver"), st.tuples(st.integers(0, 99), st.booleans()))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(PRESSED, DELIVERED), max_size=20))
def test_late_lost_and_repeated_reports(happened: list[tuple[str, object]]) -> None:
    """Whatever a connection does, each press counts exactly once and in order, and nothing stays.

    The page reports at each press, with every press that it does not know to be taken. A report is
    delivered late, twice, after later ones, or never; and its answer may be lost.
    """
    pilot, events = Pilot(timeout=0.5), []
    typed: list[str] = []
    known = 0  # the last press that the page knows to be taken
    sent: list[tuple[int, list[str], list[tuple[int, str]]]] = []

    def report(held: list[str]) -> None:
        pending = [(n, a) for n, a in enumerate(typed, start=1) if n > known]
        sent.append((len(sent), held, pending))

    for what, detail in happened:
        if what == "press":
            typed.append(str(detail))
            report([str(detail)])
        elif sent:
            which, answered = detail  # type: ignore[misc]
            answer = pilot.report("a", *sent[which % len(sent)], now=0.0)
            known = max(known, answer.press) if answered else known
            events += pilot.poll(0.0).events
    report([])
    pilot.report("a", *sent[-1], now=0.0)
    events += pilot.poll(0.0).events
    assert [e.value for e in events] == [a for a in typed if a in ("success", "pause")]
    assert pilot.poll(0.0) == STILL


def test_silence_lets_go_until_pressed_anew() -> None:
    pilot = Pilot(timeout=0.5)
    pilot.report("a", 0, ["forward"], [(1, "forward")], now=0.0)
    pilot.messages()
    assert pilot.poll(0.5).linear == (1.0, 0.0, 0.0)
    assert pilot.poll(0.51) == STILL
    assert pilot.poll(0.52) == STILL
    assert pilot.messages() == ("browser: connection lost, holding still",)
    pilot.report("a", 1, ["forward"], [], now=1.0)
    assert pilot.poll(1.0) == STILL, "a key that stayed down does not move it again"
    assert pilot.messages() == ("browser: connected again",)
    pilot.report("a", 2, [], [], now=1.1)
    pilot.report("a", 3, ["forward"], [(2, "forward")], now=1.2)
    assert pilot.poll(1.2).linear == (1.0, 0.0, 0.0)


def test_last_page_drives() -> None:
    pilot = Pilot(timeout=0.5)
    assert pilot.report("a", 0, ["forward"], [(1, "forward")], now=0.0).driving
    assert pilot.report("b", 0, [], [], now=0.1).driving
    assert pilot.poll(0.1) == STILL
    assert not pilot.report("a", 1, ["forward"], [], now=0.2).driving
    assert pilot.poll(0.2) == STILL
    assert pilot.report("a", 2, ["forward", "up"], [(2, "up")], now=0.3).driving
    assert pilot.poll(0.3).linear == (0.0, 0.0, 1.0), "what was held before does not count"
    assert not pilot.report("b", 1, [], [], now=0.4).driving
    pilot.leave("a")
    assert pilot.poll(0.4) == STILL
    assert pilot.messages() == (
        "browser: a page drives now",
        "browser: another page drives now",
        "browser: another page drives now",
        "browser: the page that drove was left, holding still",
    )


def test_forgotten_pages_take_no_room() -> None:
    pilot = Pilot(timeout=0.5)
    for n in range(1000):
        pilot.report(f"page {n}", 0, [], [(i, "success") for i in range(9)], now=n * 1.0)
    assert len(pilot._pages) <= 62  # of the last minute
    assert len(pilot.messages()) <= 64
    assert len(pilot.poll(1000.0).events) <= 64


# Keys.


def test_keys_are_those_of_the_keyboard() -> None:
    """A key has SDL's name on the one side and the browser's on the other."""
    names = {
        "up": "ArrowUp",
        "down": "ArrowDown",
        "left": "ArrowLeft",
        "right": "ArrowRight",
        "right shift": "ShiftRight",
        "left shift": "ShiftLeft",
        "return": "Enter",
        "right ctrl": "ControlRight",
        "left ctrl": "ControlLeft",
        "]": "BracketRight",
        "[": "BracketLeft",
        "=": "Equal",
        "-": "Minus",
    }
    expected = {
        action: names.get(key) or (f"Key{key.upper()}" if len(key) == 1 else key.capitalize())
        for action, key in KEYBOARD.items()
    }
    assert dict(KEYS) == expected
    assert set(KEYS) <= set(ACTIONS)
    assert len(set(KEYS.values())) == len(KEYS)


@pytest.mark.parametrize(
    ("keymap", "message"),
    [
        ({"forwards": "KeyW"}, "unknown action in the key map 'forwards': did you mean 'forward'"),
        ({"forward": "w"}, "unknown key 'w' in the key map: keys are called as browsers"),
        ({"forward": "KeyW", "back": "KeyW"}, "key 'KeyW' cannot mean both"),
    ],
)
def test_bad_keymaps(keymap: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        BrowserDevice(port=0, keymap=keymap)
    assert "\n" not in str(caught.value)


# The server.


@pytest.fixture
def device() -> Iterator[BrowserDevice]:
    opened = BrowserDevice(port=0, timeout=3.0)  # a busy machine is no lost connection
    yield opened
    opened.close()
    opened.close()


def ask(url: str, body: object = None, kind: str = "application/json") -> tuple[int, bytes]:
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {} if data is None else {"Content-Type": kind}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as a:
            return a.status, a.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


REPORT = {"page": "a", "number": 0, "held": ["forward"], "presses": [[1, "forward"]]}


def test_answers(device: BrowserDevice) -> None:
    assert device.messages() == (f"browser: open {device.url}",)
    status, page = ask(device.url)
    assert status == 200 and b"ArrowUp" in page
    status, told = ask(device.url + "report", REPORT)
    assert (status, json.loads(told)) == (200, {"driving": True, "press": 1, "status": None})
    assert device.poll().linear == (1.0, 0.0, 0.0)
    device.show(frame(step=7, measured_rate=float("nan")))
    told = json.loads(ask(device.url + "report", REPORT)[1])["status"]
    assert told["measured_rate"] is None, "JSON has no NaN"
    assert (told["lane"], told["episodes"], told["reward"]) == (2, 5, 3.5)
    assert ask(device.url + "leave", {"page": "a"})[0] == 200
    assert device.poll() == STILL


@pytest.mark.parametrize(
    ("path", "body", "kind", "expected"),
    [
        ("nothing", None, "", 404),
        ("pictures?after=x", None, "", 400),
        ("report", {"page": "a"}, "application/json", 400),
        ("report", {**REPORT, "held": ["jump"]}, "application/json", 400),
        ("report", {**REPORT, "number": -1}, "application/json", 400),
        ("report", {**REPORT, "page": ""}, "application/json", 400),
        ("report", {**REPORT, "presses": [["1", "up"]]}, "application/json", 400),
        ("report", [1], "application/json", 400),
        ("report", b"{", "application/json", 400),
        ("report", b"\xff\xfe", "application/json", 400),
        ("report", REPORT, "text/plain", 415),  # what a form of another site could send
        ("report", b" " * 70_000, "application/json", 400),
        ("elsewhere", REPORT, "application/json", 404),
    ],
)
def test_refuses(device: BrowserDevice, path: str, body: object, kind: str, expected: int) -> None:
    assert ask(device.url + path, body, kind)[0] == expected
    assert device.poll() == STILL


def test_word_in_the_address() -> None:
    device = BrowserDevice(host="0.0.0.0", port=0)
    try:
        assert len(device.path) > 12 and device.url.endswith(device.path)
        root = f"http://127.0.0.1:{device.port}"
        assert ask(device.url)[0] == 200
        for wrong in ("/", "/report", "/x/", device.path[:-2] + "x/", "/é/"):
            assert ask(root + urllib.request.quote(wrong))[0] == 404
        assert ask(root + "/report", REPORT)[0] == 404
        assert ask(root + device.path.rstrip("/"))[0] == 200, "sent on to the page's folder"
    finally:
        device.close()


def test_next_port_is_taken_and_none_is_said() -> None:
    first = BrowserDevice(port=0)
    second = BrowserDevice(port=first.port)
    try:
        assert first.port < second.port
    finally:
        first.close()
        second.close()
    with pytest.raises(DeviceError, match=r"cannot listen at 192\.0\.2\.1"):  # RFC 5737
        BrowserDevice(host="192.0.2.1")
    with pytest.raises(ValueError, match="a port is 0"):
        BrowserDevice(port=70000)


def test_broken_connections_break_nothing(
    device: BrowserDevice, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = random.Random(0)
    for n in range(20):
        with socket.create_connection(("127.0.0.1", device.port), timeout=5) as link:
            link.sendall(b"POST /report HTTP/1.1\r\nContent-Length: 50\r\n\r\n" if n % 2 else b"")
            link.sendall(noise.randbytes(40))
    assert ask(device.url)[0] == 200
    assert capfd.readouterr().err == ""


# Notebooks.


def test_colab_shows_the_page_through_its_proxy(
    device: BrowserDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, str, str]] = []

    def serve_kernel_port_as_iframe(port: int, path: str, height: str) -> None:
        asked.append((port, path, height))

    for name in ("google", "google.colab"):
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None, is_package=True)
        module.__path__ = []
        monkeypatch.setitem(sys.modules, name, module)
    output = types.SimpleNamespace(serve_kernel_port_as_iframe=serve_kernel_port_as_iframe)
    monkeypatch.setattr(sys.modules["google.colab"], "output", output, raising=False)
    display(device, height=500)
    assert asked == [(device.port, "/", "500")]


def test_notebook_shows_the_page_in_a_frame(
    device: BrowserDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    notebook = pytest.importorskip("IPython.display")
    shown: list[object] = []
    monkeypatch.setattr(notebook, "display", shown.append)
    display(device)
    (frame,) = shown
    assert isinstance(frame, notebook.IFrame)
    assert frame.src == device.url


# Pictures.


def test_jpeg_is_the_picture() -> None:
    original = picture()
    with av.open(io.BytesIO(jpeg(original)), format="jpeg_pipe") as stream:
        decoded = next(stream.decode(video=0)).to_ndarray(format="rgb24")
    assert decoded.shape == original.shape
    # At this quality; the edge between two colours rings.
    assert np.abs(decoded.astype(int) - original).mean() < 2.0


def test_pictures_wait_for_the_next(device: BrowserDevice) -> None:
    pictures = Pictures()
    assert pictures.after(-1, timeout=0.01) is None
    pictures.show(frame(step=3))
    body = pictures.after(-1, timeout=0.01)
    assert body is not None
    head, _, rest = body.partition(b"\n")
    told = json.loads(head)
    assert told["step"] == 3
    assert [name for name, _ in told["cameras"]] == ["front", "wrist"]
    assert sum(size for _, size in told["cameras"]) == len(rest)
    assert pictures.after(3, timeout=0.01) is None
    assert ask(device.url + "pictures?after=-1") == (200, b"")


# A real browser.


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    pytest.importorskip("websockets")
    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


def polled(device: BrowserDevice, right: Callable[[Command], bool]) -> Command:
    """The first command that is right."""
    found: list[Command] = []

    def asked() -> bool:
        command = device.poll()
        if right(command):
            found.append(command)
        return bool(found)

    until(asked, 15, "a command")
    return found[0]


def opened(browser: Chromium, device: BrowserDevice, *, phone: bool = False) -> Page:
    page = browser.page()
    page.size(*(390, 844) if phone else (1000, 900), phone=phone)
    page.open(device.url)
    page.wait("document.querySelectorAll('figure img').length === 2")
    return page


@needs_chromium
def test_keys(browser: Chromium, device: BrowserDevice) -> None:
    device.show(frame())
    page = opened(browser, device)
    try:
        page.key("ArrowUp", down=True)
        assert polled(device, lambda c: c.moves).linear == (1.0, 0.0, 0.0)
        page.key("ShiftRight", down=True)
        polled(device, lambda c: c.linear == (1.0, 0.0, 1.0))
        page.key("ArrowUp", down=False)
        page.key("ShiftRight", down=False)
        polled(device, lambda c: c == STILL)
        page.key("ControlLeft", down=True)
        assert polled(device, lambda c: c.moves).gripper == "close"
        page.key("ControlLeft", down=False)
        for code, event in (("Enter", Event.SUCCESS), ("Space", Event.INTERVENE)):
            page.key(code, down=True)
            page.key(code, down=False)
            assert polled(device, lambda c: bool(c.events)).events == (event,)
        page.key("KeyZ", down=True)  # means nothing
        page.key("ArrowLeft", down=True)
        assert polled(device, lambda c: c.moves).linear == (0.0, 1.0, 0.0)
        page.value("window.dispatchEvent(new Event('blur'))")  # the keyboard goes elsewhere
        polled(device, lambda c: c == STILL)
        assert not page.errors
    finally:
        page.close()
    until(lambda: any("left" in m for m in device.messages()), 10, "the page to be left")


@needs_chromium
def test_touch_on_a_phone(browser: Chromium, device: BrowserDevice) -> None:
    device.show(frame())
    page = opened(browser, device, phone=True)
    try:
        ahead, close = page.middle("[data-action=forward]"), page.middle("[data-action=close]")
        page.touch(ahead)
        polled(device, lambda c: c.linear == (1.0, 0.0, 0.0))
        page.touch(ahead, close)  # a second finger
        polled(device, lambda c: c.linear == (1.0, 0.0, 0.0) and c.gripper == "close")
        page.touch()
        polled(device, lambda c: c == STILL)
        page.touch(page.middle("[data-action=rerecord]"))
        page.touch()
        assert polled(device, lambda c: bool(c.events)).events == (Event.RERECORD,)
        assert page.value("document.documentElement.scrollWidth <= innerWidth"), (
            "nothing sticks out"
        )
    finally:
        page.close()


@needs_chromium
def test_page_shows_how_it_stands(browser: Chromium, device: BrowserDevice) -> None:
    device.show(frame())
    page = opened(browser, device)
    try:
        text = "document.body.innerText"
        for said in ("pick up the red cube", "lane 3/8", "3 of 5 episodes", "19.5 of 20 Hz"):
            page.wait(f"{text}.includes({json.dumps(said)})")
        page.wait("document.getElementById('light').classList.contains('on')")
        size = "(i => [i.naturalWidth, i.naturalHeight])(document.querySelector('figure img'))"
        page.wait(f"JSON.stringify({size}) === '[64,48]'")
        device.show(frame(step=21, recording=False, episode=4, images={"front": picture(90)}))
        page.wait("!document.getElementById('light').classList.contains('on')")
        page.wait(f"{text}.includes('4 of 5 episodes')")
    finally:
        page.close()


@needs_chromium
def test_lost_connection_holds_still(browser: Chromium, device: BrowserDevice) -> None:
    device.show(frame())
    page = opened(browser, device)

    def cut(off: bool) -> None:
        page.call(
            "Network.emulateNetworkConditions",
            offline=off,
            latency=0,
            downloadThroughput=-1,
            uploadThroughput=-1,
        )

    try:
        page.call("Network.enable")
        page.key("ArrowUp", down=True)
        polled(device, lambda c: c.moves)
        device.messages()
        cut(True)
        polled(device, lambda c: c == STILL)
        assert device.messages() == ("browser: connection lost, holding still",)
        page.wait("document.getElementById('say').textContent.startsWith('connection lost')")
        cut(False)
        until(lambda: "browser: connected again" in device.messages(), 15, "the connection")
        assert device.poll() == STILL
        page.key("ArrowUp", down=False)
        page.key("ArrowUp", down=True)
        polled(device, lambda c: c.linear == (1.0, 0.0, 0.0))
    finally:
        page.close()


@needs_chromium
def test_two_pages(browser: Chromium, device: BrowserDevice) -> None:
    device.show(frame())
    first = opened(browser, device)
    second = opened(browser, device, phone=True)
    try:
        first.wait("document.getElementById('say').textContent.startsWith('another page drives')")
        second.touch(second.middle("[data-action=left]"))
        polled(device, lambda c: c.linear == (0.0, 1.0, 0.0))
        first.call("Page.bringToFront")
        first.key("ArrowUp", down=True)
        polled(device, lambda c: c.linear == (1.0, 0.0, 0.0))
    finally:
        first.close()
        second.close()

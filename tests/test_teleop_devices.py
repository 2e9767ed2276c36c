"""Devices, driven by fake events of the real libraries behind them."""

import ctypes
import json
import math
import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pytest

from mjxsim.robots.lerobot import JOINTS, Calibration
from mjxsim.robots.so101 import SO101_UNITS
from mjxsim.teleop.devices import (
    Command,
    Device,
    DeviceError,
    DeviceOptions,
    Event,
    keymap,
    leader,
    make_device,
)
from mjxsim.teleop.devices.leader import Leader
from mjxsim.teleop.devices.scripted import Scripted
from mjxsim.teleop.devices.with_keys import WithKeys

# Both are read when SDL starts: events are posted here, and a display would only be in the way.
os.environ["SDL_VIDEODRIVER"] = "dummy"
pygame = pytest.importorskip("pygame")


def until(device: Device, good: Callable[[Command], bool], seconds: float = 5.0) -> Command:
    """The first command of a device with a thread of its own that is as wanted."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        command = device.poll()
        if good(command):
            return command
        time.sleep(0.005)
    raise AssertionError(f"never came; the last was {device.poll()}")


def messages_until(device: Device, word: str, seconds: float = 5.0) -> str:
    end, said = time.monotonic() + seconds, ""
    while word not in said and time.monotonic() < end:
        said += "\n".join(device.messages())
        device.poll()
        time.sleep(0.005)
    assert word in said
    return said


# Keyboard.


@pytest.fixture
def keyboard() -> Iterator[Device]:
    device = make_device("keyboard")
    device.poll()  # what SDL says of its new window
    yield device
    device.close()
    pygame.display.quit()


def key(kind: int, name: str) -> None:
    pygame.event.post(pygame.event.Event(kind, key=pygame.key.key_code(name), mod=0, unicode=""))


def down(name: str) -> None:
    key(pygame.KEYDOWN, name)


def up(name: str) -> None:
    key(pygame.KEYUP, name)


@pytest.mark.parametrize(
    ("name", "linear"),
    [
        ("up", (1, 0, 0)),
        ("down", (-1, 0, 0)),
        ("left", (0, 1, 0)),
        ("right", (0, -1, 0)),
        ("right shift", (0, 0, 1)),
        ("left shift", (0, 0, -1)),
    ],
)
def test_keys_move_while_they_are_held(
    keyboard: Device, name: str, linear: tuple[int, int, int]
) -> None:
    down(name)
    assert keyboard.poll().linear == linear
    assert keyboard.poll().linear == linear
    up(name)
    assert keyboard.poll() == Command()


def test_open_opens_and_close_closes(keyboard: Device) -> None:
    """gym-hil's right Ctrl is called "open" and closes (its issue 27)."""
    down("right ctrl")
    assert keyboard.poll().gripper == "open"
    down("left ctrl")
    assert keyboard.poll().gripper == "hold", "both at once"
    up("right ctrl")
    assert keyboard.poll().gripper == "close"


def test_gym_hil_s_keys(keyboard: Device) -> None:
    for name in ("return", "escape", "space", "r"):
        down(name)
    wanted = (Event.SUCCESS, Event.FAILURE, Event.INTERVENE, Event.RERECORD)
    assert keyboard.poll().events == wanted
    assert keyboard.poll().events == (), "once"


def test_a_tap_between_two_polls_is_not_lost(keyboard: Device) -> None:
    down("up")
    up("up")
    assert keyboard.poll().linear == (1, 0, 0)
    assert keyboard.poll() == Command()


def test_opposite_keys_cancel_and_turns_are_turns(keyboard: Device) -> None:
    for name in ("up", "down", "left", "j"):
        down(name)
    command = keyboard.poll()
    assert command.linear == (0, 1, 0)
    assert command.angular == (0, 0, 1)


def test_without_the_focus_every_key_is_let_go(keyboard: Device) -> None:
    down("up")
    keyboard.poll()
    pygame.event.post(pygame.event.Event(pygame.WINDOWFOCUSLOST))
    assert keyboard.poll() == Command()
    assert "focus" in keyboard.messages()[0]


def test_closing_the_window_quits(keyboard: Device) -> None:
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    assert keyboard.poll().events == (Event.QUIT,)


def test_own_keys_are_shown_and_used() -> None:
    device = make_device("keyboard", keymap={"forward": "w", "success": "space", "quit": ""})
    assert "forward: w" in device.help()
    assert "success: space" in device.help()
    assert not [line for line in device.help() if line.startswith(("intervene", "quit"))]
    down("w")
    down("space")
    command = device.poll()
    assert command.linear == (1, 0, 0) and command.events == (Event.SUCCESS,)
    device.close()


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"forwrad": "w"}, "did you mean 'forward'"),
        ({"forward": "no such key"}, "unknown key 'no such key'"),
        ({"forward": "w", "back": "w"}, "both 'forward' and 'back'"),
    ],
)
def test_key_maps_that_make_no_sense(own: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        make_device("keyboard", keymap=own)
    assert "\n" not in str(caught.value)


def test_default_maps_use_no_key_twice() -> None:
    for default in (keymap.KEYBOARD, keymap.GAMEPAD, keymap.SPACEMOUSE):
        assert len(set(default.values())) == len(default)
    assert set(keymap.KEYBOARD) == set(keymap.ACTIONS)


# Gamepad: SDL's own virtual one, plugged in and out.


class Pad:
    """A virtual game controller inside the SDL that pygame has loaded."""

    def __init__(self, sdl: ctypes.CDLL) -> None:
        self._sdl = sdl
        self._index: int | None = None

    def plug(self) -> None:
        game_controller, axes, buttons = 1, 6, 21  # SDL_JOYSTICK_TYPE_GAMECONTROLLER
        self._index = self._sdl.SDL_JoystickAttachVirtual(game_controller, axes, buttons, 0)
        assert self._index >= 0
        self._sdl.SDL_JoystickOpen.restype = ctypes.c_void_p
        self._joystick = ctypes.c_void_p(self._sdl.SDL_JoystickOpen(self._index))
        for trigger in (4, 5):
            self.axis(trigger, -1.0)

    def unplug(self) -> None:
        if self._index is not None:
            self._sdl.SDL_JoystickDetachVirtual(self._index)
            self._index = None

    def axis(self, number: int, value: float) -> None:
        at = ctypes.c_int16(int(32767 * value))
        self._sdl.SDL_JoystickSetVirtualAxis(self._joystick, number, at)

    def button(self, number: int, pressed: bool) -> None:
        self._sdl.SDL_JoystickSetVirtualButton(self._joystick, number, ctypes.c_uint8(pressed))


@pytest.fixture
def pad() -> Iterator[Pad]:
    if sys.platform != "linux":
        pytest.skip("finds the loaded SDL in /proc/self/maps")
    maps = pathlib.Path("/proc/self/maps").read_text("utf-8").splitlines()
    found = {line.split()[-1] for line in maps if "libSDL2-2" in line}
    if not found:
        pytest.skip("pygame has no SDL of its own here")
    from pygame._sdl2 import controller

    pygame.display.init()
    controller.init()
    virtual = Pad(ctypes.CDLL(found.pop()))
    yield virtual
    virtual.unplug()
    pygame.event.get()
    pygame.display.quit()


A, X, Y, DPAD_RIGHT, RB, LB = 0, 2, 3, 14, 10, 9  # SDL_GameControllerButton


def test_gamepad(pad: Pad) -> None:
    pad.plug()
    device = make_device("gamepad")
    assert "is connected" in messages_until(device, "is connected")
    pad.axis(0, 1.0)  # left stick to the right
    pad.axis(1, -0.5)  # and forward: SDL counts downwards
    pad.axis(3, -1.0)  # right stick up
    device.poll()
    command = device.poll()
    assert command.linear == pytest.approx((0.5, 1.0, 1.0), abs=1e-3)
    assert command.gripper == "hold" and command.intervene is False
    pad.axis(0, 0.05)  # within the dead zone
    pad.axis(5, 1.0)  # right trigger
    pad.button(RB, True)
    pad.button(Y, True)
    device.poll()
    command = device.poll()
    assert command.linear[1] == 0.0
    assert command.gripper == "open" and command.intervene is True
    device.close()


def test_gamepad_buttons_are_gym_hil_s(pad: Pad) -> None:
    pad.plug()
    device = make_device("gamepad")
    events: list[Event] = []
    for button in (Y, A, X, DPAD_RIGHT, LB):
        pad.button(button, True)
        for _ in range(3):
            events += device.poll().events
    wanted = [Event.SUCCESS, Event.FAILURE, Event.RERECORD, Event.NEXT_LANE, Event.INTERVENE]
    assert events == wanted
    device.close()


def test_gamepad_buttons_that_few_have(pad: Pad) -> None:
    """SDL's buttons 15 to 20 have names too; what a newer SDL may number is not heard."""
    pad.plug()
    device = make_device("gamepad", keymap={"success": "misc1", "failure": "paddle4"})
    events: list[Event] = []
    for button in range(15, 20):  # a virtual one has no touchpad
        for pressed in (True, False):
            pad.button(button, pressed)
            for _ in range(3):
                events += device.poll().events
    assert events == [Event.SUCCESS, Event.FAILURE]
    instance = pygame._sdl2.controller.Controller(0).as_joystick().get_instance_id()
    for button in (20, 21):
        for kind in (pygame.CONTROLLERBUTTONDOWN, pygame.CONTROLLERBUTTONUP):
            pygame.event.post(pygame.event.Event(kind, button=button, instance_id=instance))
    axis = {"axis": 6, "value": 32767, "instance_id": instance}
    pygame.event.post(pygame.event.Event(pygame.CONTROLLERAXISMOTION, axis))
    assert device.poll() == Command(intervene=False)
    device.close()


def test_gamepad_is_unplugged_and_comes_back(pad: Pad) -> None:
    device = make_device("gamepad")
    assert "plug one in" in device.messages()[0]
    assert device.poll().moves is False
    pad.plug()
    messages_until(device, "is connected")
    pad.axis(1, -1.0)
    pad.button(RB, True)
    device.poll()
    assert device.poll().linear[0] == pytest.approx(1.0, abs=1e-3)
    pad.unplug()
    messages_until(device, "unplugged")
    assert device.poll() == Command(intervene=False), "nothing is left pressed"
    pad.plug()
    messages_until(device, "is connected")
    pad.axis(1, 1.0)
    device.poll()
    assert device.poll().linear[0] == pytest.approx(-1.0, abs=1e-3)
    device.close()


def test_gamepad_key_map() -> None:
    with pytest.raises(ValueError, match="did you mean 'rightshoulder'"):
        make_device("gamepad", keymap={"intervene": "rightsholder"})


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the environment names no display")
def test_a_gamepad_s_missing_display_is_nobody_s_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A keyboard beside a gamepad without a window still wants a display, or says so."""
    pygame.display.quit()
    for name in ("SDL_VIDEODRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    device = make_device("gamepad")
    assert "SDL_VIDEODRIVER" not in os.environ
    with pytest.raises(DeviceError, match="neither DISPLAY nor WAYLAND_DISPLAY is set"):
        make_device("keyboard")
    assert device.poll().moves is False
    monkeypatch.setenv("DISPLAY", ":4711")
    with pytest.raises(DeviceError, match="DISPLAY=:4711 cannot be opened"):
        make_device("keyboard")
    assert device.poll().moves is False, "the gamepad goes on"
    device.close()
    pygame.display.quit()


# SpaceMouse: a fake HID device behind the real pyspacemouse.


class Hid:
    """A SpaceNavigator as easyhid would find it."""

    vendor_id, product_id, release_number = 0x046D, 0xC626, 1
    path, product_string, manufacturer_string, serial_number = "/dev/x", "Fake", "Fake", "1"

    def __init__(self) -> None:
        self.reports: list[bytes] = []
        self.there = True

    def open(self) -> None:
        from easyhid import HIDException

        if not self.there:
            raise HIDException("Failed to open device")

    def close(self) -> None:
        pass

    def set_nonblocking(self, on: bool) -> None:
        assert on

    def read(self, size: int) -> bytes:
        from easyhid import HIDException

        if not self.there:
            raise HIDException("Failed to read from HID device: -1")
        return self.reports.pop(0) if self.reports else b""


@pytest.fixture
def hid(monkeypatch: pytest.MonkeyPatch) -> Hid:
    try:
        from pyspacemouse import api
    except (ImportError, OSError, TypeError, AttributeError) as error:
        pytest.skip(f"no pyspacemouse here: {error}")
    found = Hid()

    class Enumeration:
        def find(self) -> list[Hid]:
            return [found] if found.there else []

    monkeypatch.setattr(api, "Enumeration", Enumeration)
    return found


def report(channel: int, *values: int) -> bytes:
    return bytes([channel]) + b"".join(v.to_bytes(2, "little", signed=True) for v in values)


def test_spacemouse(hid: Hid) -> None:
    device = make_device("spacemouse")
    assert device.poll().intervene is False
    # HID: x to the right, y towards the person, z down; 350 is the end of the way.
    hid.reports += [report(1, 0, -350, 0), report(2, 0, 0, 0)]
    assert until(device, lambda c: c.moves).linear == pytest.approx((1.0, 0.0, 0.0))
    hid.reports += [report(1, -350, 0, 0)]
    assert until(device, lambda c: c.linear[1] != 0).linear == pytest.approx((0.0, 1.0, 0.0))
    hid.reports += [report(1, 0, 0, -175)]
    command = until(device, lambda c: c.linear[2] != 0)
    assert command.linear == pytest.approx((0.0, 0.0, 0.5))
    assert command.intervene is True, "whoever touches it drives"
    hid.reports += [report(1, 0, 0, 0), report(2, 0, 0, -350)]
    assert until(device, lambda c: c.angular[2] != 0).angular == pytest.approx((0.0, 0.0, 1.0))
    hid.reports += [report(2, 0, 0, 3)]
    assert until(device, lambda c: not c.moves).intervene is False, "it never quite rests"
    hid.reports += [bytes([3, 1, 0])]
    assert until(device, lambda c: c.moves).gripper == "close"
    hid.reports += [bytes([3, 2, 0])]
    assert until(device, lambda c: c.gripper == "open").gripper == "open"
    device.close()


def test_spacemouse_vanishes_and_comes_back(hid: Hid, monkeypatch: pytest.MonkeyPatch) -> None:
    from mjxsim.teleop.devices import link

    monkeypatch.setattr(link, "AGAIN", 0.02)
    device = make_device("spacemouse")
    hid.reports += [report(1, 0, -350, 0)]
    until(device, lambda c: c.moves)
    hid.there = False
    said = messages_until(device, "gone")
    assert "holding still" in said
    assert device.poll() == Command(intervene=False)
    hid.there = True
    messages_until(device, "is back")
    hid.reports += [report(1, 0, 350, 0)]
    assert until(device, lambda c: c.moves).linear[0] == pytest.approx(-1.0)
    device.close()


def test_no_spacemouse(hid: Hid) -> None:
    hid.there = False
    with pytest.raises(DeviceError, match="no SpaceMouse") as caught:
        make_device("spacemouse")
    assert "\n" not in str(caught.value)


def test_no_library_of_a_spacemouse(hid: Hid, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyspacemouse import api

    def missing() -> None:  # as easyhid does without it
        raise AttributeError("function/symbol 'hid_init' not found")

    monkeypatch.setattr(api, "Enumeration", missing)
    with pytest.raises(DeviceError, match="apt-get install libhidapi-hidraw0"):
        make_device("spacemouse")


# Leader arm: a fake serial bus.


class Bus:
    """What lerobot's bus of a leader arm says."""

    def __init__(self, offsets: int = 0) -> None:
        self.ticks = dict.fromkeys(JOINTS, 2048)
        self.offsets = offsets
        self.there = True
        self.torque = True

    def connect(self) -> None:
        if not self.there:
            raise ConnectionError("Could not connect on port '/dev/ttyACM0'.\nTry another.")

    def disable_torque(self) -> None:
        self.torque = False

    def sync_read(
        self, data_name: str, motors: None = None, *, normalize: bool, num_retry: int
    ) -> Mapping[str, float]:
        assert not normalize and num_retry > 0
        if not self.there:
            raise ConnectionError("Failed to sync read 'Present_Position'")
        if data_name == "Homing_Offset":
            return dict.fromkeys(JOINTS, self.offsets)
        assert data_name == "Present_Position"
        return dict(self.ticks)

    def disconnect(self) -> None:
        pass


@pytest.fixture
def calibration(tmp_path: pathlib.Path) -> pathlib.Path:
    motor = {"drive_mode": 0, "homing_offset": 7, "range_min": 1024, "range_max": 3072}
    made = Calibration.from_motors({name: {"id": i, **motor} for i, name in enumerate(JOINTS, 1)})
    path = tmp_path / "leader.json"
    made.write(path)
    return path


def test_leader(calibration: pathlib.Path) -> None:
    bus = Bus(offsets=7)
    device = Leader(SO101_UNITS, calibration, "/dev/ttyACM0", lambda port: bus)
    command = until(device, lambda c: c.joints is not None)
    assert command.joints == pytest.approx((0.0,) * 5, abs=1e-6)
    assert command.gripper == pytest.approx(0.5)
    assert not bus.torque, "a person moves it by hand"
    bus.ticks["elbow_flex"] += 1024  # a quarter of a turn, by LeRobot's 4095 ticks
    bus.ticks["gripper"] = 3072
    command = until(device, lambda c: c.gripper == 1.0)
    assert command.joints is not None
    assert command.joints[2] == pytest.approx(math.radians(1024 * 360 / 4095))
    device.close()


def test_leader_vanishes_and_comes_back(
    calibration: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mjxsim.teleop.devices import link

    monkeypatch.setattr(link, "AGAIN", 0.02)
    bus = Bus(offsets=7)
    device = Leader(SO101_UNITS, calibration, "/dev/ttyACM0", lambda port: bus)
    until(device, lambda c: c.joints is not None)
    bus.there = False
    messages_until(device, "gone")
    assert device.poll() == Command(), "it holds still"
    bus.there = True
    messages_until(device, "is back")
    until(device, lambda c: c.joints is not None)
    device.close()


def test_leaders_that_cannot_be(calibration: pathlib.Path, tmp_path: pathlib.Path) -> None:
    gone = Bus()
    gone.there = False
    bus = Bus(offsets=8)
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: Leader(SO101_UNITS, None, "/dev/x"), "--calibration"),
        (lambda: Leader(SO101_UNITS, tmp_path / "no.json", "/dev/x"), "cannot read"),
        (lambda: Leader(SO101_UNITS, calibration, "/dev/x", lambda p: gone), "no leader arm on"),
        (lambda: Leader(SO101_UNITS, calibration, "/dev/x", lambda p: bus), "is not this arm's"),
        (lambda: make_device("leader"), "so100 or so101, not panda"),
    ]
    for make, message in cases:
        with pytest.raises((ValueError, DeviceError), match=message) as caught:
            make()
        assert "\n" not in str(caught.value)


def test_lerobot_is_loaded_only_for_a_leader(
    calibration: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lerobot", None)
    monkeypatch.setitem(sys.modules, "lerobot.motors", None)
    with pytest.raises(DeviceError, match="pip install"):
        Leader(SO101_UNITS, calibration, "/dev/x")
    assert leader.JOINTS == JOINTS


# Scripts.


def test_script_is_timed_by_polls(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "script.json"
    entries = [
        {"at": 0.0, "linear": [1, 0, 0], "gripper": "open"},
        {"at": 0.2, "events": ["success"], "gripper": 0.25},
        {"at": 0.3, "expert": True},
    ]
    path.write_text(json.dumps(entries), "utf-8")
    device = make_device("scripted", options=DeviceOptions(script=str(path), dt=0.1))
    commands = [device.poll() for _ in range(5)]
    assert [c.linear[0] for c in commands] == [1, 1, 0, 0, 0]
    assert [c.events for c in commands] == [(), (), (Event.SUCCESS,), (), ()]
    assert [c.gripper for c in commands] == ["open", "open", 0.25, "hold", "hold"]
    assert [c.expert for c in commands] == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not JSON"),
        ("{}", "list of commands"),
        ('[{"linear": [1, 0, 0]}]', "command 0: field 'at'"),
        ('[{"at": 0, "linaer": [1, 0, 0]}]', "did you mean 'linear'"),
        ('[{"at": 0, "linear": [1, 0]}]', "must be 3 numbers"),
        ('[{"at": 0, "events": ["succes"]}]', "did you mean 'success'"),
        ('[{"at": 1}, {"at": 1}]', "must increase"),
    ],
)
def test_scripts_that_are_none(text: str, message: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "script.json"
    path.write_text(text, "utf-8")
    with pytest.raises(DeviceError, match=message) as caught:
        Scripted.read(path, 0.1)
    assert str(path) in str(caught.value)


# What all share.


def test_devices_by_name() -> None:
    with pytest.raises(ValueError, match="did you mean 'keyboard'"):
        make_device("keybord")


def test_finite_and_moving() -> None:
    assert Command().finite and not Command().moves
    assert not Command(linear=(math.nan, 0.0, 0.0)).finite
    assert not Command(joints=(0.0, math.inf)).finite
    assert not Command(gripper=math.nan).finite
    assert Command(gripper="close").moves and Command(joints=(0.0,)).moves
    assert Command(angular=(0.0, 0.0, -0.1)).moves


def test_a_device_beside_the_window_s_keys(keyboard: Device) -> None:
    script = Scripted([(0.0, Command(linear=(0.0, 0.0, 1.0), events=(Event.RECORD,)))], 0.1)
    device = WithKeys(script, keyboard)
    down("return")
    down("up")  # the script drives, and not the keys
    command = device.poll()
    assert command.linear == (0.0, 0.0, 1.0)
    assert command.events == (Event.RECORD, Event.SUCCESS)
    assert np.isin(keyboard.help(), device.help()).all()

"""Devices by name."""

import dataclasses
import pathlib
from collections.abc import Mapping

from mjxsim.naming import unknown
from mjxsim.robots import lerobot
from mjxsim.robots.so100 import SO100_UNITS
from mjxsim.robots.so101 import SO101_UNITS
from mjxsim.teleop.devices.base import Device
from mjxsim.teleop.devices.sdl import SdlEvents

DEVICES = ("keyboard", "gamepad", "spacemouse", "leader", "browser", "scripted")

_UNITS: Mapping[str, lerobot.LeRobotUnits] = {"so100": SO100_UNITS, "so101": SO101_UNITS}


@dataclasses.dataclass(frozen=True)
class DeviceOptions:
    """What only some devices need to know."""

    robot: str = "panda"  # that follows a leader arm
    port: str | None = None  # of a leader arm, such as /dev/ttyACM0; the only one if None
    calibration: pathlib.Path | None = None  # of a leader arm, as lerobot-calibrate wrote it
    script: str = "expert"  # of "scripted": "expert", or a JSON file
    host: str = "127.0.0.1"  # that the page of "browser" is served at
    dt: float = 0.05  # [s] between two polls of "scripted"


def make_device(
    name: str,
    *,
    keymap: Mapping[str, str] | None = None,
    events: SdlEvents | None = None,
    options: DeviceOptions | None = None,
) -> Device:
    """Opens a device.

    Args:
      name: one of `DEVICES`.
      keymap: changes of its keys, action -> key, button or axis; see
        `mjxsim.teleop.devices.keymap`.
      events: SDL's events, if a window takes them; if not, keyboard and gamepad do so in `poll`.
      options: of some devices.

    Raises:
      DeviceError: it is not there, or something it needs is not installed; a line.
      ValueError: an unknown name or key map, or a leader arm of another kind of robot.
    """
    o = options or DeviceOptions()
    if name == "keyboard":
        from mjxsim.teleop.devices.keyboard import Keyboard

        return Keyboard(keymap, events)
    if name == "gamepad":
        from mjxsim.teleop.devices.gamepad import Gamepad

        return Gamepad(keymap, events)
    if name == "spacemouse":
        from mjxsim.teleop.devices.spacemouse import SpaceMouse

        return SpaceMouse(keymap)
    if name == "leader":
        from mjxsim.teleop.devices.leader import Leader

        if o.robot not in _UNITS:
            raise ValueError(
                f"a leader arm moves an arm of its own kind: --robot {' or '.join(_UNITS)}, not "
                f"{o.robot}"
            )
        return Leader(_UNITS[o.robot], o.calibration, o.port)
    if name == "scripted":
        from mjxsim.teleop.devices.scripted import Scripted

        if o.script == "expert":
            return Scripted.expert(o.dt)
        return Scripted.read(pathlib.Path(o.script), o.dt)
    if name == "browser":
        from mjxsim.teleop.devices.browser import BrowserDevice

        return BrowserDevice(keymap=keymap, host=o.host)
    raise ValueError(unknown("device", name, DEVICES))

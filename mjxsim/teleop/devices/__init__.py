"""What a person holds: devices behind one small protocol."""

from mjxsim.teleop.devices.base import Command, Device, DeviceError, Event, Gripper
from mjxsim.teleop.devices.make import DEVICES, DeviceOptions, make_device

__all__ = [
    "DEVICES",
    "Command",
    "Device",
    "DeviceError",
    "DeviceOptions",
    "Event",
    "Gripper",
    "make_device",
]

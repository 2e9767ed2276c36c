"""What a person holds: devices behind one small protocol."""

from mjxsim.teleop.devices.base import Command, Device, DeviceError, Event, Gripper

__all__ = ["Command", "Device", "DeviceError", "Event", "Gripper"]

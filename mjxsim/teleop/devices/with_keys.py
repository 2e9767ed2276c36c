"""A device whose person also has the window's keys at hand."""

import dataclasses

from mjxsim.teleop.devices.base import Command, Device


class WithKeys:
    """Motion from a device, and events from it and from a keyboard."""

    def __init__(self, device: Device, keys: Device) -> None:
        """Closes both when it is closed."""
        self._device, self._keys = device, keys
        self.name = device.name

    def poll(self) -> Command:
        command, keys = self._device.poll(), self._keys.poll()
        return dataclasses.replace(command, events=command.events + keys.events)

    def messages(self) -> tuple[str, ...]:
        return self._device.messages() + self._keys.messages()

    def help(self) -> tuple[str, ...]:
        return self._device.help() + self._keys.help()

    def close(self) -> None:
        self._device.close()
        self._keys.close()

"""Steering from a web page, with keys or fingers, for machines without a screen and for Colab."""

from mjxsim.teleop.devices.browser.controls import KEYS
from mjxsim.teleop.devices.browser.device import BrowserDevice
from mjxsim.teleop.devices.browser.notebook import display

__all__ = ["KEYS", "BrowserDevice", "display"]

"""The device's page in a notebook."""

import importlib.util
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mjxsim.teleop.devices.browser.device import BrowserDevice


def display(device: "BrowserDevice", *, height: int = 640) -> None:
    """Shows a device's page below the cell; it works while a cell is running.

    In Colab the page comes through Colab's own proxy, which reaches the machine's ports. Elsewhere
    it is a frame with the device's address, which the browser must be able to reach: with a kernel
    on another machine, forward the port, or give the device `host="0.0.0.0"`.

    Args:
      device: that is not closed.
      height: of the frame [pixels].
    """
    if importlib.util.find_spec("google") and importlib.util.find_spec("google.colab"):
        from google.colab import output  # type: ignore[import-not-found]

        output.serve_kernel_port_as_iframe(device.port, path=device.path, height=str(height))
        return
    from IPython.display import IFrame
    from IPython.display import display as show

    show(IFrame(device.url, "100%", height))

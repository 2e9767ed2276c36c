"""What a camera does to a picture, in JAX: optics, sensor, compression and transport."""

from mjxsim.rendering.postprocess import frames
from mjxsim.rendering.postprocess.compression import jpeg
from mjxsim.rendering.postprocess.filters import (
    DAYLIGHT,
    exposure,
    gaussian_blur,
    gaussian_noise,
    motion_blur,
    temperature_gains,
    white_balance,
)
from mjxsim.rendering.postprocess.frames import Frames

__all__ = [
    "DAYLIGHT",
    "Frames",
    "exposure",
    "frames",
    "gaussian_blur",
    "gaussian_noise",
    "jpeg",
    "motion_blur",
    "temperature_gains",
    "white_balance",
]

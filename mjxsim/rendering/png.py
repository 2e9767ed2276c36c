"""A picture as a PNG file's bytes."""

from fractions import Fraction

import av
import numpy as np


def png(picture: np.ndarray) -> bytes:
    """Encodes uint8 (height, width, 3), for a file or a notebook."""
    height, width, _ = picture.shape
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "rgb24"
    encoder.time_base = Fraction(1, 1)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)

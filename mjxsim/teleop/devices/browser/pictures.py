"""Pictures for a page: the newest of every camera, encoded when somebody asks."""

import json
import threading
from fractions import Fraction

import av
import numpy as np

from mjxsim.teleop.frame import Frame

_QUALITY = 3  # of the JPEGs, from 2 (best) to 31


def jpeg(picture: np.ndarray) -> bytes:
    """Encodes uint8 (height, width, 3), with colours as fine as brightness."""
    height, width, _ = picture.shape
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj444p"
    encoder.time_base = Fraction(1, 1)
    encoder.qmin = encoder.qmax = _QUALITY
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    packets = [*encoder.encode(frame.reformat(format="yuvj444p")), *encoder.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


class Pictures:
    """The newest pictures; methods may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._encoding = threading.Lock()
        self._encoded: tuple[int, bytes] = (-1, b"")
        self._closed = False

    @property
    def frame(self) -> Frame | None:
        """The newest frame."""
        return self._frame

    def show(self, frame: Frame) -> None:
        """Takes a frame; returns at once."""
        with self._changed:
            self._frame = frame
            self._changed.notify_all()

    def close(self) -> None:
        """Whoever waits is answered."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def after(self, step: int, timeout: float) -> bytes | None:
        """The pictures of the newest frame once it is another than `step`'s; None after `timeout`.

        A line of JSON, `{"step": n, "cameras": [[name, bytes], ...]}`, then the JPEGs.
        """

        def newer() -> bool:
            return self._closed or (self._frame is not None and self._frame.step != step)

        with self._changed:
            self._changed.wait_for(newer, timeout)
            frame = self._frame
        if frame is None or frame.step == step:
            return None
        with self._encoding:
            if self._encoded[0] != frame.step:
                coded = {name: jpeg(picture) for name, picture in frame.images.items()}
                sizes = [[name, len(data)] for name, data in coded.items()]
                head = json.dumps({"step": frame.step, "cameras": sizes}).encode() + b"\n"
                self._encoded = frame.step, head + b"".join(coded.values())
            return self._encoded[1]

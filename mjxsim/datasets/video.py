"""Pictures of an episode as an MP4, and back."""

import contextlib
import dataclasses
import os
import pathlib
from typing import Any, Literal, get_args

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from mjxsim.datasets.errors import wrong
from mjxsim.naming import unknown

Codec = Literal["h264", "av1"]

# By codec: the encoder in PyAV's own ffmpeg, and what makes it quick.
_ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", {"preset": "ultrafast"}),
    # One thread of its own, and no filter that mixes pictures of neighbouring times.
    "av1": ("libsvtav1", {"preset": "8", "svtav1-params": "lp=1:enable-tf=0"}),
}
# libsvtav1 says its settings on stderr otherwise, and at 1 that an episode was thrown away.
os.environ.setdefault("SVT_LOG", "0")


@dataclasses.dataclass(frozen=True)
class VideoConfig:
    """How pictures are encoded.

    AV1 is LeRobot's default: its own recordings and ours then join in one file when datasets are
    merged, which files of two codecs do not. H.264 is encoded much faster, at twice the size
    (docs/datasets.md has the measurement).
    """

    codec: Codec = "av1"
    crf: int = 23  # constant quality; lower is better and larger
    gop: int = 2  # pictures from one that stands alone to the next; few make random access quick

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for an unknown codec or a number out of range."""
        if self.codec not in get_args(Codec):
            raise ValueError(unknown("video codec", self.codec, get_args(Codec)))
        if not 0 <= self.crf <= 51:
            raise ValueError(f"video.crf must be from 0 to 51, got {self.crf}")
        if self.gop < 1:
            raise ValueError(f"video.gop must be at least 1, got {self.gop}")

    def info(self, shape: tuple[int, ...], fps: int) -> dict[str, Any]:
        """What info.json says of a video of pictures of `shape` (height, width, 3)."""
        return {
            "video.height": shape[0],
            "video.width": shape[1],
            "video.codec": self.codec,
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": fps,
            "video.channels": 3,
            "has_audio": False,
        }


class Encoder:
    """One MP4 in the making."""

    def __init__(
        self, path: pathlib.Path, shape: tuple[int, ...], fps: int, config: VideoConfig
    ) -> None:
        """Opens `path` for pictures of `shape` (height, width, 3). Raises OSError."""
        name, options = _ENCODERS[config.codec]
        self.path = path
        self._container = av.open(str(path), "w", format="mp4")
        options = {**options, "crf": str(config.crf), "g": str(config.gop)}
        stream = self._container.add_stream(name, rate=fps, options=options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1  # others have work for the cores
        self._stream = stream

    def add(self, picture: np.ndarray) -> None:
        """Encodes a picture, uint8 (height, width, 3). Raises OSError: the disk is full."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Completes the file."""
        try:
            self._container.mux(self._stream.encode())
        finally:
            self._container.close()

    def abandon(self) -> None:
        """Closes the file, whatever is in it, and deletes it."""
        with contextlib.suppress(OSError):  # what cannot be completed is deleted
            self._container.close()
        self.path.unlink(missing_ok=True)


class Decoder:
    """An open MP4; for one thread at a time."""

    def __init__(self, path: pathlib.Path, shape: tuple[int, ...]) -> None:
        """Opens `path`. Raises DatasetError: it is no video of pictures of `shape`."""
        self.path = path
        self._to_rgb = VideoReformatter()
        try:
            self._container = av.open(str(path))
        except (OSError, ValueError, FFmpegError) as error:
            raise wrong(path, _why(path, error)) from error
        if not self._container.streams.video:
            self._container.close()
            raise wrong(path, "there is no video in it")
        self._stream = self._container.streams.video[0]
        try:
            self._stream.thread_type = "NONE"  # threads would only fill up for a few frames
            self._stream.codec_context.thread_count = 1
            size = (self._stream.height, self._stream.width)
        except AttributeError as error:  # which PyAV has only where it knows the codec
            self._container.close()
            raise wrong(path, "its pictures are of no known codec") from error
        if size != tuple(shape[:2]):
            self.close()
            raise wrong(path, f"its pictures are {size}, and info.json says {tuple(shape[:2])}")

    def close(self) -> None:
        self._container.close()

    def read(self, times: np.ndarray, tolerance: float) -> np.ndarray:
        """The pictures at `times` (n,) [s], which must not fall, uint8 (n, height, width, 3).

        Raises:
          DatasetError: there is no picture within `tolerance` [s] of a time.
        """
        try:
            return self._read(times, tolerance)
        except (OSError, ValueError, TypeError, FFmpegError) as error:
            raise wrong(self.path, _why(self.path, error)) from error

    def _read(self, times: np.ndarray, tolerance: float) -> np.ndarray:
        base = float(self._stream.time_base or 0.0)
        if base <= 0.0:
            raise wrong(self.path, "its pictures have no times")
        start = max(0, int(np.floor((times[0] - tolerance) / base)))
        self._container.seek(start, stream=self._stream)
        out = np.empty((len(times), self._stream.height, self._stream.width, 3), np.uint8)
        done, nearest = 0, None
        for frame in self._container.decode(self._stream):
            if frame.pts is None:
                raise wrong(self.path, "a picture has no time")
            now = frame.pts * base
            picture = None
            while done < len(times) and now >= times[done] - tolerance:
                if now > times[done] + tolerance:
                    break
                if picture is None:
                    # `frame.to_ndarray("rgb24")` would prepare the conversion for every frame anew.
                    picture = self._to_rgb.reformat(frame, format="rgb24").to_ndarray()
                out[done] = picture
                done += 1
            if done == len(times):
                return out
            nearest = now
            if now > times[done] + tolerance:
                break
        raise wrong(
            self.path,
            f"no picture at {times[done]:.4f} s: the nearest read is at "
            f"{'none' if nearest is None else f'{nearest:.4f} s'}",
        )


def _why(path: pathlib.Path, error: Exception) -> str:
    if not path.is_file():
        return "the file is missing" if not path.exists() else "it is not a file"
    return f"not a readable video ({type(error).__name__}: {error})"

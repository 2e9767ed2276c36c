"""What tests of datasets share: a small recording, and what kills leave of one."""

import pathlib
import shutil
from typing import Any

import numpy as np
import pytest

from mjxsim.datasets import Feature, VideoConfig, Writer

FPS = 20
CAMERA = "observation.images.front"
FEATURES = {
    "observation.state": Feature("float32", (3,), ("x", "y", "z")),
    CAMERA: Feature("video", (32, 48, 3), ("height", "width", "channels")),
    "action": Feature("float32", (2,), ("a", "b")),
    "next.reward": Feature("float32", (1,)),
    "next.done": Feature("bool", (1,)),
}
BLIND = {k: f for k, f in FEATURES.items() if not f.is_video}
TASKS = ("pick it up", "put it down")

Frame = dict[str, Any]


def picture(episode: int, t: int) -> np.ndarray:
    """Of a level that says which frame it is, and a gradient across it."""
    level = (40 * episode + 8 * t) % 200
    across = np.linspace(0, 50, 48)[None, :, None]
    return np.broadcast_to(level + across, (32, 48, 3)).astype(np.uint8)


def frame(episode: int, t: int, length: int, *, blind: bool = False) -> Frame:
    found = {
        "observation.state": np.array([episode, t, np.sin(t)], np.float32),
        CAMERA: picture(episode, t),
        "action": np.array([100 * episode + t, -t], np.float32),
        "next.reward": 0.5 * t,
        "next.done": t == length - 1,
    }
    if blind:
        del found[CAMERA]
    return found


def create(root: pathlib.Path, *, blind: bool = False, **options: Any) -> Writer:
    features = BLIND if blind else FEATURES
    # H.264 takes pictures as small as these.
    options = {"video": VideoConfig(codec="h264"), **options}
    return Writer.create(root, features, fps=FPS, robot_type="panda", **options)


def resume(root: pathlib.Path, *, blind: bool = False, **options: Any) -> Writer:
    features = BLIND if blind else FEATURES
    options = {"fps": FPS, "robot_type": "panda", "video": VideoConfig(codec="h264"), **options}
    return Writer.resume(root, options.pop("features", features), **options)


def save(writer: Writer, episode: int, length: int, *, blind: bool = False) -> int:
    """Records an episode frame by frame."""
    for t in range(length):
        writer.add(frame(episode, t, length, blind=blind))
    key = np.array([7, episode], np.uint32)
    return writer.save_episode(TASKS[episode % 2], key=key, lane=episode % 4, lanes=4)


def record(root: pathlib.Path, lengths: tuple[int, ...], *, blind: bool = False) -> pathlib.Path:
    """A dataset of episodes of these lengths."""
    with create(root, blind=blind) as writer:
        for episode, length in enumerate(lengths):
            save(writer, episode, length, blind=blind)
    return root


def left_by_kills(
    root: pathlib.Path, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> list[pathlib.Path]:
    """Adds an episode of 5 frames to a dataset of 2; what was on the disk before each rename of it.

    That is what a process leaves that dies there.
    """
    left: list[pathlib.Path] = []
    replace = pathlib.Path.replace

    def watched(self: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
        left.append(folder / f"killed-{len(left)}")
        shutil.copytree(root, left[-1])
        return replace(self, target)

    with resume(root) as writer, monkeypatch.context() as patch:
        patch.setattr(pathlib.Path, "replace", watched)
        save(writer, 2, 5)
        writer.flush()
    return left

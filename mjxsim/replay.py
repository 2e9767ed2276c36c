"""Plays recorded episodes again and checks every observation to the bit.

    python -m mjxsim.replay data/pick --episode 3 --video out.mp4
    python -m mjxsim.replay data/pick

Without `--episode` all are played. Exit codes: 0 every observation is the stored one; 1 one is not,
or the video could not be written; 2 a mistake in what was asked, or a dataset that cannot be read.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
import tyro

from mjxsim import config as configs
from mjxsim.config import ConfigError
from mjxsim.datasets import Dataset, DatasetError, Source
from mjxsim.datasets.playback import Replayed, Scene, playable, replay
from mjxsim.evaluation import write_video
from mjxsim.rendering import GLRenderer, NoRendererError

PROG = "python -m mjxsim.replay"
_LARGEST = 4096  # pixels along a side: what every OpenGL and player takes


@dataclasses.dataclass(frozen=True)
class ReplayConfig:
    """What is played."""

    directory: Annotated[pathlib.Path, tyro.conf.Positional]  # of the dataset
    episode: int | None = None  # its number, from 0; all if None
    video: pathlib.Path | None = None  # an MP4 of that episode
    camera: str = "front"  # of the video
    height: int = 480  # of the video [pixels]
    width: int = 640

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for pictures that cannot be drawn or encoded."""
        for name in ("height", "width"):
            if not 2 <= getattr(self, name) <= _LARGEST:
                wanted = f"must be from 2 to {_LARGEST} pixels"
                raise ValueError(f"{name} {wanted}, got {getattr(self, name)}")


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    try:
        return run(parse(sys.argv[1:] if argv is None else argv))
    except (DatasetError, ValueError, IndexError, RuntimeError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        return 2
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        print(f"error: {error.strerror or error}{where}", file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr, flush=True)
        return 130


def parse(argv: Sequence[str]) -> ReplayConfig:
    """The configuration that a command line asks for. Raises ConfigError."""
    nothing = pathlib.Path()
    config = configs.with_flags(ReplayConfig(nothing), argv, PROG)
    if config.directory == nothing:
        raise ConfigError(f"which dataset? {PROG} DIRECTORY --episode 0")
    if config.video is not None and config.episode is None:
        raise ConfigError("--video shows one episode: say which with --episode")
    return config


def run(config: ReplayConfig) -> int:
    """Plays, prints a line for each episode, and writes the video; returns the exit code.

    Raises:
      DatasetError: the dataset cannot be read, or does not say how an episode began.
      IndexError: no such episode.
      ValueError: its environment cannot be built, or has no such camera.
    """
    dataset = Dataset.open(config.directory)
    every = range(len(dataset.episodes)) if config.episode is None else (config.episode,)
    code = 0
    for played in replay(dataset, every, scenes=config.video is not None):
        print(_line(played, dataset), flush=True)
        code = code if played.differs is None else 1
        if config.video is not None:
            source = playable(dataset, played.episode.index)
            try:
                write_video(config.video, _pictures(source, played.scenes, config), dataset.fps)
                print(f"video in {config.video}")
            except NoRendererError as error:
                print(f"error: no video: {error}", file=sys.stderr)
                code = 1
    return code


def _line(played: Replayed, dataset: Dataset) -> str:
    e = played.episode
    ended = "success" if played.success else "no success"
    if played.differs is None:
        return f"episode {e.index}: {e.length} frames, every observation bit for bit; {ended}"
    source = playable(dataset, e.index)
    return (
        f"episode {e.index}: another observation from frame {played.differs} of {e.length} on, by "
        f"up to {played.largest:.3g}; {ended}; recorded with {source.recorded_with()}, this is "
        f"{Source.here()}"
    )


def _pictures(
    source: Source, scenes: Sequence[Scene], config: ReplayConfig
) -> Iterator[np.ndarray]:
    model = source.make().engine.model
    size = (config.height // 2 * 2, config.width // 2 * 2)
    with GLRenderer(model, size, config.camera) as renderer:
        for scene in scenes:
            yield renderer.render(scene.qpos, scene.mocap_pos, scene.mocap_quat, scene.overrides)


if __name__ == "__main__":
    sys.exit(main())

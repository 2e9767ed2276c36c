"""The directory of one training run: what lies where, and who may write to it."""

import contextlib
import dataclasses
import os
import pathlib
import sys
import time
from collections.abc import Iterator

from mjxsim.naming import unknown


class RunDirError(ValueError):
    """A directory that cannot be used for a run; the message is one line."""


@dataclasses.dataclass(frozen=True)
class RunDir:
    """Where a run keeps its files."""

    path: pathlib.Path

    @property
    def config(self) -> pathlib.Path:
        """The resolved configuration; `--config` reads it too."""
        return self.path / "config.json"

    @property
    def result(self) -> pathlib.Path:
        """Success rate, times, versions; written when the run has ended."""
        return self.path / "result.json"

    @property
    def checkpoints(self) -> pathlib.Path:
        """One directory per checkpoint."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> pathlib.Path:
        """Event files."""
        return self.path / "tensorboard"

    @property
    def video(self) -> pathlib.Path:
        """Evaluation episodes, where there was a renderer."""
        return self.path / "video.mp4"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps a second process from training in this directory; a killed one lets go.

        Raises:
          RunDirError: another process trains here.
        """
        if sys.platform == "win32":
            yield
            return
        import fcntl  # not on Windows

        handle = os.open(self.path / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunDirError(
                    f"another process is training in {self.path}: wait for it, or choose another "
                    "--output-dir"
                ) from None
            yield
        finally:
            os.close(handle)


def create(path: pathlib.Path | None, name: str) -> RunDir:
    """A new run directory at `path`, or `runs/<name>-<time>` if that is None.

    Raises:
      RunDirError: there is a run in it already, or something else than a directory.
      OSError: it cannot be made.
    """
    if path is None:
        path = pathlib.Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
        if path.exists():
            path = path.with_name(f"{path.name}-{os.getpid()}")
    if path.exists() and not path.is_dir():
        raise RunDirError(f"--output-dir {path} is a file, not a directory")
    run = RunDir(path)
    if run.result.exists() or any(run.checkpoints.glob("step_*")):
        raise RunDirError(
            f"{path} holds a run already: add --resume to continue it, or choose another "
            "--output-dir"
        )
    path.mkdir(parents=True, exist_ok=True)
    return run


def find(path: pathlib.Path | None) -> RunDir:
    """The directory of a run that has been started.

    Raises:
      RunDirError: none is named, or there is no run in it; with the nearest one there is.
    """
    if path is None:
        there = _runs(pathlib.Path("runs"))
        newest = max(there, key=lambda p: p.stat().st_mtime, default=None)
        hint = f", for example --output-dir {newest}" if newest else ""
        raise RunDirError(f"--resume needs --output-dir, the run to continue{hint}")
    run = RunDir(path)
    if run.config.is_file():
        return run
    line = f"no run in {path}"
    there = _runs(path.parent)
    raise RunDirError(unknown("run", str(path), map(str, there)) if there else line)


def _runs(folder: pathlib.Path) -> list[pathlib.Path]:
    if not folder.is_dir():
        return []
    return [p for p in folder.iterdir() if RunDir(p).config.is_file()]

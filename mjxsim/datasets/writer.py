"""Recording: frames go in on the caller's thread, everything slow happens on another."""

import collections
import pathlib
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self, get_args

import numpy as np
import pyarrow as pa
from av.error import FFmpegError

from mjxsim.datasets import features as frames
from mjxsim.datasets import info as infos
from mjxsim.datasets.compatible import check_recording, check_source
from mjxsim.datasets.errors import DatasetError
from mjxsim.datasets.features import NUMPY, Feature
from mjxsim.datasets.jobs import Discard, EpisodeMaker, Job, Save, Whole
from mjxsim.datasets.source import Source, Start
from mjxsim.datasets.store import Recorded, Store
from mjxsim.datasets.video import VideoConfig
from mjxsim.naming import unknown

LeRobot = Literal["0.4", "0.6"]

_ROOM = 256 * 2**20  # bytes of frames that may wait for the thread
_TOGETHER = 32  # episodes that are committed at once when they come at once


class Writer:
    """Records a LeRobotDataset v3.0.

    `add` and `save_episode` only hand over: encoding and writing happen on a thread of the writer.
    An episode is in the dataset when that thread has committed it, a moment after `save_episode`;
    `flush` waits for it. Whatever kills the process, committed episodes stay and load. What waits
    for the thread is bounded: where it cannot keep up, `add` waits (`waited` says how long).

        with Writer.create(root, features_of(env), fps=20, robot_type="panda") as writer:
            writer.add({"observation.state": state, "action": action, ...})
            writer.save_episode("pick up the red cube", key=jax.random.key_data(key))
    """

    def __init__(self, store: Store, source: Source | None, video: VideoConfig) -> None:
        """Use `create` or `resume`."""
        self._store = store
        self._source = None if source is None else source.to_json()
        self._video = video
        self._features = store.info.recorded
        self._jobs: collections.deque[tuple[Job, int]] = collections.deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._busy = False
        self._closing = False
        self._closed = False
        self._error: BaseException | None = None
        self._episodes = store.info.total_episodes
        self._frames = store.info.total_frames
        self._open = 0
        self._waited = 0.0
        self._thread = threading.Thread(target=self._work, name="mjxsim-writer", daemon=True)
        self._thread.start()

    @classmethod
    def create(
        cls,
        root: pathlib.Path | str,
        features: Mapping[str, Feature],
        *,
        fps: int,
        robot_type: str,
        source: Source | None = None,
        video: VideoConfig = VideoConfig(),
        lerobot: LeRobot = "0.6",
    ) -> Self:
        """A new dataset.

        Args:
          root: its directory, new or empty.
          features: what every frame has; see `features_of`.
          fps: frames per second.
          robot_type: for LeRobot.
          source: how to rebuild the environment, for `python -m mjxsim.replay`.
          video: how pictures are encoded.
          lerobot: whose own tools will append to it; they differ in how they write statistics of
            truth values, and merge only their own. Both read either.

        Raises:
          FileExistsError: there is something in `root`.
          ValueError: a feature that cannot be written, or a rate that is not a whole number.
        """
        frames.check(features)
        if lerobot not in get_args(LeRobot):
            raise ValueError(unknown("version of LeRobot", lerobot, get_args(LeRobot)))
        rate, truths = _whole(fps), lerobot == "0.4"
        store = Store.create(pathlib.Path(root), features, rate, robot_type, video, truths)
        return cls(store, source, video)

    @classmethod
    def resume(
        cls,
        root: pathlib.Path | str,
        features: Mapping[str, Feature],
        *,
        fps: int,
        robot_type: str,
        source: Source | None = None,
        video: VideoConfig = VideoConfig(),
    ) -> Self:
        """The dataset in `root`, to add episodes to; arguments as for `create`.

        Pictures are encoded by the codec that the dataset has, whatever `video` says: LeRobot joins
        files of one codec only.

        Raises:
          DatasetError: there is none, it is broken, another process writes to it, or its task,
            control, rate, robot or features are others.
        """
        root = pathlib.Path(root)
        info = infos.read(root)
        check_source(info, source)  # first, for another task has other features too
        check_recording(info, features, fps, robot_type)
        store = Store.resume(root)
        return cls(store, source, store.info.same_codec(video))

    @property
    def root(self) -> pathlib.Path:
        return self._store.info.root

    @property
    def episodes(self) -> int:
        """How many were saved, those included that wait to be written."""
        return self._episodes

    @property
    def committed(self) -> int:
        """How many are in the dataset on the disk."""
        return self._store.info.total_episodes

    @property
    def frames(self) -> int:
        """Of the saved episodes."""
        return self._frames

    @property
    def open_frames(self) -> int:
        """Of the episode that is being recorded."""
        return self._open

    @property
    def waited(self) -> float:
        """For how long callers had to wait because writing did not keep up [s]."""
        return self._waited

    def add(self, frame: Mapping[str, Any]) -> None:
        """Adds a frame to the open episode; its arrays are copied.

        Raises:
          ValueError: a feature is missing, unknown or of another shape.
          DatasetError: recording has stopped, for example since the disk is full.
        """
        frames.check_frame(self._features, frame, None)
        copy = {k: _copy(self._features[k], v, ()) for k, v in frame.items()}
        self._put(copy, sum(v.nbytes for v in copy.values()))
        self._open += 1

    def save_episode(
        self, task: str, *, key: np.ndarray | None = None, lane: int = 0, lanes: int = 1
    ) -> int:
        """Ends the open episode and keeps it.

        Args:
          task: the instruction, in words.
          key: the data of the key that the episode was reset from, uint32 (n,); None if it cannot
            be played again.
          lane: which world of the batch it was.
          lanes: how many worlds the batch had.

        Returns:
          The episode's number.

        Raises:
          ValueError: there is no frame, no task, or no such lane.
          DatasetError: recording has stopped.
        """
        save = _save(task, key, lane, lanes)
        if not self._open:
            raise ValueError("an episode needs at least one frame: add() comes before it is saved")
        self._put(save, 0)
        return self._count(self._open)

    def add_episode(
        self,
        frames_: Mapping[str, Any],
        task: str,
        *,
        key: np.ndarray | None = None,
        lane: int = 0,
        lanes: int = 1,
    ) -> int:
        """Adds a whole episode: every feature stacked (frames, ...); not copied.

        Otherwise as `add` and `save_episode`.
        """
        save = _save(task, key, lane, lanes)
        if self._open:
            raise ValueError("an episode is open: save or discard it before adding a whole one")
        length = next((len(v) for v in frames_.values()), 0)
        if not length:
            raise ValueError("an episode needs at least one frame")
        frames.check_frame(self._features, frames_, length)
        whole = {
            k: np.asarray(v) if f.is_video else _copy(f, v, (length,))
            for k, f in self._features.items()
            for v in (frames_[k],)
        }
        self._put(Whole(whole, save), sum(v.nbytes for v in whole.values()))
        return self._count(length)

    def discard_episode(self) -> None:
        """Throws the open episode away, if there is one."""
        if self._open:
            self._put(Discard(), 0)
            self._open = 0

    def flush(self) -> None:
        """Waits until every saved episode is on the disk. Raises DatasetError."""
        with self._changed:
            self._changed.wait_for(lambda: self._error or not (self._jobs or self._busy))
        self._raise()

    def close(self) -> None:
        """Writes what was saved and ends; an open episode is thrown away.

        Raises:
          DatasetError: not everything could be written; what `committed` counts is complete.
        """
        if self._closed:
            return
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._closed = True
        self._store.close()
        self._raise()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.close()
        except DatasetError:
            if error is None:  # else that one says more
                raise

    def _count(self, frames_: int) -> int:
        self._open = 0
        self._episodes += 1
        self._frames += frames_
        return self._episodes - 1

    def _put(self, job: Job, size: int) -> None:
        with self._changed:
            if self._closing:
                raise ValueError("the writer is closed")
            if self._bytes and self._bytes + size > _ROOM and not self._error:
                began = time.monotonic()
                self._changed.wait_for(
                    lambda: self._error or not self._bytes or self._bytes + size <= _ROOM
                )
                self._waited += time.monotonic() - began
            if not self._error:
                self._jobs.append((job, size))
                self._bytes += size
                self._changed.notify_all()
        self._raise()

    def _raise(self) -> None:
        error = self._error
        if error is None:
            return
        if isinstance(error, OSError | FFmpegError):
            n = self.committed
            where = f" {error.filename}" if error.filename else ""
            there = f"the {n} episodes saved in {self.root} are complete and load"
            raise DatasetError(
                f"recording stopped: cannot write{where}: {error.strerror or error}; "
                f"{there if n else 'nothing was saved'}"
            ) from error
        raise DatasetError(f"recording stopped: {type(error).__name__}: {error}") from error

    # On the writer's own thread.

    def _work(self) -> None:
        episode = EpisodeMaker(self._store, self._source, self._video)
        ready: list[Recorded] = []
        try:
            while (job := self._next(bool(ready))) is not None:
                done = episode.take(job)
                if done is not None:
                    ready.append(done)
                if ready and (len(ready) >= _TOGETHER or not self._another_whole()):
                    self._store.commit(ready)
                    ready = []
            if ready:
                self._store.commit(ready)
        except (OSError, ValueError, FFmpegError, pa.ArrowException, MemoryError) as error:
            self._error = error
        finally:
            episode.abandon()
            with self._changed:
                self._jobs.clear()
                self._bytes, self._busy = 0, False
                self._changed.notify_all()

    def _next(self, ready: bool) -> Job | None:
        """The next job, when there is one; None at the end."""
        with self._changed:
            self._busy = ready
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._jobs or self._closing)
            if not self._jobs:
                return None
            job, size = self._jobs.popleft()
            self._bytes -= size
            self._busy = True
            self._changed.notify_all()
            return job

    def _another_whole(self) -> bool:
        with self._changed:
            return bool(self._jobs) and isinstance(self._jobs[0][0], Whole)


def _copy(feature: Feature, value: Any, front: tuple[int, ...]) -> np.ndarray:
    if feature.dtype == "string":
        return np.array(value, object).reshape(*front, *feature.shape)
    kind = np.uint8 if feature.is_video else NUMPY[feature.dtype]
    return np.array(value, kind).reshape(*front, *feature.shape)


def _save(task: str, key: np.ndarray | None, lane: int, lanes: int) -> Save:
    if not task:
        raise ValueError("an episode needs a task: the instruction in words")
    return Save(task, None if key is None else Start.of(np.asarray(key), lane, lanes))


def _whole(fps: float) -> int:
    if fps != int(fps) or fps < 1:
        raise ValueError(f"fps must be a whole number of at least 1, as LeRobot has it, got {fps}")
    return int(fps)

"""A dataset on the disk while it grows: complete after every commit, whatever kills the process.

New contents are written beside the dataset, in `.recording/`, and forced to the disk; then they are
renamed into place one after the other, meta/info.json last. It says how many episodes there are, so
that until then what is new is not there. A file that has room is replaced by itself and the new
rows; no file grows beyond a few megabytes, so that a commit does not become slower with time.
"""

import dataclasses
import itertools
import os
import pathlib
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa

from mjxsim.datasets import info as infos
from mjxsim.datasets import stats as statistics
from mjxsim.datasets import tables
from mjxsim.datasets.errors import wrong
from mjxsim.datasets.features import Feature
from mjxsim.datasets.info import EPISODES, Info, Place
from mjxsim.datasets.stats import Stats
from mjxsim.datasets.video import VideoConfig
from mjxsim.files import sync

_DATA_BYTES = 4 * 2**20  # of a file in data/, after which the next one is begun
_EPISODE_ROWS = 256  # of a file in meta/episodes
_FIRST: Place = (0, -1)  # before the first file


@dataclasses.dataclass(frozen=True)
class Recorded:
    """An episode that is to be added."""

    task: str
    columns: dict[str, np.ndarray]  # (frames, n) by feature, without bookkeeping and videos
    videos: dict[str, pathlib.Path]  # complete files, to be moved into the dataset
    video_stats: dict[str, Stats]
    length: int  # frames
    start: str | None  # `Start` and `Source` as text
    source: str | None


class Store:
    """The files of one dataset, for one writer."""

    def __init__(self, info: Info, lock: "Lock", truths: bool) -> None:
        """Use `create` or `resume`; `truths` as for `tables.episodes_schema`."""
        self.info = info
        self.tasks: list[str] = []
        self.stats: dict[str, Stats] = {}
        self._lock = lock
        self._schema = tables.episodes_schema(info.features, truths)
        self._data_place = self._episodes_place = _FIRST
        self._video_places = dict.fromkeys(info.videos, _FIRST)
        self._data: pa.Table | None = None  # what is in the file that has room
        self._rows: pa.Table | None = None

    @property
    def scratch(self) -> pathlib.Path:
        """Where files are made."""
        return self.info.root / ".recording"

    @classmethod
    def create(
        cls,
        root: pathlib.Path,
        features: Mapping[str, Feature],
        fps: int,
        robot_type: str,
        video: VideoConfig,
        truths: bool,
    ) -> Self:
        """A dataset without episodes in a directory that is new or empty.

        Raises:
          FileExistsError: there is something in it.
        """
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise FileExistsError(f"{root} exists already: resume it, or choose another directory")
        root.mkdir(parents=True, exist_ok=True)
        store = cls(infos.new(root, features, fps, robot_type, video), Lock(root), truths)
        store.scratch.mkdir()
        try:
            staged = _Staged(store.scratch)
            staged.text(store.info.path, store.info.to_text())
            staged.publish()
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def resume(cls, root: pathlib.Path) -> Self:
        """The dataset that is there, without what a killed writer left half done.

        Raises:
          DatasetError: it cannot be continued.
        """
        info = infos.read(root)
        lock = Lock(root)
        try:
            store = cls(info, lock, _has_truths(info))
            shutil.rmtree(store.scratch, ignore_errors=True)
            store.scratch.mkdir()
            if info.total_episodes:
                store._take_up()
        except BaseException:
            lock.release()
            raise
        return store

    def _take_up(self) -> None:
        root, total = self.info.root, self.info.total_episodes
        self.tasks = tables.read_tasks(root / infos.TASKS)
        self.stats = statistics.read(self.info)
        _drop_rows(root / "meta" / "episodes", total)
        _drop_rows(root / "data", total)
        # Statistics come into place before the episode that they count, which a kill may lose.
        stale = any(
            self.stats[n]["count"] != self.info.total_frames
            for n, f in self.info.columns.items()
            if f.dtype != "string"
        )
        kept: dict[str, Stats] = {}
        for path in sorted((root / "meta" / "episodes").glob("*/*.parquet")):
            table = tables.read(path)
            for own in statistics.of_episodes(self.info, path, table) if stale else ():
                kept = statistics.merged(kept, own)

            def last(name: str, path: pathlib.Path = path, table: pa.Table = table) -> Place:
                chunk = tables.integers(path, table, f"{name}/chunk_index")
                file = tables.integers(path, table, f"{name}/file_index")
                return max(zip(chunk.tolist(), file.tolist(), strict=True), default=_FIRST)

            self._data_place = max(self._data_place, last("data"))
            self._episodes_place = max(self._episodes_place, last("meta/episodes"))
            for key, place in self._video_places.items():
                self._video_places[key] = max(place, last(f"videos/{key}"))
        self.stats = kept if stale else self.stats

    def commit(self, episodes: Sequence[Recorded]) -> None:
        """Adds episodes, all or none of them.

        Raises:
          OSError: a file cannot be written; the dataset is as it was.
        """
        tasks = list(dict.fromkeys([*self.tasks, *(e.task for e in episodes)]))
        data_place, episodes_place = self._data_place, self._episodes_place
        data = [] if self._data is None or self._data.nbytes > _DATA_BYTES else [self._data]
        rows = [] if self._rows is None or len(self._rows) >= _EPISODE_ROWS else [self._rows]
        data_place = data_place if data else infos.next_place(data_place)
        episodes_place = episodes_place if rows else infos.next_place(episodes_place)
        video_places, stats, info = dict(self._video_places), self.stats, self.info
        staged = _Staged(self.scratch)
        for e in episodes:
            columns = self._with_bookkeeping(e, info, tasks.index(e.task))
            data.append(tables.frames_table(info.columns, columns))
            own = {
                n: statistics.of_columns(columns[n])
                for n, f in info.columns.items()
                if f.dtype != "string"
            }
            own |= e.video_stats
            stats = statistics.merged(stats, own)
            for key, made in e.videos.items():
                video_places[key] = infos.next_place(video_places[key])
                staged.file(info.video_file(key, video_places[key]), made)
            row = self._row(e, info, data_place, episodes_place, video_places)
            for name, of in own.items():
                for statistic, value in of.items():
                    field = f"stats/{name}/{statistic}"
                    truth = self._schema.field(field).type == pa.list_(pa.bool_())
                    row[field] = (value > 0 if truth else value).tolist()
            rows.append(pa.Table.from_pylist([row], schema=self._schema))
            totals = info.total_episodes + 1, info.total_frames + e.length, len(tasks)
            info = info.with_totals(*totals)

        meta = info.root / EPISODES.format(
            chunk_index=episodes_place[0], file_index=episodes_place[1]
        )
        if tasks != self.tasks:
            staged.table(info.root / infos.TASKS, tables.tasks_table(tasks))
        staged.text(info.root / infos.STATS, statistics.to_text(stats))
        # LeRobot reads whole folders. An episode in meta/ that has no frames yet does no harm
        # there; frames without an episode do.
        meta_table, data_table = (pa.concat_tables(t).combine_chunks() for t in (rows, data))
        staged.table(meta, meta_table)
        staged.table(info.data_file(data_place), data_table)
        staged.text(info.path, info.to_text())
        staged.publish()
        self.info, self.tasks, self.stats = info, tasks, stats
        self._data, self._rows = data_table, meta_table
        self._data_place, self._episodes_place = data_place, episodes_place
        self._video_places = video_places

    def _with_bookkeeping(self, e: Recorded, info: Info, task: int) -> dict[str, np.ndarray]:
        frame = np.arange(e.length)
        full = np.full(e.length, 1)
        return {
            **e.columns,
            "timestamp": (frame / info.fps).astype(np.float32)[:, None],
            "frame_index": frame[:, None],
            "episode_index": (info.total_episodes * full)[:, None],
            "index": (info.total_frames + frame)[:, None],
            "task_index": (task * full)[:, None],
        }

    def _row(
        self, e: Recorded, info: Info, data: Place, meta: Place, videos: Mapping[str, Place]
    ) -> dict[str, Any]:
        row: dict[str, Any] = {
            "episode_index": info.total_episodes,
            "tasks": [e.task],
            "length": e.length,
            "data/chunk_index": data[0],
            "data/file_index": data[1],
            "dataset_from_index": info.total_frames,
            "dataset_to_index": info.total_frames + e.length,
            "meta/episodes/chunk_index": meta[0],
            "meta/episodes/file_index": meta[1],
            infos.START: e.start,
            infos.SOURCE: e.source,
        }
        for key, (chunk, file) in videos.items():
            place = f"videos/{key}"
            row |= {f"{place}/chunk_index": chunk, f"{place}/file_index": file}
            row |= {f"{place}/from_timestamp": 0.0, f"{place}/to_timestamp": e.length / info.fps}
        return row

    def close(self) -> None:
        """Removes what is not part of the dataset, and lets others write."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        self._lock.release()


class _Staged:
    """Files that are complete in a scratch folder and wait for their place."""

    def __init__(self, scratch: pathlib.Path) -> None:
        self._scratch = scratch
        self._files: list[tuple[pathlib.Path, pathlib.Path]] = []
        self._names = itertools.count()

    def table(self, target: pathlib.Path, table: pa.Table) -> None:
        self._make(target, lambda path: tables.write(path, table))

    def text(self, target: pathlib.Path, text: str) -> None:
        self._make(target, lambda path: path.write_text(text, encoding="utf-8"))

    def file(self, target: pathlib.Path, made: pathlib.Path) -> None:
        """A file that is there already, to be moved."""
        sync(made)
        self._files.append((made, target))

    def _make(self, target: pathlib.Path, write: Callable[[pathlib.Path], object]) -> None:
        path = self._scratch / f"staged-{next(self._names)}{target.suffix}"
        try:
            write(path)
        except OSError as error:  # of a full disk, which does not say to which file
            raise OSError(error.errno, error.strerror or str(error), str(target)) from error
        self.file(target, path)

    def publish(self) -> None:
        """Puts the files in place, in the order in which they came."""
        folders = dict.fromkeys(target.parent for _, target in self._files)
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        for made, target in self._files:
            made.replace(target)
        for folder in folders:
            sync(folder)


class Lock:
    """Keeps a second writer out; a killed one lets go."""

    def __init__(self, root: pathlib.Path) -> None:
        """Raises DatasetError: another process writes there."""
        self._handle: int | None = None
        if sys.platform == "win32":
            return
        import fcntl  # not on Windows

        handle = os.open(root / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            raise wrong(root, "another process is writing to it: wait for it to end") from None
        self._handle = handle

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def _has_truths(info: Info) -> bool:
    """What `truths` was when the dataset was begun."""
    named = [f"stats/{n}/min" for n, f in info.features.items() if f.dtype == "bool"]
    for path in sorted((info.root / "meta" / "episodes").glob("*/*.parquet"))[:1]:
        schema, _ = tables.schema(path)
        return any(
            n in schema.names and schema.field(n).type == pa.list_(pa.bool_()) for n in named
        )
    return False


def _drop_rows(folder: pathlib.Path, total: int) -> None:
    """Removes the rows of episodes from `total` on, which a killed writer had begun to add."""
    for path in sorted(folder.glob("*/*.parquet")):
        table = tables.read(path)
        keep = tables.integers(path, table, "episode_index") < total
        if keep.all():
            continue
        if not keep.any():
            path.unlink()
            continue
        part = path.with_name(f".{path.name}.part")
        tables.write(part, table.filter(pa.array(keep)))
        sync(part)
        part.replace(path)

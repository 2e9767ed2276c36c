"""Reading a LeRobotDataset v3.0, whoever wrote it; nothing in it is taken on trust."""

import collections
import dataclasses
import pathlib
import threading
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa

from mjxsim.datasets import info as infos
from mjxsim.datasets import stats as statistics
from mjxsim.datasets import tables
from mjxsim.datasets.errors import wrong
from mjxsim.datasets.features import Feature
from mjxsim.datasets.info import SOURCE, START, Info, Place
from mjxsim.datasets.source import Source, Start
from mjxsim.datasets.stats import Stats
from mjxsim.datasets.video import Decoder

_OPEN_FILES = 4  # of data/, whose columns are kept in memory


@dataclasses.dataclass(frozen=True)
class Clip:
    """Where an episode's pictures are."""

    path: pathlib.Path
    begin: float  # [s] of its first picture in the file


@dataclasses.dataclass(frozen=True)
class Episode:
    """What is known of an episode before its frames are read."""

    index: int
    length: int  # frames
    first: int  # number of its first frame in the whole dataset
    tasks: tuple[str, ...]  # instructions, in words
    start: Start | None  # None if it cannot be played again
    source_text: str | None
    data: Place
    clips: dict[str, Clip]  # by video feature

    @property
    def key(self) -> np.ndarray | None:
        """The data of the key that it was reset from, uint32 (n,)."""
        return None if self.start is None else np.array(self.start.key, np.uint32)

    @property
    def lane(self) -> int:
        """Which world of the batch it was."""
        return 0 if self.start is None else self.start.lane

    @property
    def lanes(self) -> int:
        """How many worlds the batch had."""
        return 1 if self.start is None else self.start.lanes


class Dataset:
    """A dataset on the disk. Make one with `Dataset.open`; it may be read by several threads."""

    def __init__(self, info: Info, tasks: tuple[str, ...], episodes: tuple[Episode, ...]) -> None:
        """Use `open`."""
        self.info = info
        self.tasks = tasks
        self.episodes = episodes
        self._in_file: dict[Place, list[Episode]] = {}
        self._row: list[int] = []  # of each episode's first frame among those in its file
        for e in episodes:
            others = self._in_file.setdefault(e.data, [])
            last = others[-1].index if others else None
            self._row.append(0 if last is None else self._row[last] + episodes[last].length)
            others.append(e)
        self._files: collections.OrderedDict[Place, dict[str, np.ndarray]] = (
            collections.OrderedDict()
        )
        self._lock = threading.Lock()

    @classmethod
    def open(cls, root: pathlib.Path | str) -> Self:
        """Reads what a dataset says of itself and looks whether its files are there.

        Frames are read, and checked, when they are asked for. What a killed writer had begun to add
        beyond the episodes that info.json counts is not seen.

        Raises:
          DatasetError: something is missing, not readable or does not fit; one line with the file
            and, in it, the field.
        """
        info = infos.read(pathlib.Path(root))
        if not info.total_episodes:
            if info.total_frames:
                raise wrong(info.path, "frames without episodes", "total_frames")
            return cls(info, (), ())
        tasks = tables.read_tasks(info.root / infos.TASKS)
        dataset = cls(info, tuple(tasks), _episodes(info, frozenset(tasks)))
        dataset._check_files()
        return dataset

    @property
    def root(self) -> pathlib.Path:
        return self.info.root

    @property
    def fps(self) -> int:
        """Frames per second."""
        return self.info.fps

    @property
    def features(self) -> dict[str, Feature]:
        """By name, with the bookkeeping."""
        return self.info.features

    @property
    def length(self) -> int:
        """Frames of all episodes."""
        return self.info.total_frames

    @property
    def stats(self) -> dict[str, Stats]:
        """Statistics of every feature, to normalize by. Raises DatasetError."""
        return statistics.read(self.info)

    @property
    def source(self) -> Source | None:
        """How to rebuild the environment of the last episode for which that is known.

        Raises:
          DatasetError: what is written there is of no environment of this mjxsim.
        """
        known = [e.index for e in self.episodes if e.source_text]
        return self.source_of(known[-1]) if known else None

    def source_of(self, episode: int) -> Source | None:
        """How to rebuild the environment of an episode. Raises as `source`."""
        text = self.episodes[episode].source_text
        if not text:
            return None
        try:
            return Source.from_json(text)
        except ValueError as error:
            raise wrong(self.root / "meta" / "episodes", str(error), SOURCE) from error

    def frames(self, episode: int, features: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """The frames of an episode, or those features of them.

        Returns:
          Columns (length, n) and pictures uint8 (length, height, width, 3), by feature.

        Raises:
          IndexError: no such episode.
          DatasetError: its files are broken.
        """
        if not 0 <= episode < len(self.episodes):
            raise IndexError(f"no episode {episode}: there are {len(self.episodes)}")
        e = self.episodes[episode]
        wanted = self.features if features is None else features
        columns = self.columns(e.data)
        rows = slice(self._row[episode], self._row[episode] + e.length)
        return {
            name: self.pictures(episode, name, np.arange(e.length))
            if self.features[name].is_video
            else columns[name][rows]
            for name in wanted
        }

    def pictures(
        self, episode: int, feature: str, frames: np.ndarray, decoder: Decoder | None = None
    ) -> np.ndarray:
        """Pictures of an episode by frame number (n,), ascending; uint8 (n, height, width, 3).

        Args:
          episode: its number.
          feature: of a video.
          frames: which, from 0.
          decoder: of `decoder`, to keep a file open; opened and closed here if None.

        Raises:
          DatasetError: the file is broken, or has no picture at one of these times.
        """
        times = self.episodes[episode].clips[feature].begin + frames / self.fps
        # LeRobot's own tolerance is 1e-4 s; a tenth of a frame tells neighbours apart as surely and
        # suffers what other encoders round.
        tolerance = 0.1 / self.fps
        if decoder is not None:
            return decoder.read(times, tolerance)
        decoder = self.decoder(episode, feature)
        try:
            return decoder.read(times, tolerance)
        finally:
            decoder.close()

    def decoder(self, episode: int, feature: str) -> Decoder:
        """The open video that has an episode's pictures; close it. Raises DatasetError."""
        return Decoder(self.episodes[episode].clips[feature].path, self.features[feature].shape)

    def all_columns(self, features: Sequence[str]) -> dict[str, np.ndarray]:
        """Columns (length, n) of the whole dataset by feature. Raises DatasetError."""
        places = list(dict.fromkeys(e.data for e in self.episodes))
        parts = [self.columns(place) for place in places]
        found = {n: [p[n] for p in parts] for n in features}
        shape = {n: (0, *self.features[n].shape) for n in features}
        return {n: np.concatenate(p) if p else np.empty(shape[n]) for n, p in found.items()}

    def columns(self, place: Place) -> dict[str, np.ndarray]:
        """Columns of the episodes in one file of data/, checked. Raises DatasetError."""
        with self._lock:
            if place in self._files:
                self._files.move_to_end(place)
                return self._files[place]
        columns = self._read(place)
        with self._lock:
            self._files[place] = columns
            while len(self._files) > _OPEN_FILES:
                self._files.popitem(last=False)
        return columns

    def _read(self, place: Place) -> dict[str, np.ndarray]:
        path, episodes = self.info.data_file(place), self._in_file[place]
        table = tables.read(path, list(self.info.columns))
        index = tables.integers(path, table, "episode_index")
        table = table.filter(pa.array(index < len(self.episodes)))
        found = {n: tables.values(path, table, n, f) for n, f in self.info.columns.items()}
        lengths = [e.length for e in episodes]
        frame = np.concatenate([np.arange(n) for n in lengths])
        expected = {
            "episode_index": np.repeat([e.index for e in episodes], lengths),
            "frame_index": frame,
            "index": np.concatenate([e.first + np.arange(e.length) for e in episodes]),
        }
        for name, numbers in expected.items():
            there = found[name][:, 0]
            if len(there) != len(numbers):
                text = (
                    f"expected {len(numbers)} frames of {len(episodes)} episodes, got {len(there)}"
                )
                raise wrong(path, text, name)
            if (different := np.flatnonzero(there != numbers)).size:
                i = int(different[0])
                raise wrong(path, f"expected {numbers[i]} in row {i}, got {there[i]}", name)
        late = np.abs(found["timestamp"][:, 0] - frame / self.fps) > 1e-4 + 1e-6 * frame / self.fps
        late |= ~np.isfinite(found["timestamp"][:, 0])
        if late.any():
            i = int(np.flatnonzero(late)[0])
            at, due = found["timestamp"][i, 0], frame[i] / self.fps
            raise wrong(path, f"expected {due:.4f} s in row {i}, got {at:.4f} s", "timestamp")
        tasks = found["task_index"]
        if tasks.min() < 0 or tasks.max() >= len(self.tasks):
            text = f"there are {len(self.tasks)} tasks, got {tasks.min()} to {tasks.max()}"
            raise wrong(path, text, "task_index")
        return found

    def _check_files(self) -> None:
        """Raises DatasetError for a file that is missing or too short."""
        frames: dict[Place, int] = collections.Counter()
        for e in self.episodes:
            frames[e.data] += e.length
        for place, length in frames.items():
            path = self.info.data_file(place)
            schema, rows = tables.schema(path)
            for name in self.info.columns:
                if name not in schema.names:
                    raise wrong(path, "the column is missing", name)
            if rows < length:
                raise wrong(path, f"expected {length} frames, got {rows}", "index")
        for path in dict.fromkeys(c.path for e in self.episodes for c in e.clips.values()):
            if not path.is_file():
                raise wrong(path, "the file is missing" if not path.exists() else "not a file")


def _episodes(info: Info, tasks: frozenset[str]) -> tuple[Episode, ...]:
    """What meta/episodes says; of the dataset's `tasks`. Raises DatasetError."""
    folder = info.root / "meta" / "episodes"
    paths = sorted(folder.glob("*/*.parquet"))
    if not paths:
        raise wrong(folder, "there is no file in it")
    found: list[Episode] = []
    frames = 0
    for path in paths:
        for e in _rows(info, path):
            if e.index >= info.total_episodes:
                continue  # half added when its writer was killed
            if e.index != len(found):
                raise wrong(path, f"expected {len(found)}, got {e.index}", "episode_index")
            if not e.tasks:
                raise wrong(path, f"episode {e.index} has none", "tasks")
            if other := set(e.tasks) - tasks:
                raise wrong(path, f"not in {infos.TASKS}: {sorted(other)[0]!r}", "tasks")
            if e.first != frames:
                raise wrong(path, f"expected {frames}, got {e.first}", "dataset_from_index")
            frames += e.length
            found.append(e)
    if len(found) != info.total_episodes:
        text = f"expected {info.total_episodes} episodes, as info.json says, got {len(found)}"
        raise wrong(paths[-1], text, "episode_index")
    if frames != info.total_frames:
        text = f"expected {frames}, the sum of the episodes' lengths, got {info.total_frames}"
        raise wrong(info.path, text, "total_frames")
    return tuple(found)


def _rows(info: Info, path: pathlib.Path) -> list[Episode]:
    names = ["episode_index", "length", "dataset_from_index", "dataset_to_index"]
    names += ["data/chunk_index", "data/file_index"]
    for key in info.videos:
        names += [f"videos/{key}/chunk_index", f"videos/{key}/file_index"]
    reals = [f"videos/{key}/{end}_timestamp" for key in info.videos for end in ("from", "to")]
    there = tables.schema(path)[0].names
    ours = [n for n in (START, SOURCE) if n in there]
    table = tables.read(path, [*names, *reals, "tasks", *ours])
    column: dict[str, Any] = {n: tables.integers(path, table, n).tolist() for n in names}
    column |= {n: tables.reals(path, table, n).tolist() for n in reals}
    tasks = tables.lists_of_text(path, table, "tasks")
    nothing: list[str | None] = [None] * len(tasks)
    texts = {n: tables.texts(path, table, n) if n in ours else nothing for n in (START, SOURCE)}
    episodes = []
    for i in range(len(tasks)):
        row = {n: v[i] for n, v in column.items()}
        length = row["length"]
        if not 0 < length < 2**40:
            raise wrong(path, f"expected at least 1 frame, got {length}", "length")
        if row["dataset_to_index"] - row["dataset_from_index"] != length:
            text = f"expected {row['dataset_from_index'] + length}, got {row['dataset_to_index']}"
            raise wrong(path, text, "dataset_to_index")
        clips = {}
        for key in info.videos:
            begin, end = (row[f"videos/{key}/{which}_timestamp"] for which in ("from", "to"))
            if not 0.0 <= begin < end:
                text = f"expected a time after {begin} s, got {end} s"
                raise wrong(path, text, f"videos/{key}/to_timestamp")
            place = row[f"videos/{key}/chunk_index"], row[f"videos/{key}/file_index"]
            clips[key] = Clip(info.video_file(key, place), begin)
        episodes.append(
            Episode(
                index=row["episode_index"],
                length=length,
                first=row["dataset_from_index"],
                tasks=tuple(tasks[i]),
                start=_start(path, texts[START][i]),
                source_text=texts[SOURCE][i],
                data=(row["data/chunk_index"], row["data/file_index"]),
                clips=clips,
            )
        )
    return episodes


def _start(path: pathlib.Path, text: str | None) -> Start | None:
    if not text:
        return None
    try:
        return Start.from_json(text)
    except ValueError as error:
        raise wrong(path, str(error), START) from error

"""meta/info.json: what a dataset is, and where its files are."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any, get_args

from mjxsim.datasets.errors import wrong
from mjxsim.datasets.features import BOOKKEEPING, Feature
from mjxsim.datasets.video import Codec, VideoConfig
from mjxsim.naming import unknown

VERSION = "v3.0"
CHUNK = 1000  # files in a folder, as LeRobot has it
_FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
DATA = f"data/{_FILE}.parquet"
VIDEO = f"videos/{{video_key}}/{_FILE}.mp4"
EPISODES = f"meta/episodes/{_FILE}.parquet"
TASKS, STATS, INFO = "meta/tasks.parquet", "meta/stats.json", "meta/info.json"

# Columns of meta/episodes.
START, SOURCE = "mjxsim/start", "mjxsim/source"  # ours: text, see `Start` and `Source`

Place = tuple[int, int]  # which chunk, and which file in it


def next_place(place: Place) -> Place:
    """Of the file after `place`."""
    chunk, file = place
    return (chunk, file + 1) if file + 1 < CHUNK else (chunk + 1, 0)


@dataclasses.dataclass(frozen=True)
class Info:
    """What info.json says."""

    root: pathlib.Path
    fps: int
    robot_type: str | None
    total_episodes: int
    total_frames: int
    features: dict[str, Feature]  # with the bookkeeping
    data_path: str
    video_path: str
    raw: dict[str, Any]  # the whole file

    @property
    def path(self) -> pathlib.Path:
        return self.root / INFO

    @property
    def recorded(self) -> dict[str, Feature]:
        """The features without the bookkeeping."""
        return {k: v for k, v in self.features.items() if k not in BOOKKEEPING}

    @property
    def columns(self) -> dict[str, Feature]:
        """What is in data/."""
        return {k: v for k, v in self.features.items() if not v.is_video}

    @property
    def videos(self) -> dict[str, Feature]:
        """What is in videos/."""
        return {k: v for k, v in self.features.items() if v.is_video}

    def data_file(self, place: Place) -> pathlib.Path:
        chunk, file = place
        return self.root / self.data_path.format(chunk_index=chunk, file_index=file)

    def video_file(self, key: str, place: Place) -> pathlib.Path:
        chunk, file = place
        name = self.video_path.format(video_key=key, chunk_index=chunk, file_index=file)
        return self.root / name

    def with_totals(self, episodes: int, frames: int, tasks: int) -> "Info":
        """The same after more was recorded."""
        raw = {
            **self.raw,
            "total_episodes": episodes,
            "total_frames": frames,
            "total_tasks": tasks,
            "splits": {"train": f"0:{episodes}"},
        }
        return dataclasses.replace(self, total_episodes=episodes, total_frames=frames, raw=raw)

    def same_codec(self, video: VideoConfig) -> VideoConfig:
        """`video` with the codec that the dataset's videos have, where that is one of ours."""
        for name in self.videos:
            said = self.raw["features"][name].get("info")
            codec = said.get("video.codec") if isinstance(said, dict) else None
            if codec in get_args(Codec):
                return dataclasses.replace(video, codec=codec)
        return video

    def to_text(self) -> str:
        return json.dumps(self.raw, indent=4) + "\n"


def new(
    root: pathlib.Path,
    features: Mapping[str, Feature],
    fps: int,
    robot_type: str,
    video: VideoConfig,
) -> Info:
    """Of a dataset without episodes."""
    every = {**features, **BOOKKEEPING}
    described = {
        name: {**f.to_json(), "info": video.info(f.shape, fps)} if f.is_video else f.to_json()
        for name, f in every.items()
    }
    raw = {
        "codebase_version": VERSION,
        "robot_type": robot_type,
        "total_episodes": 0,
        "total_frames": 0,
        "total_tasks": 0,
        "chunks_size": CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": fps,
        "splits": {},
        "data_path": DATA,
        "video_path": VIDEO if any(f.is_video for f in features.values()) else None,
        "features": described,
    }
    return Info(root, fps, robot_type, 0, 0, every, DATA, VIDEO, raw)


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """A JSON object. Raises DatasetError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise wrong(path, "the file is missing") from error
    except OSError as error:
        raise wrong(path, f"cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise wrong(path, f"not JSON: {error}") from error
    if not isinstance(data, dict):
        raise wrong(path, f"expected an object, got a {type(data).__name__}")
    return data


def read(root: pathlib.Path) -> Info:
    """The info.json of a dataset.

    Raises:
      DatasetError: it is missing, or a field is missing or not what it must be.
    """
    path = root / INFO
    if not root.is_dir():
        raise wrong(root, "no such directory")
    if not path.is_file():
        raise wrong(path, "the file is missing: this is no LeRobotDataset, or not of version v3.0")
    raw = read_json(path)
    version = raw.get("codebase_version")
    if version != VERSION:
        raise wrong(path, f"expected {VERSION!r}, got {version!r}", "codebase_version")
    features = raw.get("features")
    if not isinstance(features, dict) or not features:
        raise wrong(path, "expected an object of features", "features")
    parsed = {name: _feature(path, name, f) for name, f in features.items()}
    for name in BOOKKEEPING:
        if name not in parsed:
            raise wrong(path, "the feature is missing", f"features.{name}")
        if parsed[name].is_video or parsed[name].dtype == "string":
            raise wrong(path, "expected a number", f"features.{name}.dtype")
    robot = raw.get("robot_type")
    if robot is not None and not isinstance(robot, str):
        raise wrong(path, f"expected text, got {robot!r}", "robot_type")
    videos = any(f.is_video for f in parsed.values())
    return Info(
        root=root,
        fps=_count(path, raw, "fps", least=1),
        robot_type=robot,
        total_episodes=_count(path, raw, "total_episodes"),
        total_frames=_count(path, raw, "total_frames"),
        features=parsed,
        data_path=_pattern(path, raw, "data_path"),
        video_path=_pattern(path, raw, "video_path", video_key="k") if videos else VIDEO,
        raw=raw,
    )


def _count(path: pathlib.Path, raw: Mapping[str, Any], name: str, least: int = 0) -> int:
    value = raw.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 2**53:
        raise wrong(path, f"expected a whole number from {least}, got {value!r}", name)
    return value


def _pattern(path: pathlib.Path, raw: Mapping[str, Any], name: str, **more: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str):
        raise wrong(path, f"expected a path, got {value!r}", name)
    try:
        found = pathlib.PurePosixPath(value.format(chunk_index=0, file_index=0, **more))
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        raise wrong(path, f"not a pattern of a path: {value!r} ({error})", name) from error
    if found.is_absolute() or ".." in found.parts or "\0" in value:
        raise wrong(path, f"leads out of the dataset: {value!r}", name)
    return value


def _feature(path: pathlib.Path, name: str, data: Any) -> Feature:
    where = f"features.{name}"
    if not isinstance(data, dict):
        raise wrong(path, f"expected an object, got {data!r}", where)
    dtype, shape, names = data.get("dtype"), data.get("shape"), data.get("names")
    known = ("float32", "float64", "int32", "int64", "bool", "string", "video")
    if not isinstance(dtype, str):
        raise wrong(path, f"expected text, got {dtype!r}", f"{where}.dtype")
    if dtype not in known:
        raise wrong(path, unknown("dtype", dtype, known), f"{where}.dtype")
    sizes = shape if isinstance(shape, list) else []
    whole = all(isinstance(n, int) and not isinstance(n, bool) and 0 < n < 2**24 for n in sizes)
    if not whole or len(sizes) != (3 if dtype == "video" else 1):
        wanted = "[height, width, 3]" if dtype == "video" else "[n]"
        raise wrong(path, f"expected {wanted}, got {shape!r}", f"{where}.shape")
    if isinstance(names, list) and all(isinstance(n, str) for n in names):
        return Feature(dtype, tuple(sizes), tuple(names))
    return Feature(dtype, tuple(sizes))

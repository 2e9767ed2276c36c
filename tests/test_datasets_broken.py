"""About a thousand broken datasets: each is answered in a line that names the file, none crashes.

A breakage that hurts nobody, such as a statistic that is never read, may go unnoticed: then every
frame must come out as it was.
"""

import copy
import json
import pathlib
import random
import shutil
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mjxsim.datasets import Dataset, DatasetError
from tests import recordings
from tests.recordings import CAMERA

DATA = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"
TASKS, INFO, STATS = "meta/tasks.parquet", "meta/info.json", "meta/stats.json"
VIDEO = f"videos/{CAMERA}/chunk-000/file-001.mp4"
Breakage = Callable[[pathlib.Path], None]  # of a file
# A file, what is done to it, and the field that the line must name ("" for any or none).
Variant = tuple[str, str, Breakage, str]

Frames = list[dict[str, np.ndarray]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return recordings.record(tmp_path_factory.mktemp("broken") / "whole", (3, 4, 3))


def read(root: pathlib.Path) -> Frames:
    """Everything, pictures included."""
    dataset = Dataset.open(root)
    _ = dataset.source, dataset.stats
    return [dataset.frames(e) for e in range(len(dataset.episodes))]


# What is done to files of any kind.


def truncated(share: float) -> Breakage:
    return lambda path: path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])


def garbled(seed: int, count: int) -> Breakage:
    def garble(path: pathlib.Path) -> None:
        data, draw = bytearray(path.read_bytes()), random.Random(seed)
        for _ in range(count):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(bytes(data))

    return garble


def overwritten(seed: int, length: int) -> Breakage:
    def overwrite(path: pathlib.Path) -> None:
        data, draw = bytearray(path.read_bytes()), random.Random(seed)
        start = draw.randrange(max(1, len(data) - length))
        data[start : start + length] = draw.randbytes(min(length, len(data) - start))
        path.write_bytes(bytes(data))

    return overwrite


def to_folder(path: pathlib.Path) -> None:
    path.unlink()
    path.mkdir()


def any_file() -> Iterator[Variant]:
    for name in (DATA, EPISODES, TASKS, INFO, STATS, VIDEO):
        yield name, "missing", pathlib.Path.unlink, ""
        yield name, "a folder", to_folder, ""
        yield name, "of zeros", lambda p: p.write_bytes(bytes(p.stat().st_size)) and None, ""
        yield name, "of another kind", lambda p: p.write_text("<html>404</html>") and None, ""
        yield name, "longer", lambda p: p.write_bytes(p.read_bytes() + b"\0" * 99) and None, ""
        yield name, "twice", lambda p: p.write_bytes(p.read_bytes() * 2) and None, ""
        yield name, "reversed", lambda p: p.write_bytes(p.read_bytes()[::-1]) and None, ""
        for share in (0.0, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 0.999):
            yield name, f"cut to {share}", truncated(share), ""
        for seed in range(15):
            yield name, f"{seed}: a byte garbled", garbled(seed, 1), ""
            yield name, f"{seed}: 10 bytes garbled", garbled(seed, 10), ""
            yield name, f"{seed}: 64 bytes overwritten", overwritten(seed, 64), ""


# What is done to JSON.

ODD = (None, True, -1, 0, 1.5, 1e300, 10**30, "", "x", "../../..", [], [0], [[1]], {}, {"a": 1})
_GONE = object()


def in_json(where: tuple[str, ...], value: object) -> Breakage:
    def change(path: pathlib.Path) -> None:
        data = json.loads(path.read_text())
        at = data
        for name in where[:-1]:
            at = at[name]
        if value is _GONE:
            del at[where[-1]]
        else:
            at[where[-1]] = value
        path.write_text(json.dumps(data))

    return change


def of_info() -> Iterator[Variant]:
    read_of_it = (
        ("codebase_version",),
        ("fps",),
        ("total_episodes",),
        ("total_frames",),
        ("data_path",),
        ("video_path",),
        ("features",),
        ("features", "action"),
        ("features", "action", "dtype"),
        ("features", "action", "shape"),
        ("features", CAMERA, "shape"),
        ("features", CAMERA, "dtype"),
        ("features", "next.done", "dtype"),
        ("features", "timestamp"),
        ("features", "index", "shape"),
        ("features", "task_index", "dtype"),
        ("robot_type",),
    )
    for where in read_of_it:
        for value in (_GONE, *ODD):
            shown = "gone" if value is _GONE else repr(value)
            yield INFO, f"{'.'.join(where)} {shown}", in_json(where, value), ""
    for text in ("", "null", "[]", "3", "{", '{"a":1}', "\x00", "{}" * 3, "[" * 100_000):
        yield INFO, f"text {text[:5]!r}", lambda p, t=text: p.write_text(t) and None, ""
    for n in (1, 2, 4, 99):
        yield INFO, f"{n} episodes", in_json(("total_episodes",), n), ""
    yield INFO, "another rate", in_json(("fps",), 10), "timestamp"
    yield INFO, "no rate", in_json(("fps",), 0), "fps"
    yield INFO, "more frames", in_json(("total_frames",), 11), "total_frames"
    yield INFO, "text for numbers", in_json(("features", "action", "dtype"), "string"), "action"
    yield INFO, "more entries", in_json(("features", "action", "shape"), [3]), "action"
    yield INFO, "version 2", in_json(("codebase_version",), "v2.1"), "codebase_version"
    yield INFO, "a feature more", in_json(("features", "more"), {"dtype": "bool", "shape": [1]}), ""
    yield INFO, "other pictures", in_json(("features", CAMERA, "shape"), [48, 32, 3]), ""


# What is done to tables.


def in_table(change: Callable[[pa.Table], pa.Table]) -> Breakage:
    return lambda path: pq.write_table(change(pq.read_table(path)), path)


def with_column(name: str, make: Callable[[pa.ChunkedArray], pa.Array | list[object]]) -> Breakage:
    def change(table: pa.Table) -> pa.Table:
        i = table.column_names.index(name)
        return table.set_column(i, name, pa.array(make(table.column(name))))

    return in_table(change)


def without(name: str) -> Breakage:
    return in_table(lambda t: t.drop_columns([name]))


def nothing_in(row: int) -> Callable[[pa.ChunkedArray], list[object]]:
    return lambda c: [None if i == row else v for i, v in enumerate(c.to_pylist())]


def of_columns(name: str, columns: tuple[str, ...]) -> Iterator[Variant]:
    for column in columns:
        same: dict[str, Callable[[pa.ChunkedArray], pa.Array | list[object]]] = {
            "text": lambda c: ["x"] * len(c),
            "numbers below 0": lambda c: [-1] * len(c),
            "huge numbers": lambda c: [2**62] * len(c),
            "fractions": lambda c: [0.5] * len(c),
            "not a number": lambda c: [float("nan")] * len(c),
            "truth": lambda c: [True] * len(c),
            "lists": lambda c: [[1, 2, 3, 4]] * len(c),
            "lists of lists": lambda c: [[[1.0]]] * len(c),
            "lists of any length": lambda c: [[1.0] * i for i in range(len(c))],
            "empty lists": lambda c: pa.array([[]] * len(c), pa.list_(pa.float32())),
            "nothing": lambda c: [None] * len(c),
            "a gap": nothing_in(1),
            "bytes": lambda c: [b"\xff\xfe"] * len(c),
            "objects": lambda c: [{"a": 1}] * len(c),
        }
        yield name, f"no {column}", without(column), column
        if column == "next.done":
            del same["truth"]  # as it should be
        if column == "next.reward":
            del same["fractions"], same["not a number"]
        # Where one number does not fit the other, either may be named.
        field = next((e for e in ("_timestamp", "dataset_") if e in column), column)
        if column.endswith(("chunk_index", "file_index")):
            field = ""  # or the file that it leads to
        for what, make in same.items():
            yield name, f"{what} in {column}", with_column(column, make), field
        yield name, f"{column} twice", in_table(lambda t, c=column: t.append_column(c, t[c])), ""
        renamed = in_table(
            lambda t, c=column: t.rename_columns([f"{n}s" if n == c else n for n in t.column_names])
        )
        yield name, f"{column} renamed", renamed, column


def of_rows(name: str) -> Iterator[Variant]:
    yield name, "no row", in_table(lambda t: t.slice(0, 0)), ""
    yield name, "a row less", in_table(lambda t: t.slice(0, len(t) - 1)), ""
    yield name, "the first row less", in_table(lambda t: t.slice(1)), ""
    yield name, "rows twice", in_table(lambda t: pa.concat_tables([t, t])), ""
    yield name, "rows turned", in_table(lambda t: t.take(list(range(len(t)))[::-1])), ""
    yield name, "no column", in_table(lambda t: t.select([])), ""


SHIFTS = {
    DATA: ("episode_index", "frame_index", "index", "task_index"),
    EPISODES: (
        "episode_index",
        "length",
        "dataset_from_index",
        "dataset_to_index",
        "data/chunk_index",
        "data/file_index",
        f"videos/{CAMERA}/file_index",
    ),
    TASKS: ("task_index",),
}


def of_tables() -> Iterator[Variant]:
    yield from of_columns(DATA, ("action", "next.done", "next.reward", "timestamp"))
    yield from of_columns(DATA, SHIFTS[DATA])
    yield from of_columns(EPISODES, ("tasks", f"videos/{CAMERA}/from_timestamp"))
    yield from of_columns(EPISODES, SHIFTS[EPISODES])
    yield from of_columns(TASKS, ("task_index", "__index_level_0__"))
    for name, columns in SHIFTS.items():
        yield from of_rows(name)
        for column in columns:
            for by in (1, -1, 7):
                shifted = with_column(column, lambda c, by=by: [v + by for v in c.to_pylist()])
                yield name, f"{column} moved by {by}", shifted, ""
    for text in ("", "x", "{}", "[]", '{"key":[1],"lane":3,"lanes":2}', '{"key":["a"]}', "null"):
        change = with_column("mjxsim/start", lambda c, t=text: [t] * len(c))
        yield EPISODES, f"start {text!r}", change, "mjxsim/start" if text else ""
    for text in ("x", "{}", '{"task":"pick_cub"}', '{"task":"pick_cube","robot":3}', "[]"):
        change = with_column("mjxsim/source", lambda c, t=text: pa.array([t] * len(c), pa.string()))
        yield EPISODES, f"source {text!r}", change, "mjxsim/source"
    for by in (0.01, -0.01, 1.0, -1.0):
        late = with_column("timestamp", lambda c, by=by: [v + by for v in c.to_pylist()])
        yield DATA, f"{by} s late", late, "timestamp"
        clip = with_column(
            f"videos/{CAMERA}/from_timestamp", lambda c, by=by: [v + by for v in c.to_pylist()]
        )
        yield EPISODES, f"pictures {by} s late", clip, ""


VARIANTS = [*any_file(), *of_info(), *of_tables()]


def test_there_are_about_a_thousand() -> None:
    assert len(VARIANTS) >= 950
    assert len({(name, what) for name, what, _, _ in VARIANTS}) == len(VARIANTS)


def same(a: Frames, b: Frames) -> bool:
    if len(a) != len(b):
        return False
    return all(
        x.keys() <= y.keys() and all(np.array_equal(x[k], y[k]) for k in x)
        for x, y in zip(a, b, strict=True)
    )


@pytest.mark.parametrize("name", [INFO, DATA, EPISODES, TASKS, STATS, VIDEO])
def test_broken_datasets_are_named(name: str, whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    frames, root = read(whole), tmp_path / "broken"
    shutil.copytree(whole, root)
    unnoticed = []
    for file, what, breakage, field in VARIANTS:
        if file != name:
            continue
        path = root / name
        breakage(path)
        try:
            found = read(root)
        except DatasetError as error:
            line = str(error)
            assert len(line.splitlines()) == 1, (what, line)
            assert str(root) in line, (what, line)
            assert field in line, (what, line)
        else:
            unnoticed.append(what)
            assert not field, f"{what}: must be noticed"
            # A picture may be another where a byte of it is; numbers have checksums.
            if name in (DATA, EPISODES, TASKS):
                fewer = found[: len(frames)] if what == "rows twice" else found
                assert same(fewer, copy.copy(frames)), what
        if path.is_dir():
            shutil.rmtree(path)
        shutil.copy(whole / name, path)
    print(name, len(unnoticed), unnoticed)
    assert read(root)


def test_no_dataset_at_all(tmp_path: pathlib.Path) -> None:
    with pytest.raises(DatasetError, match="no such directory"):
        Dataset.open(tmp_path / "none")
    with pytest.raises(DatasetError, match="this is no LeRobotDataset"):
        Dataset.open(tmp_path)
    with pytest.raises(DatasetError, match="no such directory"):
        recordings.resume(tmp_path / "none")


def test_folders_that_are_missing(whole: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for name in ("data", "meta", "meta/episodes", "videos", f"videos/{CAMERA}"):
        root = tmp_path / name.replace("/", "-")
        shutil.copytree(whole, root)
        shutil.rmtree(root / name)
        with pytest.raises(DatasetError, match=str(root)) as caught:
            read(root)
        assert len(str(caught.value).splitlines()) == 1

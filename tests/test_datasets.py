"""Recording and reading back; what is left after kills, full disks and mistakes."""

import dataclasses
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import textwrap

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

import mjxsim
from mjxsim.control import ControlConfig
from mjxsim.datasets import (
    Dataset,
    DatasetError,
    Feature,
    Source,
    VideoConfig,
    Writer,
    features_of,
    observed,
    video,
)
from mjxsim.datasets import info as infos
from mjxsim.datasets import stats as statistics
from mjxsim.datasets import store as stores
from mjxsim.datasets import writer as writers
from mjxsim.envs import CameraConfig
from mjxsim.tasks.pick_cube import PickCubeConfig
from mjxsim.tasks.reach import ReachConfig
from tests import recordings
from tests.recordings import BLIND, CAMERA, FEATURES, FPS, TASKS

ROOT = pathlib.Path(__file__).parents[1]
LENGTHS = (5, 9, 7)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return recordings.record(tmp_path_factory.mktemp("datasets") / "small", LENGTHS)


def assert_episodes(root: pathlib.Path, lengths: tuple[int, ...], *, blind: bool = False) -> None:
    """Every frame is the one that was recorded."""
    dataset = Dataset.open(root)
    assert tuple(e.length for e in dataset.episodes) == lengths
    for e in dataset.episodes:
        assert e.tasks == (TASKS[e.index % 2],)
        assert e.key is not None
        assert e.key.tolist() == [7, e.index]
        assert (e.lane, e.lanes) == (e.index % 4, 4)
        found = dataset.frames(e.index)
        assert [dataset.tasks[i] for i in found["task_index"][:, 0]] == [e.tasks[0]] * e.length
        np.testing.assert_allclose(found["timestamp"][:, 0], np.arange(e.length) / FPS, atol=1e-6)
        for t in range(e.length):
            wanted = recordings.frame(e.index, t, e.length, blind=blind)
            for name, value in wanted.items():
                # A picture is encoded; levels of neighbouring frames are 8 apart.
                tolerance = 3.0 if name == CAMERA else 0.0
                there = found[name][t].astype(np.float64)
                off = np.abs(there - np.asarray(value, np.float64)).mean()
                assert off <= tolerance, (name, e.index, t)


def test_what_is_recorded_is_read_back(recorded: pathlib.Path) -> None:
    assert_episodes(recorded, LENGTHS)


def test_files_are_where_lerobot_looks(recorded: pathlib.Path) -> None:
    there = {p.relative_to(recorded).as_posix() for p in recorded.rglob("*") if p.is_file()}
    assert there == {
        ".lock",
        "data/chunk-000/file-000.parquet",
        "meta/episodes/chunk-000/file-000.parquet",
        "meta/info.json",
        "meta/stats.json",
        "meta/tasks.parquet",
        *(f"videos/{CAMERA}/chunk-000/file-{i:03d}.mp4" for i in range(len(LENGTHS))),
    }
    info = json.loads((recorded / "meta/info.json").read_text())
    assert (info["total_episodes"], info["total_frames"], info["total_tasks"]) == (3, 21, 2)
    assert info["splits"] == {"train": "0:3"}
    assert info["features"][CAMERA]["info"]["video.fps"] == FPS


def test_tasks_have_the_index_of_pandas(recorded: pathlib.Path) -> None:
    """Without it LeRobot would read task 0 everywhere."""
    schema = pq.read_schema(recorded / "meta/tasks.parquet")
    assert json.loads(schema.metadata[b"pandas"])["index_columns"] == ["__index_level_0__"]


def test_statistics_are_those_of_all_frames(recorded: pathlib.Path) -> None:
    """Of the whole dataset, though they were merged episode by episode."""
    dataset = Dataset.open(recorded)
    stats = json.loads((recorded / "meta/stats.json").read_text())
    for name in ("observation.state", "action", "next.reward", "index"):
        x = np.concatenate([dataset.frames(e)[name] for e in range(3)]).astype(np.float64)
        for statistic, value in {"min": x.min(0), "max": x.max(0), "mean": x.mean(0)}.items():
            np.testing.assert_allclose(stats[name][statistic], value, atol=1e-9)
        np.testing.assert_allclose(stats[name]["std"], x.std(0), atol=1e-9)
        assert stats[name]["count"] == [21]
    pictures = [recordings.picture(e, t) for e, n in enumerate(LENGTHS) for t in range(n)]
    levels = np.stack(pictures) / 255.0
    assert np.shape(stats[CAMERA]["mean"]) == (3, 1, 1)
    np.testing.assert_allclose(np.ravel(stats[CAMERA]["mean"]), levels.mean((0, 1, 2)), atol=1e-9)
    np.testing.assert_allclose(np.ravel(stats[CAMERA]["std"]), levels.std((0, 1, 2)), atol=1e-9)
    np.testing.assert_allclose(np.ravel(stats[CAMERA]["max"]), levels.max((0, 1, 2)), atol=1e-9)


def test_quantiles_of_a_picture_are_those_of_its_levels() -> None:
    from mjxsim.datasets.stats import QUANTILES, Histogram

    picture = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    histogram = Histogram()
    histogram.add(picture)
    found = histogram.stats()
    for name, q in QUANTILES.items():
        expected = np.quantile(picture[..., 0] / 255.0, q, method="inverted_cdf")
        np.testing.assert_allclose(found[name].ravel(), expected)


def test_resuming_appends(recorded: pathlib.Path, tmp_path: pathlib.Path) -> None:
    root = tmp_path / "more"
    shutil.copytree(recorded, root)
    with recordings.resume(root) as writer:
        assert (writer.episodes, writer.frames) == (3, 21)
        assert recordings.save(writer, 3, 4) == 3
    with recordings.resume(root) as writer:
        recordings.save(writer, 4, 6)
    assert_episodes(root, (*LENGTHS, 4, 6))


def test_resuming_keeps_the_codec(recorded: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """LeRobot joins files of one codec only."""
    root = tmp_path / "more"
    shutil.copytree(recorded, root)
    with recordings.resume(root, video=VideoConfig(codec="av1")) as writer:
        recordings.save(writer, 3, 4)
    with av.open(str(root / f"videos/{CAMERA}/chunk-000/file-003.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"


def test_whole_episodes_and_discarded_ones(tmp_path: pathlib.Path) -> None:
    with recordings.create(tmp_path / "d", blind=True) as writer:
        writer.discard_episode()  # there is none
        writer.add(recordings.frame(5, 0, 2, blind=True))
        writer.discard_episode()
        for episode, length in enumerate(LENGTHS):
            rows = [recordings.frame(episode, t, length, blind=True) for t in range(length)]
            whole = {k: np.stack([r[k] for r in rows]) for k in BLIND}
            key = np.array([7, episode], np.uint32)
            task = TASKS[episode % 2]
            writer.add_episode(whole, task, key=key, lane=episode % 4, lanes=4)
        writer.add(recordings.frame(9, 0, 2, blind=True))  # an open episode is thrown away
    assert_episodes(tmp_path / "d", LENGTHS, blind=True)


def test_files_rotate(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit rewrites small files only, so that it does not become slower with time."""
    monkeypatch.setattr(stores, "_DATA_BYTES", 700)
    monkeypatch.setattr(stores, "_EPISODE_ROWS", 2)
    lengths = (6, 6, 6, 6, 6)
    with recordings.create(tmp_path / "d", blind=True) as writer:
        for episode, length in enumerate(lengths):
            recordings.save(writer, episode, length, blind=True)
            writer.flush()
    assert len(list((tmp_path / "d/data").rglob("*.parquet"))) == 3
    assert len(list((tmp_path / "d/meta/episodes").rglob("*.parquet"))) == 3
    assert_episodes(tmp_path / "d", lengths, blind=True)


def test_memory_is_bounded(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where encoding cannot keep up, frames wait for it rather than pile up."""
    monkeypatch.setattr(writers, "_ROOM", 3 * recordings.picture(0, 0).nbytes)
    most = 0
    with recordings.create(tmp_path / "d") as writer:
        for t in range(60):
            writer.add(recordings.frame(0, t, 60))
            most = max(most, writer._bytes)
        writer.save_episode("a", key=None)
    assert writer.waited > 0.0
    assert most <= 3 * recordings.picture(0, 0).nbytes
    assert Dataset.open(tmp_path / "d").length == 60


# What kills cannot do.

KILLED = """
import os, pathlib, sys
sys.path.insert(0, {repo!r})
from tests import recordings
writer = recordings.create(pathlib.Path(sys.argv[1]))
for episode in range(1000):
    recordings.save(writer, episode, 6)
    writer.flush()
    print(writer.committed, flush=True)
"""


def test_kill_loses_the_open_episode_only(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "killed"
    script = textwrap.dedent(KILLED.format(repo=str(ROOT)))
    with subprocess.Popen(
        [sys.executable, "-c", script, str(root)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        said = [process.stdout.readline() for _ in range(4)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    committed = int([line for line in said if line.endswith("\n")][-1])
    there = len(Dataset.open(root).episodes)
    assert committed <= there <= committed + 1
    assert_episodes(root, (6,) * there)
    with recordings.resume(root) as writer:
        recordings.save(writer, there, 3)
    assert_episodes(root, (*(6,) * there, 3))
    assert not (root / ".recording").exists()


def test_kill_between_any_two_files(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of a commit come into place one after the other; what a kill leaves loads and resumes.

    What is on the disk between two of them is what a process that dies there leaves.
    """
    root = recordings.record(tmp_path / "d", (4, 3))
    left = recordings.left_by_kills(root, tmp_path, monkeypatch)
    assert_episodes(root, (4, 3, 5))
    assert len(left) == 5, "a video, statistics, episodes, frames, info; no task is new"
    fresh = recordings.record(tmp_path / "fresh", (4, 3, 6))
    for killed in left:
        assert_episodes(killed, (4, 3))
        with recordings.resume(killed) as writer:
            recordings.save(writer, 2, 6)
        assert_episodes(killed, (4, 3, 6))
        # LeRobot reads whole folders, so nothing of the lost episode may be left in them.
        data = [pq.read_table(p) for p in (killed / "data").rglob("*.parquet")]
        assert sum(t.num_rows for t in data) == 4 + 3 + 6
        assert_same_statistics(killed, fresh)


def assert_same_statistics(a: pathlib.Path, b: pathlib.Path) -> None:
    ours, theirs = (statistics.read(infos.read(root)) for root in (a, b))
    assert ours.keys() == theirs.keys()
    for name, of in ours.items():
        for statistic, value in of.items():
            close = pytest.approx(theirs[name][statistic], rel=1e-9, abs=1e-9)
            assert value == close, f"{name}.{statistic}"


def test_full_disk_stops_with_a_line(tmp_path: pathlib.Path) -> None:
    """By the limit of a file's size, which a process can set for itself."""
    root = tmp_path / "d"
    with recordings.create(root, blind=True) as writer:
        recordings.save(writer, 0, 5, blind=True)
        writer.flush()
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
        try:
            recordings.save(writer, 1, 5, blind=True)
            with pytest.raises(DatasetError, match="recording stopped: cannot write") as caught:
                writer.flush()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)
        assert "the 1 episodes saved in" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
        with pytest.raises(DatasetError, match="recording stopped"):
            writer.add(recordings.frame(1, 0, 5, blind=True))
        with pytest.raises(DatasetError, match="recording stopped"):
            writer.close()
    if (handles := pathlib.Path("/proc/self/fd")).is_dir():  # what is open takes room still
        there = [str(h.readlink()) for h in handles.iterdir() if h.is_symlink()]
        assert not [path for path in there if path.startswith(str(root))]
    assert_episodes(root, (5,), blind=True)
    with recordings.resume(root, blind=True) as writer:
        recordings.save(writer, 1, 4, blind=True)
    assert_episodes(root, (5, 4), blind=True)


def test_full_disk_while_encoding(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, picture: np.ndarray) -> None:
        raise OSError(28, os.strerror(28), "video.mp4")

    root = tmp_path / "d"
    writer = recordings.create(root)
    recordings.save(writer, 0, 5)
    writer.flush()
    monkeypatch.setattr(video.Encoder, "add", full)
    with pytest.raises(DatasetError, match=r"cannot write video\.mp4: No space left on device"):
        for t in range(10_000):
            writer.add(recordings.frame(1, t, 9))
    with pytest.raises(DatasetError, match="No space left"):
        writer.close()
    assert_episodes(root, (5,))


# Mistakes.


def test_existing_directory(recorded: pathlib.Path) -> None:
    with pytest.raises(FileExistsError, match="exists already: resume it, or choose another"):
        recordings.create(recorded)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": 30}, "'fps': the dataset has 20 and this recording 30"),
        ({"robot_type": "so100"}, "'robot_type': the dataset is of 'panda', not of 'so100'"),
        ({"features": BLIND}, "only the dataset has it"),
        (
            {"features": {**FEATURES, "action": Feature("float32", (7,))}},
            r"'features.action': the dataset has float32 \(2,\) and this recording float32 \(7,\)",
        ),
        (
            {"features": {**FEATURES, "action": Feature("float32", (2,), ("b", "a"))}},
            r"has \('a', 'b'\) and this recording \('b', 'a'\)",
        ),
    ],
)
def test_another_recording(
    recorded: pathlib.Path, options: dict[str, object], message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        recordings.resume(recorded, **options)


def test_another_task(tmp_path: pathlib.Path) -> None:
    pick, reach = Source("pick_cube", PickCubeConfig()), Source("reach", ReachConfig())
    with recordings.create(tmp_path / "d", blind=True, source=pick) as writer:
        recordings.save(writer, 0, 3, blind=True)
    with pytest.raises(DatasetError, match="the dataset is of task 'pick_cube', not of 'reach'"):
        # The task is said rather than the features, which differ too.
        recordings.resume(tmp_path / "d", features={}, source=reach)
    torques = dataclasses.replace(pick, control=ControlConfig("osc"))
    with pytest.raises(DatasetError, match=r"'control.mode': .* 'ee_delta' and .* 'osc'"):
        recordings.resume(tmp_path / "d", blind=True, source=torques)
    finer = dataclasses.replace(pick, control=ControlConfig(max_position_step=0.01))
    with pytest.raises(DatasetError, match=r"'control.max_position_step': .* 0\.025 and .* 0\.01"):
        recordings.resume(tmp_path / "d", blind=True, source=finer)
    assert Dataset.open(tmp_path / "d").source == pick


def test_two_writers(tmp_path: pathlib.Path) -> None:
    with recordings.create(tmp_path / "d", blind=True) as writer:
        recordings.save(writer, 0, 3, blind=True)
        with pytest.raises(DatasetError, match="another process is writing to it"):
            recordings.resume(tmp_path / "d", blind=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"action": None}, "a frame lacks action"),
        ({"acton": 1.0}, "unknown feature 'acton': did you mean 'action'"),
        ({"action": np.zeros(3)}, r"'action' of a frame must be \(2,\), got \(3,\)"),
        ({CAMERA: np.zeros((32, 48, 3))}, "must be uint8 pictures, got float64"),
        ({CAMERA: np.zeros((48, 32, 3), np.uint8)}, r"must be \(32, 48, 3\)"),
    ],
)
def test_frames_that_do_not_fit(
    change: dict[str, object], message: str, tmp_path: pathlib.Path
) -> None:
    frame = {**recordings.frame(0, 0, 5), **change}
    frame = {k: v for k, v in frame.items() if v is not None}
    with recordings.create(tmp_path / "d") as writer:
        with pytest.raises(ValueError, match=message):
            writer.add(frame)
        with pytest.raises(ValueError, match="at least one frame"):
            writer.save_episode("a")
    assert Dataset.open(tmp_path / "d").episodes == ()


@pytest.mark.parametrize(
    ("name", "feature", "message"),
    [
        ("a/b", Feature("float32", (1,)), "no '/'"),
        ("index", Feature("int64", (1,)), "written by itself"),
        ("a", Feature("float23", (1,)), "did you mean 'float32'"),
        ("a", Feature("video", (31, 48, 3)), "even height and width"),
        ("a", Feature("float32", (2, 2)), r"a column is \(n,\)"),
    ],
)
def test_features_that_cannot_be_written(
    name: str, feature: Feature, message: str, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(ValueError, match=message):
        Writer.create(tmp_path / "d", {name: feature}, fps=20, robot_type="panda")
    assert not (tmp_path / "d").exists()


def test_a_key_is_its_data(tmp_path: pathlib.Path) -> None:
    with recordings.create(tmp_path / "d", blind=True) as writer:
        writer.add(recordings.frame(0, 0, 5, blind=True))
        with pytest.raises(ValueError, match=r"give jax\.random\.key_data"):
            writer.save_episode("a", key=np.zeros(2))
        with pytest.raises(ValueError, match="lane 4 is not one of 4"):
            writer.save_episode("a", key=np.zeros(2, np.uint32), lane=4, lanes=4)
        with pytest.raises(ValueError, match="needs a task"):
            writer.save_episode("")


# Of environments.


def test_features_of_an_environment() -> None:
    cameras = CameraConfig(
        names=("front", "wrist"), height=32, width=48, frames=2, renderer="jax", hidden=("cube",)
    )
    env = mjxsim.make("pick_cube", engine="c", cameras=cameras, announce=False)
    features = features_of(env, extras=("next.reward", "complementary_info.is_intervention"))
    state = features["observation.state"]
    assert state.names is not None
    assert state.names[:2] == ("arm_qpos_0", "arm_qpos_1")
    assert state.shape == (len(state.names),) == (env.observation_size - 3,)
    assert not any(n.startswith("cube_") and n[5:].isdigit() for n in state.names)
    assert features["observation.images.wrist"] == Feature(
        "video", (32, 48, 3), ("height", "width", "channels")
    )
    assert features["action"].shape == (env.action_size,)
    with pytest.raises(ValueError, match=r"unknown extra feature 'next\.rewad'"):
        features_of(env, extras=("next.rewad",))
    stacked = np.arange(2 * 4 * 4 * 6, dtype=np.uint8).reshape(2, 4, 4, 6)
    seen = observed({"observation.state": np.zeros((2, 3)), "observation.images.front": stacked})
    np.testing.assert_array_equal(seen["observation.images.front"], stacked[..., 3:])


def test_a_source_comes_back() -> None:
    cameras = CameraConfig(names=("front",))
    source = Source("pick_cube", PickCubeConfig(threshold=0.03), "so100", cameras=cameras)
    assert Source.from_json(source.to_json()) == source
    with pytest.raises(ValueError, match="threshhold"):
        Source.from_json(source.to_json().replace("threshold", "threshhold"))
    odd = Source("pick_cube", PickCubeConfig(control_dt=0.03))
    with pytest.raises(ValueError, match=r"use 0\.030303 s, which is 33"):
        _ = odd.fps

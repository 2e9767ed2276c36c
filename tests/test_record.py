"""The commands: demonstrations recorded from expert and policy, and replayed to the bit."""

import dataclasses
import functools
import json
import pathlib
import re
import shutil
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mjxsim import config as configs
from mjxsim import record, replay
from mjxsim.datasets import Dataset, Programs, Source, Writer, features_of
from mjxsim.datasets.collect import round_bytes
from mjxsim.datasets.info import SOURCE, START
from mjxsim.datasets.playback import replay as play
from mjxsim.envs import Env
from mjxsim.runs import Run

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module", autouse=True)
def compiled_once() -> Iterator[None]:
    """An environment that was built is built and compiled once here, whoever asks for it."""
    with pytest.MonkeyPatch.context() as patch:
        build = Source.make

        @functools.cache
        def made(text: str) -> Env:
            return build(Source.from_json(text))

        def make(self: Source, *, announce: bool = False) -> Env:
            return made(dataclasses.replace(self, device="").to_json())

        patch.setattr(Source, "make", make)
        patch.setattr(Programs, "of", functools.cache(Programs.of))
        yield


OPTIONS = ("--engine", "c", "--lanes", "3", "--task-config.episode-seconds", "2.5")


def run(*words: str) -> int:
    return record.main([*OPTIONS, *words])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Five successful episodes of the expert, in three lanes."""
    root = tmp_path_factory.mktemp("record") / "pick"
    assert run("--episodes", "5", "--output-dir", str(root), "--noise", "0.1") == 0
    return root


def test_success_is_recorded(recorded: pathlib.Path) -> None:
    dataset = Dataset.open(recorded)
    assert dataset.fps == 20
    assert [e.lane for e in dataset.episodes[:3]] == [0, 1, 2]
    assert len({tuple(e.key.tolist()) for e in dataset.episodes}) == 5
    for e in dataset.episodes:
        f = dataset.frames(e.index)
        # It ends with success, and not before.
        assert f["next.done"][:, 0].tolist() == [False] * (e.length - 1) + [True]
        assert f["next.success"][:, 0].tolist() == [False] * (e.length - 1) + [True]
        assert np.abs(f["action"]).max() <= 1.0
        assert e.tasks == ("pick up the red cube and lift it to the green ball",)


def test_observation_comes_before_its_action(recorded: pathlib.Path) -> None:
    """Frame 0 is the reset's, frame t + 1 what action t led to."""
    dataset = Dataset.open(recorded)
    e, f = dataset.episodes[1], dataset.frames(1)
    source = dataset.source
    assert source is not None
    programs = Programs.of(source.make(), e.lanes)
    keys = jax.random.wrap_key_data(np.tile(e.key, (e.lanes, 1)))
    state = programs.reset(keys)
    first = programs.see(state)["observation.state"][e.lane]
    np.testing.assert_array_equal(first, f["observation.state"][0])
    actions = np.tile(f["action"][0], (e.lanes, 1))
    state, transition = programs.step(state, actions)
    second = programs.see(state)["observation.state"][e.lane]
    np.testing.assert_array_equal(second, f["observation.state"][1])
    assert np.asarray(transition.reward)[e.lane] == f["next.reward"][0, 0]


def test_replay_is_bit_for_bit(recorded: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay.main([str(recorded)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 5
    assert all(re.fullmatch(r"episode \d: \d+ frames, .* bit for bit; success", s) for s in said)


def test_replay_notices_another_bit(
    recorded: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "edited"
    shutil.copytree(recorded, root)
    path = root / "data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    rows = table["observation.state"].to_pylist()
    rows[4][2] = float(np.nextafter(np.float32(rows[4][2]), np.float32(9)))
    i = table.column_names.index("observation.state")
    kind = table.schema.field(i).type
    pq.write_table(table.set_column(i, "observation.state", pa.array(rows, kind)), path)
    assert replay.main([str(root), "--episode", "0"]) == 1
    assert "another observation from frame 4 of" in capsys.readouterr().out
    (only,) = play(Dataset.open(root), [0])
    assert only.differs == 4
    assert 0.0 < only.largest < 1e-6


@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        (START, {"key": [1, 2, 3]}, "'mjxsim/start': episode 0: a key is 2 numbers"),
        (SOURCE, {"robot": "so100"}, "46 values and the environment of its source 40"),
        (SOURCE, {"control": {"mode": "osc"}}, "'features.action': the dataset has 5 values"),
        (SOURCE, {"engine": "warpp"}, "'mjxsim/source': unknown engine 'warpp'"),
    ],
)
def test_replay_of_what_was_tampered_with(
    column: str,
    change: dict[str, object],
    message: str,
    recorded: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = tmp_path / "edited"
    shutil.copytree(recorded, root)
    path = root / "meta/episodes/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    texts = [json.dumps(json.loads(t) | change) for t in table[column].to_pylist()]
    i = table.column_names.index(column)
    pq.write_table(table.set_column(i, column, pa.array(texts, pa.string())), path)
    assert replay.main([str(root), "--episode", "0"]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert str(root) in said
    assert len(said.splitlines()) == 1


def test_replay_as_video(recorded: pathlib.Path, tmp_path: pathlib.Path) -> None:
    import av

    video = tmp_path / "out.mp4"
    options = ["--height", "48", "--width", "64"]
    if replay.main([str(recorded), "--episode", "1", "--video", str(video), *options]):
        pytest.skip("there is no renderer here")
    length = Dataset.open(recorded).episodes[1].length
    with av.open(str(video)) as container:
        pictures = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert len(pictures) == length + 1 + 10  # the last one stays for half a second
    assert np.abs(pictures[0].astype(float) - pictures[length].astype(float)).mean() > 0.5


def test_resuming_draws_other_starts(
    recorded: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(tmp_path / "d")
    words = ("--episodes", "2", "--output-dir", root)
    assert run(*words) == 0
    assert run(*words) == 2
    assert "exists already: add --resume to append to it" in capsys.readouterr().err
    assert run(*words, "--resume") == 0
    dataset = Dataset.open(root)
    assert len({tuple(e.key.tolist()) for e in dataset.episodes}) == 4
    assert replay.main([root]) == 0
    for change, message in {
        ("--fps", "10"): "'fps': the dataset has 20 and this recording 10",
        ("--robot", "so100"): "'robot_type': the dataset is of 'panda', not of 'so100'",
        ("--control.mode", "osc_yaw"): "'control.mode': the dataset's actions have 'ee_delta_yaw'",
        ("--task", "reach"): "'task': the dataset is of task 'pick_cube', not of 'reach'",
        ("--cameras.names", "front"): "'features.observation.images.front': only this recording",
    }.items():
        capsys.readouterr()
        assert record.main(["--engine", "c", *words, "--resume", *change]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert len(said.splitlines()) == 1
    assert len(Dataset.open(root).episodes) == 4


def test_cameras_are_recorded(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "seen"
    monkeypatch.setattr(record, "LARGE_ROUND", 1e5)  # 2 worlds x 6 steps x 64 x 64 x 3 are more
    cameras = ("--cameras.names", "front", "--cameras.height", "64", "--cameras.renderer", "gl")
    words = (*cameras, "--task-config.episode-seconds", "0.3", "--keep", "all")
    if run("--episodes", "2", "--lanes", "2", "--output-dir", str(root), *words):
        pytest.skip(f"nothing here can draw: {capsys.readouterr().err}")
    assert "memory: up to 0.0 GB of pictures until a round of 2 episodes" in capsys.readouterr().out
    dataset = Dataset.open(root)
    f = dataset.frames(0)
    pictures = f["observation.images.front"]
    assert pictures.shape == (6, 64, 64, 3)
    assert pictures.std() > 10.0, "something is drawn"
    assert replay.main([str(root)]) == 0
    assert dataset.source is not None
    assert round_bytes(dataset.source.make(), 2) == 2 * 6 * 64 * 64 * 3


def test_policies_are_recorded(
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of a run: its own task and control, and every episode where all are kept."""
    config = configs.load(ROOT / "configs" / "pick_cube.py")
    config = dataclasses.replace(
        config, task_config=dataclasses.replace(config.task_config, episode_seconds=2.5)
    )

    def load(directory: pathlib.Path, **options: object) -> Run:
        env = record.source_of(record.RecordConfig("pick_cube", config.task_config)).make()

        def policy(observation: jax.Array) -> jax.Array:
            return jnp.full((len(observation), env.action_size), 0.25)

        return Run(directory, config, env, policy, 0)

    monkeypatch.setattr(record.runs, "load", load)
    root = str(tmp_path / "d")
    words = ["--engine", "c", "--lanes", "3", "--policy", "runs/some", "--output-dir", root]
    assert record.main([*words, "--episodes", "3"]) == 1
    said = capsys.readouterr().out
    assert "nothing was saved" in said
    assert "only 0 of 3 episodes could be kept" in said
    assert record.main([*words, "--episodes", "3", "--keep", "all"]) == 0
    dataset = Dataset.open(root)
    for e in dataset.episodes:
        assert (dataset.frames(e.index)["action"] == 0.25).all()
        assert not dataset.frames(e.index)["next.success"].any()
        assert e.length == 50
    assert record.main([*words, "--task", "reach"]) == 2
    assert "--task reach is not that of runs/some, pick_cube" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--task", "pick_cub"), "unknown task 'pick_cub': did you mean 'pick_cube'"),
        (("--episods", "3"), "unknown option '--episods': did you mean '--episodes'"),
        (("--episodes", "0"), "episodes must be at least 1, got 0"),
        (("--task-config.control-dt", "0.03"), "LeRobot takes whole numbers"),
        (("--fps", "0"), "fps must be at least 1, got 0"),
        (("--noise", "nan"), "noise must be from 0 to 1, got nan"),
        (("--keep", "best"), "keep"),
        (("--policy", "nowhere"), "no directory nowhere: give a run directory"),
        (("--control.mode", "joint"), "expert"),
        (("--resume",), "no such directory"),
        (("--lanes", "many"), "--lanes"),
    ],
)
def test_mistakes(
    words: tuple[str, ...],
    message: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert record.main(["--engine", "c", *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
    assert not list(tmp_path.glob("data/*")), "nothing is left in the way of the next attempt"


@pytest.mark.parametrize("before", ["nothing", "an empty directory", "an empty dataset"])
def test_only_a_directory_made_here_is_removed(
    before: str,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where nothing was recorded; with --resume too, what a person keeps beside it stays."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(record, "collect", interrupted)
    root, words = tmp_path / "d", list[str]()
    if before == "an empty directory":
        root.mkdir()
    if before == "an empty dataset":
        words = ["--resume"]
        config = record.parse([*OPTIONS, "--output-dir", str(root)])
        source = record.source_of(config)
        features = features_of(source.make())
        Writer.create(root, features, fps=20, robot_type="panda", source=source).close()
        (root / "NOTES.md").write_text("mine", "utf-8")
    assert run("--output-dir", str(root), *words) == 130
    assert capsys.readouterr().err.startswith("interrupted: ")
    assert root.exists() == (before != "nothing")
    if words:
        assert (root / "NOTES.md").read_text("utf-8") == "mine"
        assert not Dataset.open(root).episodes


def test_replay_mistakes(recorded: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in {
        (str(recorded), "--episode", "5"): "no episode 5: there are 5, from 0",
        (str(recorded), "--video", "a.mp4"): "say which with --episode",
        (str(recorded), "--height", "0"): "height must be from 2 to 4096 pixels, got 0",
        ("nowhere",): "nowhere: no such directory",
        (): "which dataset?",
    }.items():
        assert replay.main(list(words)) == 2
        said = capsys.readouterr().err
        assert message in said
        assert len(said.splitlines()) == 1

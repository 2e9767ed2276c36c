"""Whole sessions on a batch of lanes, on a clock that does not wait."""

import contextlib
import dataclasses
import json
import pathlib
import re
import signal
import sys
import threading
from collections.abc import Mapping, Sequence

import av
import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import mjxsim
from mjxsim.config import TrainConfig, flags_of, to_json
from mjxsim.datasets import Dataset
from mjxsim.datasets.store import Recorded, Store
from mjxsim.envs import CameraConfig, Env
from mjxsim.learning import checkpoint
from mjxsim.learning.ppo import PPOConfig, make_actor
from mjxsim.runs.load import identity
from mjxsim.tasks.reach import ReachConfig
from mjxsim.teleop import mapping
from mjxsim.teleop.__main__ import main, parse
from mjxsim.teleop.build import observation_names
from mjxsim.teleop.config import TeleopConfig
from mjxsim.teleop.devices import Command, Event
from mjxsim.teleop.devices.keymap import KEYBOARD
from mjxsim.teleop.devices.scripted import Scripted
from mjxsim.teleop.eyes import drawer
from mjxsim.teleop.frame import Frame
from mjxsim.teleop.lanes import Lanes, Seen
from mjxsim.teleop.loop import Loop, Report
from mjxsim.teleop.recording import EXTRAS, INTERVENTION
from mjxsim.teleop.session import Rules

# Eight, for code is vectorized by eight: what is rounded differently then must not matter.
LANES, DT = 8, 0.05
CAMERAS = ("front", "wrist")
UP = Command(linear=(0.0, 0.0, 1.0))


class NoTime:
    """A machine on which everything takes no time."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += max(seconds, 1e-6)


class Notebook:
    """A recorder that keeps everything."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.open: list[Mapping[str, np.ndarray]] = []
        self.saved: list[dict] = []
        self._left = fail_after

    @property
    def episodes(self) -> int:
        return len(self.saved)

    def add(self, frame: Mapping[str, np.ndarray]) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise OSError(28, "No space left on device")
        self.open.append(frame)

    def save_episode(
        self, task: str, *, key: np.ndarray | None, lane: int = 0, lanes: int = 1
    ) -> int:
        said = {"task": task, "key": key, "lane": lane, "lanes": lanes}
        self.saved.append({"frames": self.open, **said})
        self.open = []
        return len(self.saved) - 1

    def discard_episode(self) -> None:
        self.open = []

    def close(self) -> None:
        pass


class Album:
    """A sink that keeps every frame."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.closed = False

    def show(self, frame: Frame) -> None:
        self.frames.append(frame)

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def env() -> Env:
    return mjxsim.make(
        "pick_cube",
        engine="c",
        control="ee_delta_yaw",
        cameras=CameraConfig(CAMERAS, 16, 16),
        announce=False,
    )


@pytest.fixture(scope="module")
def blind(env: Env) -> Env:
    return dataclasses.replace(env, eyes=None)


@pytest.fixture(scope="module")
def expert_lanes(blind: Env) -> Lanes:
    return Lanes.build(blind, LANES, driver="expert", seed=3)


@pytest.fixture(scope="module")
def held_lanes(blind: Env) -> Lanes:
    return Lanes.build(blind, LANES, driver="hold", seed=3)


@pytest.fixture(scope="module")
def draw(env: Env):
    return drawer(env)


def drive(
    lanes: Lanes,
    script: Sequence[tuple[float, Command]],
    steps: int,
    recorder: Notebook | None = None,
    **options: object,
) -> tuple[Report, Album, list[str]]:
    """A session; what was shown, and what was said."""
    rules = Rules(LANES, lanes.driver, can_record=recorder is not None)
    extra = {k: options.pop(k) for k in ("draw", "cameras", "names") if k in options}
    rules = dataclasses.replace(rules, **options)
    album, said = Album(), []
    loop = Loop(
        lanes,
        Scripted(script, DT),
        rules,
        recorder=recorder,
        penalty=-0.02,
        sinks=[album],
        time=NoTime(),
        say=said.append,
        max_steps=steps,
        **extra,  # type: ignore[arg-type]
    )
    report = loop.run()
    assert album.closed
    return report, album, said


def at(seconds: float, *events: Event, **command: object) -> tuple[float, Command]:
    return seconds, Command(events=events, **command)  # type: ignore[arg-type]


def heights(album: Album) -> np.ndarray:
    return np.array([frame.bodies["hand"][0][2] for frame in album.frames])


def test_the_person_s_lane_follows(held_lanes: Lanes) -> None:
    report, album, _ = drive(held_lanes, [(0.0, UP), (0.5, Command())], 21)
    assert report.timing.steps == 21 and report.episodes == 0
    z = heights(album)
    # 10 steps up at 0.25 m/s, less what the arm lags behind.
    assert 0.09 < z[-1] - z[0] < 0.14
    assert album.frames[-1].time == pytest.approx(21 * DT)
    status = album.frames[-1].status
    assert status.intervening and not status.recording and status.lanes == LANES
    assert status.instruction == held_lanes.env.task.instructions[0]


def test_others_follow_their_driver_and_end_by_themselves(expert_lanes: Lanes) -> None:
    """The expert lifts the cube in every lane; the person's too, until it is taken over."""
    state = expert_lanes.begin()
    want = mapping.wish(UP, 7)
    lifted = np.zeros(LANES, bool)
    cube = expert_lanes.env.observation_layout["cube"]
    for step in range(50):
        orders = expert_lanes.orders(want, lane=1, steer=step >= 5, keep=step >= 5)
        state, seen = expert_lanes.step(state, orders)
        lifted |= np.asarray(state.obs[:, cube][:, 2]) > 0.08
    assert lifted.tolist() == [lane != 1 for lane in range(LANES)]
    assert int(seen.step_count) == 50, "the person's lane is not restarted"
    limit = expert_lanes.env.task.config.episode_steps
    for _ in range(limit - 50 + 5):
        state, seen = expert_lanes.step(state, expert_lanes.orders(want, lane=1))
    steps = [limit + 5 if lane == 1 else 5 for lane in range(LANES)]
    assert np.asarray(state.step_count).tolist() == steps


def test_freezing_waits_and_restarting_begins_anew(held_lanes: Lanes) -> None:
    want = mapping.wish(UP, 7)
    state = held_lanes.begin()
    state, first = held_lanes.step(state, held_lanes.orders(want, lane=2, restart=True, number=5))
    assert int(first.step_count) == 0
    before = state
    for _ in range(4):
        state, seen = held_lanes.step(state, held_lanes.orders(want, lane=2, freeze=True))
    assert int(seen.step_count) == 0
    np.testing.assert_array_equal(seen.obs, first.obs)
    others = np.arange(LANES) != 2
    passed = np.asarray(state.step_count) - np.asarray(before.step_count)
    assert (passed[others] == 4).all()
    state, again = held_lanes.step(state, held_lanes.orders(want, lane=2, restart=True, number=5))
    np.testing.assert_array_equal(again.obs, first.obs)
    state, other = held_lanes.step(state, held_lanes.orders(want, lane=2, restart=True, number=6))
    assert not np.array_equal(other.obs, first.obs)


SCRIPT = [
    at(0.1, linear=(1.0, 0.5, -1.0), angular=(0.0, 0.0, 0.7)),
    at(0.3, linear=(0.0, 0.0, 1.0), angular=(0.0, 0.0, -0.4), gripper="close"),
    at(0.5, Event.SUCCESS, linear=(0.0, -1.0, 0.5)),
    at(0.7, Event.RERECORD, linear=(-1.0, 0.0, 0.0)),
    at(0.9, Event.FAILURE),
]


@pytest.fixture(scope="module")
def recorded(held_lanes: Lanes, draw) -> tuple[Notebook, list[str]]:
    notebook = Notebook()
    _, _, said = drive(held_lanes, SCRIPT, 25, notebook, draw=draw, cameras=CAMERAS)
    return notebook, said


def test_what_is_recorded(recorded: tuple[Notebook, list[str]], env: Env) -> None:
    notebook, said = recorded
    assert [len(episode["frames"]) for episode in notebook.saved] == [8, 3]
    assert not notebook.open
    good, bad = notebook.saved
    assert good["task"] == env.task.instructions[0]
    assert (good["lane"], good["lanes"]) == (0, LANES)
    assert good["key"].dtype == np.uint32 and not np.array_equal(good["key"], bad["key"])
    for episode, success in ((good, True), (bad, False)):
        *others, last = episode["frames"]
        assert last["next.done"].item() and last["next.success"].item() is success
        assert not any(frame["next.done"].item() for frame in others)
    frame = good["frames"][0]
    images = {f"observation.images.{name}" for name in CAMERAS}
    assert set(frame) == {"observation.state", "action", *images, *EXTRAS}
    assert frame["observation.state"].shape == (env.observation_size,)
    assert frame["observation.images.front"].shape == (16, 16, 3)
    assert frame["complementary_info.is_intervention"].item() is True
    penalties = [f["complementary_info.discrete_penalty"].item() for f in good["frames"]]
    assert np.flatnonzero(penalties).tolist() == [4] and min(penalties) == np.float32(-0.02)
    assert "episode 0: 8 frames, success" in said


def test_a_recording_replays_bit_for_bit(recorded: tuple[Notebook, list[str]], blind: Env) -> None:
    """From the stored key and actions every observation is the same; the others need not be."""
    notebook, _ = recorded
    check_replay(notebook, blind)


def check_replay(notebook: Notebook, blind: Env) -> None:
    reset = mjxsim.jit(jax.vmap(blind.start))
    step = mjxsim.jit(jax.vmap(blind.advance))
    for episode in notebook.saved:
        keys = jnp.tile(jnp.asarray(episode["key"]), (episode["lanes"], 1))
        state = reset(jax.random.wrap_key_data(keys))
        lane = episode["lane"]
        for frame in episode["frames"]:
            np.testing.assert_array_equal(state.obs[lane], frame["observation.state"])
            state, transition = step(state, jnp.tile(frame["action"], (episode["lanes"], 1)))
            assert transition.reward[lane] == frame["next.reward"].item()


def test_pictures_are_of_the_moment_before_the_action(
    recorded: tuple[Notebook, list[str]],
    held_lanes: Lanes,
    draw,
) -> None:
    """The first episode again, step by step: pictures are of what led to the frame's action."""
    notebook, _ = recorded
    commands = [command for seconds, command in SCRIPT[:2] for _ in range(4)]
    state = held_lanes.begin()
    state, seen = held_lanes.step(
        state, held_lanes.orders(mapping.wish(Command(), 7), restart=True, number=1)
    )
    for command, frame in zip(commands, notebook.saved[0]["frames"], strict=True):
        np.testing.assert_array_equal(seen.obs, frame["observation.state"])
        for name, image in zip(CAMERAS, np.asarray(draw(seen)), strict=True):
            np.testing.assert_array_equal(image, frame[f"observation.images.{name}"])
        assert image.std() > 5, "there is something to be seen"
        state, seen = held_lanes.step(state, held_lanes.orders(mapping.wish(command, 7)))
        np.testing.assert_array_equal(seen.action, frame["action"])


def test_a_full_disk_stops_the_recording_and_not_the_person(held_lanes: Lanes) -> None:
    notebook = Notebook(fail_after=6)
    script = [at(0.0, linear=(0.0, 0.0, 1.0)), at(0.2, Event.SUCCESS, linear=(1.0, 0.0, 0.0))]
    report, album, said = drive(held_lanes, script, 30, notebook)
    assert report.error == "[Errno 28] No space left on device"
    assert notebook.episodes == 1
    assert sum("recording stopped" in line for line in said) == 1
    assert album.frames[-1].step == 30, "the person went on"


def test_quitting_forgets_the_open_episode(held_lanes: Lanes) -> None:
    notebook = Notebook()
    script = [at(0.0, linear=(0.0, 0.0, 1.0)), at(0.5, Event.QUIT)]
    report, _, said = drive(held_lanes, script, 100, notebook)
    assert report.timing.steps < 20
    assert notebook.episodes == 0 and not notebook.open
    assert any("not kept" in line for line in said)


def test_nan_from_a_device_holds_still_and_says_so_once(held_lanes: Lanes) -> None:
    bad = Command(linear=(float("nan"), 0.0, 0.0))
    _, album, said = drive(held_lanes, [(0.0, bad), (0.5, UP), (0.8, bad)], 20)
    z = heights(album)
    assert abs(z[9] - z[1]) < 2e-3 and z[16] - z[9] > 0.03
    lines = [line for line in said if "not finite" in line]
    assert len(lines) == 2 and "scripted" in lines[0], "once each time it begins"


def test_pause_stops_the_world_but_not_the_person(held_lanes: Lanes) -> None:
    script = [(0.0, UP), at(0.3, Event.PAUSE), at(0.6, Event.PAUSE, linear=(0.0, 0.0, 1.0))]
    _, album, _ = drive(held_lanes, script, 15)
    steps = np.array([frame.step for frame in album.frames])
    assert (np.diff(steps) == 0).sum() >= 5, "it goes on being shown"
    paused = [frame for frame in album.frames if frame.status.paused]
    assert len({frame.qpos.tobytes() for frame in paused}) == 1
    assert steps[-1] == 15


def test_marks_and_lanes_while_paused(held_lanes: Lanes, blind: Env) -> None:
    """What is asked for in a pause is done in it, once, and nothing moves."""
    notebook = Notebook()
    script = [
        (0.0, UP),
        at(0.3, Event.PAUSE),
        at(0.4, Event.SUCCESS, linear=(1.0, 0.0, 0.0)),
        at(0.6, Event.NEXT_LANE, linear=(1.0, 0.0, 0.0)),
        at(0.8, Event.PAUSE),
        at(0.9, linear=(0.0, 0.0, 1.0)),
        at(1.1, Event.FAILURE),
    ]
    _, album, said = drive(held_lanes, script, 14, notebook)
    assert [line for line in said if "mark" in line] == [
        "marked as a success",
        "marked as a failure",
    ]
    assert [episode["lane"] for episode in notebook.saved] == [0, 1]
    check_replay(notebook, blind)
    paused = [frame for frame in album.frames if frame.status.paused]
    assert [frame.status.lane for frame in paused] == [0] * 6 + [1] * 4
    assert len({frame.step for frame in paused}) == 1
    assert [frame.status.step == 0 for frame in paused] == [False] * 2 + [True] * 8
    assert len({frame.qpos.tobytes() for frame in paused}) == 3, "as it was, and two new starts"


def test_taking_over_and_handing_back(expert_lanes: Lanes) -> None:
    script = [
        at(0.5, Event.INTERVENE, linear=(0.0, 0.0, 1.0)),
        at(1.0, Event.INTERVENE),
        at(1.2, Event.NEXT_LANE),
    ]
    _, album, said = drive(expert_lanes, script, 30)
    steering = [frame.status.intervening for frame in album.frames]
    # The first step only begins the episode; nobody is asked before.
    assert steering == [False] * 11 + [True] * 10 + [False] * 9
    assert album.frames[-1].status.lane == 1
    assert said[:3] == ["you steer", "expert steers", "lane 2 of 8"]


def test_interventions_are_recorded(expert_lanes: Lanes) -> None:
    notebook = Notebook()
    script = [
        at(0.3, Event.INTERVENE, linear=(0.0, 0.0, 1.0)),
        at(0.5, Event.INTERVENE),
        at(0.7, Event.SUCCESS),
    ]
    drive(expert_lanes, script, 20, notebook)
    (episode,) = notebook.saved
    flags = [f["complementary_info.is_intervention"].item() for f in episode["frames"]]
    assert flags == [False] * 6 + [True] * 4 + [False] * 4


def test_the_expert_records_in_a_person_s_place(held_lanes: Lanes) -> None:
    notebook = Notebook()
    script = [(0.0, Command(expert=True))]
    options = {"end_on_success": True, "episodes": 2}
    report, _, said = drive(held_lanes, script, 400, notebook, **options)
    assert report.episodes == 2, said
    assert all(episode["frames"][-1]["next.success"].item() for episode in notebook.saved)
    assert "all 2 episodes are recorded" in said


def test_a_sink_that_breaks_is_left_out(held_lanes: Lanes) -> None:
    class Broken(Album):
        def show(self, frame: Frame) -> None:
            raise RuntimeError("no more")

    said: list[str] = []
    good = Album()
    loop = Loop(
        held_lanes,
        Scripted([], DT),
        Rules(LANES, "hold"),
        sinks=[Broken(), good],
        time=NoTime(),
        say=said.append,
        max_steps=5,
    )
    loop.run()
    assert len(good.frames) == 5
    assert said == ["Broken shows nothing more: no more"]


def test_names_of_the_observation(env: Env, blind: Env) -> None:
    names = observation_names(blind)
    assert len(names) == env.observation_size == len(set(names))
    assert names[0] == "arm_qpos_0"


def test_seen_is_small(held_lanes: Lanes) -> None:
    """What comes to the host at each step is one lane's, whatever the number of lanes."""
    state = jax.eval_shape(held_lanes.begin)
    assert state.obs.shape[0] == LANES
    assert {f.name for f in dataclasses.fields(Seen)} >= {"physics", "obs", "action", "reward"}


# The command line.


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--device", "keybord"], "did you mean 'keyboard'"),
        (["--lane", "3"], "did you mean '--lanes'"),
        (["--lanes", "0"], "lanes must be at least 1"),
        (["--headless"], "leave out --headless"),
        (["--headless", "--device", "scripted", "--task", "pick_cub"], "did you mean 'pick_cube'"),
        (["--headless", "--device", "scripted", "--rate", "0"], "a positive number of Hz"),
        (["--headless", "--device", "scripted", "--script", "no.json"], "cannot read script"),
        (["--headless", "--device", "scripted", "--others", "policy"], "--policy runs/<name>"),
        (["--headless", "--device", "scripted", "--policy", "no/such"], "no directory no/such"),
        (["--headless", "--device", "scripted", "--resume"], "--output-dir"),
        (["--headless", "--device", "leader"], "so100 or so101"),
        (
            ["--headless", "--device", "scripted", "--control", "joint", "--others", "expert"],
            "scripted expert needs an end-effector controller",
        ),
        (["--headless", "--device", "gamepad", "--keymap", "no.json"], "cannot read key map"),
        (["--headless", "--device", "scripted", "--lanes", "many"], "many"),
        (["--headless", "--device", "scripted", "--seed", "-1"], "seed must be at least 0"),
        (["--headless", "--device", "scripted", "--web", "99999"], "a port is 0 (any) to 65535"),
        (["--headless", "--device", "browser", "--host", "192.0.2.1"], "cannot listen at 192"),
    ],
)
def test_mistakes_are_answered_in_a_line(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_no_display(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pygame = pytest.importorskip("pygame")
    pygame.display.quit()
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    assert main([]) == 2
    error = capsys.readouterr().err
    assert "no display" in error and "--headless" in error and error.count("\n") == 1
    # One that is named but is not there: SDL would draw where nobody looks.
    monkeypatch.delenv("SDL_VIDEODRIVER")
    monkeypatch.setenv("DISPLAY", ":4711")
    if sys.platform == "linux":
        assert main([]) == 2
        assert "no display (DISPLAY=:4711 cannot be opened)" in capsys.readouterr().err
    pygame.display.quit()


def test_a_session_from_the_command_line(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps([{"at": 0.1, "linear": [0, 0, 1]}]), "utf-8")
    argv = ["--device", "scripted", "--headless", "--engine", "c", "--seconds", "0.5"]
    assert main([*argv, "--script", str(script)]) == 0
    out = capsys.readouterr().out
    assert "10 control steps" in out and "jitter p50" in out and "drift" in out


def test_the_codec_is_that_of_the_flag_or_of_the_dataset(tmp_path: pathlib.Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps([{"at": 0.1, "linear": [0, 0, 1]}]), "utf-8")
    where = ["--output-dir", str(tmp_path / "data"), "--size", "16", "--episode-seconds", "0.4"]
    argv = ["--device", "scripted", "--headless", "--engine", "c", "--script", str(script), *where]
    for more in (["--lerobot", "0.4"], ["--resume", "--codec", "av1"]):
        assert main([*argv, "--cameras", "wrist", "--seconds", "0.8", *more]) == 0
    dataset = Dataset.open(tmp_path / "data")
    assert len(dataset.episodes) >= 2
    files = sorted((tmp_path / "data" / "videos").rglob("*.mp4"))
    assert len(files) == len(dataset.episodes)
    rows = pq.read_schema(next((tmp_path / "data" / "meta" / "episodes").rglob("*.parquet")))
    assert rows.field("stats/next.done/min").type == pa.list_(pa.bool_()), "as LeRobot 0.4 does"
    for file in files:
        with av.open(str(file)) as container:
            assert container.streams.video[0].codec_context.name == "h264"


@pytest.fixture
def moving(tmp_path: pathlib.Path) -> list[str]:
    """A recording from the command line of what moves at once, in episodes of 0.4 s."""
    script = tmp_path / "script.json"
    script.write_text(json.dumps([{"at": 0.1, "linear": [0, 0, 1]}]), "utf-8")
    argv = ["--device", "scripted", "--headless", "--engine", "c", "--script", str(script)]
    where = ["--output-dir", str(tmp_path / "data"), "--episode-seconds", "0.4", "--cameras"]
    return [*argv, *where]


@pytest.mark.parametrize(
    ("room", "late"), [(0, True), (1, False)], ids=["at the end", "while it runs"]
)
def test_a_writer_that_fails(
    room: int,
    late: bool,
    moving: list[str],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The person goes on, time is accounted for, and what was written before is complete."""
    began, commit = Loop.run, Store.commit
    ended, committed = threading.Event(), list[int]()

    def run(loop: Loop) -> Report:
        report = began(loop)
        assert not late or report.error is None
        ended.set()
        return report

    def full(store: Store, ready: Sequence[Recorded]) -> None:
        if len(committed) == room:
            if late:  # as closing finds out
                ended.wait()
            raise OSError(28, "No space left on device")
        commit(store, ready)
        committed.append(len(ready))

    monkeypatch.setattr(Loop, "run", run)
    monkeypatch.setattr(Store, "commit", full)
    assert main([*moving, "--seconds", "2"]) == 1
    said = capsys.readouterr()
    assert "40 control steps" in said.out and "jitter p50" in said.out
    line = "error: recording stopped: cannot write: No space left on device; "
    assert said.err.startswith(line) and said.err.count("\n") == 1
    root = tmp_path / "data"
    if room:
        assert f"1 episodes in {root}" in said.out
        assert f"the 1 episodes saved in {root} are complete" in said.err
        assert len(Dataset.open(root).episodes) == 1
    else:
        assert "no episode was recorded" in said.out and "nothing was saved" in said.err
        assert not root.exists()


def test_a_session_without_an_episode_leaves_nothing_behind(
    moving: list[str], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that the same command can be given again; but what the person made is left alone."""
    root = tmp_path / "data"
    assert main([*moving, "--seconds", "0.2"]) == 0
    assert "no episode was recorded" in capsys.readouterr().out
    assert not root.exists()
    root.mkdir()
    assert main([*moving, "--seconds", "0.2"]) == 0
    assert not Dataset.open(root).episodes


def test_a_saved_run_drives(
    moving: list[str], tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An untrained one: its task and control come from its directory, and it is recorded."""
    short = ReachConfig(episode_seconds=0.3, threshold=0.2)
    ppo = PPOConfig(hidden=(16,))
    config = TrainConfig(task="reach", task_config=short, engine="c", ppo=ppo)
    reach = mjxsim.make("reach", engine="c", config=short, announce=False)
    policy = make_actor(ppo, reach).init(jax.random.key(5))
    metadata = {"identity": identity(config, reach), "config": to_json(config)}
    checkpoint.save(tmp_path / "run" / "checkpoints", 1, {"policy": policy}, metadata)
    still = tmp_path / "still.json"
    still.write_text("[]", "utf-8")
    policy_of = ["--policy", str(tmp_path / "run"), "--others", "policy", "--lanes", "2"]
    argv = [*moving, *policy_of, "--script", str(still), "--seconds", "1"]
    assert main(argv) == 0, capsys.readouterr().err
    dataset = Dataset.open(tmp_path / "data")
    assert dataset.source is not None and dataset.source.task == "reach"
    frames = dataset.frames(0)
    assert not frames[INTERVENTION].any(), "nobody takes over"
    assert np.abs(frames["action"]).max() > 0.0, "the policy acts"
    assert main([*argv, "--task", "pick_cube"]) == 2
    assert "--task pick_cube is not what the policy was trained with" in capsys.readouterr().err


def test_ctrl_c_ends_in_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    began = Loop.run

    def run(loop: Loop) -> Report:
        signal.raise_signal(signal.SIGINT)
        return began(loop)

    monkeypatch.setattr(Loop, "run", run)
    argv = ["--device", "scripted", "--headless", "--engine", "c", "--cameras", "--seconds", "9"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        assert main(argv) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    said = capsys.readouterr()
    assert "0 control steps" in said.out and said.err.startswith("interrupted:")


def test_flags_are_the_configuration() -> None:
    config = parse(["--task", "stack_cubes", "--cameras", "front", "--speeds.linear", "0.1"])
    assert config.task == "stack_cubes" and config.cameras == ("front",)
    assert config.speeds.linear == 0.1
    assert parse([]) == TeleopConfig()
    assert parse(["--cameras"]).cameras == ()
    with pytest.raises(ValueError, match="unknown codec 'h265': did you mean 'h264'"):
        dataclasses.replace(TeleopConfig(), codec="h265")


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        parse(["--help"])
    shown = capsys.readouterr().out
    assert all(flag in shown for flag in ("--device", "--output-dir", "--resume", "--others"))


def test_the_page_runs_and_its_flags_exist(capsys: pytest.CaptureFixture[str]) -> None:
    page = (pathlib.Path(__file__).parents[1] / "docs" / "teleop.md").read_text("utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.M)
    exec(compile(code, "docs/teleop.md", "exec"), {"__name__": "docs"})
    out = capsys.readouterr().out
    assert "you steer" in out and "20 control steps" in out
    known = set(flags_of(TeleopConfig()))
    assert {flag.rstrip(".") for flag in re.findall(r"--[a-z][a-z.-]*", page)} <= known
    (keys,) = re.findall(r"^```json\n(.*?)^```", page, re.DOTALL | re.M)
    assert set(json.loads(keys)) <= set(KEYBOARD)

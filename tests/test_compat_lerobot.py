"""What LeRobot is given, without LeRobot; the real one runs in lerobot/acceptance_envs.py."""

import dataclasses
import importlib
import importlib.metadata
import importlib.util
import itertools
import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from mjxsim.compat import lerobot
from mjxsim.compat.lerobot import stand_in
from mjxsim.compat.lerobot.cell import TICK, Cell
from mjxsim.compat.lerobot.encoder import as_read, nominal_calibration
from mjxsim.compat.lerobot.guide import Guide
from mjxsim.compat.lerobot.pacing import FrameClock, Pacer
from mjxsim.compat.lerobot.rounds import Rounds
from mjxsim.compat.lerobot.spec import Shapes, WorldSpec, measure
from mjxsim.compat.lerobot.view import SeenEnv
from mjxsim.compat.lerobot.worlds import World, Worlds
from mjxsim.robots.lerobot import JOINTS, Calibration
from mjxsim.robots.so100 import SO100_UNITS

FPS = 30
# Half a second; nobody comes within a nanometre of the goal, and everybody within 10 m.
NEVER = json.dumps({"episode_seconds": 0.5, "threshold": 1e-9})
ALWAYS = json.dumps({"episode_seconds": 0.5, "threshold": 10.0})
REACH = WorldSpec(task="reach", robot="so100", engine="c", cameras=(), settings=NEVER)


class Clock:
    """A clock that stands where it was put."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_world_never_drifts_from_its_clock() -> None:
    clock = FrameClock(FPS)
    pacer = Pacer(TICK, clock)
    steps = []
    for _ in range(600 * FPS):  # ten minutes
        clock.advance()
        steps.append(pacer.due())
    assert sum(steps) == round(600 / TICK)
    assert set(steps) == {3, 4}  # a thirtieth of a second is 3 1/3 ticks
    assert pacer.lost == 0.0


def test_a_world_waits_for_whoever_looks_away_and_says_how_long() -> None:
    clock = Clock()
    pacer = Pacer(0.01, clock, longest=0.5)
    clock.now += 3.0
    assert pacer.due() == 50
    assert pacer.lost == pytest.approx(2.5)
    assert pacer.due() == 0
    clock.now += 0.02
    assert pacer.due() == 2
    clock.now += 7.0
    pacer.skip()
    assert pacer.due() == 0
    assert pacer.lost == pytest.approx(2.5)


@pytest.mark.parametrize("frame", [1 / FPS, 0.1, 0.19])
@pytest.mark.parametrize("saving", [0.4, 2.0])
def test_the_scene_is_drawn_anew_within_the_recorders_pause(frame: float, saving: float) -> None:
    rounds, now = Rounds(episode=2.0, reset=1.0), 50.0
    for _ in range(10):
        told: dict[str, list[str]] = {"record": [], "pause": []}
        for phase, seconds in (("record", 2.0), ("pause", 1.0)):
            start = now
            while now - start < seconds:  # as LeRobot's loop does
                rounds = rounds.at(now + 0.7 * frame)
                told[phase].append(rounds.phase)
                now += frame
        now += saving
        assert set(told["record"]) == {"record"}
        assert told["pause"][-1] == "reset"
        changes = sum(a != b for a, b in itertools.pairwise(told["pause"]))
        assert changes <= 1, "it began to drive before the recorder recorded"
    with pytest.raises(ValueError, match=r"reset_time_s >= 0\.5"):
        Rounds(episode=2.0, reset=0.0)


def test_an_ideal_arms_calibration_is_lerobots(tmp_path: pathlib.Path) -> None:
    low, high = np.array([-110, -100, -100, -95, -160, 0]), np.array([110, 100, 90, 95, 160, 100])
    calibration = nominal_calibration(SO100_UNITS, low, high)
    path = tmp_path / "arm.json"
    calibration.write(path)
    assert Calibration.read(path) == calibration
    assert list(json.loads(path.read_text())) == list(JOINTS)
    # The middle of every range is LeRobot's zero, and the ends of the joints are within it.
    assert np.allclose(calibration.from_ticks(np.full(6, 2048)), [0, 0, 0, 0, 0, 50])
    for values in (low, high, np.array([12.34, -56.78, 9.1, 0.0, 100.0, 37.5])):
        seen = as_read(calibration, values)
        assert np.abs(seen - values)[:5].max() <= 360 / 4095  # one tick
        assert abs(seen[5] - values[5]) < 0.2
        assert np.allclose(as_read(calibration, seen + 1e-6), seen)  # a tick stays what it is


@pytest.fixture(scope="module")
def cell() -> tuple[Cell, FrameClock, Guide]:
    clock = FrameClock(FPS)
    made = Cell(dataclasses.replace(REACH, settings="{}"), clock)
    return made, clock, Guide(made.arm, FPS)


def test_an_expert_drives_the_arm_in_degrees(cell: tuple[Cell, FrameClock, Guide]) -> None:
    made, clock, guide = cell
    starts = []
    for _ in range(2):
        guide.restart()
        starts.append(made.look().values)
        assert not made.look().succeeded
        for _ in range(4 * FPS):
            sent = made.command(guide.expert(made.state))
            assert (sent >= made.arm.limits[0] - 1e-4).all()
            clock.advance()
            if made.look().succeeded:
                break
        assert made.look().succeeded
        before = made.episode
        made.restart()
        assert made.episode == before + 1
    assert np.abs(starts[0] - starts[1]).max() > 0.1  # another scene
    home = np.array([0.0, -24.6, 27.9, 86.7, 0.0, 50.0])  # [degrees]; docs/so_arms.md
    assert np.abs(starts[0] - home).max() < 5.0  # home, and joint_noise


def test_the_arm_goes_where_it_is_sent_and_no_further(
    cell: tuple[Cell, FrameClock, Guide],
) -> None:
    made, clock, _ = cell
    made.restart(seed=3)
    goal = made.rest + np.array([8.0, 5.0, -5.0, 4.0, -10.0, 30.0])
    assert np.allclose(made.command(goal), goal, atol=1e-4)
    for _ in range(3 * FPS):
        clock.advance()
        sight = made.look()
    assert np.abs(sight.values - goal).max() < 0.5
    low, high = made.arm.limits
    assert np.allclose(made.command(np.full(6, 1e4)), high)
    assert np.allclose(made.command(np.full(6, -1e4)), low)
    assert high[5] == pytest.approx(100.0)
    with pytest.raises(ValueError, match="six finite values"):
        made.command(np.array([0, 0, 0, 0, 0, np.nan]))


def test_success_is_told_at_every_step() -> None:
    worlds = Worlds(dataclasses.replace(REACH, settings=ALWAYS), 2)
    seen, info = worlds.reset(seed=[1, 2], options={"lerobot_new_rollout": True})
    assert worlds.observation_space.contains(seen)
    assert worlds.call("_max_episode_steps") == (10, 10)
    assert worlds.get_attr("task") == ("reach", "reach")
    assert all(worlds.get_attr("task_description"))
    with pytest.raises(AttributeError, match="task_description"):
        worlds.get_attr("envs")
    assert worlds.metadata["render_fps"] == 20
    for step in range(10):
        seen, reward, terminated, truncated, info = worlds.step(np.zeros((2, 4), np.float32))
        assert info["is_success"].shape == (2,)
        assert ("final_info" in info) == (step == 9)
    assert truncated.all() and not terminated.any() and reward.shape == (2,)
    assert info["final_info"]["is_success"].tolist() == [True, True]
    assert info["is_success"].tolist() == [False, False]  # of the episodes that have begun


def test_a_world_alone_is_the_first_of_many() -> None:
    shapes = SeenEnv.build(REACH).shapes
    assert shapes == Shapes(action=4, state=20, environment=6, fps=20, episode_steps=10)
    world = World(REACH.to_json(), dataclasses.asdict(shapes))
    assert (world._max_episode_steps, world.metadata["render_fps"]) == (10, 20)
    seen, info = world.reset(seed=5)
    assert world.observation_space.contains(seen)
    assert info["is_success"] is False and world.task_description == info["instruction"]
    many = Worlds(REACH, 2)
    others, _ = many.reset(seed=5)
    action = np.array([0.3, -0.2, 0.5, 1.0], np.float32)
    for step in range(10):
        for name, value in seen.items():
            np.testing.assert_allclose(value, others[name][0], atol=1e-5)
        seen, _, terminated, truncated, info = world.step(action)
        others, *_, infos = many.step(np.stack([action, action]))
        assert (terminated, truncated, info["is_success"]) == (False, step == 9, False)
    assert infos["final_info"]["is_success"].tolist() == [False, False]


def test_lerobots_units_for_evaluation() -> None:
    env = SeenEnv.build(dataclasses.replace(REACH, units="lerobot"))
    assert env.shapes == Shapes(action=6, state=6, environment=0, fps=20, episode_steps=10)
    state = env.jit(env.start)(jax.random.key(0))
    values = env.observation(state)["agent_pos"]
    goal = np.asarray(values) + np.array([3.0, -3.0, 3.0, -3.0, 3.0, 20.0])
    state, _ = env.jit(env.advance)(state, goal)
    assert env.arm is not None
    np.testing.assert_allclose(env.arm.targets(state.physics.ctrl), goal, atol=1e-3)
    with pytest.raises(ValueError, match="unknown robot with LeRobot's units 'panda'"):
        SeenEnv.build(dataclasses.replace(REACH, robot="panda", units="lerobot"))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"units": "degrees"}, "unknown units 'degrees': .*valid: lerobot, mjxsim"),
        ({"hidden": ("goal",)}, "needs a camera"),
        ({"settings": '{"treshold": 1}'}, "did you mean 'threshold'"),
        ({"fps": 0}, "fps must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_made_is_one_line(wrong: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SeenEnv.build(dataclasses.replace(REACH, **wrong))


def test_another_process_measures_a_world_and_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="unknown task 'reech': did you mean 'reach'") as error:
        measure(dataclasses.replace(REACH, task="reech"))
    assert "\n" not in str(error.value)


def test_without_lerobot_one_line_says_how_to_get_it() -> None:
    if any(d.name == "lerobot" for d in importlib.metadata.distributions()):
        pytest.skip("LeRobot is installed here")
    with pytest.raises(ImportError, match="python -m pip install") as error:
        lerobot.register()
    assert "\n" not in str(error.value)


@pytest.mark.skipif(
    importlib.util.find_spec("gym_hil") is not None, reason="gym-hil itself is installed"
)
def test_lerobot_finds_a_gym_hil_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("gym-hil")
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setitem(sys.modules, "gym_hil", None)
    monkeypatch.delitem(sys.modules, "gym_hil")
    stand_in.install()
    assert importlib.util.find_spec("gym_hil") is not None
    assert importlib.import_module("gym_hil").__name__ == "gym_hil"
    assert importlib.metadata.version("gym-hil") == importlib.metadata.version("gym_hil")
    listed = {d.name for d in importlib.metadata.distributions()}
    assert "mujoco" in listed and "gym-hil" not in listed  # it is not there for anybody else


@pytest.mark.skipif(
    "MJXSIM_LEROBOT_PYTHON" not in os.environ,
    reason="MJXSIM_LEROBOT_PYTHON names no interpreter that has LeRobot; see docs/lerobot.md",
)
def test_the_real_lerobot(tmp_path: pathlib.Path) -> None:
    script = pathlib.Path(__file__).parent / "lerobot" / "acceptance_envs.py"
    command = [os.environ["MJXSIM_LEROBOT_PYTHON"], str(script), "--work", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]

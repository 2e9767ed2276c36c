"""Configurations: files, flags and JSON, and what is said when they are wrong."""

import dataclasses
import pathlib
import re

import pytest

from mjxsim import config as configs
from mjxsim import files
from mjxsim.config import CheckpointConfig, ConfigError, EvaluationConfig, TrainConfig
from mjxsim.control import ControlConfig
from mjxsim.learning.ppo import PPOConfig
from mjxsim.tasks.pick_cube import PickCubeConfig
from mjxsim.tasks.reach import ReachConfig

ROOT = pathlib.Path(__file__).parent.parent
FILES = sorted((ROOT / "configs").glob("*.py"))
BASE = TrainConfig(task="pick_cube", task_config=PickCubeConfig())


def override(*flags: str) -> TrainConfig:
    return configs.override(BASE, flags, "train")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_files_load_and_go_through_json(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    config = configs.load(path)
    assert configs.from_json(configs.to_json(config)) == config
    written = tmp_path / "config.json"
    files.write_json(written, configs.to_json(config))
    assert configs.load(written) == config


def test_json_keeps_every_field() -> None:
    config = TrainConfig(
        task="reach",
        task_config=ReachConfig(threshold=0.01, goal_low=(0.1, 0.2, 0.3)),
        output_dir=pathlib.Path("a/b"),
        control=ControlConfig(mode="joint_delta", gripper="none"),
        ppo=PPOConfig(hidden=(8, 9, 10), anneal=False),
        evaluation=EvaluationConfig(episodes=3),
        checkpoint=CheckpointConfig(every_updates=2),
    )
    assert configs.from_json(configs.to_json(config)) == config


def test_flags_reach_every_section() -> None:
    config = override(
        *("--num-envs", "64", "--ppo.learning-rate", "1e-4", "--task-config.threshold", "0.03"),
        *("--control.mode", "joint_delta", "--control.ik.damping", "0.5", "--resume"),
        *("--checkpoint.every-updates", "2", "--evaluation.no-video", "--ppo.hidden", "8", "9"),
        *("--output_dir", "x", "--seed=3", "--task-config.cube-low", "0.1", "-0.1"),
    )
    assert config == TrainConfig(
        task="pick_cube",
        task_config=PickCubeConfig(threshold=0.03, cube_low=(0.1, -0.1)),
        seed=3,
        num_envs=64,
        output_dir=pathlib.Path("x"),
        resume=True,
        control=dataclasses.replace(
            ControlConfig(mode="joint_delta"),
            ik=dataclasses.replace(ControlConfig().ik, damping=0.5),
        ),
        ppo=PPOConfig(learning_rate=1e-4, hidden=(8, 9)),
        evaluation=EvaluationConfig(video=False),
        checkpoint=CheckpointConfig(every_updates=2),
    )


def test_no_flags_change_nothing() -> None:
    assert override() == BASE


def test_help_shows_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    """The list that typos are compared with is the list that tyro takes."""
    with pytest.raises(SystemExit):
        override("--help")
    shown = set(re.findall(r"(?<=\s)--[a-z][a-z0-9.-]*", capsys.readouterr().out))
    assert shown - {"--help"} == set(configs.flags_of(BASE))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--num-env", "3"], "unknown option '--num-env': did you mean '--num-envs'?"),
        (["--ppo.learning-rat=1"], "did you mean '--ppo.learning-rate'?"),
        (["--learning_rate", "1"], "did you mean '--ppo.learning-rate'?"),
        (["--task-config.treshold", "1"], "did you mean '--task-config.threshold'?"),
        (["--ppo.learning-rate", "fast"], "--ppo.learning-rate: could not convert"),
        (["--num-envs", "1.5"], "--num-envs: invalid literal"),
        (["--num-envs"], "Missing value for argument '--num-envs'"),
        (["--num-envs", "0"], "num_envs must be at least 1, got 0"),
        (["--control.mode", "ee"], "invalid choice 'ee' for argument '--control.mode'"),
        (["--control.joint-leash", "-1"], "joint_leash must be positive"),
        (["--task", "pick_cub"], "unknown task 'pick_cub': did you mean 'pick_cube'?"),
        (["--task", "reach"], "task 'reach' takes a ReachConfig, got a PickCubeConfig"),
        (["--checkpoint.every-updates", "0"], "checkpoint.every_updates must be at least 1"),
        (["--evaluation.episodes", "0"], "evaluation.episodes must be at least 1"),
        (
            ["--seed", "18446744073709551616"],
            "seed must be at least 0 and less than 2**32, got 184",
        ),
        (["--evaluation.seed", "-1"], "evaluation.seed must be at least 0 and less than 2**32"),
        (["stray"], "Unrecognized options: stray"),
    ],
)
def test_bad_flags_are_one_line(flags: list[str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        override(*flags)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("conf = 3", "has no 'config'"),
        ("config = 3", "'config' must be a mjxsim.config.TrainConfig, got int"),
        ("import os\nconfig = undefined", ":2: NameError"),
        ("config = (", ":1: SyntaxError"),
        ("from mjxsim.control import Nothing", "ImportError"),
        (
            "from mjxsim.config import TrainConfig\nconfig = TrainConfig(task='reech', "
            "task_config=None)",
            ":2: ValueError: unknown task 'reech': did you mean 'reach'?",
        ),
    ],
)
def test_bad_files_are_one_line(tmp_path: pathlib.Path, text: str, said: str) -> None:
    path = tmp_path / "config_under_test.py"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        configs.load(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_absent_file_names_the_nearest(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "reach.py").write_text("")
    monkeypatch.chdir(tmp_path)
    for name in ("configs/reech.py", "config/reach.py"):
        with pytest.raises(
            ConfigError, match=r"no configuration file .*did you mean configs.reach"
        ):
            configs.load(pathlib.Path(name))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tusk": 3}, "unknown field 'tusk': did you mean 'task'?"),
        ({"num_envs": "8"}, "num_envs: expected int, got '8'"),
        ({"num_envs": True}, "num_envs: expected int, got True"),
        ({"ppo": {"learning_rat": 1.0}}, "did you mean 'ppo.learning_rate'?"),
        ({"ppo": {"hidden": [8, "9"]}}, "ppo.hidden[1]: expected int, got '9'"),
        ({"task_config": {"cube_low": [1.0]}}, "task_config.cube_low: expected 2 values, got 1"),
        ({"control": {"mode": "ee"}}, "control.mode"),
        ({"task": "reech"}, "unknown task 'reech'"),
        ({"task": None}, "field 'task' is missing"),
        ({"control": 3}, "control: expected an object"),
    ],
)
def test_bad_json_names_the_field(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError) as caught:
        configs.from_json({**configs.to_json(BASE), **change})
    assert said in str(caught.value)


def test_json_takes_whole_numbers_for_floats_and_defaults_for_absent() -> None:
    config = configs.from_json({"task": "reach", "ppo": {"learning_rate": 1}})
    assert config == TrainConfig(
        task="reach", task_config=ReachConfig(), ppo=PPOConfig(learning_rate=1.0)
    )
    assert isinstance(config.ppo.learning_rate, float)


def test_differences_are_dotted() -> None:
    other = override("--ppo.epochs", "2", "--task-config.mass", "0.2")
    assert configs.differences(BASE, other) == {
        "ppo.epochs": (BASE.ppo.epochs, 2),
        "task_config.mass": (0.1, 0.2),
    }

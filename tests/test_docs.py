"""What README.md and docs/ show is run here, as written but for sizes."""

import os
import pathlib
import re
import subprocess
import sys
import types
from collections.abc import Iterator

import pytest

import mjxsim
from mjxsim.config import load
from mjxsim.control import ControlConfig
from mjxsim.learning.ppo import PPOConfig
from mjxsim.rendering import NoRendererError
from mjxsim.robots import ROBOTS
from mjxsim.tasks import TASKS
from mjxsim.tasks.pick_cube import PickCubeConfig

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]

PICK_CUBE = load(ROOT / "configs" / "pick_cube.py")

# Sizes that are cut so that a snippet takes seconds. Nothing else of a snippet is changed.
SMALLER = {
    f"num_envs={PICK_CUBE.num_envs}, total_steps={PICK_CUBE.total_steps:_}": (
        "num_envs=16, total_steps=1_000"
    ),
    "episodes=256": "episodes=8",
    "1024": "16",
}


def blocks(path: pathlib.Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text("utf-8"), re.DOTALL | re.M)


def smaller(code: str) -> str:
    for large, small in SMALLER.items():
        code = code.replace(large, small)
    return code


README = blocks(ROOT / "README.md", "python")


def test_every_size_is_cut() -> None:
    """A size that is not found would silently run at full length; and it is the config's own."""
    readme = "\n".join(README)
    assert {large for large in SMALLER if large not in readme} == set()


def test_readme_trains_what_the_command_trains() -> None:
    """README.md's Python says `PPOConfig()`, a control mode, and default task settings."""
    mode = PICK_CUBE.control.mode
    assert PICK_CUBE.ppo == PPOConfig()
    assert PICK_CUBE.control == ControlConfig(mode=mode)
    assert f'control="{mode}"' in README[0]
    assert PICK_CUBE.task_config == PickCubeConfig()


@pytest.mark.parametrize("code", README, ids=range(len(README)))
def test_readme_runs(code: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        exec(compile(smaller(code), "README.md", "exec"), {"__name__": "readme"})
    except NoRendererError as error:
        pytest.skip(f"ran up to the video: {error}")
    if "record_video" in code:
        assert (tmp_path / "pick_cube.mp4").stat().st_size > 1000


def test_train_evaluate_and_render_in_about_ten_lines() -> None:
    lines = [line for line in README[0].splitlines() if line.strip()]
    assert len(lines) <= 14, "imports and ten lines"


@pytest.mark.parametrize("page", ["control.md", "rendering.md"])
def test_page_runs(page: str) -> None:
    (code,) = blocks(ROOT / "docs" / page, "python")
    exec(compile(smaller(code), f"docs/{page}", "exec"), {"__name__": "docs"})


@pytest.mark.parametrize(
    "page",
    ["randomization.md", "randomization_env.md", "randomization_visual.md", "datasets.md"],
)
def test_page_of_steps_runs(page: str) -> None:
    code = "\n".join(blocks(ROOT / "docs" / page, "python"))
    exec(compile(code, f"docs/{page}", "exec"), {"__name__": "docs"})


def test_seeing_page_runs(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("viser")
    pytest.importorskip("rerun")
    monkeypatch.chdir(tmp_path)
    code = "\n".join(blocks(ROOT / "docs" / "seeing.md", "python"))
    exec(compile(code, "docs/seeing.md", "exec"), {"__name__": "docs"})
    assert (tmp_path / "out.rrd").stat().st_size > 1000


# docs/add_a_task.md: the file, the registry line, the configuration, and a look at it.


@pytest.fixture
def worked_example(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """The page's blocks put where the page says; by the first line's file name."""
    found = blocks(ROOT / "docs" / "add_a_task.md", "python")
    named = {re.sub(r"^# (\S+\.py)\n.*", r"\1", b, flags=re.DOTALL): b for b in found[:3]}
    named["look"] = found[3]

    module = types.ModuleType("mjxsim.tasks.slide_cube")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    code = compile(named["mjxsim/tasks/slide_cube.py"], "slide_cube.py", "exec")
    exec(code, module.__dict__)
    line = eval("{" + named["mjxsim/tasks/registry.py"] + "}", module.__dict__)
    for name, classes in line.items():
        monkeypatch.setitem(TASKS, name, classes)
    yield named


def test_new_task_is_solved_by_its_expert(worked_example: dict[str, str]) -> None:
    names: dict[str, object] = {"__name__": "docs"}
    exec(compile(worked_example["look"], "docs/add_a_task.md", "exec"), names)
    result = names["result"]
    assert result.episodes == 64
    # A geometric script: more than a few unlucky starts mean that the page is wrong.
    assert result.success_rate >= 60 / 64
    assert result.diverged_rate == 0.0


def test_new_task_has_a_configuration(
    worked_example: dict[str, str], tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "slide_cube.py"
    path.write_text(worked_example["configs/slide_cube.py"], "utf-8")
    config = load(path)
    assert config.task == "slide_cube"
    env = mjxsim.make(config.task, engine="c", config=config.task_config, announce=False)
    assert env.observation_layout["cube_to_line"].stop == env.observation_size


def test_new_task_is_one_short_file(worked_example: dict[str, str]) -> None:
    assert worked_example["mjxsim/tasks/slide_cube.py"].count("\n") < 200


# docs/add_a_robot.md: the file, the robot, and a task with it.


def test_adopted_robot_solves_pick_cube(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = ROOT / "docs" / "add_a_robot.md"
    (mjcf,) = blocks(page, "xml")
    robot, look, line = blocks(page, "python")
    (tmp_path / "my_arm.xml").write_text(mjcf, "utf-8")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "docs"}
    exec(compile(robot, "my_arm.py", "exec"), names)
    exec(compile(look, "look.py", "exec"), names)
    result = names["result"]
    assert result.success_rate >= 60 / 64
    assert result.diverged_rate == 0.0
    monkeypatch.setitem(ROBOTS, *eval("{" + line + "}", names).popitem())
    assert mjxsim.make("reach", robot="my_arm", engine="c", announce=False).action_size == 4


# The commands.


@pytest.fixture(scope="module")
def commands() -> list[str]:
    lines = "\n".join(b for path in DOCUMENTS for b in blocks(path, "bash")).splitlines()
    return [line for line in lines if line.startswith("python -m mjxsim.")]


def test_commands_name_files_that_exist(commands: list[str]) -> None:
    configs = {m for line in commands for m in re.findall(r"--config (\S+)", line)}
    assert "configs/pick_cube.py" in configs
    missing = {c for c in configs if not (ROOT / c).is_file()}
    assert missing <= {"configs/slide_cube.py"}, "all but the worked example's"


def test_flags_exist(commands: list[str]) -> None:
    """Every flag in a command or in README.md's table is in the program's own help."""
    table = re.findall(r"^\| `(--[a-z.-]+)`", (ROOT / "README.md").read_text("utf-8"), re.M)
    assert len(table) > 5
    shown = {
        "train": {*table, *_flags(c for c in commands if "mjxsim.train" in c)},
        "evaluate": _flags(c for c in commands if "mjxsim.evaluate" in c),
        "record": _flags(c for c in commands if "mjxsim.record" in c),
        "replay": _flags(c for c in commands if "mjxsim.replay" in c),
        "view": _flags(c for c in commands if "mjxsim.view" in c),
    }
    for module, flags in shown.items():
        command = [sys.executable, "-m", f"mjxsim.{module}"]
        if module == "train":
            command += ["--config", "configs/pick_cube.py"]
        done = subprocess.run(
            [*command, "--help"],
            cwd=ROOT,
            env={**os.environ, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        absent = {f for f in flags if not re.search(rf"{re.escape(f)}\b", done.stdout)}
        assert not absent, f"mjxsim.{module} has no such flag"


def _flags(lines: Iterator[str]) -> set[str]:
    return {flag for line in lines for flag in re.findall(r"--[a-z][a-z.-]*", line)}


def test_links_lead_somewhere() -> None:
    broken = [
        f"{path.name}: {target}"
        for path in DOCUMENTS
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text("utf-8"))
        if not (path.parent / target).exists()
    ]
    assert not broken

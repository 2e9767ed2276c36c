"""Training as a user meets it: a run, its files, an end by kill -9, and mistakes.

Runs are tiny and say nothing about learning; that is measured by training the configurations.
"""

import errno
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
from typing import Any

import jax
import mujoco
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

import mjxsim
from mjxsim import evaluation, runs, train
from mjxsim.learning import checkpoint
from mjxsim.runs import session
from mjxsim.runs.run_dir import RunDir, create

ROOT = pathlib.Path(__file__).parent.parent
NUM_ENVS, UPDATES, EPISODES = 8, 40, 8
STEPS = UPDATES * NUM_ENVS * 4
REACH, PICK = (str(ROOT / "configs" / name) for name in ("reach.py", "pick_cube.py"))
FLAGS = [
    *("--config", REACH, "--engine", "c", "--seed", "5"),
    *("--num-envs", str(NUM_ENVS), "--total-steps", str(STEPS), "--ppo.unroll-length", "4"),
    *("--ppo.minibatches", "2", "--ppo.epochs", "2", "--ppo.hidden", "16", "16"),
    *("--evaluation.episodes", str(EPISODES), "--evaluation.no-video"),
    *("--checkpoint.every-updates", "4"),
]


@pytest.fixture(scope="module")
def compile_once() -> Any:
    """Compiles each program once for all runs that use this in the place of session._compile.

    JAX's cache on disk does not hold programs that call C.
    """
    original, compiled = session._compile, {}

    def compile_(env: Any, fun: Any, *args: Any, donate: bool = False) -> Any:
        ppo = fun.__self__
        name = fun.__name__, ppo.config, ppo.num_envs, ppo.total_steps
        if name not in compiled:
            compiled[name] = original(env, fun, *args, donate=donate)
        return compiled[name]

    return compile_


@pytest.fixture
def shared_programs(compile_once: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_compile", compile_once)


@pytest.fixture(scope="module")
def finished(compile_once: Any, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The directory of a run that nothing interrupted."""
    path = tmp_path_factory.mktemp("train") / "finished"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "_compile", compile_once)
        assert train.main([*FLAGS, "--output-dir", str(path)]) == 0
    return path


def final_state(path: pathlib.Path) -> dict[str, bytes]:
    found = checkpoint.latest(RunDir(path).checkpoints)
    assert found.step == STEPS
    return {name: array.tobytes() for name, array in found.arrays.items()}


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr."""
    text = capsys.readouterr().err
    assert text.count("\n") == 1, text
    return text


def exhausted(*args: object, **kwargs: object) -> None:
    raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")


def test_result(finished: pathlib.Path) -> None:
    result = json.loads(RunDir(finished).result.read_text())
    low, high = result["success_ci95"]
    assert 0.0 <= low <= result["success_rate"] <= high <= 1.0
    assert (result["episodes"], result["env_steps"], result["seed"]) == (EPISODES, STEPS, 5)
    assert (result["engine"], result["device"], result["task"]) == ("c", "cpu", "reach")
    assert 0.0 < result["compile_s"] < result["wall_clock_s"]
    assert 0.0 < result["train_s"] < result["wall_clock_s"]
    assert result["faults"].keys() == {
        "diverged",
        "invalid_action",
        "contact_overflow",
        "constraint_overflow",
    }
    for package in ("mjxsim", "python", "jax", "mujoco", "mujoco_mjx", "flax", "optax"):
        assert re.match(r"\d+\.\d+", result["versions"][package])
    assert result["hardware"]["cores"] >= 1
    assert result["hardware"]["cpu"]


def test_tensorboard_has_return_and_success(finished: pathlib.Path) -> None:
    (file,) = RunDir(finished).tensorboard.iterdir()
    data, offset, series = file.read_bytes(), 0, {}
    while offset < len(data):  # TFRecord: length, its checksum, bytes, their checksum
        (length,) = struct.unpack_from("<Q", data, offset)
        event = Event.FromString(data[offset + 12 : offset + 12 + length])
        offset += 16 + length
        for value in event.summary.value:
            series.setdefault(value.tag, {})[event.step] = value.simple_value
    assert {"episode/return", "episode/success", "episode/episode_length"} <= series.keys()
    assert {"learner/policy_loss", "learner/value_loss", "learner/entropy"} <= series.keys()
    assert len(series["learner/policy_loss"]) == UPDATES
    assert max(series["learner/policy_loss"]) == STEPS
    # Where no episode ended there is no mean over episodes.
    ended = {step for step, n in series["learner/episodes"].items() if n}
    assert set(series["episode/return"]) == set(series["episode/success"]) == ended
    assert 0 < len(ended) < UPDATES


def test_the_policy_on_disk_is_the_one_that_was_measured(finished: pathlib.Path) -> None:
    run = runs.load(finished)
    measured = evaluation.evaluate(
        run.env, run.policy, episodes=EPISODES, seed=run.config.evaluation.seed
    )
    result = json.loads(RunDir(finished).result.read_text())["evaluation"]
    # Here the parameters are constants of the compiled program and there arguments, which XLA may
    # round differently in the last bit; over 50 steps of contact-free motion that stays tiny.
    assert measured.return_mean == pytest.approx(result["return_mean"], rel=1e-3)
    assert measured.success_rate == result["success_rate"]
    assert run.env_steps == STEPS


# Dies as by kill -9, with the third checkpoint written but not yet given its name.
KILLED = """
import os, signal, sys
from mjxsim import train
from mjxsim.learning import checkpoint

real, calls = checkpoint._write, []

def write(*args):
    real(*args)
    calls.append(args)
    if len(calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint._write = write
train.main(sys.argv[1:])
"""


def test_resumes_after_kill_9_to_the_same_bits(
    finished: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    command = [sys.executable, "-c", KILLED, *FLAGS, "--output-dir", str(path)]
    died = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    kept = sorted(p.name for p in RunDir(path).checkpoints.iterdir())
    assert [name.partition(".tmp-")[0][-4:] for name in kept] == ["0128", "0256", "0384"]
    assert ".tmp-" in kept[2]
    assert train.main(["--resume", "--output-dir", str(path)]) == 0
    assert "step_0000000256 at 256 of" in capsys.readouterr().out
    assert final_state(path) == final_state(finished)
    a, b = (json.loads(RunDir(p).result.read_text())["evaluation"] for p in (path, finished))
    assert a == b
    assert not list(RunDir(path).checkpoints.glob("*.tmp-*"))


@pytest.mark.usefixtures("shared_programs")
def test_interrupt_saves_and_says_how_to_resume(
    finished: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "run"
    save, calls = checkpoint.save, []

    def save_then_interrupt(*args: Any, **kwargs: Any) -> pathlib.Path:
        calls.append(args)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return save(*args, **kwargs)

    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", save_then_interrupt)
        assert train.main([*FLAGS, "--output-dir", str(path)]) == 130
    line = said(capsys)
    step = checkpoint.latest(RunDir(path).checkpoints).step
    assert step == STEPS // UPDATES * 9  # one update after the second checkpoint
    assert f"interrupted; step {step} is saved; continue with: python -m mjxsim.train" in line
    assert signal.getsignal(signal.SIGINT) is handler
    # The torn checkpoint is skipped, and the end is that of the run never interrupted.
    (checkpoint.steps(RunDir(path).checkpoints)[0] / "manifest.json").unlink()
    assert train.main(line.split("mjxsim.train ")[1].split()) == 0
    assert "is torn: no manifest.json; skipping it" in capsys.readouterr().out
    assert final_state(path) == final_state(finished)


@pytest.mark.usefixtures("shared_programs")
def test_full_disk_loses_nothing(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run"
    calls = []

    def third_is_full(directory: pathlib.Path, arrays: object) -> None:
        calls.append(directory)
        if len(calls) >= 3:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "_check_space", third_is_full)
    assert train.main([*FLAGS, "--output-dir", str(path)]) == 1
    out = capsys.readouterr().out
    assert "no space left on the disk" in out
    assert "training goes on" in out
    assert "error: the last state could not be saved" in out
    assert out.splitlines()[-1].startswith("success ")
    assert len(calls) == UPDATES // 4  # it kept trying
    assert json.loads(RunDir(path).result.read_text())["env_steps"] == STEPS
    assert checkpoint.latest(RunDir(path).checkpoints).step == STEPS // UPDATES * 8


def test_batch_that_does_not_fit_is_one_line(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_compile", exhausted)
    path = tmp_path / "run"
    for _ in range(2):  # the directory can be used again: nothing of value is in it
        assert train.main([*FLAGS, "--output-dir", str(path)]) == 2
        assert f"does not hold {NUM_ENVS} worlds: use --num-envs 4" in said(capsys)


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        ([], "--config FILE is missing"),
        (["--config"], "--config needs a value"),
        (["--config", "configs/reech.py"], "no configuration file configs/reech.py"),
        ([*FLAGS, "--robot", "pandaa"], "unknown robot 'pandaa': did you mean 'panda'?"),
        ([*FLAGS, "--engine", "mjxx"], "unknown engine 'mjxx': did you mean 'mjx'?"),
        ([*FLAGS, "--num-env", "3"], "unknown option '--num-env': did you mean '--num-envs'?"),
        ([*FLAGS, "--num-envs", "3", "--ppo.minibatches", "5"], "multiple of minibatches"),
        ([*FLAGS, "--task-config.control-dt", "0"], "control_dt must be positive"),
    ],
)
def test_mistakes_are_one_line(
    argv: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train.main(argv) == 2
    assert line in said(capsys)


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        ([], "holds a run already: add --resume to continue it"),
        (["--resume", "--seed", "6"], "seed is 5 in the run to resume and 6 here"),
        (["--resume", "--ppo.epochs", "3"], "ppo.epochs is 2 in the run to resume and 3 here"),
        (["--resume", "--engine", "mjx"], "has another engine: c there, mjx here"),
    ],
)
def test_mistakes_about_a_run_are_one_line(
    finished: pathlib.Path, flags: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before, config = final_state(finished), RunDir(finished).config.read_bytes()
    assert train.main([*FLAGS, "--output-dir", str(finished), *flags]) == 2
    assert line in said(capsys)
    assert final_state(finished) == before
    assert RunDir(finished).config.read_bytes() == config


@pytest.mark.usefixtures("shared_programs")
def test_resume_keeps_the_flags_of_the_run(
    finished: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run"
    shutil.copytree(finished, path)
    RunDir(path).result.unlink()
    shutil.rmtree(checkpoint.steps(RunDir(path).checkpoints)[0])
    assert train.main(["--config", REACH, "--output-dir", str(path), "--resume"]) == 0
    assert f"of {STEPS} steps" in capsys.readouterr().out
    assert final_state(path) == final_state(finished)
    # The configuration as written serves a new run too: here, of that one's flags.
    again = train.parse(["--config", str(RunDir(path).config)])
    assert (again.seed, again.output_dir, again.resume) == (5, None, False)

    assert train.main(["--config", PICK, "--output-dir", str(path), "--resume"]) == 2
    assert f"--config {PICK} is of task pick_cube, the run to resume in" in said(capsys)


@pytest.mark.usefixtures("shared_programs")
def test_failing_video_loses_nothing(
    finished: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise mujoco.FatalError("no\nframebuffer")

    monkeypatch.setattr(session, "record_video", fail)
    path = tmp_path / "run"
    shutil.copytree(finished, path)
    assert train.main(["--resume", "--output-dir", str(path), "--evaluation.video"]) == 0
    *_, success, recording, last = capsys.readouterr().out.splitlines()
    assert success.startswith("success ")
    assert recording.startswith("recording a video")
    assert last == "no video: no framebuffer"


def test_evaluation_that_does_not_fit_is_one_line(
    finished: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.Evaluator, "__call__", exhausted)
    argv = ["--resume", "--output-dir", str(finished)]
    assert train.main(argv) == 2
    line = said(capsys)
    assert f"does not hold {EPISODES} worlds to evaluate" in line
    assert line.endswith(f"--resume --output-dir {finished} --evaluation.episodes 4\n")


def test_absent_run_names_the_nearest(
    finished: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--resume", "--output-dir", str(finished.with_name("finishd"))]
    assert train.main(argv) == 2
    assert f"did you mean '{finished}'" in said(capsys)


def test_checkpoint_of_another_version_or_task_is_refused(
    finished: pathlib.Path,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(mjxsim, "__version__", "9.9.9")
        assert train.main(["--resume", "--output-dir", str(finished)]) == 2
        assert "another version of mjxsim: 0.1.0 there, 9.9.9 here" in said(capsys)
        lines: list[str] = []
        runs.load(finished, say=lines.append)  # acting is still possible, with a word about it
        assert len(lines) == 1
        assert "9.9.9" in lines[0]
    other = tmp_path / "other"
    flags = ["--num-envs", "8", "--total-steps", "32", "--output-dir", str(other)]
    create(other, "x")
    checkpoint.save(
        RunDir(other).checkpoints,
        32,
        {"x": np.zeros(1)},
        checkpoint.latest(RunDir(finished).checkpoints).metadata,
    )
    config = train.parse(["--config", PICK, *flags])
    RunDir(other).config.write_text(json.dumps(train.configs.to_json(config)))
    assert train.main(["--resume", "--output-dir", str(other)]) == 2
    assert "has another task: reach there, pick_cube here" in said(capsys)


def test_policy_of_another_observation_is_refused(
    finished: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    found = checkpoint.latest(RunDir(finished).checkpoints)
    metadata = json.loads(json.dumps(found.metadata))
    metadata["identity"]["observation_layout"]["goal"] = [0, 9]
    checkpoint.save(tmp_path / "checkpoints", 1, dict(found.arrays), metadata)
    with pytest.raises(checkpoint.CheckpointError, match=r"layout of the observation: {'goal'"):
        runs.load(tmp_path)
    for path, line in ((tmp_path / "none", "no directory"), (tmp_path.parent, "no checkpoint in")):
        with pytest.raises(checkpoint.CheckpointError, match=line):
            runs.load(path)


@pytest.mark.usefixtures("shared_programs")
def test_loss_that_is_not_finite_stops_before_it_is_saved(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = session._compile

    class Broken:
        def __init__(self, call: Any) -> None:
            self.call, self.memory_analysis = call, call.memory_analysis

        def __call__(self, state: Any) -> Any:
            return self.call(state)[0], {"policy_loss": np.float32(np.nan)}

    def broken(env: Any, fun: Any, *args: Any, donate: bool = False) -> Any:
        call = real(env, fun, *args, donate=donate)
        return Broken(call) if fun.__name__ == "update" else call

    monkeypatch.setattr(session, "_compile", broken)
    path = tmp_path / "run"
    assert train.main([*FLAGS, "--output-dir", str(path)]) == 2
    assert "policy_loss not finite at step 32" in said(capsys)
    assert not checkpoint.steps(RunDir(path).checkpoints)

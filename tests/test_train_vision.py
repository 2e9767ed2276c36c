"""configs/pick_cube_vision.py as a user trains it, tiny: trained, resumed, evaluated, loaded."""

import json
import pathlib
import shutil
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from mjxsim import envs, runs, train
from mjxsim.evaluation import Evaluator
from mjxsim.learning import checkpoint
from mjxsim.runs import session
from mjxsim.runs.run_dir import RunDir

ROOT = pathlib.Path(__file__).parent.parent
STEPS = 32  # four updates of 4 worlds x 2 steps
FLAGS = [
    *("--config", str(ROOT / "configs" / "pick_cube_vision.py"), "--engine", "c"),
    *("--num-envs", "4", "--total-steps", str(STEPS), "--task-config.episode-seconds", "0.3"),
    *("--cameras.height", "16", "--cameras.width", "16"),
    *("--ppo.unroll-length", "2", "--ppo.minibatches", "2", "--ppo.hidden", "8"),
    *("--ppo.encoder.filters", "4", "--ppo.encoder.kernels", "4", "--ppo.encoder.strides", "4"),
    *("--ppo.encoder.features", "8", "--checkpoint.every-updates", "2"),
    *("--evaluation.episodes", "2", "--evaluation.no-video"),
]


def test_a_run_from_pictures(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original, compiled, evaluators = session._compile, {}, []

    def compile_once(env: Any, fun: Any, *args: Any, donate: bool = False) -> Any:
        if fun.__name__ not in compiled:
            compiled[fun.__name__] = original(env, fun, *args, donate=donate)
        return compiled[fun.__name__]

    def evaluator_once(*args: Any, **options: Any) -> Evaluator:
        if not evaluators:
            evaluators.append(Evaluator(*args, **options))
        return evaluators[0]

    monkeypatch.setattr(session, "_compile", compile_once)
    monkeypatch.setattr(session, "Evaluator", evaluator_once)
    path, cut = tmp_path / "run", tmp_path / "cut"
    assert train.main([*FLAGS, "--output-dir", str(path)]) == 0
    assert "for 4 worlds and what is learned from them" in capsys.readouterr().out  # memory
    result = json.loads(RunDir(path).result.read_text("utf-8"))
    assert (result["cameras"], result["env_steps"]) == (["wrist"], STEPS)
    assert result["evaluation"]["episodes"] == 2

    # As if it had been killed after its first checkpoint.
    shutil.copytree(path, cut)
    RunDir(cut).result.unlink()
    *_, last = sorted(checkpoint.steps(RunDir(cut).checkpoints))
    shutil.rmtree(last)
    assert train.main(["--resume", "--output-dir", str(cut)]) == 0
    ours, theirs = (checkpoint.latest(RunDir(p).checkpoints) for p in (path, cut))
    assert ours.step == theirs.step == STEPS
    for name, array in ours.arrays.items():
        assert array.tobytes() == theirs.arrays[name].tobytes(), name

    again = json.loads(RunDir(cut).result.read_text("utf-8"))
    assert again["evaluation"] == result["evaluation"]
    run = runs.load(path)
    shapes = jax.eval_shape(
        lambda key: run.env.observation(envs.reset_batch(run.env, key, 2)), jax.random.key(0)
    )
    seen = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    assert seen["observation.images.wrist"].shape == (2, 16, 16, 3)
    assert run.policy(seen).shape == (2, run.env.action_size)

"""Evaluates a trained policy, from the command line.

    python -m mjxsim.evaluate --checkpoint runs/pick_cube --episodes 256 --video pick_cube.mp4

Prints a table and writes it as `evaluation.json` into the run directory. Exit codes: 0 done; 1
done, but a file could not be written; 2 a mistake in what was asked.
"""

import argparse
import dataclasses
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, cast

from mjxsim import config as configs
from mjxsim import runs
from mjxsim.evaluation import EvaluationResult, evaluate, record_video
from mjxsim.files import Json, write_json
from mjxsim.learning.checkpoint import CheckpointError
from mjxsim.naming import unknown
from mjxsim.rendering import NoRendererError
from mjxsim.runs import Run, provenance

PROG = "python -m mjxsim.evaluate"


class UsageError(ValueError):
    """A command line that cannot be used; the message is one line."""


@dataclasses.dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    checkpoint: pathlib.Path
    episodes: int
    seed: int | None
    engine: str | None
    output: pathlib.Path | None
    video: pathlib.Path | None
    camera: str


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    try:
        return run(parse(sys.argv[1:] if argv is None else argv))
    except (CheckpointError, ValueError, RuntimeError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr, flush=True)
        return 2
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        print(f"error: {error.strerror or error}{where}", file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr, flush=True)
        return 130


def parse(argv: Sequence[str]) -> Request:
    """What a command line asks for; exits after printing `--help`.

    Raises:
      UsageError: an unknown option (with the nearest valid one) or a value that does not fit.
    """
    parser = _Parser(prog=PROG, description="Evaluates a trained policy.", allow_abbrev=False)
    add = parser.add_argument
    path = pathlib.Path
    add("--checkpoint", type=path, required=True, metavar="DIR", help="run directory or checkpoint")
    add("--episodes", type=int, default=256, help="fresh episodes (default: 256)")
    add("--seed", type=int, help="of starts and goals (default: the run's own evaluation.seed)")
    add("--engine", help="auto, c, mjx or warp (default: the run's own)")
    add("--output", type=path, metavar="FILE", help="JSON (default: evaluation.json in the run)")
    add("--video", type=path, metavar="FILE", help="also record the first four episodes, as MP4")
    add("--camera", default="front", help="of the video (default: front)")
    known, rest = parser.parse_known_args(argv)
    for word in rest:
        name = word.split("=")[0]
        if name.startswith("-"):
            raise UsageError(unknown("option", name, parser.options()))
        raise UsageError(f"unexpected {word!r}: options are {', '.join(parser.options())}")
    return Request(**vars(known))


def run(request: Request) -> int:
    """Evaluates, prints and writes as asked; returns the exit code.

    Raises:
      CheckpointError: no checkpoint there, or one that does not fit.
      ValueError: an unknown engine or camera, fewer than one episode, or a seed out of range.
      RuntimeError: the engine is not installed.
    """
    if request.episodes < 1:
        raise UsageError(f"--episodes must be at least 1, got {request.episodes}")
    if request.seed is not None:
        configs.check_seed("--seed", request.seed)
    trained = runs.load(request.checkpoint, engine=request.engine)
    seed = trained.config.evaluation.seed if request.seed is None else request.seed
    result = evaluate(trained.env, trained.policy, episodes=request.episodes, seed=seed)
    output = request.output or _beside(request.checkpoint)
    # The file first: whoever reads what is printed may stop reading.
    written = _try_to_write(output, lambda: write_json(output, _report(trained, result)))
    print(result.table())
    if written:
        print(f"written to {output}", flush=True)
    if request.video is None:
        return 0 if written else 1
    video = request.video

    def record() -> None:
        record_video(
            trained.env,
            trained.policy,
            video,
            episodes=min(4, request.episodes),
            seed=seed,
            camera=request.camera,
        )

    recorded = _try_to_write(video, record)
    if recorded:
        print(f"video in {video}")
    return 0 if written and recorded else 1


def _try_to_write(path: pathlib.Path, write: Callable[[], None]) -> bool:
    """Whether `write` could write `path`; if not, says why in one line."""
    try:
        write()
    except NoRendererError as error:
        print(f"error: no video: {error}", file=sys.stderr)
        return False
    except OSError as error:
        print(f"error: cannot write {path}: {error.strerror or error}", file=sys.stderr)
        return False
    return True


def _report(trained: Run, result: EvaluationResult) -> dict[str, Json]:
    return {
        **cast(dict[str, Json], result.to_json()),
        "checkpoint": str(trained.directory),
        "env_steps": trained.env_steps,
        "device": provenance.device(),
        "versions": provenance.versions(),
    }


def _beside(checkpoint: pathlib.Path) -> pathlib.Path:
    """In a run directory; beside a single checkpoint, which holds only what its manifest lists."""
    if (checkpoint / "manifest.json").is_file():
        return checkpoint.with_name(f"{checkpoint.name}.evaluation.json")
    return checkpoint / "evaluation.json"


class _Parser(argparse.ArgumentParser):
    """Raises instead of printing the whole usage."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {PROG} --help")

    def options(self) -> list[str]:
        return sorted(o for a in self._actions for o in a.option_strings if o.startswith("--"))


if __name__ == "__main__":
    sys.exit(main())

"""Trains configurations on the engines asked for and fills in the README's table.

    python -m benchmarks.learning                            # what the README shows
    python -m benchmarks.learning --engines c mjx --seeds 0 1 2
    python -m benchmarks.learning --configs configs/insert_peg.py --engines warp

Each run is the command a user would type, in a process of its own. Its result.json is kept in
benchmarks/results/learning, named by task, robot, engine, seed and machine, and the table is made
of all that are there. Nothing else should run on the machine meanwhile.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

from benchmarks import report, store

ROOT = pathlib.Path(__file__).parents[1]
KEPT = ROOT / "benchmarks" / "results" / "learning"
# What two cores learn in minutes; insert_peg and handover are for a GPU.
LEARNED = (
    *("reach", "push_cube", "pick_cube", "pick_cube_sac", "pick_place", "stack_cubes"),
    *("open_drawer", "so100_reach", "so100_push_cube", "so100_pick_cube"),
)


def train(config: pathlib.Path, engine: str, seed: int, output: pathlib.Path) -> None:
    """One run through the command line, its output shown."""
    command = [sys.executable, "-m", "mjxsim.train", "--config", str(config)]
    command += ["--engine", engine, "--seed", str(seed), "--output-dir", str(output)]
    subprocess.run(command, check=True, cwd=ROOT)


def main() -> None:
    """Runs everything, one after another, keeping each result as it comes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    usual = [ROOT / "configs" / f"{name}.py" for name in LEARNED]
    parser.add_argument("--configs", nargs="+", type=pathlib.Path, default=usual)
    parser.add_argument("--engines", nargs="+", default=["c"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    given = parser.parse_args()
    KEPT.mkdir(parents=True, exist_ok=True)
    machine = store.key(store.hardware())
    for engine in given.engines:
        for seed in given.seeds:
            for config in given.configs:
                with tempfile.TemporaryDirectory() as folder:
                    output = pathlib.Path(folder) / "run"
                    train(config.resolve(), engine, seed, output)
                    kept = KEPT / f"{config.stem}-{engine}-seed{seed}-{machine}.json"
                    shutil.copyfile(output / "result.json", kept)
    report.write(ROOT / "README.md", report.runs(sorted(KEPT.glob("*.json"))))


if __name__ == "__main__":
    main()

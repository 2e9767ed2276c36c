"""How often each task's scripted expert succeeds, on every robot and engine.

    python -m benchmarks.experts                                 # every task and robot on C
    python -m benchmarks.experts --engines c mjx --tasks pick_cube stack_cubes --episodes 64

Prints a table as it goes and keeps each result in benchmarks/results/experts, by machine.
"""

import argparse
import json
import pathlib
import time

import mjxsim
from benchmarks.store import RESULTS, hardware, key, versions
from mjxsim import envs
from mjxsim.evaluation import evaluate_from_state
from mjxsim.files import write_json
from mjxsim.robots import ROBOTS
from mjxsim.tasks import TASKS
from mjxsim.tasks.registry import robots_for

KEPT = RESULTS / "experts"
MODES = ("ee_delta_yaw", "ee_delta_pose")


def main() -> None:
    """Measures what is asked for, one pair after another."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.experts", description=__doc__)
    parser.add_argument("--tasks", nargs="+", default=sorted(TASKS), choices=sorted(TASKS))
    parser.add_argument("--robots", nargs="+", default=list(ROBOTS), choices=list(ROBOTS))
    parser.add_argument("--engines", nargs="+", default=["c"])
    parser.add_argument("--episodes", type=int, default=256)
    parser.add_argument("--mode", default=MODES[0], choices=MODES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=pathlib.Path, default=KEPT, help="a folder")
    given = parser.parse_args()
    path = given.results / f"{key(hardware())}.json"
    kept = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    for engine in given.engines:
        for task in given.tasks:
            for robot in (r for r in given.robots if r in robots_for(task)):
                env = mjxsim.make(task, robot, engine, control=given.mode, announce=False)
                start = time.monotonic()
                result = evaluate_from_state(
                    env, envs.expert_policy(env), episodes=given.episodes, seed=given.seed
                )
                low, high = result.success_ci95
                took = time.monotonic() - start
                print(
                    f"{task:12} {robot:6} {engine:4} {result.success_rate:.3f} "
                    f"[{low:.3f}, {high:.3f}] of {result.episodes}, diverged "
                    f"{result.diverged_rate:.3f}, {took:.0f} s",
                    flush=True,
                )
                kept[f"{engine}/{task}/{robot}"] = {
                    "success_rate": result.success_rate,
                    "success_ci95": list(result.success_ci95),
                    "episodes": result.episodes,
                    "diverged_rate": result.diverged_rate,
                    "control": given.mode,
                    "seed": given.seed,
                    "hardware": hardware(),
                    "versions": versions(),
                }
                write_json(path, kept)


if __name__ == "__main__":
    main()

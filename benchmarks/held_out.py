"""What randomization buys: policies measured in worlds that none of them was trained in.

    python -m mjxsim.train --config configs/pick_cube_vision.py --output-dir runs/varied
    python -m mjxsim.train --config configs/pick_cube_vision_plain.py --output-dir runs/plain
    python -m benchmarks.held_out runs/plain runs/varied

Every run plays the same fresh episodes in each kind of world: as the model says, in the ranges of
the run that is given last, and in ranges that lie beyond them or reach further, of physics, of
looks and of both. The table goes into the README, and the numbers into benchmarks/results/held_out.
"""

import argparse
import dataclasses
import pathlib

from benchmarks import report, store
from mjxsim import runs
from mjxsim.evaluation import evaluate
from mjxsim.files import write_json
from mjxsim.randomization import (
    EnvironmentPhysics,
    ObjectPhysics,
    PhysicsRandomization,
    RandomizationConfig,
    Range,
    RobotPhysics,
)
from mjxsim.randomization.post_processing import PostProcessing
from mjxsim.randomization.visual_config import (
    Background,
    CameraRandomization,
    Lighting,
    Surface,
    Textures,
    VisualRandomization,
)
from mjxsim.runs.load import build_env

ROOT = pathlib.Path(__file__).parents[1]
KEPT = ROOT / "benchmarks" / "results" / "held_out"

# Beyond what configs/pick_cube_vision.py trains with.
PHYSICS = PhysicsRandomization(
    objects=ObjectPhysics(mass=Range(2.0, 4.0, "scale"), friction=Range(0.35, 0.6)),
    robot=RobotPhysics(joint_damping=Range(1.5, 2.5, "scale"), servo_kp=Range(0.7, 0.9, "scale")),
    environment=EnvironmentPhysics(gravity=Range(-0.3, 0.3, "add")),
)
LOOKS = VisualRandomization(
    hand_camera=CameraRandomization(
        position=Range(-0.006, 0.006, "add"), rotation=Range(-0.04, 0.04, "add")
    ),
    lighting=Lighting(
        position=Range(-0.6, 0.6, "add"),
        intensity=Range(0.5, 0.7, "scale"),
        color=Range(0.8, 1.2, "scale"),
    ),
    textures=Textures(
        objects=Surface(tint=Range(0.6, 0.8, "scale")),
        table=Surface(patterns=6, tint=Range(0.4, 1.5, "scale"), tile=Range(0.1, 0.4)),
        robot=Surface(tint=Range(0.6, 0.8, "scale")),
    ),
    background=Background(sky=Range(0.0, 0.2)),
    post_processing=PostProcessing(
        exposure=Range(-0.6, -0.3), noise_std=Range(0.02, 0.04), jpeg_quality=Range(50.0, 90.0)
    ),
)


def worlds(trained_in: RandomizationConfig) -> dict[str, RandomizationConfig]:
    """The kinds of worlds, by what the table calls them."""
    return {
        "as the model says": RandomizationConfig(),
        "training ranges": trained_in,
        "other physics": RandomizationConfig(physics=PHYSICS),
        "other looks": RandomizationConfig(visual=LOOKS),
        "both": RandomizationConfig(physics=PHYSICS, visual=LOOKS),
    }


def main() -> None:
    """Measures every run in every kind of world."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.held_out", description=__doc__)
    parser.add_argument("runs", nargs="+", type=pathlib.Path)
    parser.add_argument("--episodes", type=int, default=256)
    parser.add_argument("--engine", default=None)
    given = parser.parse_args()
    loaded = [runs.load(path, engine=given.engine) for path in given.runs]
    for path, run in zip(given.runs, loaded, strict=True):
        found = {"env_steps": run.env_steps, "worlds": {}}
        for name, random in worlds(loaded[-1].config.randomization).items():
            config = dataclasses.replace(run.config, randomization=random)
            env = build_env(config, engine=given.engine, announce=False).fully_randomized()
            result = evaluate(env, run.policy, episodes=given.episodes, seed=20_000)
            found["worlds"][name] = result.to_json()
            print(f"{path.name} in {name}: {result.success_rate:.3f}", flush=True)
        KEPT.mkdir(parents=True, exist_ok=True)
        machine = store.key(store.hardware())
        write_json(KEPT / f"{path.name}-{machine}.json", found)
    files = sorted(KEPT.glob("*.json"))
    report.write(ROOT / "README.md", report.held_out(files), "held out")


if __name__ == "__main__":
    main()

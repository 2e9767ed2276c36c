r"""How closely mjxsim follows gym-hil: the same starts, the same actions, step by step.

    python -m benchmarks.gym_hil_fidelity --python /path/to/gym_hil/bin/python --write

compares 100 steps of free motion, a grasp and lift by given actions, arrange-boxes, and a scripted
pick that looks at what each of the two shows; prints and, with --write, stores the differences in
docs/gym_hil_fidelity.json with a picture beside it, and what the tests compare with in
tests/data/gym_hil.json. MJXSIM_GYM_HIL_PYTHON names the interpreter too.
"""

import argparse
import json
import os
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import gym_hil_original
from benchmarks.gym_hil_pick import Pick
from mjxsim.compat import gym_hil
from mjxsim.compat.gym_hil.spaces import own_action
from mjxsim.envs import Env, State

ROOT = pathlib.Path(__file__).parents[1]
TEST_DATA = ROOT / "tests" / "data" / "gym_hil.json"
RESULT = ROOT / "docs" / "gym_hil_fidelity.json"
PICTURE = ROOT / "docs" / "gym_hil_fidelity.svg"

# Positions of TCP and first block may differ by this much over 100 steps. A step of the arm is up
# to 30 mm; what is left is float32 in the controller and side links taken to stand still in it.
TOLERANCE = 1e-4  # [m]
# Of the scripted pick, whose actions follow from what each shows: a difference of 0.05 mm where the
# fingers meet the cube, out of the middle, is moved along by contacts and by the actions after it.
PICK_TOLERANCE = 1e-3  # [m]
TCP, BLOCK = slice(15, 18), slice(18, 21)

CONTRACTS: dict[str, dict[str, Any]] = {
    "PandaPickCubeBase-v0": {},
    "PandaPickCubeBase-v0:image": {"image_obs": True},
    "PandaPickCube-v0": {},
    "PandaPickCube-v0:image": {"image_obs": True},
    "PandaArrangeBoxesBase-v0": {},
    "PandaArrangeBoxesBase-v0:image": {"image_obs": True},
    "PandaArrangeBoxes-v0": {},
    "PandaArrangeBoxes-v0:image": {"image_obs": True},
}


def free(steps: int = 100) -> np.ndarray:
    """Actions (steps, 7): a new direction every five steps, the gripper now and then."""
    rng = np.random.default_rng(0)
    actions = np.zeros((steps, 7))
    for k in range(0, steps, 5):
        actions[k : k + 5, :3] = 0.025 * rng.uniform(-1, 1, 3)
    actions[:12, 2] = np.abs(actions[:12, 2])
    actions[::10, 6] = rng.choice([-1, 0, 1], len(actions[::10]))
    return actions.astype(np.float32)


def grasp_and_lift() -> np.ndarray:
    """Actions (30, 7) that grasp a cube at (0.5, 0) and lift it."""
    actions = np.zeros((30, 7))
    actions[:6, :3] = [0.0016, 0.0, -0.0095]
    actions[6:12, 6] = 1.0
    actions[12:, 2] = 0.015
    return actions.astype(np.float32)


def episodes() -> dict[str, dict[str, Any]]:
    """What both play."""

    def pick_cube(xy: tuple[float, float], actions: np.ndarray | None) -> dict[str, Any]:
        steps = 100 if actions is None else len(actions)
        return {
            "task": "PandaPickCube",
            "blocks": {"block": xy},
            "actions": None if actions is None else actions.tolist(),
            "steps": steps,
        }

    places = (-0.3, -0.15, 0.0, 0.15, 0.3)
    arrange = {
        "task": "PandaArrangeBoxes",
        "blocks": {f"block{i + 1}": (0.3, places[(i + 2) % 5]) for i in range(5)},
        "actions": free(40).tolist(),
        "steps": 40,
    }
    starts = [(0.5, 0.0), (0.32, -0.13), (0.45, 0.1), (0.38, 0.14), (0.48, -0.06)]
    return {
        "free motion": pick_cube((0.5, 0.0), free()),
        "grasp and lift": pick_cube((0.5, 0.0), grasp_and_lift()),
        "arrange-boxes": arrange,
        **{f"scripted pick {i + 1}": pick_cube(xy, None) for i, xy in enumerate(starts)},
    }


class Ours:
    """Our environments, compiled once per task."""

    def __init__(self, engine: str = "c") -> None:
        self._engine = engine
        self._known: dict[str, Any] = {}

    def play(self, episode: dict[str, Any]) -> dict[str, Any]:
        """As `gym_hil_original.ask` gives it."""
        _, begin, step = self._programs(episode["task"])
        xy = jnp.asarray(list(episode["blocks"].values()), jnp.float32)
        state: State = begin(xy)
        rows, ends, pick = [np.asarray(state.obs)], [], Pick()
        actions = episode["actions"]
        for k in range(episode["steps"]):
            seen = rows[-1]
            action = pick(seen[:18], seen[18:]) if actions is None else np.asarray(actions[k])
            own = own_action(action.astype(np.float32))
            state, transition = step(state, jnp.asarray(own))
            rows.append(np.asarray(state.obs))
            success = float(transition.metrics["success_now"]) > 0
            ends.append([float(transition.reward), bool(transition.terminated), success])
            if actions is None and ends[-1][1]:
                break
        return {"rows": np.asarray(rows).tolist(), "ends": ends}

    def _programs(self, task: str) -> Any:
        if task not in self._known:
            settings = gym_hil.settings_of(task, {"engine": self._engine})
            env = gym_hil.make(settings, step=(1.0, 1.0, 1.0))
            self._known[task] = env, env.jit(lambda xy: begun(env, xy)), env.jit(env.step)
        return self._known[task]


def begun(env: Env, xy: jax.Array) -> State:
    """An episode whose blocks lie at xy (n, 2) [m]."""
    state = env.reset(jax.random.key(0))
    task, physics = env.task, state.physics
    blocks = [task.cube] if len(xy) == 1 else task.blocks
    qpos = physics.qpos
    for block, place in zip(blocks, xy, strict=True):
        qpos = block.put(qpos, jnp.append(place, 0.02))
    physics = env.engine.init(
        {}, qpos, physics.qvel, physics.ctrl, physics.mocap_pos, physics.mocap_quat
    )
    state = state.replace(physics=physics)
    return state.replace(obs=env.observe(state))


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """Largest distances [m] over an episode, and how it ended."""
    n = min(len(ours["rows"]), len(theirs["rows"]))
    a, b = np.asarray(ours["rows"])[:n], np.asarray(theirs["rows"])[:n]

    def apart(part: slice) -> float:
        return float(np.linalg.norm(a[:, part] - b[:, part], axis=1).max())

    return {
        "tcp": apart(TCP),
        "block": apart(BLOCK),
        "joints": float(np.abs(a[:, :7] - b[:, :7]).max()),
        "steps": [len(ours["ends"]), len(theirs["ends"])],
        "succeeded": [ours["ends"][-1][2], theirs["ends"][-1][2]],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=os.environ.get("MJXSIM_GYM_HIL_PYTHON"))
    parser.add_argument("--engine", default="c")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    if args.python is None:
        parser.error("--python or MJXSIM_GYM_HIL_PYTHON must name an interpreter with gym-hil")
    played = episodes()
    original = gym_hil_original.ask(args.python, list(played.values()), CONTRACTS)
    ours = Ours(args.engine)
    mine = {name: ours.play(episode) for name, episode in played.items()}
    theirs = dict(zip(played, original["episodes"], strict=True))
    differences = {name: compare(mine[name], theirs[name]) for name in played}
    for name, d in differences.items():
        print(
            f"{name}: TCP {1e3 * d['tcp']:.3f} mm, block {1e3 * d['block']:.3f} mm, steps "
            f"{d['steps'][0]} and {d['steps'][1]}, succeeded {d['succeeded']}"
        )
    for name, d in differences.items():
        allowed = TOLERANCE if played[name]["actions"] is not None else PICK_TOLERANCE
        agrees = max(d["tcp"], d["block"]) < allowed and d["steps"][0] == d["steps"][1]
        if not agrees or d["succeeded"][0] != d["succeeded"][1]:
            raise SystemExit(f"{name} differs by more than {1e3 * allowed:g} mm, or in its end")
    if args.write:
        result = {
            "engine": args.engine,
            **original["versions"],
            "tolerance": TOLERANCE,
            "tolerance of scripted picks": PICK_TOLERANCE,
            "differences": differences,
        }
        RESULT.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        TEST_DATA.write_text(json.dumps(_for_tests(original, played), indent=None) + "\n", "utf-8")
        draw(mine, theirs)


def _for_tests(original: dict[str, Any], played: dict[str, Any]) -> dict[str, Any]:
    """A few of the episodes, rounded to a hundredth of the tolerance."""
    kept = ("free motion", "grasp and lift", "arrange-boxes", "scripted pick 2")
    theirs = dict(zip(played, original["episodes"], strict=True))
    return {
        "made by": "python -m benchmarks.gym_hil_fidelity --write",
        "versions": original["versions"],
        "contracts": original["contracts"],
        "episodes": {
            name: {
                **played[name],
                "rows": np.round(theirs[name]["rows"], 6).tolist(),
                "ends": theirs[name]["ends"],
            }
            for name in kept
        },
    }


def draw(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Trajectories of both, and how far they are apart."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    shown = ("free motion", "grasp and lift")
    figure, axes = plt.subplots(2, 2, figsize=(9, 5), sharex="col", height_ratios=(2, 1))
    for (above, below), name in zip(axes.T, shown, strict=True):
        a, b = np.asarray(mine[name]["rows"]), np.asarray(theirs[name]["rows"])
        for part, label in ((TCP, "TCP"), (BLOCK, "cube")):
            for axis, colour in zip(range(3), ("C0", "C1", "C2"), strict=True):
                solid = "-" if label == "TCP" else "--"
                above.plot(b[:, part][:, axis], solid, color=colour, lw=3, alpha=0.35)
                above.plot(a[:, part][:, axis], solid, color=colour, lw=1)
            apart = 1e3 * np.linalg.norm(a[:, part] - b[:, part], axis=1)
            below.plot(apart, label=label)
        above.set_title(f"{name}: x, y, z of TCP (solid) and cube (dashed)", fontsize=9)
        below.set_xlabel("step")
        below.legend(fontsize=8)
    axes[0, 0].set_ylabel("[m] gym-hil wide, mjxsim thin")
    axes[1, 0].set_ylabel("apart [mm]")
    figure.tight_layout()
    figure.savefig(PICTURE, metadata={"Date": None})


if __name__ == "__main__":
    main()

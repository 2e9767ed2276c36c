"""gym-hil itself, run by an interpreter of its own: what it is told, and what it says.

gym-hil needs a MuJoCo older than mjxsim's. What is below as text runs there; it draws nothing, so
that MuJoCo's renderer, which gym-hil makes all the same, is put aside.
"""

import json
import pathlib
import subprocess
from typing import Any

PICK = (pathlib.Path(__file__).parent / "gym_hil_pick.py").read_text("utf-8")

_PROGRAM = """
import json, sys
import mujoco, numpy as np
class NoRenderer:
    def __init__(self, *args, **options): pass
    def update_scene(self, *args, **options): pass
    def render(self): return np.zeros((128, 128, 3), np.uint8)
mujoco.Renderer = NoRenderer
import gymnasium, gym_hil
from importlib.metadata import version

def space(s):
    if isinstance(s, gymnasium.spaces.Dict):
        return {k: space(v) for k, v in s.spaces.items()}
    bound = lambda b: np.unique(b).astype(float).tolist() if b.size > 4 else b.tolist()
    return {"low": bound(s.low), "high": bound(s.high),
            "shape": list(s.shape), "dtype": str(s.dtype)}

def contract(name, **options):
    env = gymnasium.make("gym_hil/" + name, **options)
    _, reset_info = env.reset(seed=0)
    action = np.zeros(env.action_space.shape, np.float32)
    _, reward, terminated, truncated, info = env.step(action)
    return {"observation": space(env.observation_space), "action": space(env.action_space),
            "reset_info": sorted(reset_info), "step_info": sorted(info),
            "max_episode_steps": env.spec.max_episode_steps}

def play(episode):
    env = gymnasium.make("gym_hil/%sBase-v0" % episode["task"], max_episode_steps=10_000)
    env.reset(seed=0)
    base = env.unwrapped
    data = base.data
    for name, xy in episode["blocks"].items():
        data.joint(name).qpos[:2] = xy
    mujoco.mj_forward(base.model, data)
    obs = base._compute_observation()
    row = lambda o: o["agent_pos"].tolist() + o["environment_state"].tolist()
    rows, ends, pick = [row(obs)], [], Pick()
    actions = episode["actions"]
    for k in range(episode["steps"]):
        action = pick(obs["agent_pos"], obs["environment_state"]) if actions is None else actions[k]
        obs, reward, terminated, truncated, info = env.step(np.asarray(action, np.float32))
        rows.append(row(obs))
        ends.append([float(reward), bool(terminated), bool(info["succeed"])])
        if actions is None and terminated:
            break
    return {"rows": rows, "ends": ends}

asked = json.load(sys.stdin)
print(json.dumps({
    "versions": {"gym-hil": version("gym-hil"), "mujoco": mujoco.__version__},
    "contracts": {n: contract(n.split(":")[0], **o) for n, o in asked["contracts"].items()},
    "episodes": [play(e) for e in asked["episodes"]],
}))
"""


def ask(
    python: str,
    episodes: list[dict[str, Any]],
    contracts: dict[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """What gym-hil does.

    Args:
      python: an interpreter that has gym-hil.
      episodes: each with "task", "blocks" (joint name to x, y [m]), "steps" and "actions", (n, 7)
        or None for the scripted pick. They give "rows" (21 numbers: agent_pos, environment_state;
        the first of the start) and "ends" (reward, terminated, succeed).
      contracts: an id, with anything after a colon, to keyword arguments of gymnasium.make.
    """
    asked = json.dumps({"episodes": episodes, "contracts": contracts or {}})
    done = subprocess.run(
        [python, "-c", PICK + _PROGRAM], input=asked, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])

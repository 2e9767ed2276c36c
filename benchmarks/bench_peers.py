r"""What a user would pick instead, on the same machine in the same run.

gym-hil needs a MuJoCo older than the one mjxsim needs, and MuJoCo Playground brings many packages
of its own, so each is measured with an interpreter of its own, in turn with ours:

    python -m venv /path/to/gym_hil && /path/to/gym_hil/bin/pip install gym-hil
    python -m venv /path/to/playground
    /path/to/playground/bin/pip install playground==0.2.0 "mujoco~=3.17.0"
    MJXSIM_GYM_HIL_PYTHON=/path/to/gym_hil/bin/python \
    MJXSIM_PLAYGROUND_PYTHON=/path/to/playground/bin/python \
        python -m pytest benchmarks/bench_peers.py
"""

import os
import statistics
import subprocess
from collections.abc import Callable

import jax
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv, VectorEnv

import mjxsim
from benchmarks.conftest import Record
from benchmarks.measure import Entry, Sample, ratios, seconds
from benchmarks.plain import CONTROL, PlainPickCube
from mjxsim import envs
from mjxsim.rendering.gl import platform

GYM_HIL = os.environ.get("MJXSIM_GYM_HIL_PYTHON")
PLAYGROUND = os.environ.get("MJXSIM_PLAYGROUND_PYTHON")

_GYM_HIL = """
import sys, time
import gymnasium, gym_hil
env = gymnasium.make("gym_hil/PandaPickCubeBase-v0", image_obs=False)
env.reset(seed=0)
env.action_space.seed(0)
steps = int(sys.argv[1])
for timed in (False, True):
    start = time.perf_counter()
    for _ in range(steps):
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        if terminated or truncated:
            env.reset()
print(steps / (time.perf_counter() - start))
"""

# The physics of a control step alone, without observation, reward and reset, under random controls.
_PLAYGROUND = """
import sys, time
import jax
from mujoco_playground import registry
from mujoco_playground._src import mjx_env
worlds, steps = map(int, sys.argv[1:])
env = registry.load("PandaPickCube", config_overrides={"impl": "jax"})
model = env.mjx_model
low, high = model.actuator_ctrlrange.T
def step(data, key):
    ctrl = jax.random.uniform(key, low.shape, minval=low, maxval=high)
    return mjx_env.step(model, data, ctrl, env.n_substeps)
def run(data, key):
    def one(data, key):
        return jax.vmap(step)(data, jax.random.split(key, worlds)), None
    return jax.lax.scan(one, data, jax.random.split(key, steps))[0]
run = jax.jit(run)
data = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.key(0), worlds)).data
for i in range(2):
    start = time.perf_counter()
    data = jax.block_until_ready(run(data, jax.random.key(i)))
    seconds = time.perf_counter() - start
print(worlds * steps * env.dt / seconds)
"""


def ours(num_envs: int, length: int, engine: str = "c") -> Callable[[], float]:
    """Measures environment steps/s by scan: random joint deltas, autoreset."""
    env = mjxsim.make("pick_cube", engine=engine, control=CONTROL, announce=False)
    policy = envs.random_policy(env)

    @mjxsim.jit
    def play(state: envs.State, key: jax.Array) -> tuple[envs.State, jax.Array]:
        state, transitions = envs.rollout(env, policy, state, key, length)
        return state, transitions.reward.mean()

    state = mjxsim.jit(lambda k: envs.reset_batch(env, k, num_envs))(jax.random.key(0))
    calls = 0

    def run() -> None:
        nonlocal state, calls
        calls += 1
        state, _ = jax.block_until_ready(play(state, jax.random.key(calls)))

    run()
    return lambda: num_envs * length / seconds(run)


def vectorized(vec: VectorEnv, length: int) -> Callable[[], float]:
    """Measures environment steps/s of a gymnasium vector environment with random actions."""
    actions = np.random.default_rng(0).uniform(-1, 1, (length, *vec.action_space.shape))
    actions = actions.astype(np.float32)
    vec.reset(seed=0)

    def run() -> None:
        for action in actions:
            vec.step(action)

    run()
    return lambda: vec.num_envs * length / seconds(run)


def in_turn(
    a: Callable[[], float], b: Callable[[], float], repeats: int
) -> tuple[Sample, Sample, Sample]:
    """Rates of both, measured one after the other, and their ratios pair by pair."""
    pairs = [(a(), b()) for _ in range(repeats)]
    first, second = [x for x, _ in pairs], [x for _, x in pairs]
    return Sample(tuple(first)), Sample(tuple(second)), ratios(first, second)


def printed(python: str | None, code: str, *args: int, **environment: str) -> float:
    """The number that a program prints last, run by an interpreter of its own."""
    command = [str(python), "-c", code, *map(str, args)]
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


@pytest.mark.parametrize("kind", ["sync", "async", "native"])
def test_against_plain_mujoco(kind: str, quick: bool, record: Record) -> None:
    """The same task from gymnasium's own vector environments over plain C MuJoCo.

    "native" is mjxsim's own vector environment, through gymnasium's interface too, against the
    same SyncVectorEnv.
    """
    num_envs, length, repeats = (4, 4, 2) if quick else (256, 50, 7)
    workers = 4 if quick else 16
    make = [PlainPickCube] * (workers if kind == "async" else 32)
    vec = AsyncVectorEnv(make, context="spawn") if kind == "async" else SyncVectorEnv(make)
    names = {"sync": "SyncVectorEnv", "async": "AsyncVectorEnv", "native": "SyncVectorEnv"}
    try:
        theirs = vectorized(vec, length)
        if kind == "native":
            native = mjxsim.make_vec("pick_cube", num_envs=num_envs, engine="c", control=CONTROL)
            mine, what = vectorized(native, length), "make_vec"
        else:
            mine, what = ours(num_envs, length), "scan"
        rate, reference, ratio = in_turn(mine, theirs, repeats)
    finally:
        vec.close()
    record(
        Entry(
            name=f"peers/plain/{kind}",
            what=f"C: pick_cube by {what}, {num_envs} worlds",
            unit="env steps/s",
            ours=rate,
            reference=reference,
            reference_is=f"{names[kind]} of plain C MuJoCo, {vec.num_envs} worlds",
            ratio=ratio,
        )
    )


@pytest.mark.skipif(GYM_HIL is None, reason="MJXSIM_GYM_HIL_PYTHON names no interpreter")
def test_against_gym_hil(quick: bool, record: Record) -> None:
    """gym-hil's pick-cube from state, in physics steps/s: its control step is twice as long."""
    num_envs, length, repeats = (4, 4, 1) if quick else (256, 50, 5)
    env = mjxsim.make("pick_cube", engine="c", control=CONTROL, announce=False)
    substeps = env.task.config.control_dt / env.engine.model.opt.timestep
    steps = 20 if quick else 200

    def gym_hil() -> float:
        # It makes an OpenGL context whether it draws or not.
        return printed(GYM_HIL, _GYM_HIL, steps, MUJOCO_GL=platform())

    mine = ours(num_envs, length)
    rate, reference, ratio = in_turn(mine, gym_hil, repeats)
    simulated = env.task.config.control_dt, 0.1  # [s] in one step of each
    record(
        Entry(
            name="peers/gym_hil",
            what=f"C: simulated seconds per second, pick_cube, {num_envs} worlds",
            unit="s/s",
            ours=Sample(tuple(r * simulated[0] for r in rate.values)),
            reference=Sample(tuple(r * simulated[1] for r in reference.values)),
            reference_is="gym-hil PandaPickCube from state, one world a process",
            ratio=Sample(tuple(r * simulated[0] / simulated[1] for r in ratio.values)),
        )
    )
    assert substeps >= 1 and statistics.median(rate.values) > 0


@pytest.mark.skipif(PLAYGROUND is None, reason="MJXSIM_PLAYGROUND_PYTHON names no interpreter")
@pytest.mark.parametrize("flagged", [False, True], ids=["as-it-comes", "with-flag"])
@pytest.mark.parametrize("engine", ["c", "mjx"])
def test_against_playground(engine: str, flagged: bool, quick: bool, record: Record) -> None:
    """Whole environment steps of ours against the physics alone of Playground's PandaPickCube.

    Both steps are 5 ms of physics long. "with-flag" gives Playground the compiler flag that spares
    a CPU the worst of what XLA makes of MJX; a user of it has to know of it.
    """
    num_envs, length, repeats = (4, 4, 1) if quick else (256 if engine == "c" else 64, 50, 3)
    worlds, steps = (2, 1) if quick else (64, 25) if flagged else (16, 1)
    flags = {"XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false"} if flagged else {}

    def playground() -> float:
        return printed(PLAYGROUND, _PLAYGROUND, worlds, steps, **flags)

    env = mjxsim.make("pick_cube", engine=engine, control=CONTROL, announce=False)
    mine = ours(num_envs, length, engine)
    rate, reference, ratio = in_turn(
        lambda: mine() * env.task.config.control_dt, playground, repeats
    )
    how = "with the compiler flag" if flagged else "as it comes"
    record(
        Entry(
            name=f"peers/playground/{engine}/{'with-flag' if flagged else 'as-it-comes'}",
            what=f"{engine}: simulated seconds per second, pick_cube, {num_envs} worlds",
            unit="s/s",
            ours=rate,
            reference=reference,
            reference_is=f"physics of Playground 0.2 PandaPickCube {how}, {worlds} worlds",
            ratio=ratio,
        )
    )

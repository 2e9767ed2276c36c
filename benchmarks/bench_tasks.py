"""Every task on every robot: environment steps with random actions in contact, and memory.

python -m pytest benchmarks/bench_tasks.py                       # what suits this machine
python -m pytest benchmarks/bench_tasks.py -k "mjx and panda"
"""

import functools
import importlib.util
import pathlib
from collections.abc import Iterator

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

import mjxsim
from benchmarks.conftest import Record
from benchmarks.measure import Entry, Sample, rate, seconds
from mjxsim import envs
from mjxsim.envs import Env, State
from mjxsim.physics import jit
from mjxsim.robots import ROBOTS
from mjxsim.tasks import TASKS

_ON_CPU = jax.default_backend() == "cpu"
ENGINES = (["c"] if _ON_CPU else []) + ["mjx"]
ENGINES += ["warp"] if importlib.util.find_spec("warp") else []
# Enough worlds to fill the machine; MJX on a CPU needs few, and Warp is there for its tests.
WORLDS = {"c": 256, "mjx": 64 if _ON_CPU else 4096, "warp": 16 if _ON_CPU else 4096}
SCALES = {"c": [1, 4, 16, 64, 256, 1024, 4096], "mjx": [1, 4, 16, 64, 256]}
if not _ON_CPU:
    SCALES = {e: [4**k for k in range(10)] for e in ("mjx", "warp")}


def build(task: str, robot: str, engine: str) -> Env:
    """The environment, or a skip where the task is not for the robot."""
    try:
        return mjxsim.make(task, robot, engine, control="ee_delta_yaw", announce=False)
    except ValueError as error:
        pytest.skip(str(error))


def in_contact(env: Env, num_envs: int) -> State:
    """Worlds in which the expert has worked for a while: fingers and objects touch."""
    steps = env.task.config.episode_steps // 3

    def work(key: jax.Array) -> State:
        def step(state: State, _: None) -> tuple[State, None]:
            return jax.vmap(env.step)(state, jax.vmap(env.expert)(state))[0], None

        return jax.lax.scan(step, envs.reset_batch(env, key, num_envs), length=steps)[0]

    return jit(work)(jax.random.key(0))


@pytest.fixture
def empty_cache(tmp_path: pathlib.Path) -> Iterator[None]:
    """Compiled programs are kept in a folder that holds none yet."""
    usual = jax.config.values["jax_compilation_cache_dir"]
    for folder in (str(tmp_path), usual):
        jax.config.update("jax_compilation_cache_dir", folder)
        compilation_cache.reset_cache()
        if folder != usual:
            yield


@pytest.mark.usefixtures("empty_cache")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("robot", ROBOTS)
@pytest.mark.parametrize("task", TASKS)
def test_task(task: str, robot: str, engine: str, quick: bool, record: Record) -> None:
    """Steps/s, time to compile and memory of one step of a batch."""
    env = build(task, robot, engine)
    num_envs = 4 if quick else WORLDS[engine]
    length, repeats = (2, 2) if quick else (10, 5)
    state = in_contact(env, num_envs)
    policy = envs.random_policy(env)

    def play(state: State, key: jax.Array) -> tuple[State, jax.Array]:
        state, transitions = envs.rollout(env, policy, state, key, length)
        return state, transitions.reward.mean()

    programs: list = []

    def build_program() -> None:
        programs.append(jit(play).lower(state, jax.random.key(0)).compile())

    cold = seconds(build_program)
    jax.clear_caches()  # those in memory: what was traced; the folder stays
    cached = seconds(build_program)
    run, calls = programs[0], 0

    def go() -> None:
        nonlocal calls
        calls += 1
        jax.block_until_ready(run(state, jax.random.key(calls)))

    where = f"{task}/{robot}"
    record(
        Entry(
            name=f"tasks/{engine}/{where}",
            what=f"{engine}: {where}, random actions in contact, {num_envs} worlds",
            unit="env steps/s",
            ours=rate(go, work=num_envs * length, repeats=repeats),
        )
    )
    for name, what, took in (("compile", "cold", cold), ("cached", "from the cache", cached)):
        record(
            Entry(
                name=f"{name}/{engine}/{where}",
                what=f"{engine}: {where}, rollout to a program, {what}",
                unit="s",
                ours=Sample((took,)),
            )
        )
    memory = run.memory_analysis()
    if memory is not None:
        total = memory.temp_size_in_bytes + memory.argument_size_in_bytes
        total += memory.output_size_in_bytes
        record(
            Entry(
                name=f"memory/{engine}/{where}",
                what=f"{engine}: {where}, memory of a step, per world",
                unit="kB",
                ours=Sample((total / num_envs / 1e3,)),
            )
        )


@functools.cache
def _pick_cube(engine: str) -> Env:
    return mjxsim.make("pick_cube", engine=engine, control="ee_delta_yaw", announce=False)


@pytest.mark.parametrize(
    ("engine", "num_envs"), [(e, n) for e, sizes in SCALES.items() for n in sizes]
)
def test_scaling(engine: str, num_envs: int, quick: bool, record: Record) -> None:
    """pick_cube from one world to as many as fit."""
    if quick and num_envs > 4:
        pytest.skip("quick")
    env = _pick_cube(engine)
    policy, length = envs.random_policy(env), 2 if quick else 20

    @mjxsim.jit
    def play(state: State, key: jax.Array) -> jax.Array:
        return envs.rollout(env, policy, state, key, length)[1].reward.mean()

    try:
        state = in_contact(env, num_envs)
        measured = rate(
            lambda: jax.block_until_ready(play(state, jax.random.key(0))),
            work=num_envs * length,
            repeats=2 if quick else 5,
        )
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        pytest.skip(f"{num_envs} worlds do not fit")
    record(
        Entry(
            name=f"scaling/{engine}/{num_envs}",
            what=f"{engine}: pick_cube, random actions in contact, {num_envs} worlds",
            unit="env steps/s",
            ours=measured,
        )
    )

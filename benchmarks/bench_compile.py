"""How long pick_cube's MJX step takes to compile, the first time and from the cache."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from benchmarks.conftest import Record
from benchmarks.measure import Entry, Sample, ratios

# What is asked for on two cores. A time depends on the machine, so it is shown and not judged.
COLD_LIMIT, CACHED_LIMIT = 45.0, 5.0  # [s]
# What is judged: a cache that saves less than half is not working.
FLOOR = 2.0

_SCRIPT = """
import json, time
import jax
import mjxsim
start = time.perf_counter()
env = mjxsim.make("pick_cube", engine="mjx", announce=False)
state = jax.eval_shape(jax.vmap(env.reset), jax.random.split(jax.random.key(0), 64))
action = jax.ShapeDtypeStruct((64, env.action_size), "float32")
built = time.perf_counter()
traced = mjxsim.jit(jax.vmap(env.step)).trace(state, action)
t = time.perf_counter()
lowered = traced.lower()
l = time.perf_counter()
lowered.compile()
print(json.dumps({
    "build": built - start, "trace": t - built, "lower": l - t, "compile": time.perf_counter() - l
}))
"""


def stages(cache: pathlib.Path) -> dict[str, float]:
    """Seconds of each stage, in a process of its own."""
    environment = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    environment |= {"XDG_CACHE_HOME": str(cache), "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def caches(tmp_path: pathlib.Path, quick: bool) -> list[pathlib.Path]:
    return [tmp_path / str(i) for i in range(1 if quick else 3)]


def test_compile(caches: list[pathlib.Path], record: Record) -> None:
    """Trace, lower and compile the vmapped environment step of 64 worlds."""
    cold, cached = [stages(c) for c in caches], [stages(c) for c in caches]
    totals = {}
    for name, runs, limit in (("cold", cold, COLD_LIMIT), ("cached", cached, CACHED_LIMIT)):
        for stage in ("trace", "lower", "compile"):
            record(
                Entry(
                    name=f"compile/{name}/{stage}",
                    what=f"MJX-JAX: {stage} pick_cube's step, {name}",
                    unit="s",
                    ours=Sample(tuple(r[stage] for r in runs)),
                )
            )
        totals[name] = [r["trace"] + r["lower"] + r["compile"] for r in runs]
        record(
            Entry(
                name=f"compile/{name}",
                what=f"MJX-JAX: pick_cube's step to a program, {name}",
                unit="s",
                ours=Sample(tuple(totals[name])),
                limit=limit,
            )
        )
    record(
        Entry(
            name="compile/saved",
            what="MJX-JAX: cold over cached",
            unit="times",
            ours=ratios(totals["cold"], totals["cached"]),
            ratio=ratios(totals["cold"], totals["cached"]),
            reference_is="the time from the cache",
            floor=FLOOR,
        )
    )

"""How mjxsim compiles: options, caches and runtime settings of every jit, in one place."""

import contextlib
import functools
import gc
import os
import pathlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import jax

P = ParamSpec("P")
R = TypeVar("R")

# XLA's CPU fusion emitters recompute MJX's kinematic chains exponentially; see chains.py, which
# cures the chains themselves. What is left of MJX still runs about 1.3 times faster without them.
_CPU_OPTIONS = {"xla_cpu_use_fusion_emitters": False}


@functools.lru_cache
def cpu_options() -> dict[str, bool]:
    """What programs that do not draw are compiled with on a CPU; XLA of JAX 0.12 lost the choice.

    It refuses a whole program for the sake of an option that it does not know, hence the trial.
    """
    try:
        jax.jit(lambda x: x, compiler_options=_CPU_OPTIONS).lower(0.0).compile()
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" not in str(error):
            raise
        return {}
    return _CPU_OPTIONS


def jit(fun: Callable[P, R], *, draws: bool = False, **options: Any) -> Callable[P, R]:
    """`jax.jit` with the compiler options of the default backend.

    `draws` is for a program that draws pictures: ray casting is six times faster with the fusion
    emitters that MJX is a little faster without.

    `options` are those of `jax.jit`, such as `static_argnums`, `donate_argnums` or `in_shardings`;
    `compiler_options` among them are added to ours and win.
    """
    ours = cpu_options() if on_cpu() and not draws else {}
    compiler = ours | options.pop("compiler_options", {})
    return jax.jit(fun, compiler_options=compiler or None, **options)


def on_cpu() -> bool:
    """Whether programs run on the CPU, where what fits into a cache is fast."""
    return jax.default_backend() == "cpu"


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Pauses Python's garbage collector while a large program is traced.

    Tracing MJX makes some hundred thousand objects that all live on; the collector walks them
    again and again, for a sixth of the time.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def configure() -> None:
    """Sets what JAX reads when it starts; called once when mjxsim is imported.

    Nothing that the user has set, in JAX's configuration or environment, is changed. Call it before
    the first JAX computation: later it has no effect on a backend that already runs.
    """
    # With two threads XLA's own pool can wait for itself after a parallel loop (seen as a hang
    # after compiling); a few more than there are cores cure it. XLA cuts a loop into as many pieces
    # as there are threads, and sums in them: eight everywhere below eight cores, so that a training
    # has the same bits on each of these machines. XLA counts the cores that this process may use:
    # in a container fewer than the machine has.
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    if (cores or 1) < 8:
        os.environ.setdefault("NPROC", "8")
    # TF32 makes policies fail that float32 trains (mujoco_playground, README).
    settings = jax.config.values
    if settings["jax_default_matmul_precision"] is None:
        jax.config.update("jax_default_matmul_precision", "highest")
    folder = _cache_folder()
    if folder is not None and settings["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(folder / "mjxsim" / "jax"))
        if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
            jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def _cache_folder() -> pathlib.Path | None:
    """Where this user's programs keep caches; None for a user without a home."""
    named = os.environ.get("XDG_CACHE_HOME")
    if named:
        return pathlib.Path(named)
    try:
        return pathlib.Path.home() / ".cache"
    except RuntimeError:
        return None

"""Which engine runs a model here."""

import importlib.util
import pathlib

import jax
import mujoco

from mjxsim.naming import unknown
from mjxsim.physics.base import Engine
from mjxsim.physics.loading import load

ENGINES = ("auto", "c", "mjx", "warp")

# Where there is one of these, there is an NVIDIA driver.
_NVIDIA = (pathlib.Path("/proc/driver/nvidia/version"), pathlib.Path("/dev/nvidia0"))


def choose(name: str) -> tuple[str, str]:
    """The engine that `name` means on this machine, and why, in words.

    Raises:
      ValueError: unknown name.
      RuntimeError: the engine is not installed, or has no device here.
    """
    if name not in ENGINES:
        raise ValueError(unknown("engine", name, ENGINES))
    backend = jax.default_backend()
    warp = importlib.util.find_spec("warp") is not None
    if name == "warp" and not warp:
        raise RuntimeError("engine 'warp' needs warp-lang: pip install 'mjxsim[warp]'")
    if name == "c" and backend != "cpu":
        return name, "as asked; it steps on the CPU, and states travel to it from the accelerator"
    if name != "auto":
        return name, "as asked"
    if backend == "gpu" and warp:
        return "warp", "an NVIDIA GPU and warp-lang are here"
    if backend != "cpu":
        extra = "; pip install 'mjxsim[warp]' is faster" if backend == "gpu" else ""
        return "mjx", f"JAX runs on {backend}{extra}"
    return "c", f"JAX runs on the CPU, where C MuJoCo is fastest{_idle_gpu()}"


def _idle_gpu() -> str:
    """What to do about a GPU that JAX does not see, if there is one and nobody chose the CPU."""
    chosen = jax.config.jax_platforms  # pyright: ignore[reportAttributeAccessIssue]
    if chosen or not any(path.exists() for path in _NVIDIA):
        return ""
    return "; an NVIDIA GPU is here, but JAX has no CUDA: pip install 'mjxsim[cuda]'"


def make_engine(
    name: str, model: mujoco.MjModel, substeps: int, *, announce: bool = True
) -> Engine:
    """Builds the engine called `name` ("auto", "c", "mjx", "warp") for a compiled model.

    `substeps` is the number of physics steps in a control step. Prints the choice and its reason
    unless `announce` is false. Raises as `choose` does.
    """
    chosen, reason = choose(name)
    if announce:
        print(f"mjxsim: engine {chosen!r} ({reason})")
    if chosen == "c":
        return load("mujoco_c").MujocoC(model, substeps)
    if chosen == "mjx":
        return load("mjx").MjxJax(model, substeps)
    return load("warp").MjxWarp(model, substeps)

"""What a result was measured with: versions of packages, and the machine."""

import importlib.metadata
import os
import pathlib
import platform

import jax

import mjxsim
from mjxsim.files import Json

_PACKAGES = ("jax", "jaxlib", "mujoco", "mujoco-mjx", "warp-lang", "flax", "optax")


def versions() -> dict[str, Json]:
    """Versions of mjxsim, Python and what decides a result; None for what is not installed."""
    found: dict[str, Json] = {"mjxsim": mjxsim.__version__, "python": platform.python_version()}
    for package in (*_PACKAGES, "orbax-checkpoint"):
        try:
            found[package.replace("-", "_")] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package.replace("-", "_")] = None
    return found


def hardware() -> dict[str, Json]:
    """The processor, the cores this process may use, memory [bytes] and JAX's devices."""
    devices = jax.devices()
    return {
        "cpu": _cpu_model(),
        "cores": _cores(),
        "memory_bytes": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "devices": [d.device_kind for d in devices],
        "backend": jax.default_backend(),
    }


def device() -> str:
    """JAX's device in words, such as "cpu" or "2 x NVIDIA H200"."""
    devices = jax.devices()
    count = f"{len(devices)} x " if len(devices) > 1 else ""
    return count + devices[0].device_kind


def _cpu_model() -> str:
    info = pathlib.Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    if platform.system() == "Linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int | None:
    if platform.system() != "Linux":
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

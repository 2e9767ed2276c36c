"""When a batch does not fit into a device's memory: which one would."""

import jax
from jax.stages import Compiled

_USABLE = 0.9  # of a device's memory; the rest goes to fragmentation and other programs


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that a device's memory is exhausted."""
    text = str(error)
    return isinstance(error, MemoryError | jax.errors.JaxRuntimeError) and (
        "RESOURCE_EXHAUSTED" in text or "out of memory" in text.lower()
    )


def bytes_needed(compiled: Compiled) -> int | None:
    """Memory that one call of a compiled function takes [bytes], if XLA says."""
    analysis = compiled.memory_analysis()
    if analysis is None:
        return None
    return (
        analysis.temp_size_in_bytes
        + analysis.argument_size_in_bytes
        + analysis.output_size_in_bytes
        - analysis.alias_size_in_bytes
    )


def device_bytes() -> int | None:
    """Memory of the first device that JAX may use [bytes], if it says; a CPU does not."""
    stats = jax.local_devices()[0].memory_stats()
    return None if stats is None else stats.get("bytes_limit")


def batch_that_fits(num_envs: int, needed: int | None, available: int | None) -> int:
    """The largest power of two of worlds that should fit, less than `num_envs`.

    Args:
      num_envs: worlds that did not fit.
      needed: what they take [bytes]; if None, or if they should have fitted, half is proposed.
      available: what there is [bytes].
    """
    at_most = num_envs // 2
    if needed and available:
        at_most = min(at_most, int(_USABLE * available / (needed / num_envs)))
    return 1 << max(0, at_most.bit_length() - 1)


def announce(num_envs: int, needed: int) -> str:
    """One line about the memory that a program is going to take [bytes], before it does."""
    available = device_bytes()
    of = f" of {_gigabytes(available)}" if available else ""
    return f"memory: {_gigabytes(needed)}{of} for {num_envs} worlds and what is learned from them"


def explain(num_envs: int, needed: int | None) -> str:
    """One line for a run whose `num_envs` worlds did not fit."""
    available = device_bytes()
    sizes = ""
    if needed and available:
        sizes = f" ({_gigabytes(needed)} needed, {_gigabytes(available)} there)"
    return (
        f"the device's memory does not hold {num_envs} worlds{sizes}: use "
        f"--num-envs {batch_that_fits(num_envs, needed, available)}"
    )


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"

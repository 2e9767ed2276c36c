"""Several processes as one run: who takes part, what they agree on, and what if one is lost.

Every process runs the same program and holds some of the devices; process 0 alone writes files and
shows progress. JAX finds the others on SLURM, Open MPI, GKE and TPU pods, or is told where they
are. When one of them dies the rest cannot go on: they say so in one line and end, and the run is
resumed from its last checkpoint.
"""

import contextlib
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator

import jax
import numpy as np
from jax.experimental import multihost_utils

_JOIN_SECONDS = 300  # how long the processes of a run may take to appear
_FINISH_SECONDS = 24 * 3600  # how long those that are done wait for the others
_LAST_SECONDS = 1.0  # by which process 0 outlives the others when a run ends early
# What errors say when a collective operation has lost one of its parties.
_SIGNS = (
    "Gloo",
    "NCCL",
    "oordination service",
    "CoordinationService",
    "closed by peer",
    "reset by peer",
    "UNAVAILABLE",
    "DEADLINE_EXCEEDED",
)


class ScaleError(ValueError):
    """Devices or processes that cannot be had; the message is one line."""


class LostProcessError(RuntimeError):
    """Another process of the run has ended or cannot be reached; the message is one line."""


@dataclasses.dataclass(frozen=True)
class ScaleConfig:
    """Which devices and processes carry a run; of a launch, so it may differ when resuming."""

    devices: int | None = None  # that share the worlds; all that JAX sees if None
    distributed: bool = False  # this is one of several processes, which JAX finds by itself
    # Where JAX cannot find them, the same in every process but for the last:
    coordinator: str | None = None  # HOST:PORT of process 0
    processes: int | None = None
    process_id: int | None = None  # from 0, another one in each process
    heartbeat_seconds: int = 30  # a process that gives no sign of life for so long is lost

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for a number out of its range or half an address."""
        for name in ("devices", "processes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"scale.{name} must be at least 1, got {value}")
        if self.heartbeat_seconds < 5:
            raise ValueError(
                f"scale.heartbeat_seconds must be at least 5, got {self.heartbeat_seconds}"
            )
        told = (self.coordinator, self.processes, self.process_id)
        if None in told and told != (None, None, None):
            raise ValueError(
                "scale.coordinator, scale.processes and scale.process_id go together: give all "
                "three, or --scale.distributed alone for JAX to find them"
            )
        if self.coordinator is not None and not self.coordinator.rpartition(":")[2].isdigit():
            raise ValueError(f"scale.coordinator must be HOST:PORT, got {self.coordinator}")
        if self.processes is None or self.process_id is None:
            return
        if not 0 <= self.process_id < self.processes:
            raise ValueError(
                f"scale.process_id must be from 0 to {self.processes - 1}, got {self.process_id}"
            )

    @property
    def several(self) -> bool:
        """Whether there are other processes."""
        return self.distributed or self.coordinator is not None


def join(config: ScaleConfig) -> None:
    """Makes this process part of the run; call it before anything that JAX computes.

    Does nothing for a run of one process, or where `jax.distributed` is initialized already.

    Raises:
      ScaleError: the other processes are not known or do not appear.
    """
    if not config.several or jax.distributed.is_initialized():
        return
    # It would take SIGTERM for itself; a run saves its state on SIGTERM as it is.
    jax.config.update("jax_enable_preemption_service", False)
    where = config.coordinator or "the address that JAX detected"
    try:
        with _obituary(
            f"error: the processes did not all meet at {where} within {_JOIN_SECONDS} s: start as "
            "many as there should be, and check that they can reach that port"
        ):
            jax.distributed.initialize(
                config.coordinator,
                config.processes,
                config.process_id,
                cluster_detection_method=None if config.coordinator is None else "deactivate",
                initialization_timeout=_JOIN_SECONDS,
                heartbeat_timeout_seconds=config.heartbeat_seconds,
                shutdown_timeout_seconds=_FINISH_SECONDS,
            )
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        if "should be defined" in reason or "must be defined" in reason:
            reason = (
                "found neither SLURM, Open MPI, Kubernetes nor a TPU pod: say --scale.coordinator "
                "HOST:PORT --scale.processes N --scale.process-id I"
            )
        raise ScaleError(f"cannot join the other processes: {reason}") from error


def devices(config: ScaleConfig) -> list[jax.Device]:  # pyright: ignore[reportInvalidTypeForm]
    """The devices that share the worlds, of all processes.

    Raises:
      ScaleError: more than there are, or, of several processes, only some.
    """
    there = jax.devices()
    wanted = len(there) if config.devices is None else config.devices
    if wanted > len(there):
        raise ScaleError(
            f"scale.devices is {wanted}, but JAX sees only {len(there)} of kind "
            f"{there[0].device_kind}: use --scale.devices {len(there)}"
        )
    if wanted < len(there) and jax.process_count() > 1:
        raise ScaleError(
            f"scale.devices is {wanted}, but with several processes all {len(there)} devices take "
            "part: leave it out, and start fewer processes"
        )
    return there[:wanted]


def is_first() -> bool:
    """Whether this is process 0, which writes and prints."""
    return jax.process_index() == 0


def everyone(*numbers: int) -> list[tuple[int, ...]]:
    """The numbers, int32, that each process gives; all processes must call it together."""
    if jax.process_count() == 1:
        return [numbers]
    rows = multihost_utils.process_allgather(np.asarray(numbers, np.int32))
    return [tuple(row) for row in np.asarray(rows).tolist()]


def any_of(*flags: bool) -> tuple[bool, ...]:
    """For each flag whether some process has it set; all processes must call it together."""
    return tuple(any(column) for column in zip(*everyone(*flags), strict=True))


def barrier() -> None:
    """Waits until every process has come here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("mjxsim")


@contextlib.contextmanager
def together(advice: str) -> Iterator[None]:
    """This process's part of a run; when it is done, waits for the others.

    Where another process is lost this one ends too: within a moment if a collective operation was
    waiting for the lost one, else when its heartbeats have failed to come. JAX does that by an
    error here or by aborting this process; either way the last line on stderr says it.

    Args:
      advice: what to do then, added to that line.

    Raises:
      LostProcessError: another process is lost.
    """
    if jax.process_count() == 1:
        yield
        return
    who = f"process {jax.process_index()} of {jax.process_count()}"
    with _obituary(
        f"error: {who} has ended before its time: it was killed, or it lost another process, "
        f"without which none can go on; {advice}"
    ):
        try:
            yield
        except (jax.errors.JaxRuntimeError, ValueError, RuntimeError) as error:
            if isinstance(error, ScaleError) or not any(sign in str(error) for sign in _SIGNS):
                raise
            raise LostProcessError(
                f"{who} has lost another process, without which none can go on; {advice}"
            ) from error
        jax.distributed.shutdown()


def leave(code: int) -> int:
    """An exit code; of several processes this one ends with it at once.

    A normal end would wait for processes that may in turn wait for this one. JAX aborts them when
    process 0 ends, so that one gives them a moment to end by themselves.
    """
    if code and jax.distributed.is_initialized():
        sys.stdout.flush()
        sys.stderr.flush()
        if is_first():
            time.sleep(_LAST_SECONDS)
        os._exit(code)
    return code


# Prints what it was given when its parent ends without having taken it back.
_WATCH = """
import signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
line = sys.stdin.readline()
if line and not sys.stdin.readline():
    sys.stderr.write(line)
"""


@contextlib.contextmanager
def _obituary(line: str) -> Iterator[None]:
    """Has `line` printed to stderr if this process is ended within, by whatever.

    JAX answers the loss of a process from a thread of its own, by aborting: there is nothing to
    catch. So a small process of ours waits for the end of this one.
    """
    command = [sys.executable, "-I", "-S", "-c", _WATCH]
    watcher = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert watcher.stdin is not None
    watcher.stdin.write(f"{line}\n".encode())
    watcher.stdin.flush()
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            watcher.stdin.write(b"done\n")
            watcher.stdin.close()
        watcher.wait()

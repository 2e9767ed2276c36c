"""Checkpoints that survive being killed at any moment, and know when they are damaged.

A checkpoint is a directory `step_<env steps>` holding the arrays (orbax), `metadata.json` and,
written last, `manifest.json` with the size and SHA-256 of every other file. It is assembled under
a temporary name, forced to the disk and then renamed, so that a name without `.tmp-` in it was
complete once; the manifest tells whether it still is.
"""

import contextlib
import dataclasses
import errno
import hashlib
import json
import logging
import os
import pathlib
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from mjxsim.files import Json, sync, write_json

FORMAT = 1  # of the directory; raised when an older mjxsim could not read it
_PREFIX = "step_"
_PARTIAL = ".tmp-"

T = TypeVar("T")


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be read or used; the message is one line."""


class TornCheckpointError(CheckpointError):
    """A checkpoint whose files are not those that were written."""


class SaveError(CheckpointError):
    """A checkpoint that could not be written; earlier ones are intact."""


@dataclasses.dataclass(frozen=True, eq=False)
class Checkpoint:
    """One checkpoint, read and verified."""

    path: pathlib.Path
    step: int
    arrays: Mapping[str, np.ndarray]  # by the path of the leaf in the tree, joined by "/"
    metadata: Mapping[str, Any]  # as given to `save`

    def fill(self, template: T, prefix: str = "") -> T:
        """The part of the saved tree that lies under `prefix`, in the structure of `template`.

        Args:
          template: a pytree of arrays or `jax.ShapeDtypeStruct`; only structure, shapes and types
            are read. Its typed PRNG keys become typed keys again.
          prefix: where the template lies in the saved tree, such as "policy/".

        Raises:
          CheckpointError: the saved tree has other leaves, shapes or types.
        """
        named, treedef = jax.tree_util.tree_flatten_with_path(template)
        leaves = [self._leaf(prefix + _name(path), leaf) for path, leaf in named]
        known = {prefix + _name(path) for path, _ in named}
        for name in self.arrays:
            if name.startswith(prefix) and name not in known:
                raise CheckpointError(
                    f"checkpoint {self.path} holds {name!r}, for which there is no place here: it "
                    "was written by another algorithm, network or version"
                )
        return jax.tree_util.tree_unflatten(treedef, leaves)

    def _leaf(self, name: str, wanted: Any) -> jax.Array:
        if name not in self.arrays:
            raise CheckpointError(
                f"checkpoint {self.path} has no {name!r}: it was written by another algorithm, "
                "network or version"
            )
        is_key = jnp.issubdtype(wanted.dtype, jax.dtypes.prng_key)
        shaped = jax.eval_shape(jax.random.key_data, wanted) if is_key else wanted
        saved = self.arrays[name]
        if saved.shape != shaped.shape or saved.dtype != shaped.dtype:
            raise CheckpointError(
                f"checkpoint {self.path}: {name!r} is {saved.dtype}{list(saved.shape)} there and "
                f"{shaped.dtype}{list(shaped.shape)} here: it was written with another task, "
                "network or batch size"
            )
        # A copy: the caller may donate these buffers, and must own them.
        array = jnp.array(saved, copy=True)
        if not is_key:
            return array
        return jax.random.wrap_key_data(array, impl=_key_impl(wanted))


def save(
    directory: pathlib.Path,
    step: int,
    tree: Any,
    metadata: Mapping[str, Json],
    *,
    keep: int = 3,
) -> pathlib.Path:
    """Writes a checkpoint, then removes all but the newest `keep`. Waits for `tree` to be computed.

    Returns its directory. Killed at any moment, the process leaves the earlier checkpoints and
    either none or all of this one.

    Raises:
      SaveError: the disk is full, the directory cannot be written, or a checkpoint of another
        format has this step; nothing partial is left.
    """
    arrays = _to_host(tree)
    final = directory / f"{_PREFIX}{step:010d}"
    partial = directory / f"{final.name}{_PARTIAL}{os.getpid()}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        _remove_partial(directory)
        if final.exists():
            with contextlib.suppress(TornCheckpointError):
                verify(final)
                return final  # a resumed run came by here before
            shutil.rmtree(final)
        partial.mkdir()
        _check_space(partial, arrays)
        _write(partial, arrays, metadata)
        partial.rename(final)
    except (OSError, ValueError, CheckpointError) as error:  # ValueError is tensorstore's
        shutil.rmtree(partial, ignore_errors=True)
        raise SaveError(_why_not_saved(directory, step, arrays, error)) from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    try:
        sync(directory)
    except OSError:
        return final  # it is there; as a power cut could take its name, the earlier ones stay too
    for path in steps(directory)[keep:]:
        _discard(path)
    return final


def steps(directory: pathlib.Path) -> list[pathlib.Path]:
    """The checkpoints in `directory`, newest first; not verified."""
    if not directory.is_dir():
        return []
    found = [p for p in directory.iterdir() if p.name.removeprefix(_PREFIX).isdigit()]
    return sorted(found, key=lambda p: int(p.name.removeprefix(_PREFIX)), reverse=True)


def verify(path: pathlib.Path) -> None:
    """Checks that every file is as it was written.

    Raises:
      TornCheckpointError: one is not; the message names it.
      CheckpointError: another format, of which nothing else is known.
    """
    try:
        manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise CheckpointError(
                f"checkpoint {path} has format {manifest['format']}, this mjxsim reads {FORMAT}: "
                "use the mjxsim that wrote it"
            )
        files = {name: (int(f["size"]), str(f["sha256"])) for name, f in manifest["files"].items()}
    except FileNotFoundError:
        raise TornCheckpointError(f"checkpoint {path} is torn: no manifest.json") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise TornCheckpointError(f"checkpoint {path} is torn: manifest.json unreadable") from None
    for name, (size, digest) in files.items():
        file = path / name
        if not file.is_file():
            raise TornCheckpointError(f"checkpoint {path} is torn: {name} is missing")
        if file.stat().st_size != size:
            raise TornCheckpointError(
                f"checkpoint {path} is torn: {name} has {file.stat().st_size} of {size} bytes"
            )
        if _sha256(file) != digest:
            raise TornCheckpointError(
                f"checkpoint {path} is torn: {name} does not match its checksum"
            )


def load(path: pathlib.Path) -> Checkpoint:
    """Reads one checkpoint. Raises TornCheckpointError, or CheckpointError for another format."""
    verify(path)
    metadata = json.loads((path / "metadata.json").read_text(encoding="utf-8"))
    with _quiet(), _orbax() as reader:
        arrays = reader.restore((path / "arrays").absolute())
    empty = {n: np.zeros(s, np.dtype(d)) for n, (s, d) in metadata["empty"].items()}
    arrays = {name: np.asarray(value) for name, value in arrays.items()} | empty
    return Checkpoint(path, int(metadata["step"]), arrays, metadata["user"])


def latest(directory: pathlib.Path, say: Callable[[str], None] = print) -> Checkpoint | None:
    """The newest complete checkpoint, or None where there is no checkpoint at all.

    Torn ones are named through `say` and skipped.

    Raises:
      CheckpointError: all are torn, or the newest complete one has another format.
    """
    found = steps(directory)
    for path in found:
        try:
            return load(path)
        except TornCheckpointError as error:
            say(f"{error}; skipping it")
    if found:
        raise CheckpointError(
            f"every checkpoint in {directory} is torn ({len(found)}): start anew in another "
            "directory"
        )
    return None


def restore_latest(
    directory: pathlib.Path, template: T, say: Callable[[str], None] = print
) -> tuple[int, T, Mapping[str, Any]] | None:
    """Step, tree and metadata of the newest complete checkpoint; see `latest` and `fill`."""
    checkpoint = latest(directory, say)
    if checkpoint is None:
        return None
    return checkpoint.step, checkpoint.fill(template), checkpoint.metadata


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _key_impl(key: Any) -> str:
    # A ShapeDtypeStruct has no key_impl; its dtype prints as key<fry>, and tracing it works.
    found: list[str] = []
    jax.eval_shape(lambda k: found.append(str(jax.random.key_impl(k))), key)
    return found[0]


def _to_host(tree: Any) -> dict[str, np.ndarray]:
    """Every leaf by name; typed keys as their raw data."""
    tree = jax.tree.map(
        lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x,
        tree,
    )
    named = jax.tree_util.tree_flatten_with_path(jax.device_get(tree))[0]
    return {_name(path): np.asarray(leaf) for path, leaf in named}


def _write(
    path: pathlib.Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Json]
) -> None:
    """Fills `path` and forces all of it to the disk; the manifest comes last."""
    full = {name: a for name, a in arrays.items() if a.size}  # orbax refuses empty arrays
    empty = {n: [list(a.shape), a.dtype.name] for n, a in arrays.items() if not a.size}
    step = int(path.name.removeprefix(_PREFIX).split(_PARTIAL)[0])
    with _quiet(), _orbax() as writer:
        writer.save((path / "arrays").absolute(), args=ocp.args.PyTreeSave(full))
    write_json(path / "metadata.json", {"step": step, "empty": empty, "user": dict(metadata)})
    files: dict[str, Json] = {}
    for file in sorted(p for p in path.rglob("*")):
        sync(file)
        if file.is_file():
            name = file.relative_to(path).as_posix()
            files[name] = {"size": file.stat().st_size, "sha256": _sha256(file)}
    write_json(path / "manifest.json", {"format": FORMAT, "files": files})
    sync(path)


def _orbax() -> ocp.Checkpointer:
    """Orbax for this process alone; of several it would otherwise wait for all."""
    me = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=me, active_processes={me}, barrier_sync_key_prefix=f"process{me}"
    )
    handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
    return ocp.Checkpointer(handler, multiprocessing_options=alone)


def _check_space(path: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Raises OSError if what `_write` needs does not fit on the disk.

    Orbax reports a full disk too, but by a flood of tracebacks from threads that we cannot catch.
    """
    if sys.platform != "linux":
        return
    reserve = path / "reserve"
    with reserve.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, _bytes_needed(arrays))
    reserve.unlink()


def _bytes_needed(arrays: Mapping[str, np.ndarray]) -> int:
    """Room for a checkpoint, generously: data, an index entry per array, some small files."""
    return round(1.1 * sum(a.nbytes for a in arrays.values())) + 2048 * len(arrays) + (64 << 10)


def _sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove_partial(directory: pathlib.Path) -> None:
    """Clears what a killed process left; a run directory has one writer at a time."""
    for path in directory.glob(f"{_PREFIX}*{_PARTIAL}*"):
        shutil.rmtree(path, ignore_errors=True)


def _discard(path: pathlib.Path) -> None:
    """Removes a checkpoint without ever leaving half of one under its name."""
    doomed = path.with_name(f"{path.name}{_PARTIAL}{os.getpid()}")
    with contextlib.suppress(OSError):
        path.rename(doomed)
        shutil.rmtree(doomed)


def _why_not_saved(
    directory: pathlib.Path, step: int, arrays: Mapping[str, np.ndarray], error: Exception
) -> str:
    kept = steps(directory)
    last = f"the last good one is {kept[0].name}" if kept else "there is no earlier one"
    text = " ".join(str(error).split())
    full = "No space left on device" in text or "Disk quota exceeded" in text
    if isinstance(error, OSError):
        full |= error.errno in (errno.ENOSPC, errno.EDQUOT)
    if full:
        need = _bytes_needed(arrays) / 1e6
        reason = f"no space left on the disk (it takes up to {need:.1f} MB)"
    else:
        reason = text
    return f"cannot save a checkpoint at step {step} in {directory}: {reason}; {last}"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps orbax from logging the traceback of an error that we report in one line."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)

"""Files that are either complete on the disk or not there, whatever kills the process."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


def sync(path: pathlib.Path) -> None:
    """Forces a file, or a directory's list of names, to the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows has no handle to a directory
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes all of `text` to `path`, or leaves what was there. Raises OSError."""
    part = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError):  # writing to a full disk does not say to which file
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    sync(path.parent)


def write_json(path: pathlib.Path, value: Json) -> None:
    """Writes `value` as indented JSON in the manner of `write_text`."""
    write_text(path, json.dumps(value, indent=2) + "\n")

"""What can be wrong with a dataset."""

import pathlib


class DatasetError(ValueError):
    """A dataset that cannot be read, written or continued; one line naming file and field."""


def wrong(path: pathlib.Path | str, what: str, field: str | None = None) -> DatasetError:
    """The error of a file, and of a field in it if that is where it is."""
    where = f"{path}: field {field!r}" if field else str(path)
    return DatasetError(f"{where}: {' '.join(what.split())}")

"""Parquet files: writing ours, and reading anybody's without trusting them."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.parquet as pq

from mjxsim.datasets.errors import wrong
from mjxsim.datasets.features import NUMPY, Feature
from mjxsim.datasets.info import SOURCE, START
from mjxsim.datasets.stats import STATISTICS

_ARROW: dict[str, pa.DataType] = {
    "float32": pa.float32(),
    "float64": pa.float64(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "bool": pa.bool_(),
    "string": pa.string(),
}


def frames_table(features: Mapping[str, Feature], columns: Mapping[str, np.ndarray]) -> pa.Table:
    """Columns (frames, n) as data/ has them: fixed-size lists, and plain values where n is 1."""
    arrays = {}
    for name, feature in features.items():
        kind, values = _ARROW[feature.dtype], columns[name]
        if feature.dtype == "string":
            arrays[name] = pa.array([str(v) for v in np.ravel(values)], kind)
            continue
        flat = pa.array(np.ascontiguousarray(values, NUMPY[feature.dtype]).reshape(-1), kind)
        (n,) = feature.shape
        arrays[name] = flat if n == 1 else pa.FixedSizeListArray.from_arrays(flat, n)
    return pa.table(arrays)


def tasks_table(tasks: Sequence[str]) -> pa.Table:
    """Instructions by number, as pandas would write a frame that they index.

    LeRobot looks an instruction up in that index; without the schema's metadata pandas would not
    make one, and every task would read 0.
    """
    index = "__index_level_0__"
    kinds = [("task_index", "task_index", "int64"), (None, index, "unicode")]
    columns = [
        {
            "name": name,
            "field_name": field,
            "pandas_type": kind,
            "numpy_type": "int64" if kind == "int64" else "object",
            "metadata": None,
        }
        for name, field, kind in kinds
    ]
    pandas = {
        "index_columns": [index],
        "column_indexes": [],
        "columns": columns,
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.2.3",
    }
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), index: list(tasks)})
    return table.replace_schema_metadata({"pandas": json.dumps(pandas)})


def episodes_schema(features: Mapping[str, Feature], truths: bool) -> pa.Schema:
    """Of meta/episodes, for all features with the bookkeeping.

    LeRobot 0.4 writes the least and largest of truth values as such (`truths`), 0.6 as numbers, and
    neither can merge what has been appended to in the other's manner.
    """
    integer, real = pa.int64(), pa.float64()
    fields: list[tuple[str, pa.DataType]] = [
        ("episode_index", integer),
        ("tasks", pa.list_(pa.string())),
        ("length", integer),
        ("data/chunk_index", integer),
        ("data/file_index", integer),
        ("dataset_from_index", integer),
        ("dataset_to_index", integer),
    ]
    for name, feature in features.items():
        if feature.is_video:
            place = f"videos/{name}"
            fields += [(f"{place}/chunk_index", integer), (f"{place}/file_index", integer)]
            fields += [(f"{place}/from_timestamp", real), (f"{place}/to_timestamp", real)]
    for name, feature in features.items():
        if feature.dtype == "string":
            continue
        for statistic in STATISTICS:
            kind = pa.list_(integer if statistic == "count" else real)
            if feature.is_video and statistic != "count":
                kind = pa.list_(pa.list_(kind))
            if truths and feature.dtype == "bool" and statistic in ("min", "max"):
                kind = pa.list_(pa.bool_())
            fields.append((f"stats/{name}/{statistic}", kind))
    fields += [("meta/episodes/chunk_index", integer), ("meta/episodes/file_index", integer)]
    # Text, which also LeRobot's tools keep: they fill with nothing where a dataset has none.
    fields += [(START, pa.string()), (SOURCE, pa.string())]
    return pa.schema(fields)


def write(path: pathlib.Path, table: pa.Table) -> None:
    """Writes a file, with checksums so that damage is noticed. Raises OSError."""
    with path.open("wb") as file:  # pyarrow's own stays open when the disk is full
        pq.write_table(table, file, write_page_checksum=True)


def read(path: pathlib.Path, columns: Sequence[str] | None = None) -> pa.Table:
    """A file, or those of its columns that are named.

    Raises:
      DatasetError: it is missing, not readable, or lacks a column.
    """
    names = schema(path)[0].names
    for column in columns or ():
        if column not in names:
            raise wrong(path, "the column is missing", column)
    try:
        # One file, without looking for partitions in its path.
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read(columns=None if columns is None else list(columns))
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise wrong(path, f"not readable: {error}") from error
    return table


def schema(path: pathlib.Path) -> tuple[pa.Schema, int]:
    """Columns and number of rows, from the file's end alone. Raises DatasetError."""
    if not path.exists():
        raise wrong(path, "the file is missing")
    if not path.is_file():
        raise wrong(path, "it is not a file")
    try:
        with pq.ParquetFile(path) as file:
            return file.schema_arrow, file.metadata.num_rows
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise wrong(path, f"not a Parquet file: {error}") from error


def values(path: pathlib.Path, table: pa.Table, name: str, feature: Feature) -> np.ndarray:
    """A column as (rows, n), of the dtype that info.json says; text as objects.

    Raises:
      DatasetError: it is missing, of another kind or shape, or has gaps.
    """
    column = _column(path, table, name)
    (n,) = feature.shape
    if feature.dtype == "string":
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            raise wrong(path, f"expected text, got {column.type}", name)
        return np.array(column.to_pylist(), object).reshape(-1, 1)
    kind = column.type
    nested = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if nested or pa.types.is_fixed_size_list(kind):
        flat = (
            column.flatten()
            if isinstance(column, pa.Array)
            else pa.chunked_array([c.flatten() for c in column.chunks], kind.value_type)
        )
        lengths = (
            {kind.list_size}
            if not nested
            else set(
                np.unique(compute.call_function("list_value_length", [column]).to_numpy()).tolist()
            )
        )
        if lengths - {n}:
            raise wrong(path, f"expected {n} values in every row, got {sorted(lengths)}", name)
        column, kind = flat, kind.value_type
    elif n != 1:
        raise wrong(path, f"expected {n} values in every row, got {kind}", name)
    wanted = _ARROW[feature.dtype]
    if not _alike(kind, wanted):
        raise wrong(path, f"expected {wanted}, got {kind}", name)
    if column.null_count:
        raise wrong(path, f"{column.null_count} values are missing", name)
    if len(column) != table.num_rows * n:
        raise wrong(path, f"expected {n} values in every row", name)
    return column.to_numpy().astype(NUMPY[feature.dtype], copy=False).reshape(-1, n)


def integers(path: pathlib.Path, table: pa.Table, name: str) -> np.ndarray:
    """A column of whole numbers of at least 0, int64 (rows,). Raises DatasetError."""
    found = values(path, table, name, Feature("int64", (1,)))[:, 0]
    if len(found) and found.min() < 0:
        raise wrong(path, f"expected numbers of at least 0, got {found.min()}", name)
    return found


def reals(path: pathlib.Path, table: pa.Table, name: str) -> np.ndarray:
    """A column of finite numbers, float64 (rows,). Raises DatasetError."""
    found = values(path, table, name, Feature("float64", (1,)))[:, 0]
    if not np.isfinite(found).all():
        raise wrong(path, "expected finite numbers", name)
    return found


def texts(path: pathlib.Path, table: pa.Table, name: str) -> list[str | None]:
    """A column of text, None where it has none. Raises DatasetError."""
    column = _column(path, table, name)
    if pa.types.is_null(column.type):
        return [None] * table.num_rows
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise wrong(path, f"expected text, got {column.type}", name)
    return column.to_pylist()


def lists_of_text(path: pathlib.Path, table: pa.Table, name: str) -> list[list[str]]:
    """A column of lists of text. Raises DatasetError."""
    column = _column(path, table, name)
    rows: list[Any] = column.to_pylist()
    for row in rows:
        if not isinstance(row, list) or not all(isinstance(x, str) for x in row):
            raise wrong(path, f"expected a list of text in every row, got {row!r}", name)
    return rows


def _column(path: pathlib.Path, table: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in table.column_names:
        raise wrong(path, "the column is missing", name)
    if table.column_names.count(name) > 1:
        raise wrong(path, "the column is there twice", name)
    return table.column(name)


def _alike(kind: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of `kind` may stand for those of `wanted`."""
    t = pa.types
    if t.is_floating(wanted):
        return t.is_floating(kind)
    if t.is_boolean(wanted):
        return t.is_boolean(kind)
    return t.is_integer(kind)


def read_tasks(path: pathlib.Path) -> list[str]:
    """The instructions, by number. Raises DatasetError."""
    table = read(path)
    index = next((n for n in ("__index_level_0__", "task") if n in table.column_names), None)
    if index is None:
        raise wrong(path, "the column is missing", "__index_level_0__")
    numbers, found = integers(path, table, "task_index"), texts(path, table, index)
    if sorted(numbers.tolist()) != list(range(len(found))):
        raise wrong(path, f"expected the numbers from 0 to {len(found) - 1}", "task_index")
    if any(t is None for t in found):
        raise wrong(path, "a task has no text", index)
    if len(set(found)) < len(found):
        raise wrong(path, "a task is there twice", index)
    return [str(found[i]) for i in np.argsort(numbers)]

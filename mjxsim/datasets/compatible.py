"""Whether a recording may go on in a dataset that is there."""

import dataclasses
import pathlib
from collections.abc import Mapping

from mjxsim.datasets import tables
from mjxsim.datasets.errors import wrong
from mjxsim.datasets.features import Feature
from mjxsim.datasets.info import SOURCE, Info
from mjxsim.datasets.source import Source


def check_recording(info: Info, features: Mapping[str, Feature], fps: int, robot_type: str) -> None:
    """Raises DatasetError, naming what differs, unless rate, robot and features are the same."""
    path = info.path
    if info.fps != fps:
        raise wrong(path, f"the dataset has {info.fps} and this recording {fps}", "fps")
    if info.robot_type != robot_type:
        was = info.robot_type
        raise wrong(path, f"the dataset is of {was!r}, not of {robot_type!r}", "robot_type")
    _check_same(path, info.recorded, features)


def check_source(info: Info, source: Source | None) -> None:
    """Raises DatasetError if the dataset is known to be of another task, or of other actions."""
    was = None if source is None else _last_source(info)
    if source is None or was is None:
        return
    if was.task != source.task:
        text = f"the dataset is of task {was.task!r}, not of {source.task!r}"
        raise wrong(info.root, text, "task")
    for field in dataclasses.fields(source.control):
        there, here = getattr(was.control, field.name), getattr(source.control, field.name)
        if there != here:
            text = f"the dataset's actions have {there!r} and this recording's {here!r}"
            raise wrong(info.root, text, f"control.{field.name}")


def _last_source(info: Info) -> Source | None:
    """How the last episode was recorded for which that is known here. Raises DatasetError."""
    for path in sorted((info.root / "meta" / "episodes").glob("*/*.parquet"), reverse=True):
        if SOURCE not in tables.schema(path)[0].names:
            continue
        table = tables.read(path, ["episode_index", SOURCE])
        counted = tables.integers(path, table, "episode_index") < info.total_episodes
        known = [
            text
            for text, counts in zip(tables.texts(path, table, SOURCE), counted, strict=True)
            if text and counts
        ]
        if known:
            try:
                return Source.from_json(known[-1])
            except ValueError:
                return None  # of another mjxsim
    return None


def _check_same(
    path: pathlib.Path, there: Mapping[str, Feature], here: Mapping[str, Feature]
) -> None:
    """Raises DatasetError, naming the feature, unless the features are the same."""
    for name in there.keys() | here.keys():
        a, b = there.get(name), here.get(name)
        if a is None or b is None:
            where = "this recording" if a is None else "the dataset"
            raise wrong(path, f"only {where} has it", f"features.{name}")
        named = a.names is not None and b.names is not None and a.names != b.names
        if (a.dtype, a.shape) != (b.dtype, b.shape) or named:
            shown = [f"{f.dtype} {f.shape}" for f in (a, b)]
            if shown[0] == shown[1]:
                shown = [str(f.names) for f in (a, b)]
            text = f"the dataset has {shown[0]} and this recording {shown[1]}"
            raise wrong(path, text, f"features.{name}")

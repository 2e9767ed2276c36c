"""Whether a recording may go on in a dataset that is there."""

import pathlib
from collections.abc import Mapping

from mjxsim.datasets.errors import wrong
from mjxsim.datasets.features import Feature
from mjxsim.datasets.info import Info
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


def check_task(root: pathlib.Path, was: Source | None, source: Source | None) -> None:
    """Raises DatasetError if the dataset is known to be of another task."""
    if source is not None and was is not None and was.task != source.task:
        text = f"the dataset is of task {was.task!r}, not of {source.task!r}"
        raise wrong(root, text, "task")


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

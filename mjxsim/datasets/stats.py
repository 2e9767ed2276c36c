"""Statistics as LeRobot keeps them per episode and per dataset, for normalizing what is learned.

Pictures are counted in a histogram of their 256 levels while they are recorded, so that theirs are
exact and take no memory.
"""

import json
import pathlib
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from mjxsim.datasets import info as infos
from mjxsim.datasets.errors import wrong
from mjxsim.datasets.features import Feature
from mjxsim.datasets.info import Info

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
STATISTICS = ("min", "max", "mean", "std", "count", *QUANTILES)

Stats = dict[str, np.ndarray]  # by name of STATISTICS; float64, count int64 (1,)


def of_columns(values: np.ndarray) -> Stats:
    """Of a feature's values (frames, n); every statistic (n,)."""
    x = np.asarray(values, np.float64).reshape(len(values), -1)
    levels = np.quantile(x, list(QUANTILES.values()), axis=0)
    return {
        "min": x.min(axis=0),
        "max": x.max(axis=0),
        "mean": x.mean(axis=0),
        "std": x.std(axis=0),
        "count": np.array([len(x)], np.int64),
        **dict(zip(QUANTILES, levels, strict=True)),
    }


class Histogram:
    """Levels of the pictures seen so far, per channel."""

    def __init__(self) -> None:
        self._counts = np.zeros((3, 256), np.int64)
        self._pictures = 0

    def add(self, picture: np.ndarray) -> None:
        """Counts a picture, uint8 (height, width, 3)."""
        for c in range(3):
            self._counts[c] += np.bincount(picture[..., c].ravel(), minlength=256)
        self._pictures += 1

    def stats(self) -> Stats:
        """Every statistic (3, 1, 1), of levels scaled to [0, 1]; the count is of pictures."""
        level = np.arange(256) / 255.0
        share = self._counts / self._counts.sum(axis=1, keepdims=True)
        mean = share @ level
        std = np.sqrt(np.maximum(share @ level**2 - mean**2, 0.0))
        below = np.cumsum(share, axis=1)
        found = {"mean": mean, "std": std}
        found["min"] = level[(self._counts > 0).argmax(axis=1)]
        found["max"] = level[255 - (self._counts[:, ::-1] > 0).argmax(axis=1)]
        for name, q in QUANTILES.items():
            found[name] = level[(below >= q - 1e-12).argmax(axis=1)]
        shaped = {k: v.reshape(3, 1, 1) for k, v in found.items()}
        return {**shaped, "count": np.array([self._pictures], np.int64)}


def merged(a: Mapping[str, Stats], b: Mapping[str, Stats]) -> dict[str, Stats]:
    """Of two sets of frames together, by feature; quantiles are means weighted by count.

    The formulas are LeRobot's (`aggregate_feature_stats`); means and deviations are exact, by Chan
    et al. 1979.
    """
    return {name: _merged(a[name], b[name]) if name in a else b[name] for name in b}


def _merged(a: Stats, b: Stats) -> Stats:
    count = a["count"] + b["count"]
    wa, wb = a["count"] / count, b["count"] / count
    mean = wa * a["mean"] + wb * b["mean"]
    variance = wa * (a["std"] ** 2 + (a["mean"] - mean) ** 2)
    variance += wb * (b["std"] ** 2 + (b["mean"] - mean) ** 2)
    return {
        "min": np.minimum(a["min"], b["min"]),
        "max": np.maximum(a["max"], b["max"]),
        "mean": mean,
        "std": np.sqrt(variance),
        "count": count,
        **{q: wa * a[q] + wb * b[q] for q in QUANTILES},
    }


def of_episodes(info: Info, path: pathlib.Path, rows: pa.Table) -> list[dict[str, Stats]]:
    """Of each episode, from its row of meta/episodes (the file at `path`). Raises DatasetError."""
    columns: dict[tuple[str, str], list[np.ndarray]] = {}
    for name, feature in info.features.items():
        for statistic in STATISTICS if feature.dtype != "string" else ():
            field = f"stats/{name}/{statistic}"
            try:
                values = rows.column(field).to_pylist()
                columns[name, statistic] = [_shaped(v, statistic, feature) for v in values]
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise wrong(path, "missing, or not of this feature's shape", field) from error
    names = dict.fromkeys(name for name, _ in columns)
    return [
        {n: {s: columns[n, s][row] for s in STATISTICS} for n in names}
        for row in range(rows.num_rows)
    ]


def to_text(stats: Mapping[str, Stats]) -> str:
    """As meta/stats.json has them."""
    values = {n: {s: v.tolist() for s, v in of.items()} for n, of in stats.items()}
    return json.dumps(values, indent=4) + "\n"


def read(info: Info) -> dict[str, Stats]:
    """Of a dataset, from meta/stats.json. Raises DatasetError."""
    path = info.root / infos.STATS
    raw, found = infos.read_json(path), dict[str, Stats]()
    for name, feature in info.features.items():
        if feature.dtype == "string":
            continue
        found[name] = {}
        for statistic in STATISTICS:
            try:
                found[name][statistic] = _shaped(raw[name][statistic], statistic, feature)
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                text = f"missing, or no numbers of shape {_shape(statistic, feature)}"
                raise wrong(path, text, f"{name}.{statistic}") from error
    return found


def _shape(statistic: str, feature: Feature) -> tuple[int, ...]:
    return (1,) if statistic == "count" else (3, 1, 1) if feature.is_video else feature.shape


def _shaped(value: object, statistic: str, feature: Feature) -> np.ndarray:
    kind = np.int64 if statistic == "count" else np.float64
    return np.array(value).astype(kind).reshape(_shape(statistic, feature))

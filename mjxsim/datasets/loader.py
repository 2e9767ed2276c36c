"""Datasets as batches for a learner in JAX."""

import collections
import concurrent.futures
import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import jax
import numpy as np

from mjxsim.datasets.dataset import Dataset
from mjxsim.datasets.features import BOOKKEEPING, Feature
from mjxsim.datasets.order import Order, batches, check_weights
from mjxsim.datasets.pictures import Budget, Pictures
from mjxsim.naming import unknown

Batch = dict[str, jax.Array]

_TOLERANCE = 1e-4  # [s] of a delta, as LeRobot has it


@dataclasses.dataclass(frozen=True, eq=False)
class _Part:
    """One dataset, ready to be gathered from."""

    columns: dict[str, np.ndarray]  # (frames, n)
    episode: np.ndarray  # (frames,) which it is of
    begin: np.ndarray  # (frames,) first frame of that episode
    end: np.ndarray  # (frames,) the frame after its last
    tasks: np.ndarray  # (tasks,) their numbers among all datasets' tasks
    pictures: Pictures


class Loader:
    """An iterator of batches, made ahead on threads; what comes is decided by the seed alone.

    A batch has, by feature, arrays (batch_size, n), pictures uint8 (batch_size, height, width, 3)
    and "task_index" into `tasks`, with "dataset_index" beside. A feature with `deltas`, times in
    seconds from the frame at hand, has a further axis (batch_size, deltas, ...): chunks of actions
    ahead, stacks of frames before. Times beyond the episode's ends repeat its first or last frame,
    and are True in "<feature>_is_pad", bool (batch_size, deltas).

        loader = Loader([dataset], batch_size=64, deltas={"action": [i / 20 for i in range(16)]})
        for batch in itertools.islice(loader, 1000):
            state = update(state, batch)
    """

    def __init__(
        self,
        datasets: Dataset | Sequence[Dataset],
        *,
        batch_size: int,
        deltas: Mapping[str, Sequence[float]] | None = None,
        weights: Sequence[float] | None = None,
        features: Sequence[str] | None = None,
        shuffle: bool = True,
        seed: int | jax.Array = 0,
        epochs: int | None = None,
        workers: int = 2,
        prefetch: int = 4,
        cache_bytes: int = 2**30,
        sharding: jax.sharding.Sharding | None = None,
    ) -> None:
        """Reads all columns; pictures are read when they are wanted.

        Args:
          datasets: one or several.
          batch_size: samples in a batch; what fills no batch at the end is left out.
          deltas: times [s] by feature, each a multiple of the frame's period.
          weights: shares of the datasets; None makes all frames equally likely.
          features: what a batch has; None for all that the datasets share.
          shuffle: draw frames in random order rather than as they are.
          seed: of that order, or a key.
          epochs: after how many to end; None never ends. Not with `weights`.
          workers: threads that make batches.
          prefetch: batches that are made ahead.
          cache_bytes: of decoded pictures that are kept in memory.
          sharding: where batches are put; the default device if None.

        Raises:
          ValueError: an unknown feature, datasets that do not go together, deltas that are no
            multiples of the period, or a number that is not positive.
          DatasetError: a dataset is broken.
        """
        several = [datasets] if isinstance(datasets, Dataset) else list(datasets)
        if not several or not all(d.length for d in several):
            raise ValueError("a loader needs datasets with at least one episode")
        for name, value in {"batch_size": batch_size, "workers": workers}.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if epochs is not None and weights is not None:
            raise ValueError("epochs have no meaning with weights: leave one of them out")
        self.features = _shared(several, features)
        self._steps = _offsets(several, self.features, deltas or {})
        shares = check_weights(weights, len(several))
        self.tasks = tuple(dict.fromkeys(t for d in several for t in d.tasks))
        budget = Budget(cache_bytes)
        self._parts = [_part(d, self.features, self.tasks, Pictures(d, budget)) for d in several]
        key = jax.random.key(seed) if isinstance(seed, int) else seed
        self._order = Order(tuple(d.length for d in several), key, shuffle, shares)
        frames = sum(d.length for d in several)
        self._samples = None if epochs is None else epochs * frames
        self._batch_size, self._workers, self._prefetch = batch_size, workers, max(1, prefetch)
        self._sharding = sharding

    def __iter__(self) -> Iterator[Batch]:
        """From the beginning of the order. Raises DatasetError: a video is broken."""
        todo = batches(self._order, self._batch_size, self._samples)
        pool = concurrent.futures.ThreadPoolExecutor(self._workers, "mjxsim-loader")
        ahead: collections.deque[concurrent.futures.Future[Batch]] = collections.deque()
        try:
            while True:
                while len(ahead) < self._prefetch and (rows := next(todo, None)) is not None:
                    ahead.append(pool.submit(self._batch, rows))
                if not ahead:
                    return
                yield ahead.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _batch(self, rows: np.ndarray) -> Batch:
        """The samples (batch_size, 2): dataset and frame in it."""
        out: dict[str, np.ndarray] = {}
        for i, part in enumerate(self._parts):
            mine = np.flatnonzero(rows[:, 0] == i)
            if mine.size:
                for name, values in self._gather(part, rows[mine, 1]).items():
                    if name not in out:
                        out[name] = np.empty((len(rows), *values.shape[1:]), values.dtype)
                    out[name][mine] = values
        out["dataset_index"] = rows[:, 0].astype(np.int32)
        return jax.device_put(out, self._sharding)

    def _gather(self, part: _Part, at: np.ndarray) -> dict[str, np.ndarray]:
        """Of one dataset the frames `at` (n,)."""
        out: dict[str, np.ndarray] = {}
        begin, last = part.begin[at][:, None], part.end[at][:, None] - 1
        for name, feature in self.features.items():
            steps = self._steps.get(name)
            meant = at[:, None] + (np.zeros(1, np.int64) if steps is None else steps)
            frame = np.clip(meant, begin, last)
            values = (
                self._pictures(part, name, feature, frame)
                if feature.is_video
                else part.columns[name][frame]
            )
            if steps is None:
                values = values[:, 0]
            else:
                out[f"{name}_is_pad"] = frame != meant
            out[name] = part.tasks[values] if name == "task_index" else values
        return out

    def _pictures(self, part: _Part, name: str, feature: Feature, frame: np.ndarray) -> np.ndarray:
        """Of frames (n, times) of the dataset, each row within one episode."""
        out = np.empty((*frame.shape, *feature.shape), np.uint8)
        episode = part.episode[frame[:, 0]]
        for e in np.unique(episode):
            rows = np.flatnonzero(episode == e)
            wanted = frame[rows] - part.begin[frame[rows[0], 0]]
            found = part.pictures.get(int(e), name, wanted.reshape(-1))
            out[rows] = found.reshape(*wanted.shape, *feature.shape)
        return out


def _shared(datasets: Sequence[Dataset], wanted: Sequence[str] | None) -> dict[str, Feature]:
    """Features that all datasets have alike, without text; or those that are wanted."""
    first = {k: f for k, f in datasets[0].features.items() if f.dtype != "string"}
    if wanted is None:
        return {
            k: f
            for k, f in first.items()
            if all(
                k in d.features and (d.features[k].dtype, d.features[k].shape) == (f.dtype, f.shape)
                for d in datasets
            )
        }
    for name in wanted:
        for d in datasets:
            if name not in d.features or d.features[name].dtype == "string":
                valid = [k for k, f in d.features.items() if f.dtype != "string"]
                raise ValueError(f"{d.root}: {unknown('feature', name, valid)}")
            there, here = d.features[name], first[name]
            if (there.dtype, there.shape) != (here.dtype, here.shape):
                raise ValueError(
                    f"feature {name!r} is {here.dtype} {here.shape} in {datasets[0].root} and "
                    f"{there.dtype} {there.shape} in {d.root}: leave it out of features"
                )
    return {k: first[k] for k in dict.fromkeys([*wanted, "task_index"])}


def _offsets(
    datasets: Sequence[Dataset],
    features: Mapping[str, Feature],
    deltas: Mapping[str, Sequence[float]],
) -> dict[str, np.ndarray]:
    """Deltas as numbers of frames. Raises ValueError unless they are whole in every dataset."""
    rates = sorted({d.fps for d in datasets})
    if deltas and len(rates) > 1:
        raise ValueError(f"datasets with deltas must have one rate, got {rates} frames per second")
    found = {}
    for name, times in deltas.items():
        if name not in features:
            raise ValueError(unknown("feature of deltas", name, features))
        seconds = np.array(list(times), np.float64)
        if seconds.ndim != 1 or not seconds.size:
            raise ValueError(f"deltas of {name!r} must be a list of times [s]")
        frames = np.round(seconds * rates[0])
        off = np.abs(frames / rates[0] - seconds)
        if not (off <= _TOLERANCE).all():
            bad = seconds[int(np.argmax(~(off <= _TOLERANCE)))]
            raise ValueError(
                f"delta {bad} s of {name!r} is no multiple of 1/{rates[0]} s, the frames' period"
            )
        found[name] = frames.astype(np.int64)
    return found


def _part(
    dataset: Dataset, features: Mapping[str, Feature], tasks: Sequence[str], pictures: Pictures
) -> _Part:
    names = [k for k, f in features.items() if not f.is_video]
    columns = dataset.all_columns(names)
    for name, values in columns.items():
        # As JAX has them by default; before a batch is made, not in each.
        if values.dtype in (np.float64, np.int64):
            narrow = np.float32 if values.dtype == np.float64 else np.int32
            columns[name] = values.astype(narrow)
        if name in BOOKKEEPING:
            columns[name] = columns[name][:, 0]
    lengths = [e.length for e in dataset.episodes]
    first = np.array([e.first for e in dataset.episodes])
    return _Part(
        columns=columns,
        episode=np.repeat(np.arange(len(lengths)), lengths),
        begin=np.repeat(first, lengths),
        end=np.repeat(first + lengths, lengths),
        tasks=np.array([tasks.index(t) for t in dataset.tasks], np.int32),
        pictures=pictures,
    )

"""Which frame comes when: a stream of samples that a key and nothing else decides."""

import dataclasses
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

_DRAWS = 65_536  # choices of a dataset that are drawn at once, at most


@dataclasses.dataclass(frozen=True)
class Order:
    """Samples from several datasets.

    Without weights an epoch is every frame of every dataset once. With weights each sample is of
    dataset i with probability `weights[i]`, and within a dataset every frame comes once before any
    comes again.
    """

    lengths: tuple[int, ...]  # frames of each dataset
    key: jax.Array
    shuffle: bool
    weights: tuple[float, ...] | None

    def samples(self) -> Iterator[np.ndarray]:
        """Endlessly, some at a time: int64 (n, 2), the dataset and the frame in it."""
        if self.weights is None:
            yield from self._epochs()
        else:
            yield from self._mixed(np.array(self.weights) / sum(self.weights))

    def _epochs(self) -> Iterator[np.ndarray]:
        which = np.repeat(np.arange(len(self.lengths)), self.lengths)
        frame = np.concatenate([np.arange(n) for n in self.lengths])
        every = np.stack([which, frame], axis=1)
        epoch = 0
        while True:
            yield every[self._permutation(len(every), 0, epoch)]
            epoch += 1

    def _mixed(self, shares: np.ndarray) -> Iterator[np.ndarray]:
        """With a stream of its own for every dataset."""
        left = [np.empty(0, np.int64) for _ in self.lengths]
        epochs = [0] * len(self.lengths)
        edges = jnp.asarray(np.cumsum(shares)[:-1], jnp.float32)
        draws = min(_DRAWS, max(256, sum(self.lengths)))
        chunk = 0
        while True:
            draw_key = jax.random.fold_in(jax.random.fold_in(self.key, len(self.lengths)), chunk)
            drawn = jax.random.uniform(draw_key, (draws,))
            which = np.asarray(jnp.searchsorted(edges, drawn, side="right"), np.int64)
            frame = np.empty(draws, np.int64)
            for i, count in enumerate(np.bincount(which, minlength=len(self.lengths))):
                while len(left[i]) < count:
                    more = self._permutation(self.lengths[i], i, epochs[i])
                    left[i] = np.concatenate([left[i], more])
                    epochs[i] += 1
                frame[which == i], left[i] = left[i][:count], left[i][count:]
            yield np.stack([which, frame], axis=1)
            chunk += 1

    def _permutation(self, n: int, stream: int, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return np.arange(n)
        key = jax.random.fold_in(jax.random.fold_in(self.key, stream), epoch)
        return np.asarray(jax.random.permutation(key, n), np.int64)


def batches(order: Order, size: int, samples: int | None) -> Iterator[np.ndarray]:
    """`Order.samples` cut to (size, 2); of `samples` in all, without a rest that fills no batch."""
    waiting = np.empty((0, 2), np.int64)
    left = samples
    for more in order.samples():
        waiting = np.concatenate([waiting, more])
        while len(waiting) >= size:
            if left is not None:
                if left < size:
                    return
                left -= size
            yield waiting[:size]
            waiting = waiting[size:]


def check_weights(weights: Sequence[float] | None, datasets: int) -> tuple[float, ...] | None:
    """Raises ValueError, one line, unless there is a positive weight for each dataset."""
    if weights is None:
        return None
    if len(weights) != datasets:
        raise ValueError(f"{datasets} datasets need a weight each, got {len(weights)}")
    if not all(np.isfinite(w) and w > 0 for w in weights):
        raise ValueError(f"weights must be positive, got {list(weights)}")
    return tuple(float(w) for w in weights)

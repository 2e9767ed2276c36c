"""Batches: exact frames, chunks and stacks, order from a seed, mixtures, and errors."""

import itertools
import pathlib
import shutil

import jax
import numpy as np
import pytest

from mjxsim.datasets import Dataset, DatasetError, Loader
from mjxsim.datasets import pictures as pictures_module
from tests import recordings
from tests.recordings import CAMERA, FPS

LENGTHS = (5, 12, 7)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return Dataset.open(recordings.record(tmp_path_factory.mktemp("loader") / "a", LENGTHS))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Of other tasks, in which "pick it up" comes second."""
    root = tmp_path_factory.mktemp("loader") / "b"
    with recordings.create(root) as writer:
        for task in ("wave", "pick it up"):
            for t in range(10):
                writer.add(recordings.frame(3, t, 10))
            writer.save_episode(task)
    return Dataset.open(root)


def numpy(batch: dict[str, jax.Array]) -> dict[str, np.ndarray]:
    return {k: np.asarray(v) for k, v in batch.items()}


def test_an_epoch_is_every_frame_once(dataset: Dataset) -> None:
    loader = Loader(dataset, batch_size=4, epochs=2, features=("action", "index"), seed=3)
    batches = [numpy(b) for b in loader]
    assert len(batches) == 2 * 24 // 4
    seen = np.concatenate([b["index"] for b in batches])
    for epoch in (seen[:24], seen[24:]):
        assert sorted(epoch.tolist()) == list(range(24))
        assert epoch.tolist() != list(range(24))
    assert seen[:24].tolist() != seen[24:].tolist()
    for b in batches:
        for i, index in enumerate(b["index"]):
            episode = int(np.searchsorted(np.cumsum(LENGTHS), index, side="right"))
            t = index - sum(LENGTHS[:episode])
            np.testing.assert_array_equal(b["action"][i], [100 * episode + t, -t])


def test_batches_are_of_jax_and_typed(dataset: Dataset) -> None:
    batch = next(iter(Loader(dataset, batch_size=2)))
    assert all(isinstance(v, jax.Array) for v in batch.values())
    found = {k: (v.dtype.name, v.shape) for k, v in batch.items()}
    assert found["action"] == ("float32", (2, 2))
    assert found["next.done"] == ("bool", (2, 1))
    assert found[CAMERA] == ("uint8", (2, 32, 48, 3))
    assert found["episode_index"] == found["dataset_index"] == ("int32", (2,))


@pytest.mark.parametrize("cache_bytes", [2**30, 0, 5 * 32 * 48 * 3])
def test_chunks_and_stacks_have_exact_times(dataset: Dataset, cache_bytes: int) -> None:
    """With all pictures in memory, with none, and with one episode's."""
    deltas = {
        "action": [i / FPS for i in range(4)],
        CAMERA: [-2 / FPS, -1 / FPS, 0.0],
        "timestamp": [-1 / FPS, 0.0, 1 / FPS],
    }
    loader = Loader(dataset, batch_size=8, deltas=deltas, epochs=1, cache_bytes=cache_bytes)
    for b in map(numpy, loader):
        for i in range(8):
            episode, t = int(b["episode_index"][i]), int(b["frame_index"][i])
            last = LENGTHS[episode] - 1
            ahead = t + np.arange(4)
            np.testing.assert_array_equal(b["action"][i, :, 1], -np.minimum(ahead, last))
            np.testing.assert_array_equal(b["action_is_pad"][i], ahead > last)
            around = t + np.arange(-1, 2)
            expected = np.clip(around, 0, last) / FPS
            np.testing.assert_allclose(b["timestamp"][i], expected, atol=1e-6)
            before = t + np.arange(-2, 1)
            np.testing.assert_array_equal(b[f"{CAMERA}_is_pad"][i], before < 0)
            for k, frame in enumerate(np.maximum(before, 0)):
                wanted = recordings.picture(episode, frame).astype(float)
                # Neighbouring frames differ by 8 levels.
                assert np.abs(b[CAMERA][i, k] - wanted).mean() < 3.0


def test_the_seed_decides_and_threads_do_not(dataset: Dataset) -> None:
    def indices(**options: int) -> list[int]:
        loader = Loader(dataset, batch_size=5, features=("index",), **options)
        return np.concatenate([b["index"] for b in itertools.islice(loader, 20)]).tolist()

    one = indices(seed=1, workers=1, prefetch=1)
    assert one == indices(seed=1, workers=4, prefetch=8)
    assert one != indices(seed=2)
    loader = Loader(dataset, batch_size=5, features=("index",), seed=jax.random.key(1))
    assert np.asarray(next(iter(loader))["index"]).tolist() == one[:5]


def test_unshuffled(dataset: Dataset) -> None:
    loader = Loader(dataset, batch_size=10, shuffle=False, epochs=1, features=("index",))
    assert [np.asarray(b["index"]).tolist() for b in loader] == [
        list(range(10)),
        list(range(10, 20)),
    ], "a rest of 4 fills no batch"


def test_mixtures_have_their_weights(dataset: Dataset, other: Dataset) -> None:
    loader = Loader([dataset, other], batch_size=500, weights=(1.0, 3.0), features=("index",))
    batches = [numpy(b) for b in itertools.islice(loader, 8)]
    which = np.concatenate([b["dataset_index"] for b in batches])
    # Of 4000 draws: the standard deviation of the share is 0.007.
    assert abs(which.mean() - 0.75) < 0.03
    for i, length in enumerate((24, 20)):
        frames = np.concatenate([b["index"] for b in batches])[which == i]
        whole = len(frames) // length * length
        counts = np.bincount(frames[:whole], minlength=length)
        assert (counts == whole // length).all(), "every frame once before any comes again"


def test_tasks_of_mixtures_have_one_numbering(dataset: Dataset, other: Dataset) -> None:
    loader = Loader([dataset, other], batch_size=44, epochs=1)
    assert loader.tasks == (*recordings.TASKS, "wave")
    (b,) = [numpy(b) for b in loader]
    for i in range(44):
        parts = (dataset, other)
        episode = parts[b["dataset_index"][i]].episodes[b["episode_index"][i]]
        assert loader.tasks[b["task_index"][i]] == episode.tasks[0]


def test_abandoned_iteration_ends_its_threads(dataset: Dataset) -> None:
    import threading

    before = threading.active_count()
    iterator = iter(Loader(dataset, batch_size=4))
    next(iterator)
    assert threading.active_count() > before
    iterator.close()
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"deltas": {"action": [0.0, 0.03]}},
            r"delta 0\.03 s of 'action' is no multiple of 1/20 s",
        ),
        ({"deltas": {"acton": [0.0]}}, "unknown feature of deltas 'acton': did you mean 'action'"),
        ({"deltas": {"action": []}}, "must be a list of times"),
        ({"features": ("acton",)}, "unknown feature 'acton'"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"weights": (1.0,)}, "2 datasets need a weight each, got 1"),
        ({"weights": (1.0, -1.0)}, "weights must be positive"),
        ({"weights": (1.0, 1.0), "epochs": 1}, "epochs have no meaning with weights"),
    ],
)
def test_mistakes(
    dataset: Dataset, other: Dataset, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Loader([dataset, other], **{"batch_size": 4, **options})


def test_broken_videos_are_named(dataset: Dataset, tmp_path: pathlib.Path) -> None:
    root = tmp_path / "broken"
    shutil.copytree(dataset.root, root)
    video = root / f"videos/{CAMERA}/chunk-000/file-001.mp4"
    video.write_bytes(video.read_bytes()[:500])
    loader = Loader(Dataset.open(root), batch_size=24, epochs=1)
    with pytest.raises(DatasetError, match=r"file-001\.mp4"):
        list(loader)


def test_videos_are_closed_again(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many episodes there are, a thread keeps few files open."""
    monkeypatch.setattr(pictures_module, "_OPEN", 1)
    loader = Loader(dataset, batch_size=24, epochs=2, cache_bytes=0, workers=1)
    assert len(list(loader)) == 2

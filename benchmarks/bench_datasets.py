r"""How fast datasets are recorded and read, beside LeRobot's own loader in the same run.

LeRobot is measured with an interpreter of its own (tests/lerobot/requirements.txt):

    MJXSIM_LEROBOT_PYTHON=/path/to/lerobot/bin/python \
        python -m pytest benchmarks/bench_datasets.py
"""

import json
import os
import pathlib
import subprocess
import time
from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax.typing import VariableDict

import mjxsim
from benchmarks.conftest import Record
from benchmarks.measure import Entry, Sample, rate, ratios
from mjxsim.datasets import Dataset, Feature, Loader, VideoConfig, Writer
from mjxsim.datasets import video as videos
from mjxsim.datasets.loader import Batch
from mjxsim.datasets.video import Codec, Decoder
from mjxsim.learning.networks import MLP, Encoder, EncoderConfig

LEROBOT = os.environ.get("MJXSIM_LEROBOT_PYTHON")
SCRIPT = pathlib.Path(__file__).parents[1] / "tests" / "lerobot" / "load_speed.py"
FPS, SIZE, CHUNK, BATCH = 20, 128, 16, 64
CAMERAS = ("observation.images.front", "observation.images.wrist")
WHAT = {
    "state": "state and action chunks",
    "memory": f"and two {SIZE}x{SIZE} cameras, kept decoded",
    "disk": f"and two {SIZE}x{SIZE} cameras, decoded each time",
}


def scene(count: int, size: int) -> np.ndarray:
    """Pictures as a camera gives them: something moves before a shaded ground, with noise."""
    y, x = np.mgrid[0:size, 0:size].astype(np.float32)
    ground = np.stack([127 + 80 * np.sin(x / 40), 120 + y / 3, 90 + (x + y) / 5], -1)
    draw = np.random.default_rng(0)
    pictures = np.empty((count, size, size, 3), np.uint8)
    for t in range(count):
        picture = ground + draw.normal(0, 2, ground.shape)
        left = 2 * t % (size - 24)
        picture[size // 2 : size // 2 + 24, left : left + 24] = (200, 40, 30)
        pictures[t] = picture.clip(0, 255)
    return pictures


def make(root: pathlib.Path, episodes: int, length: int, cameras: tuple[str, ...]) -> Dataset:
    """A dataset of the size of pick_cube's."""
    features = {
        "observation.state": Feature("float32", (46,)),
        "action": Feature("float32", (5,)),
        **{c: Feature("video", (SIZE, SIZE, 3), ("height", "width", "channels")) for c in cameras},
    }
    pictures = scene(length, SIZE) if cameras else None
    draw = np.random.default_rng(0)
    with Writer.create(root, features, fps=FPS, robot_type="panda") as writer:
        for _ in range(episodes):
            frames = {
                "observation.state": draw.normal(size=(length, 46)),
                "action": draw.normal(size=(length, 5)),
                **dict.fromkeys(cameras, pictures),
            }
            writer.add_episode(frames, "pick up the red cube")
    return Dataset.open(root)


def our_speed(dataset: Dataset, seconds: float, cache_bytes: int) -> float:
    """Frames per second of the loader, each with a chunk of actions, once it runs."""
    deltas = {"action": [i / FPS for i in range(CHUNK)]}
    batches = iter(Loader(dataset, batch_size=BATCH, deltas=deltas, cache_bytes=cache_bytes))
    for _ in range(2 * dataset.length // BATCH if cache_bytes else 4):
        jax.block_until_ready(next(batches))
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        jax.block_until_ready(next(batches))
        count += BATCH
    found = count / (time.perf_counter() - began)
    batches.close()  # pyright: ignore[reportAttributeAccessIssue]
    return found


def their_speed(dataset: Dataset, seconds: float, workers: int) -> float:
    """The same of LeRobot's dataset in torch's DataLoader."""
    command = [str(LEROBOT), str(SCRIPT), str(dataset.root), str(BATCH), str(CHUNK), str(seconds)]
    done = subprocess.run(
        [*command, str(workers)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])["frames_per_second"]


class Cloning(nn.Module):
    """A small policy from pictures and state to a chunk of actions, as visual PPO has it."""

    actions: int

    @nn.compact
    def __call__(self, batch: Batch) -> jax.Array:
        seen = batch["observation.state"]
        if images := {name: batch[name] for name in CAMERAS if name in batch}:
            seen = jnp.concatenate([seen, Encoder(EncoderConfig(), name="eyes")(images)], -1)
        return MLP((256, 256), CHUNK * self.actions, 0.01)(seen)


def learner_speed(batch: Batch, seconds: float) -> float:
    """Frames per second that behaviour cloning takes where it never waits for a batch."""
    actions = batch["action"].shape[-1]
    policy, optimizer = Cloning(actions), optax.adam(1e-4)
    parameters = policy.init(jax.random.key(0), batch)

    def loss(parameters: VariableDict, batch: Batch) -> jax.Array:
        there = cast(jax.Array, policy.apply(parameters, batch)).reshape(-1, CHUNK, actions)
        return jnp.mean((there - batch["action"]) ** 2)

    @mjxsim.jit
    def update(parameters: VariableDict, state: optax.OptState, batch: Batch):
        steps, state = optimizer.update(jax.grad(loss)(parameters, batch), state)
        return optax.apply_updates(parameters, steps), state

    state = optimizer.init(parameters)
    parameters, state = jax.block_until_ready(update(parameters, state, batch))
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        parameters, state = jax.block_until_ready(update(parameters, state, batch))
        count += BATCH
    return count / (time.perf_counter() - began)


@pytest.mark.parametrize("pictures", ["state", "memory", "disk"])
def test_against_a_learner(
    pictures: str, quick: bool, record: Record, tmp_path: pathlib.Path
) -> None:
    """Whether batches come faster than a small learner on the same device takes them."""
    episodes, length, duration, repeats = (4, 40, 0.5, 1) if quick else (50, 60, 5.0, 3)
    dataset = make(tmp_path / "d", episodes, length, () if pictures == "state" else CAMERAS)
    cache = 0 if pictures == "disk" else 2**30
    deltas = {"action": [i / FPS for i in range(CHUNK)]}
    batch = next(iter(Loader(dataset, batch_size=BATCH, deltas=deltas, cache_bytes=cache)))
    pairs = [
        (our_speed(dataset, duration, cache), learner_speed(batch, duration))
        for _ in range(repeats)
    ]
    ours, theirs = ([p[i] for p in pairs] for i in range(2))
    record(
        Entry(
            name=f"datasets/learner/{pictures}",
            what=f"Loader: {WHAT[pictures]}, batches of {BATCH}",
            unit="frames/s",
            ours=Sample(tuple(ours)),
            reference=Sample(tuple(theirs)),
            reference_is=f"behaviour cloning on {jax.devices()[0].device_kind}, fed from memory",
            ratio=ratios(ours, theirs),
            floor=1.0,
        )
    )


@pytest.mark.parametrize("pictures", ["state", "memory", "disk"])
def test_loading(pictures: str, quick: bool, record: Record, tmp_path: pathlib.Path) -> None:
    """From state alone; with two cameras that fit into memory; with two decoded every time."""
    episodes, length, duration, repeats = (4, 40, 0.5, 1) if quick else (50, 60, 5.0, 3)
    cameras = () if pictures == "state" else CAMERAS
    dataset = make(tmp_path / "d", episodes, length, cameras)
    cache = 0 if pictures == "disk" else 2**30
    workers = 2
    ours, theirs = [], []
    for _ in range(repeats):
        ours.append(our_speed(dataset, duration, cache))
        if LEROBOT:
            theirs.append(their_speed(dataset, duration, workers))
    entry = Entry(
        name=f"datasets/load/{pictures}",
        what=f"Loader: {WHAT[pictures]}, batches of {BATCH}",
        unit="frames/s",
        ours=Sample(tuple(ours)),
    )
    if theirs:
        entry = Entry(
            name=entry.name,
            what=entry.what,
            unit=entry.unit,
            ours=entry.ours,
            reference=Sample(tuple(theirs)),
            reference_is=f"LeRobotDataset in a DataLoader of {workers} workers",
            ratio=ratios(ours, theirs),
            floor=1.0,
        )
    record(entry)


@pytest.mark.parametrize("codec", ["av1", "h264"])
@pytest.mark.parametrize("what", ["encode", "decode", "seek"])
def test_codecs(
    what: str, codec: Codec, quick: bool, record: Record, tmp_path: pathlib.Path
) -> None:
    """A picture through the encoder; in order from the file; and one at random."""
    count, repeats = (20, 2) if quick else (200, 7)
    pictures, path = scene(count, SIZE), tmp_path / "a.mp4"
    shape = (SIZE, SIZE, 3)

    def encode() -> None:
        encoder = videos.Encoder(path, shape, FPS, VideoConfig(codec=codec))
        for picture in pictures:
            encoder.add(picture)
        encoder.close()

    def decode() -> None:
        decoder = Decoder(path, shape)
        decoder.read(np.arange(count) / FPS, 0.1 / FPS)
        decoder.close()

    order = np.random.default_rng(0).permutation(count)

    def seek() -> None:
        decoder = Decoder(path, shape)
        for i in order:
            decoder.read(np.array([i / FPS]), 0.1 / FPS)
        decoder.close()

    encode()
    run = {"encode": encode, "decode": decode, "seek": seek}[what]
    size = path.stat().st_size / count / 1000
    record(
        Entry(
            name=f"datasets/{what}/{codec}",
            what=f"{what} {SIZE}x{SIZE} pictures in {codec}, {size:.2f} kB each",
            unit="pictures/s",
            ours=rate(run, work=count, repeats=repeats),
        )
    )


def test_handing_over(quick: bool, record: Record, tmp_path: pathlib.Path) -> None:
    """What the thread that controls a robot pays for a frame with two cameras."""
    count, repeats = (20, 2) if quick else (200, 7)
    pictures = scene(count, SIZE)
    features = {
        "action": Feature("float32", (5,)),
        **{c: Feature("video", (SIZE, SIZE, 3), ("height", "width", "channels")) for c in CAMERAS},
    }
    with Writer.create(tmp_path / "d", features, fps=FPS, robot_type="panda") as writer:

        def add() -> None:
            for picture in pictures:
                writer.add({"action": np.zeros(5), **dict.fromkeys(CAMERAS, picture)})
            writer.save_episode("a")

        found = rate(add, work=count, repeats=repeats)
    record(
        Entry(
            name="datasets/add",
            what=f"Writer.add with two {SIZE}x{SIZE} cameras, on the caller's thread",
            unit="frames/s",
            ours=found,
        )
    )

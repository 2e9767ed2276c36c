"""Checkpoints: bit for bit, atomic, and aware of damage."""

import errno
import itertools
import json
import pathlib
import re
import shutil
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mjxsim
from mjxsim import files
from mjxsim.learning import checkpoint
from mjxsim.learning.checkpoint import CheckpointError, SaveError, TornCheckpointError
from mjxsim.learning.ppo import PPO, PPOConfig


@flax.struct.dataclass
class Inner:
    """A nested pytree."""

    weights: dict[str, Any]
    empty: jax.Array
    key: jax.Array


def make_tree(seed: int = 0) -> dict[str, Any]:
    """Every kind of leaf that a training state has, with awkward bits among them."""
    keys = jax.random.split(jax.random.key(seed), 3)
    bits = np.array([0x7FC00001, 0xFFC01234, 0x80000000, 0x00000001, 0x7F800000], np.uint32)
    return {
        "inner": Inner(
            weights={"Dense_0": {"kernel": jax.random.normal(keys[0], (3, 4))}},
            empty=jnp.zeros((3, 0)),
            key=keys,  # typed, batched
        ),
        "raw": jax.random.bits(keys[1], (5, 7), jnp.uint32),
        "odd": bits.view(np.float32),  # NaN payloads, -0, a denormal, infinity
        "half": jnp.arange(3, dtype=jnp.bfloat16),
        "flag": jnp.array([True, False]),
        "count": jnp.int32(7 + seed),
        "pair": (jnp.float32(1.5), np.float32(seed)),
    }


def raw_bytes(tree: Any) -> list[bytes]:
    def host(x: Any) -> bytes:
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x = jax.random.key_data(x)
        return np.asarray(x).tobytes()

    return [host(x) for x in jax.tree.leaves(tree)]


def test_restores_every_bit_and_type(tmp_path: pathlib.Path) -> None:
    tree = make_tree()
    checkpoint.save(tmp_path, 12, tree, {"who": "me", "sizes": [1, 2]})
    step, restored, metadata = checkpoint.restore_latest(tmp_path, jax.eval_shape(make_tree))
    assert (step, metadata) == (12, {"who": "me", "sizes": [1, 2]})
    assert jax.tree.structure(restored) == jax.tree.structure(tree)
    assert raw_bytes(restored) == raw_bytes(tree)
    for old, new in zip(jax.tree.leaves(tree), jax.tree.leaves(restored), strict=True):
        assert isinstance(new, jax.Array)
        assert (new.dtype, new.shape) == (old.dtype, old.shape)


def test_restored_keys_draw_the_same(tmp_path: pathlib.Path) -> None:
    tree = {"fry": jax.random.key(3), "rbg": jax.random.key(3, impl="rbg")}
    checkpoint.save(tmp_path, 0, tree, {})
    _, restored, _ = checkpoint.restore_latest(tmp_path, tree)
    for name, key in tree.items():
        assert jnp.array_equal(jax.random.normal(key, 9), jax.random.normal(restored[name], 9))


def test_restored_arrays_may_be_donated(tmp_path: pathlib.Path) -> None:
    checkpoint.save(tmp_path, 0, {"x": jnp.zeros(10_000)}, {})
    found = checkpoint.latest(tmp_path)
    tree = found.fill({"x": jnp.zeros(10_000)})
    jax.block_until_ready(jax.jit(lambda t: {"x": t["x"] + 1}, donate_argnums=0)(tree))
    assert not found.arrays["x"].any()


def test_part_of_a_tree(tmp_path: pathlib.Path) -> None:
    tree = make_tree()
    checkpoint.save(tmp_path, 0, tree, {})
    weights = checkpoint.latest(tmp_path).fill(tree["inner"].weights, prefix="inner/weights/")
    assert raw_bytes(weights) == raw_bytes(tree["inner"].weights)


def test_no_checkpoint_is_none(tmp_path: pathlib.Path) -> None:
    assert checkpoint.latest(tmp_path) is None
    assert checkpoint.latest(tmp_path / "absent") is None


def test_killed_at_any_moment(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is on the disk when the process dies, the old or the new state is restored.

    What kill -9 leaves is what the disk holds at some moment of saving, so the directory is copied
    before and after every step of it and each copy is restored from.
    """
    run, copies = tmp_path / "run", tmp_path / "copies"
    checkpoint.save(run, 1, make_tree(1), {"n": 1}, keep=1)
    numbers = itertools.count()

    def watched(original: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            shutil.copytree(run, copies / f"{next(numbers):03}")
            result = original(*args, **kwargs)
            shutil.copytree(run, copies / f"{next(numbers):03}")
            return result

        return call

    for module, name in (
        (checkpoint, "sync"),
        (checkpoint, "write_json"),
        (files, "sync"),
        (pathlib.Path, "rename"),
        (pathlib.Path, "replace"),
        (pathlib.Path, "mkdir"),
        (checkpoint.shutil, "rmtree"),
    ):
        monkeypatch.setattr(module, name, watched(getattr(module, name)))
    checkpoint.save(run, 2, make_tree(2), {"n": 2}, keep=1)
    monkeypatch.undo()
    shutil.copytree(run, copies / "end")

    found = []
    for copy in sorted(copies.iterdir()):
        step, tree, metadata = checkpoint.restore_latest(copy, make_tree())
        assert metadata == {"n": step}
        assert raw_bytes(tree) == raw_bytes(make_tree(step))
        found.append(step)
    assert len(found) > 20
    assert found == sorted(found)
    assert (found[0], found[-1]) == (1, 2)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("truncate", r"has \d+ of \d+ bytes"),
        ("flip", "does not match its checksum"),
        ("delete", "is missing"),
        ("no manifest", "no manifest.json"),
        ("bad manifest", "manifest.json unreadable"),
    ],
)
def test_torn_is_named_and_skipped(tmp_path: pathlib.Path, damage: str, said: str) -> None:
    checkpoint.save(tmp_path, 1, make_tree(1), {})
    torn = checkpoint.save(tmp_path, 2, make_tree(2), {})
    file = max((torn / "arrays").rglob("*"), key=lambda p: p.stat().st_size * p.is_file())
    if damage == "truncate":
        file.write_bytes(file.read_bytes()[:-1])
    elif damage == "flip":
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    elif damage == "delete":
        file.unlink()
    elif damage == "no manifest":
        (torn / "manifest.json").unlink()
    else:
        (torn / "manifest.json").write_text('{"format": 1, "fil')
    lines: list[str] = []
    step, tree, _ = checkpoint.restore_latest(tmp_path, make_tree(), lines.append)
    assert step == 1
    assert raw_bytes(tree) == raw_bytes(make_tree(1))
    (line,) = lines
    assert str(torn) in line
    assert "torn" in line
    assert re.search(said, line)
    assert "\n" not in line

    # Reached again after resuming, the torn one is replaced.
    checkpoint.save(tmp_path, 2, make_tree(2), {})
    assert checkpoint.latest(tmp_path).step == 2


def test_all_torn_is_an_error(tmp_path: pathlib.Path) -> None:
    for step in (1, 2):
        (checkpoint.save(tmp_path, step, make_tree(), {}) / "metadata.json").unlink()
    with pytest.raises(CheckpointError, match=r"every checkpoint in .* is torn \(2\)"):
        checkpoint.latest(tmp_path, lambda line: None)


def test_saving_a_step_again_keeps_it(tmp_path: pathlib.Path) -> None:
    checkpoint.save(tmp_path, 1, make_tree(1), {"first": True})
    checkpoint.save(tmp_path, 1, make_tree(1), {"first": False})
    assert checkpoint.latest(tmp_path).metadata == {"first": True}


def test_keeps_the_newest_and_clears_leftovers(tmp_path: pathlib.Path) -> None:
    (tmp_path / "step_0000000003.tmp-999").mkdir()  # of a killed process
    for step in (1, 5, 20, 100):
        checkpoint.save(tmp_path, step, {"x": jnp.zeros(2)}, {}, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step_0000000020", "step_0000000100"]


@pytest.mark.parametrize("where", ["before", "while writing", "in tensorstore"])
def test_full_disk(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    checkpoint.save(tmp_path, 1, make_tree(1), {})
    full = OSError(errno.ENOSPC, "No space left on device")
    if where == "in tensorstore":  # as observed on a full tmpfs
        full = ValueError("RESOURCE_EXHAUSTED: Failed to write\n 9 bytes: No space left on device")

    def no_space(path: pathlib.Path, *args: Any) -> None:
        (path / "part").write_bytes(b"0")
        raise full

    monkeypatch.setattr(checkpoint, "_check_space" if where == "before" else "_write", no_space)
    with pytest.raises(SaveError) as caught:
        checkpoint.save(tmp_path, 2, make_tree(2), {})
    line = str(caught.value)
    assert "no space left on the disk" in line
    assert "step_0000000001" in line
    assert "\n" not in line
    assert [p.name for p in tmp_path.iterdir()] == ["step_0000000001"]
    monkeypatch.undo()
    assert checkpoint.latest(tmp_path).step == 1
    checkpoint.save(tmp_path, 2, make_tree(2), {})  # there is room again
    assert checkpoint.latest(tmp_path).step == 2


def test_a_directory_that_cannot_be_made(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SaveError, match=r"cannot save a checkpoint at step 1 .*no earlier one"):
        checkpoint.save(tmp_path / "file" / "checkpoints", 1, {"x": jnp.zeros(2)}, {})


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ({"x": jnp.zeros(3), "y": jnp.zeros(2)}, r"'x' is float32\[2\] there and float32\[3\]"),
        ({"x": jnp.zeros(2, jnp.int32), "y": jnp.zeros(2)}, r"'x' is float32\[2\] .* int32\[2\]"),
        ({"x": jnp.zeros(2), "y": jnp.zeros(2), "z": jnp.zeros(2)}, "has no 'z'"),
        ({"x": jnp.zeros(2)}, "holds 'y'"),
    ],
)
def test_another_tree_is_one_clear_line(
    tmp_path: pathlib.Path, template: dict[str, Any], said: str
) -> None:
    checkpoint.save(tmp_path, 1, {"x": jnp.zeros(2), "y": jnp.zeros(2)}, {})
    with pytest.raises(CheckpointError, match=said) as caught:
        checkpoint.restore_latest(tmp_path, template)
    assert "\n" not in str(caught.value)


def test_another_format_is_not_taken_for_torn(tmp_path: pathlib.Path) -> None:
    path = checkpoint.save(tmp_path, 1, {"x": jnp.zeros(2)}, {})
    manifest = json.loads((path / "manifest.json").read_text())
    (path / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(CheckpointError, match="format 99") as caught:
        checkpoint.latest(tmp_path)
    assert not isinstance(caught.value, TornCheckpointError)


@pytest.mark.parametrize("manifest", [{"format": 2, "parts": []}, {"format": "two"}])
def test_another_format_is_never_replaced(tmp_path: pathlib.Path, manifest: dict[str, Any]) -> None:
    path = checkpoint.save(tmp_path, 1, {"x": jnp.zeros(2)}, {})
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(SaveError, match=f"step 1 .* has format {manifest['format']}") as caught:
        checkpoint.save(tmp_path, 1, {"x": jnp.zeros(2)}, {})
    assert "\n" not in str(caught.value)
    assert json.loads((path / "manifest.json").read_text()) == manifest


def test_directory_that_cannot_be_synced_still_has_the_checkpoint(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, 1, {"x": jnp.zeros(2)}, {}, keep=1)
    real = checkpoint.sync

    def refuse(path: pathlib.Path) -> None:
        if path == tmp_path:
            raise OSError(errno.EINVAL, "Invalid argument")
        real(path)

    monkeypatch.setattr(checkpoint, "sync", refuse)
    saved = checkpoint.save(tmp_path, 2, {"x": jnp.zeros(2)}, {}, keep=1)
    assert checkpoint.latest(tmp_path).path == saved
    assert len(checkpoint.steps(tmp_path)) == 2  # the older one stays until this one is certain


def test_resumes_on_mjx_to_the_same_bits(tmp_path: pathlib.Path) -> None:
    """All that MJX-JAX carries from step to step, such as its warm start, is in the state."""
    config = PPOConfig(unroll_length=2, minibatches=1, epochs=1, hidden=(8,))
    env = mjxsim.make("reach", engine="mjx", announce=False)
    ppo = PPO(env, config, num_envs=4, total_steps=24)
    start = mjxsim.jit(ppo.init)(jax.random.key(0))
    # One program for all: without it an array of another weak type would compile a second one.
    update = mjxsim.jit(ppo.update).lower(start).compile()
    first, _ = update(start)
    straight = first
    for _ in range(2):
        straight, _ = update(straight)
    checkpoint.save(tmp_path, 8, first, {})
    resumed = checkpoint.latest(tmp_path).fill(jax.eval_shape(ppo.init, jax.random.key(0)))
    assert raw_bytes(resumed) == raw_bytes(first)
    for _ in range(2):
        resumed, _ = update(resumed)
    assert int(resumed.updates) == 3
    assert raw_bytes(resumed) == raw_bytes(straight)
    assert raw_bytes(resumed) != raw_bytes(first)


def test_atomic_text(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    files.write_json(path, {"a": 1})

    def no_space(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", no_space)
    with pytest.raises(OSError, match="No space left") as caught:
        files.write_json(path, {"a": 2})
    assert caught.value.filename == str(path)
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]

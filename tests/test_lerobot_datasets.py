"""The real LeRobot takes what we write, where there is an interpreter that has it."""

import json
import os
import pathlib
import subprocess
from typing import Any

import pytest

from mjxsim.datasets import Dataset, VideoConfig
from tests import recordings

PYTHON = os.environ.get("MJXSIM_LEROBOT_PYTHON", "")
SCRIPT = pathlib.Path(__file__).parent / "lerobot" / "acceptance.py"

needs_lerobot = pytest.mark.skipif(
    not PYTHON,
    reason="MJXSIM_LEROBOT_PYTHON names no interpreter with LeRobot; see docs/datasets.md",
)


def version() -> str:
    """ "0.4" or "0.6": the two write statistics of truth values differently."""
    code = "import importlib.metadata as m; print(m.version('lerobot'))"
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True)
    return "0.4" if done.stdout.startswith("0.4") else "0.6"


def accepted(*words: str) -> list[dict[str, Any]]:
    """What the script says, step by step."""
    done = subprocess.run(
        [PYTHON, str(SCRIPT), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@needs_lerobot
def test_lerobot_loads_what_a_kill_leaves(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever files of a commit are in place already."""
    root = recordings.record(tmp_path / "d", (4, 3))
    left = recordings.left_by_kills(root, tmp_path, monkeypatch)
    for said in accepted("--load", *map(str, left)):
        assert said["episodes"] == 2
        assert said["frames"] in (7, 12)


@needs_lerobot
def test_lerobot_loads_trains_resumes_merges_and_deletes(tmp_path: pathlib.Path) -> None:
    root = tmp_path / "ours"
    # What LeRobot appends is AV1, and it joins only files of one codec.
    with recordings.create(root, video=VideoConfig(), lerobot=version()) as writer:
        for episode in range(3):
            recordings.save(writer, episode, 10)
    with recordings.resume(root, video=VideoConfig()) as writer:
        recordings.save(writer, 3, 10)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    said = {s.pop("step"): s for s in accepted(str(root), str(scratch))}
    assert said["load"] == {"episodes": 4, "frames": 40, "tasks": sorted(recordings.TASKS)}
    assert len(said["train"]["losses"]) == 2
    assert said["resume"]["frames"] == 50
    assert said["replayable after resume"] == {"episodes": 4}
    assert said["merge"]["frames"] == 90
    assert said["replayable after merge"] == {"episodes": 8}
    assert said["delete"]["frames"] == 30
    assert "done" in said

    # And what LeRobot wrote is read here.
    for name, length in {"appended": 50, "merged": 90, "deleted": 30}.items():
        dataset = Dataset.open(scratch / name)
        frames = [dataset.frames(e.index) for e in dataset.episodes]
        assert sum(len(f["action"]) for f in frames) == length
        assert dataset.stats["action"]["count"] == [length]

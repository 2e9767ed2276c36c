"""The directory of a run: one writer, and a name of its own."""

import pathlib
import re

import pytest

from mjxsim.runs.run_dir import RunDirError, create


def test_one_process_per_directory(tmp_path: pathlib.Path) -> None:
    run = create(tmp_path / "run", "x")
    taken = pytest.raises(RunDirError, match="another process is training")
    with run.locked(), taken, run.locked():
        pass
    with run.locked():
        pass


def test_default_directory_is_named_after_the_run(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = create(None, "reach-panda"), create(None, "reach-panda")
    assert re.fullmatch(r"runs.reach-panda-\d{8}-\d{6}", str(first.path))
    assert first.path != second.path

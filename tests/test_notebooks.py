"""The notebooks run from the first cell to the last, as a notebook's kernel runs them."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from mjxsim.rendering import GLRenderer, NoRendererError
from mjxsim.scenes import build

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# Sizes that are cut so that a notebook takes seconds. Nothing else is changed.
SMALLER = {
    "quickstart": {
        "NUM_ENVS = 256": "NUM_ENVS = 16",
        "300_000": "1_000",
        "episodes=256": "episodes=8",
    },
    "randomization": {
        "SIZE = 96": "SIZE = 16",
        "NUM_WORLDS = 64": "NUM_WORLDS = 16",
        "NUM_DRAWS = 2048": "NUM_DRAWS = 16",
        "NUM_SHOWN = 16": "NUM_SHOWN = 4",
    },
    "teleop_and_record": {
        "SIZE = 128": "SIZE = 32",
        # Nobody is there to look at the page: a script presses its buttons.
        "browser.display(device)": "drive(device.url)",
    },
}
# What must be there afterwards.
MADE = {
    "quickstart": ["reach.mp4"],
    "randomization": ["histograms.png", "randomized.mp4"],
    "teleop_and_record": ["episodes.png", "pick_cube_teleop/meta/info.json"],
}
# Run before the first cell. What a person does on the page, as the page reports it: moves, closes
# the gripper and marks a success, until the session ends.
BEFORE = {
    "teleop_and_record": """
import json, threading, time, urllib.request


def drive(url):
    threading.Thread(target=press, args=(url,), daemon=True).start()


def press(url):
    taken, number = 0, 0
    while True:
        for actions, seconds in ((["forward", "down"], 0.4), (["close"], 0.2), (["success"], 0.1)):
            new = [[taken + 1 + i, action] for i, action in enumerate(actions)]
            taken, until = taken + len(new), time.monotonic() + seconds
            while time.monotonic() < until:
                number += 1
                said = {"page": "script", "number": number, "held": actions, "presses": new}
                body, kind = json.dumps(said).encode(), {"Content-Type": "application/json"}
                try:
                    request = urllib.request.Request(url + "report", body, kind)
                    urllib.request.urlopen(request, timeout=10).read()
                except OSError:  # the session has ended
                    return
                time.sleep(0.05)
"""
}

# Cells go through IPython, magics and all; the first one that fails stops it.
_RUN = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in json.load(sys.stdin):
    shell.run_cell(cell).raise_error()
"""


@pytest.fixture(scope="module", autouse=True)
def renderer() -> None:
    """The notebooks draw."""
    from mjxsim.robots import get

    try:
        GLRenderer(build(get("panda")).compile(), (16, 16), "front").close()
    except NoRendererError as error:
        pytest.skip(f"nothing to draw with: {error}")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_runs(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    cells = ["".join(c["source"]) for c in _cells(path) if c["cell_type"] == "code"]
    if path.stem == "teleop_and_record":
        pytest.importorskip("pyarrow")
    text = "\n".join(cells)
    smaller = SMALLER[path.stem]
    assert {large for large in smaller if large not in text} == set(), "a size is not cut"
    for large, small in smaller.items():
        cells = [cell.replace(large, small) for cell in cells]
    done = subprocess.run(
        [sys.executable, "-c", _RUN],
        input=json.dumps([BEFORE.get(path.stem, ""), *cells]),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path / "ipython")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "success" in done.stdout
    for name in MADE[path.stem]:
        assert (tmp_path / name).stat().st_size > 1000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_is_stored_clean(path: pathlib.Path) -> None:
    """Without outputs and counts, so that a change shows as what it is."""
    code = [c for c in _cells(path) if c["cell_type"] == "code"]
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in code)
    first = "".join(code[0]["source"])
    assert "%pip install" in first, "the first cell installs"


def _cells(path: pathlib.Path) -> list[dict]:
    return json.loads(path.read_text("utf-8"))["cells"]

"""Imports point one way, and only the module that needs a heavy package imports it."""

import ast
import pathlib
import subprocess
import sys

import pytest

import mjxsim

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = pathlib.Path(mjxsim.__file__).parent

# What import-linter cannot say, for it sees an external package only as a whole: who may import
# which part of one.
ONLY_FROM = {
    "mujoco.mjx": ("physics/", "rendering/warp_batch.py"),
    "mujoco.batch": ("physics/",),
    "orbax": ("learning/",),
    "optax": ("learning/",),
    "av": (
        "evaluation/",
        "rendering/png.py",
        "datasets/",
        "teleop/devices/browser/pictures.py",
    ),
    "lerobot": ("compat/lerobot/", "teleop/devices/leader.py"),
    "pygame": ("teleop/devices/", "teleop/window.py", "compat/gym_hil/viewing.py"),
    "pyspacemouse": ("teleop/devices/spacemouse.py",),
    "rerun": ("teleop/rerun_log.py",),
    "viser": ("teleop/web.py",),
    "pyarrow": ("datasets/",),
    "tensorboardX": ("runs/tensorboard.py",),
    "rich": ("runs/progress.py",),
}


def imported(path: pathlib.Path) -> set[str]:
    """Absolute dotted names that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def importers(package: str) -> set[str]:
    """Modules of mjxsim, relative to it, that import `package` or anything in it."""
    return {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if any(name == package or name.startswith(f"{package}.") for name in imported(path))
    }


def test_import_layers() -> None:
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("package", ONLY_FROM)
def test_external_packages_stay_in_their_place(package: str) -> None:
    strays = {path for path in importers(package) if not path.startswith(ONLY_FROM[package])}
    assert not strays, f"{package} may be imported only from {', '.join(ONLY_FROM[package])}"


def test_no_relative_imports() -> None:
    """They would escape the check above."""
    relative = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not relative

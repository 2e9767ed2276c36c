"""The scaling of every machine as one picture."""

import json
import pathlib
from collections.abc import Sequence

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

_NAMES = {"c": "C MuJoCo", "mjx": "MJX-JAX", "warp": "MJX-Warp"}


def scaling(files: Sequence[pathlib.Path], picture: pathlib.Path) -> None:
    """Environment steps/s over the number of worlds, log-log, one line per engine and machine.

    Draws nothing while `bench_tasks.py` has measured none.
    """
    # The same bytes for the same results.
    plt.rcParams.update({"svg.hashsalt": "mjxsim", "font.size": 10})
    figure, axes = plt.subplots(figsize=(7.0, 4.2), layout="constrained")
    for file in files:
        data = json.loads(file.read_text("utf-8"))
        hardware = data["hardware"]
        machine = hardware["accelerator"]
        if machine == "none":
            machine = f"{hardware['cpu']}, {hardware['cores']} cores"
        newest = data["records"][-1]["entries"]
        for engine, name in _NAMES.items():
            points = sorted(
                (int(key.rsplit("/", 1)[1]), entry["ours"]["median"], entry["ours"]["quartiles"])
                for key, entry in newest.items()
                if key.startswith(f"scaling/{engine}/")
            )
            if not points:
                continue
            worlds, rates, spread = zip(*points, strict=True)
            (line,) = axes.plot(worlds, rates, marker="o", label=f"{name}, {machine}")
            low, high = zip(*spread, strict=True)
            axes.fill_between(worlds, low, high, alpha=0.2, color=line.get_color(), linewidth=0)
    if not axes.lines:
        plt.close(figure)
        return
    axes.set(xscale="log", yscale="log", xlabel="worlds", ylabel="environment steps/s")
    axes.set_title("pick_cube: random actions in contact, observations, rewards, autoreset")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(picture, metadata={"Date": None})
    plt.close(figure)

"""How success grows while a run trains, as a picture.

python -m benchmarks.curve runs/pick_cube_vision --output docs/pick_cube_vision.svg
"""

import argparse
import json
import pathlib
import struct
from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from tensorboardX.proto.event_pb2 import Event

_SMOOTH = 8  # updates whose mean is one point of the line


def events(file: pathlib.Path) -> Iterator[Event]:
    """The events of a TensorBoard file: each a length (uint64), its checksum, data, and theirs."""
    data, at = file.read_bytes(), 0
    while at + 12 <= len(data):
        (size,) = struct.unpack_from("<Q", data, at)
        event = Event()
        event.ParseFromString(data[at + 12 : at + 12 + size])
        yield event
        at += 12 + size + 4


def curve(run: pathlib.Path) -> np.ndarray:
    """Environment steps, seconds of training and success of episodes that ended; (3, updates)."""
    rows = {}
    began = None
    for file in sorted((run / "tensorboard").glob("events*")):
        for event in events(file):
            began = event.wall_time if began is None else began
            for value in event.summary.value:
                if value.tag == "episode/success":
                    rows[event.step] = (event.step, event.wall_time - began, value.simple_value)
    if not rows:
        raise SystemExit(f"{run} has no success in its TensorBoard events: give a run directory")
    return np.array([rows[step] for step in sorted(rows)]).T


def main() -> None:
    """Draws one line for each run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curve", description=__doc__)
    parser.add_argument("runs", nargs="+", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    given = parser.parse_args()
    mpl.rcParams["svg.hashsalt"] = "mjxsim"  # the same picture is the same file
    figure = Figure(figsize=(7.0, 3.2), layout="tight")
    axes = figure.subplots()
    for run in given.runs:
        steps, seconds, success = curve(run)
        smooth = min(_SMOOTH, len(steps))
        ends = np.arange(smooth, len(steps) + 1)
        means = [success[end - smooth : end].mean() for end in ends]
        axes.plot(
            seconds[ends - 1] / 60.0, means, label=f"{run.name}, {steps[-1] / 1e6:.1f} M steps"
        )
        print(json.dumps({"run": run.name, "minutes": seconds[-1] / 60.0, "success": means[-1]}))
    axes.set_xlabel("minutes of training")
    axes.set_ylabel("success while exploring")
    axes.set_ylim(0.0, 1.0)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left")
    figure.savefig(given.output, metadata={"Date": None})


if __name__ == "__main__":
    main()

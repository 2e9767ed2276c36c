"""Frames per second of LeRobot's own loader; see benchmarks/bench_datasets.py.

lerobot-env/bin/python tests/lerobot/load_speed.py DATASET BATCH_SIZE CHUNK SECONDS WORKERS
"""

import json
import os
import pathlib
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import torchvision_ops

_OPERATORS = torchvision_ops.declare()

import torch  # noqa: E402
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402


def main(root: str, batch_size: int, chunk: int, seconds: float, workers: int) -> None:
    plain = LeRobotDataset("mjxsim/speed", root=root)
    deltas = {"action": [i / plain.meta.fps for i in range(chunk)]}
    dataset = LeRobotDataset("mjxsim/speed", root=root, delta_timestamps=deltas)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=batch_size, shuffle=True, num_workers=workers, drop_last=True
    )

    def batches():
        while True:
            yield from loader

    endless = batches()
    for _ in range(4):
        next(endless)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        next(endless)
        count += batch_size
    took = time.perf_counter() - began
    print(json.dumps({"frames_per_second": count / took, "frames": count}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:4]), float(sys.argv[4]), int(sys.argv[5]))

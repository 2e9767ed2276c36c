"""The real LeRobot reads, trains on, continues, merges and cuts a dataset that mjxsim wrote.

    lerobot-env/bin/python tests/lerobot/acceptance.py DATASET SCRATCH
    lerobot-env/bin/python tests/lerobot/acceptance.py --load DATASET ...

Run by an interpreter that has LeRobot (see requirements.txt); mjxsim is not imported here. Prints a
line of JSON for each step, and ends at the first that goes wrong.
"""

import json
import os
import pathlib
import shutil
import sys

os.environ["HF_HUB_OFFLINE"] = "1"  # a dataset that is not found is not looked for elsewhere
sys.path.insert(0, str(pathlib.Path(__file__).parent))

import torchvision_ops

_OPERATORS = torchvision_ops.declare()

import torch  # noqa: E402
from lerobot.configs.types import FeatureType  # noqa: E402
from lerobot.datasets.dataset_tools import delete_episodes, merge_datasets  # noqa: E402
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402
from lerobot.policies.act.configuration_act import ACTConfig  # noqa: E402
from lerobot.policies.act.modeling_act import ACTPolicy  # noqa: E402
from lerobot.policies.factory import make_pre_post_processors  # noqa: E402

try:
    from lerobot.utils.feature_utils import dataset_to_policy_features  # 0.6
except ImportError:
    from lerobot.datasets.utils import dataset_to_policy_features  # 0.4

CHUNK = 8
BOOKKEEPING = ("timestamp", "frame_index", "episode_index", "index", "task_index")


def load(root: pathlib.Path, **options: object) -> LeRobotDataset:
    return LeRobotDataset("mjxsim/acceptance", root=root, **options)


def say(step: str, **values: object) -> None:
    print(json.dumps({"step": step, **values}), flush=True)


def read_every_frame(step: str, root: pathlib.Path) -> LeRobotDataset:
    """Every item by LeRobot's own indexing; pictures decoded at their timestamps."""
    dataset = load(root)
    for i in range(len(dataset)):
        item = dataset[i]
        assert item["index"] == i, (item["index"], i)
        assert isinstance(item["task"], str) and item["task"], item["task"]
        for key in dataset.meta.video_keys:
            assert item[key].shape[0] == 3 and item[key].min() >= 0.0 and item[key].max() <= 1.0
    assert len(dataset) == dataset.meta.total_frames
    mean = {k: v["mean"].reshape(-1).tolist() for k, v in dataset.meta.stats.items()}
    assert "action" in mean and "observation.state" in mean
    say(
        step,
        episodes=dataset.meta.total_episodes,
        frames=len(dataset),
        tasks=sorted(dataset.meta.tasks.index),
    )
    return dataset


def train(root: pathlib.Path, steps: int) -> list[float]:
    """ACT on action chunks; the losses."""
    torch.manual_seed(0)
    meta = load(root).meta
    features = dataset_to_policy_features(meta.features)
    outputs = {k: f for k, f in features.items() if f.type is FeatureType.ACTION}
    config = ACTConfig(
        input_features={k: f for k, f in features.items() if k not in outputs},
        output_features=outputs,
        chunk_size=CHUNK,
        n_action_steps=CHUNK,
        dim_model=64,
        n_heads=2,
        dim_feedforward=64,
        n_encoder_layers=1,
        n_vae_encoder_layers=1,
        pretrained_backbone_weights=None,
        device="cpu",
    )
    policy = ACTPolicy(config)
    before, _ = make_pre_post_processors(config, dataset_stats=meta.stats)
    deltas = {"action": [i / meta.fps for i in range(CHUNK)]}
    dataset = load(root, delta_timestamps=deltas)
    batches = iter(torch.utils.data.DataLoader(dataset, batch_size=4, shuffle=True))
    optimizer = torch.optim.Adam(policy.parameters(), 1e-4)
    losses = []
    for _ in range(steps):
        loss, _ = policy.forward(before(next(batches)))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        assert torch.isfinite(loss), loss
        losses.append(float(loss))
    return losses


def append(root: pathlib.Path) -> None:
    """An episode by LeRobot's own recording, a copy of the first one's frames."""
    source = load(root)
    fresh = getattr(LeRobotDataset, "resume", None)  # 0.6 opens for writing by a method
    dataset = fresh("mjxsim/acceptance", root=root) if fresh else load(root)
    length = int(source.meta.episodes[0]["length"])
    for i in range(length):
        item = source[i]
        frame = {"task": item["task"]}
        for key, feature in source.meta.features.items():
            if key in BOOKKEEPING:
                continue
            value = item[key]
            if feature["dtype"] == "video":
                value = (value.permute(1, 2, 0) * 255).round().to(torch.uint8)
            frame[key] = value.reshape(tuple(feature["shape"])).numpy()
        dataset.add_frame(frame)
    dataset.save_episode()
    dataset.finalize()


def extras(root: pathlib.Path) -> int:
    """Episodes that can still be played again."""
    episodes = load(root).meta.episodes
    if "mjxsim/start" not in episodes.column_names:
        return 0
    return sum(bool(text) for text in episodes["mjxsim/start"])


def main(given: pathlib.Path, scratch: pathlib.Path) -> None:
    own = scratch / "appended"
    shutil.copytree(given, own)
    dataset = read_every_frame("load", own)
    episodes = dataset.meta.total_episodes
    say("train", losses=train(own, steps=2))

    append(own)
    grown = read_every_frame("resume", own)
    assert grown.meta.total_episodes == episodes + 1
    say("replayable after resume", episodes=extras(own))

    merged = merge_datasets([grown, load(given)], "mjxsim/merged", scratch / "merged")
    assert merged.meta.total_episodes == 2 * episodes + 1
    read_every_frame("merge", scratch / "merged")
    say("replayable after merge", episodes=extras(scratch / "merged"))

    delete_episodes(grown, [0, 2], output_dir=scratch / "deleted", repo_id="mjxsim/deleted")
    cut = read_every_frame("delete", scratch / "deleted")
    assert cut.meta.total_episodes == episodes - 1
    say("replayable after delete", episodes=extras(scratch / "deleted"))
    say("train again", losses=train(scratch / "merged", steps=1))
    say("done")


if __name__ == "__main__":
    if sys.argv[1] == "--load":
        for path in sys.argv[2:]:
            read_every_frame("load", pathlib.Path(path))
    else:
        main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))

"""What a dataset holds of each frame: names, types and shapes, as LeRobot has them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mjxsim.envs import Env, Observation
from mjxsim.envs.pixels import IMAGES, STATE
from mjxsim.naming import unknown

ACTION = "action"
REWARD, DONE, SUCCESS = "next.reward", "next.done", "next.success"
INTERVENTION = "complementary_info.is_intervention"
PENALTY = "complementary_info.discrete_penalty"

# Columns of numbers, by the dtype that info.json names.
NUMPY: dict[str, type[np.generic]] = {
    "float32": np.float32,
    "float64": np.float64,
    "int32": np.int32,
    "int64": np.int64,
    "bool": np.bool_,
}
DTYPES = (*NUMPY, "string", "video")


@dataclasses.dataclass(frozen=True)
class Feature:
    """One named thing that is known of every frame."""

    dtype: str  # one of DTYPES
    shape: tuple[int, ...]  # (n,) of a column; (height, width, 3) of a video
    names: tuple[str, ...] | None = None  # of the entries, or of a video's axes

    @property
    def is_video(self) -> bool:
        return self.dtype == "video"

    def to_json(self) -> dict[str, Any]:
        """As info.json has it."""
        names = None if self.names is None else list(self.names)
        return {"dtype": self.dtype, "shape": list(self.shape), "names": names}


# What every dataset has beside what was asked for.
BOOKKEEPING = {
    "timestamp": Feature("float32", (1,)),  # [s] since the episode's beginning
    "frame_index": Feature("int64", (1,)),
    "episode_index": Feature("int64", (1,)),
    "index": Feature("int64", (1,)),  # of the frame in the whole dataset
    "task_index": Feature("int64", (1,)),
}

# What may be known of a frame's step beside observation and action.
OF_STEPS = {
    REWARD: Feature("float32", (1,)),
    DONE: Feature("bool", (1,)),
    SUCCESS: Feature("bool", (1,)),
    INTERVENTION: Feature("bool", (1,)),
    PENALTY: Feature("float32", (1,)),
}


def check(features: Mapping[str, Feature]) -> None:
    """Raises ValueError, one line, for a feature that cannot be written."""
    for name, feature in features.items():
        if name in BOOKKEEPING:
            raise ValueError(f"feature {name!r} is written by itself: leave it out")
        if "/" in name or not name:
            raise ValueError(f"feature {name!r}: LeRobot's names have no '/' and are not empty")
        if feature.dtype not in DTYPES:
            raise ValueError(unknown(f"dtype of feature {name!r},", feature.dtype, DTYPES))
        if feature.is_video:
            even = len(feature.shape) == 3 and all(n > 0 and n % 2 == 0 for n in feature.shape[:2])
            if not even or feature.shape[2] != 3:
                raise ValueError(
                    f"feature {name!r}: a video is (height, width, 3) of even height and width, "
                    f"got {feature.shape}"
                )
        elif len(feature.shape) != 1 or feature.shape[0] < 1:
            raise ValueError(f"feature {name!r}: a column is (n,), got {feature.shape}")


def features_of(env: Env, *, extras: Sequence[str] = (REWARD, DONE, SUCCESS)) -> dict[str, Feature]:
    """What is recorded of an environment.

    "observation.state", what of `State.obs` a policy may see, named entry by entry;
    "observation.images.<camera>", a video each; "action"; and of the step after them the `extras`.

    Args:
      env: the environment.
      extras: of "next.reward", "next.done", "next.success", "complementary_info.is_intervention"
        and "complementary_info.discrete_penalty".

    Raises:
      ValueError: an unknown extra, or pictures of odd size.
    """
    for name in extras:
        if name not in OF_STEPS:
            raise ValueError(unknown("extra feature", name, OF_STEPS))
    parts = env.observation_layout.items()
    names = [n if s.stop - s.start == 1 else f"{n}_{i}" for n, s in parts for i in _entries(s)]
    if env.eyes is not None:
        names = [names[i] for i in env.eyes.visible]
    features = {STATE: Feature("float32", (len(names),), tuple(names))}
    if env.eyes is not None:
        c = env.eyes.config
        for camera in c.names:
            shape = (c.height, c.width, 3)
            features[f"{IMAGES}.{camera}"] = Feature(
                "video", shape, ("height", "width", "channels")
            )
    size = env.action_size
    features[ACTION] = Feature("float32", (size,), tuple(f"action_{i}" for i in range(size)))
    features |= {name: OF_STEPS[name] for name in extras}
    check(features)
    return features


def _entries(part: slice) -> range:
    return range(part.stop - part.start)


def observed(observation: Observation) -> dict[str, np.ndarray]:
    """`Env.observation`, of one world or many, as features; of stacked pictures the newest."""
    if not isinstance(observation, dict):
        return {STATE: np.asarray(observation)}
    return {k: np.asarray(v if k == STATE else v[..., -3:]) for k, v in observation.items()}


def check_frame(
    features: Mapping[str, Feature], frame: Mapping[str, Any], many: int | None
) -> None:
    """Raises ValueError, one line, unless `frame` has just these features, in their shapes.

    Args:
      features: all but the bookkeeping.
      frame: values by name; a scalar is as good as (1,).
      many: how many frames are stacked in front, None for a single one.
    """
    if frame.keys() != features.keys():
        for name in frame:
            if name not in features:
                raise ValueError(unknown("feature", name, features))
        missing = ", ".join(n for n in features if n not in frame)
        raise ValueError(f"a frame lacks {missing}: every frame has every feature")
    front = () if many is None else (many,)
    for name, feature in features.items():
        shape = np.shape(frame[name])
        if shape != (*front, *feature.shape) and (feature.shape != (1,) or shape != front):
            wanted = (*front, *feature.shape)
            raise ValueError(f"feature {name!r} of a frame must be {wanted}, got {shape}")
        if feature.is_video and np.asarray(frame[name]).dtype != np.uint8:
            kind = np.asarray(frame[name]).dtype
            raise ValueError(f"feature {name!r} of a frame must be uint8 pictures, got {kind}")

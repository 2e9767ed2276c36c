"""LeRobotDataset v3.0 without torch: recording, reading back, and batches for JAX."""

import importlib.util

if importlib.util.find_spec("pyarrow") is None:
    raise ModuleNotFoundError(
        'mjxsim.datasets needs pyarrow: python -m pip install "mjxsim[datasets]"', name="pyarrow"
    )

from mjxsim.datasets.dataset import Dataset, Episode
from mjxsim.datasets.errors import DatasetError
from mjxsim.datasets.features import Feature, features_of, observed
from mjxsim.datasets.loader import Loader
from mjxsim.datasets.programs import Programs
from mjxsim.datasets.source import Source, Start
from mjxsim.datasets.video import VideoConfig
from mjxsim.datasets.writer import Writer

__all__ = [
    "Dataset",
    "DatasetError",
    "Episode",
    "Feature",
    "Loader",
    "Programs",
    "Source",
    "Start",
    "VideoConfig",
    "Writer",
    "features_of",
    "observed",
]

"""Pictures of many episodes at random: decoded once where memory allows, else one by one."""

import collections
import threading

import numpy as np

from mjxsim.datasets.dataset import Dataset
from mjxsim.datasets.video import Decoder

_OPEN = 128  # videos that a thread keeps open; opening one costs as much as several pictures
_GAP = 8  # frames between two that are wanted, from which on seeking is cheaper than decoding

_Clip = tuple[int, str]  # episode, feature


class Pictures:
    """The pictures of one dataset, for several threads.

    Whole episodes are kept while there is room in the budget. Samples come in random order, so that
    any episode is as likely as another to be wanted next: what is kept stays, and the others'
    pictures are decoded singly each time.
    """

    def __init__(self, dataset: Dataset, budget: "Budget") -> None:
        self._dataset = dataset
        self._budget = budget
        self._kept: dict[_Clip, np.ndarray] = {}
        self._making: dict[_Clip, threading.Lock] = collections.defaultdict(threading.Lock)
        self._lock = threading.Lock()
        self._own = threading.local()

    def get(self, episode: int, feature: str, frames: np.ndarray) -> np.ndarray:
        """Pictures by frame number (n,), in any order; uint8 (n, height, width, 3)."""
        clip = (episode, feature)
        whole = self._kept.get(clip)
        if whole is None:
            whole = self._keep(clip)
        if whole is not None:
            return whole[frames]
        wanted, back = np.unique(frames, return_inverse=True)
        decoder = self._decoder(clip)
        parts = np.split(wanted, np.flatnonzero(np.diff(wanted) > _GAP) + 1)
        found = [self._dataset.pictures(episode, feature, p, decoder) for p in parts]
        return np.concatenate(found)[back]

    def _keep(self, clip: _Clip) -> np.ndarray | None:
        """The whole episode, if there is room for it."""
        episode, feature = clip
        with self._lock:
            making = self._making[clip]
        with making:  # only one thread decodes an episode; others wait for it
            if clip in self._kept:
                return self._kept[clip]
            length = self._dataset.episodes[episode].length
            if not self._budget.take(length * int(np.prod(self._dataset.features[feature].shape))):
                return None
            whole = self._dataset.pictures(episode, feature, np.arange(length))
            self._kept[clip] = whole
            return whole

    def _decoder(self, clip: _Clip) -> Decoder:
        """This thread's own, by file."""
        if "open" not in self._own.__dict__:
            self._own.open = collections.OrderedDict()
        opened: collections.OrderedDict[str, Decoder] = self._own.open
        episode, feature = clip
        name = str(self._dataset.episodes[episode].clips[feature].path)
        if name not in opened:
            opened[name] = self._dataset.decoder(episode, feature)
        opened.move_to_end(name)
        if len(opened) > _OPEN:
            opened.popitem(last=False)[1].close()
        return opened[name]


class Budget:
    """Bytes that may be kept, over all datasets."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._lock = threading.Lock()

    def take(self, size: int) -> bool:
        """Whether there is room for so many more; if so they are taken."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True

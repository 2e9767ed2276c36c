"""What a writer's thread is asked to do, and the episode that it makes of it."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from mjxsim.datasets.source import Start
from mjxsim.datasets.stats import Histogram
from mjxsim.datasets.store import Recorded, Store
from mjxsim.datasets.video import Encoder, VideoConfig


@dataclasses.dataclass(frozen=True)
class Save:
    """The episode that is being recorded is over and kept."""

    task: str
    start: Start | None


@dataclasses.dataclass(frozen=True)
class Whole:
    """An episode that comes at once."""

    frames: dict[str, np.ndarray]
    save: Save


class Discard:
    """The episode that is being recorded is thrown away."""


Job = dict[str, np.ndarray] | Save | Whole | Discard


class EpisodeMaker:
    """The episode that the thread is making."""

    def __init__(self, store: Store, source: str | None, video: VideoConfig) -> None:
        self._store = store
        self._source = source
        self._video = video
        self._columns = [k for k, f in store.info.recorded.items() if not f.is_video]
        self._number = 0
        self._begin()

    def _begin(self) -> None:
        self._rows: dict[str, list[np.ndarray]] = {k: [] for k in self._columns}
        self._encoders: dict[str, Encoder] = {}
        self._histograms: dict[str, Histogram] = {}
        self._length = 0

    def take(self, job: Job) -> Recorded | None:
        """Carries a job out; returns an episode if that completes one."""
        if isinstance(job, Discard):
            self.abandon()
        elif isinstance(job, Save):
            return self._finish(job)
        elif isinstance(job, Whole):
            for t in range(len(next(iter(job.frames.values())))):
                self._pictures({k: v[t] for k, v in job.frames.items()})
            for name, rows in self._rows.items():
                rows.append(job.frames[name])
            return self._finish(job.save)
        else:
            self._pictures(job)
            for name, rows in self._rows.items():
                rows.append(job[name][None])
        return None

    def _pictures(self, frame: Mapping[str, np.ndarray]) -> None:
        self._length += 1
        store = self._store
        for name, feature in store.info.videos.items():
            if name not in self._encoders:
                path = store.scratch / f"episode-{self._number}-{name}.mp4"
                encoder = Encoder(path, feature.shape, store.info.fps, self._video)
                self._encoders[name] = encoder
                self._histograms[name] = Histogram()
            self._encoders[name].add(frame[name])
            self._histograms[name].add(frame[name])

    def _finish(self, save: Save) -> Recorded:
        encoders, histograms = self._encoders, self._histograms
        for encoder in encoders.values():
            encoder.close()
        start = save.start
        done = Recorded(
            task=save.task,
            columns={k: np.concatenate(v) for k, v in self._rows.items()},
            videos={k: e.path for k, e in encoders.items()},
            video_stats={k: h.stats() for k, h in histograms.items()},
            length=self._length,
            start=None if start is None else start.to_json(),
            source=self._source,
        )
        self._number += 1
        self._begin()
        return done

    def abandon(self) -> None:
        for encoder in self._encoders.values():
            encoder.abandon()
        self._begin()

"""Scalars for TensorBoard, written by this thread.

tensorboardX's SummaryWriter writes in a thread of its own, which dies when the disk is full and
then blocks the training that feeds it. Its lower layer does the same work here and now.
"""

import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Self

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.summary import scalar

_FLUSH_SECONDS = 5.0


class ScalarLog:
    """One event file. If it cannot be written any more, says so once and goes on without.

    Args:
      directory: where the event file is made.
      step: where the run begins or continues [environment steps]; TensorBoard forgets what an
        interrupted run had logged from there on.
      say: takes the one line of a failure.
    """

    def __init__(self, directory: pathlib.Path, step: int, say: Callable[[str], None]) -> None:
        self._say = say
        self._flushed = time.monotonic()
        self._writer: EventsWriter | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._writer = EventsWriter(str(directory / "events"))
            start = SessionLog(status=SessionLog.START)
            self._writer.write_event(Event(wall_time=time.time(), step=step, session_log=start))
            self._writer.flush()
        except OSError as error:
            self._give_up(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
        except OSError as error:
            self._give_up(error)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Logs `values` at `step`."""
        if self._writer is None:
            return
        try:
            for name, value in values.items():
                summary = scalar(name, value)
                self._writer.write_event(Event(wall_time=time.time(), step=step, summary=summary))
            if time.monotonic() - self._flushed > _FLUSH_SECONDS:
                self._writer.flush()
                self._flushed = time.monotonic()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._writer = None
        self._say(f"TensorBoard events cannot be written any more: {error.strerror or error}")

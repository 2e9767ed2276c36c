"""What a run shows while it works: a live bar on a terminal, plain lines elsewhere."""

import contextlib
import dataclasses
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Protocol, TextIO

import rich.console
import rich.progress

_LINE_SECONDS = 5.0  # between two plain lines
_MIN_EPISODES = 100  # that return and success are averaged over, where there are as many


@dataclasses.dataclass(frozen=True)
class Status:
    """How training stands."""

    steps: int  # environment steps so far
    total_steps: int
    steps_per_second: float
    mean_return: float  # over recent episodes
    success: float  # share of recent episodes
    seconds_left: float

    def __str__(self) -> str:
        # Fits beside a bar on a terminal of 80 columns.
        return (
            f"{count(self.steps)}/{count(self.total_steps)}  "
            f"{count(self.steps_per_second)} steps/s  return {self.mean_return:.2f}  "
            f"success {self.success:.3f}  {clock(self.seconds_left)} left"
        )


class Meter:
    """Makes `Status` from updates; averages over recent episodes and updates."""

    def __init__(self, steps: int, total_steps: int) -> None:
        self._total = total_steps
        self._episodes: deque[tuple[float, float, float]] = deque()  # number, return, success
        self._times = deque([(time.monotonic(), steps)], maxlen=20)

    def update(self, steps: int, episodes: float, mean_return: float, success: float) -> Status:
        """Takes in one update that ended at `steps`, in which `episodes` ended."""
        self._times.append((time.monotonic(), steps))
        self._episodes.append((episodes, mean_return, success))
        number = sum(e[0] for e in self._episodes)
        while len(self._episodes) > 1 and number - self._episodes[0][0] >= _MIN_EPISODES:
            number -= self._episodes.popleft()[0]
        (t0, steps0), (t1, _) = self._times[0], self._times[-1]
        rate = (steps - steps0) / max(t1 - t0, 1e-9)
        return Status(
            steps=steps,
            total_steps=self._total,
            steps_per_second=rate,
            mean_return=sum(e[0] * e[1] for e in self._episodes) / max(number, 1.0),
            success=sum(e[0] * e[2] for e in self._episodes) / max(number, 1.0),
            seconds_left=max(0, self._total - steps) / max(rate, 1e-9),
        )


class Display(Protocol):
    """Where progress is shown."""

    def phase(self, name: str) -> contextlib.AbstractContextManager[None]:
        """Shows that something of unknown length runs, and for how long it has."""
        ...

    def training(self, total_steps: int) -> contextlib.AbstractContextManager[None]:
        """Shows a bar that `update` moves."""
        ...

    def update(self, status: Status) -> None:
        """Moves the bar."""
        ...

    def say(self, line: str) -> None:
        """Prints a line that stays."""
        ...


def display(stream: TextIO) -> Display:
    """A live bar if `stream` is a terminal, else plain lines, flushed one by one."""
    return LiveDisplay(stream) if stream.isatty() else PlainDisplay(stream)


class LiveDisplay:
    """A spinner or bar in the terminal's last line."""

    def __init__(self, stream: TextIO) -> None:
        self._console = rich.console.Console(file=stream, highlight=False)
        self._bar: rich.progress.Progress | None = None
        self._task = rich.progress.TaskID(0)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        columns = (
            rich.progress.SpinnerColumn(),
            rich.progress.TextColumn("{task.description}"),
            rich.progress.TimeElapsedColumn(),
        )
        started = time.monotonic()
        with rich.progress.Progress(*columns, console=self._console, transient=True) as bar:
            bar.add_task(name, total=None)
            yield
        self.say(f"{name}: {time.monotonic() - started:.1f} s")

    @contextlib.contextmanager
    def training(self, total_steps: int) -> Iterator[None]:
        columns = (
            rich.progress.BarColumn(bar_width=12),
            rich.progress.TextColumn("{task.description}"),
        )
        with rich.progress.Progress(*columns, console=self._console) as self._bar:
            self._task = self._bar.add_task("training", total=total_steps)
            yield
        self._bar = None

    def update(self, status: Status) -> None:
        if self._bar is not None:
            self._bar.update(
                self._task,
                completed=min(status.steps, status.total_steps),
                description=str(status),
            )

    def say(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)


class PlainDisplay:
    """Lines for a log file: one when a phase starts, one every few seconds, one when it ends."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last: Status | None = None
        self._next_line = 0.0

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        started, over = time.monotonic(), threading.Event()

        def heartbeat() -> None:
            while not over.wait(2 * _LINE_SECONDS):
                self.say(f"{name}: {time.monotonic() - started:.0f} s so far")

        thread = threading.Thread(target=heartbeat, daemon=True)
        self.say(f"{name} ...")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
        self.say(f"{name}: {time.monotonic() - started:.1f} s")

    @contextlib.contextmanager
    def training(self, total_steps: int) -> Iterator[None]:
        self._last, self._next_line = None, 0.0
        try:
            yield
        finally:
            if self._last is not None:  # the last line may not have been due
                self.say(f"training: {self._last}")

    def update(self, status: Status) -> None:
        self._last = status
        if time.monotonic() >= self._next_line:
            self.say(f"training: {status}")
            self._last, self._next_line = None, time.monotonic() + _LINE_SECONDS

    def say(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def clock(seconds: float) -> str:
    """A duration as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def count(number: float) -> str:
    """A number in a few characters, such as 2.10M."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.2f}{letter}"
    return f"{number:.0f}"

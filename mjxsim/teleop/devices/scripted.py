"""Commands from a list or a file, or the task's expert, in a person's place."""

import dataclasses
import itertools
import json
import math
import pathlib
from collections.abc import Sequence
from typing import Self

from mjxsim.naming import unknown
from mjxsim.teleop.devices.base import Command, DeviceError
from mjxsim.teleop.devices.keymap import EVENTS

_FIELDS = ("at", "linear", "angular", "gripper", "joints", "intervene", "events", "expert")


class Scripted:
    """Each command holds from its time on, until the next; its events happen once.

    Time is counted in polls, one per control step, so that the same script does the same on every
    machine.
    """

    name = "scripted"

    def __init__(self, commands: Sequence[tuple[float, Command]], dt: float) -> None:
        """`commands` are (seconds, command); `dt` [s] passes from one poll to the next.

        Raises:
          ValueError: the times do not increase, or `dt` is not positive.
        """
        times = [at for at, _ in commands]
        if any(not later > sooner for sooner, later in itertools.pairwise(times)):
            raise ValueError(f"the times of a script must increase, got {times}")
        if not dt > 0.0:
            raise ValueError(f"dt must be positive, got {dt} s")
        self._left = list(commands)
        self._dt = dt
        self._polls = 0
        self._now = Command()

    @classmethod
    def expert(cls, dt: float) -> Self:
        """The task's expert, from beginning to end."""
        return cls([(0.0, Command(expert=True))], dt)

    @classmethod
    def read(cls, path: pathlib.Path, dt: float) -> Self:
        """A JSON list of {"at": seconds, "linear": [x, y, z], "events": ["success"], ...}.

        Raises:
          DeviceError: no such file, or something else in it; a line that names the entry.
        """
        try:
            entries = json.loads(path.read_text("utf-8"))
        except OSError as error:
            raise DeviceError(f"cannot read script {path}: {error.strerror or error}") from error
        except ValueError as error:
            raise DeviceError(f"script {path} is not JSON: {error}") from error
        if not isinstance(entries, list):
            raise DeviceError(f"script {path} must be a list of commands")
        commands: list[tuple[float, Command]] = []
        for number, entry in enumerate(entries):
            try:
                commands.append(_command(entry))
            except (TypeError, ValueError) as error:
                raise DeviceError(f"script {path}, command {number}: {error}") from error
        try:
            return cls(commands, dt)
        except ValueError as error:
            raise DeviceError(f"script {path}: {error}") from error

    def poll(self) -> Command:
        # Half a step early, so that rounding does not make a command a step late.
        now = (self._polls + 0.5) * self._dt
        self._polls += 1
        events = ()
        while self._left and self._left[0][0] < now:
            self._now = self._left.pop(0)[1]
            events += self._now.events
        return dataclasses.replace(self._now, events=events)

    def messages(self) -> tuple[str, ...]:
        return ()

    def help(self) -> tuple[str, ...]:
        return ("a script drives",)

    def close(self) -> None:
        self._left = []


def _command(entry: object) -> tuple[float, Command]:
    if not isinstance(entry, dict):
        raise TypeError(f"must be an object, got {entry!r}")
    for name in entry:
        if name not in _FIELDS:
            raise ValueError(unknown("field", name, _FIELDS))
    if "at" not in entry:
        raise ValueError("field 'at' [s] is missing")
    at, *_ = _numbers("at", [entry["at"]], 1)
    values: dict[str, object] = {}
    for name, size in (("linear", 3), ("angular", 3), ("joints", None)):
        if entry.get(name) is not None:
            values[name] = _numbers(name, entry[name], size)
    gripper = entry.get("gripper", "hold")
    if gripper not in ("hold", "open", "close"):
        (gripper,) = _numbers("gripper", [gripper], 1)
    events = []
    for event in entry.get("events", []):
        if event not in EVENTS:
            raise ValueError(unknown("event", str(event), EVENTS))
        events.append(EVENTS[event])
    flags = {name: bool(entry[name]) for name in ("intervene", "expert") if name in entry}
    return at, Command(**values, gripper=gripper, events=tuple(events), **flags)  # type: ignore[arg-type]


def _numbers(name: str, values: object, size: int | None) -> tuple[float, ...]:
    right = isinstance(values, list) and (size is None or len(values) == size)
    if not right or not all(isinstance(v, int | float) for v in values):  # type: ignore[union-attr]
        wanted = f"{size} numbers" if size and size > 1 else "a number" if size else "numbers"
        raise ValueError(f"field {name!r} must be {wanted}, got {values!r}")
    assert isinstance(values, list)
    if name == "at" and not math.isfinite(values[0]):
        raise ValueError(f"field 'at' must be finite, got {values[0]}")
    return tuple(float(v) for v in values)

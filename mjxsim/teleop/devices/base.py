"""What a device is: something that says, when asked, what the person wants now."""

import dataclasses
import enum
import math
from typing import Literal, Protocol

Gripper = Literal["hold", "open", "close"] | float  # a number is 0 (closed) to 1 (open)

_ZERO = (0.0, 0.0, 0.0)


class Event(enum.Enum):
    """Something that happens once, whenever the person presses for it."""

    INTERVENE = "intervene"  # take over the lane, or hand it back
    SUCCESS = "success"  # the episode ends well and is kept
    FAILURE = "failure"  # the episode ends badly and is kept
    RERECORD = "rerecord"  # the episode is thrown away and begun again
    RESET = "reset"  # the lane starts a new episode; nothing is kept
    RECORD = "record"  # begin to record, or stop and keep nothing
    PAUSE = "pause"  # stop the clock, or go on
    NEXT_LANE = "next_lane"
    PREVIOUS_LANE = "previous_lane"
    NEXT_ARM = "next_arm"  # of a robot with several
    FASTER = "faster"  # of the simulated clock beside the wall clock
    SLOWER = "slower"
    QUIT = "quit"


@dataclasses.dataclass(frozen=True)
class Command:
    """What the person wants now. The default is to hold still."""

    linear: tuple[float, float, float] = _ZERO  # [-1, 1] along the robot base's x, y, z
    angular: tuple[float, float, float] = _ZERO  # [-1, 1] about the robot base's x, y, z
    gripper: Gripper = "hold"  # "hold" keeps what was wanted last
    joints: tuple[float, ...] | None = None  # (n,) [rad], where a leader arm's joints are
    # Whether the person holds the control that means "I am driving"; None for a device without
    # one, which toggles by Event.INTERVENE.
    intervene: bool | None = None
    events: tuple[Event, ...] = ()  # since the last poll, in order
    expert: bool = False  # the task's own expert acts in the person's place

    @property
    def finite(self) -> bool:
        """Whether every number in it is one."""
        gripper = () if isinstance(self.gripper, str) else (self.gripper,)
        values = (*self.linear, *self.angular, *(self.joints or ()), *gripper)
        return all(math.isfinite(value) for value in values)

    @property
    def moves(self) -> bool:
        """Whether it asks for anything but to hold still; events aside."""
        still = self.gripper == "hold" and self.joints is None and not self.expert
        return not still or any(self.linear + self.angular)


class DeviceError(RuntimeError):
    """A device cannot be opened; one line that says why and what to do."""


class Device(Protocol):
    """Something that a person holds.

    `poll` is asked once per control step on the control thread: it never blocks, and it never
    raises for a device that has vanished or talks nonsense. It then holds still, says so once in
    `messages`, and looks for the device to come back.
    """

    @property
    def name(self) -> str:
        """As `make_device` knows it."""
        ...

    def poll(self) -> Command:
        """What the person wants now, and the events since the last call."""
        ...

    def messages(self) -> tuple[str, ...]:
        """One-line messages for the person since the last call."""
        ...

    def help(self) -> tuple[str, ...]:
        """What each key or axis does, a line each."""
        ...

    def close(self) -> None:
        """Releases the hardware; a second call does nothing."""
        ...

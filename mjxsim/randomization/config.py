"""All that differs from world to world, in one configuration."""

import dataclasses
from collections.abc import Mapping
from typing import Literal, Self, cast, get_args

from mjxsim.naming import unknown
from mjxsim.randomization.actuation import ActuationRandomization
from mjxsim.randomization.dictionary import FREQUENCY, from_dict
from mjxsim.randomization.frequency import Frequency, check_frequency
from mjxsim.randomization.physics_config import PhysicsRandomization
from mjxsim.randomization.pushes import PushRandomization
from mjxsim.randomization.schedule import LinearSchedule, Schedule, SuccessSchedule
from mjxsim.randomization.sensing import SensorRandomization
from mjxsim.randomization.visual_config import VisualRandomization
from mjxsim.randomization.visual_dictionary import visual_randomization

__all__ = ["RandomizationConfig"]

_Kind = Literal["none", "linear", "success"]


@dataclasses.dataclass(frozen=True)
class RandomizationConfig:
    """What `mjxsim.make(..., randomization=...)` takes; as it stands, nothing is randomized.

    Attributes:
      physics: Ranges of model fields: of objects, of the robot's joints, of the world, of contacts.
      physics_frequency: How often they are drawn anew.
      visual: What cameras see; it says its own frequency.
      actuation: Delay and noise between a policy's action and the actuators.
      sensors: Noise, bias and latency of parts of the observation, one entry for each group.
      pushes: Random forces on bodies.
      schedule: How wide all ranges are open: "none", as they are written; "linear" or "success",
        as the section of that name says. The other section does not count.
      linear: A curriculum.
      success: Automatic domain randomization.
    """

    physics: PhysicsRandomization = PhysicsRandomization()
    physics_frequency: Frequency = "episode"
    visual: VisualRandomization = VisualRandomization()
    actuation: ActuationRandomization = ActuationRandomization()
    sensors: tuple[SensorRandomization, ...] = ()
    pushes: PushRandomization = PushRandomization()
    schedule: _Kind = "none"
    linear: LinearSchedule = LinearSchedule()
    success: SuccessSchedule = SuccessSchedule()

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for a part, frequency or schedule that there is not."""
        for field in dataclasses.fields(self):
            given, kind = getattr(self, field.name), type(field.default)
            if dataclasses.is_dataclass(kind) and not isinstance(given, kind):
                raise ValueError(_instead(f"randomization.{field.name}", kind, given))
        if not isinstance(self.sensors, tuple | list):
            raise ValueError(
                f"randomization.sensors must be a tuple, one entry for each group, got "
                f"{self.sensors!r}"
            )
        for group in self.sensors:
            if not isinstance(group, SensorRandomization):
                raise ValueError(_instead("randomization.sensors", SensorRandomization, group))
        check_frequency("physics_frequency", self.physics_frequency)
        if self.schedule not in get_args(_Kind):
            raise ValueError(unknown("schedule", str(self.schedule), get_args(_Kind)))

    @classmethod
    def from_dict(
        cls,
        physics: Mapping[str, object] | None = None,
        visual: Mapping[str, object] | None = None,
        frequency: str | int | None = None,
    ) -> Self:
        """What plain dictionaries say.

        Args:
          physics: see `mjxsim.randomization.from_dict`.
          visual: see `mjxsim.randomization.visual_dictionary.visual_randomization`.
          frequency: "step", "episode", "session" or a number of control steps, for what does not
            say "randomization_frequency" itself; "episode" if None.

        Raises:
          ValueError: one line, for a key that does not exist or a value that cannot be.
        """
        for name, data in (("physics", physics), ("visual", visual)):
            if data is not None and not isinstance(data, Mapping):
                raise ValueError(f"{name} must be a dictionary, got {data!r}")
        said = from_dict(physics or {}, None if physics and FREQUENCY in physics else frequency)
        delayed = ActuationRandomization(delay=said.actuator_delay, frequency=said.frequency)
        looks = visual_randomization(visual or {})
        if frequency is not None and FREQUENCY not in (visual or {}):
            looks = dataclasses.replace(looks, frequency=cast(Frequency, frequency))
        return cls(
            physics=said.physics,
            physics_frequency=said.frequency,
            visual=looks,
            actuation=delayed,
        )

    @property
    def width(self) -> Schedule | None:
        """The schedule that counts."""
        return {"none": None, "linear": self.linear, "success": self.success}[self.schedule]


def _instead(name: str, kind: type, given: object) -> str:
    return f"{name} must be a {kind.__name__}, got {given!r}"

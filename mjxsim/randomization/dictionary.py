"""Randomization written as a plain dictionary, as papers and configuration files write it.

{
    "object_properties": {"mass_range": [0.5, 2.0], "friction_range": [0.3, 0.9]},
    "robot_parameters": {"actuator_delay_range": [0.0, 0.02]},
    "environment": {"gravity_variation": 0.1},
    "randomization_frequency": "episode",
}

A value `...` stands for the standard one, and a set of keys for a section of standard values.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal, cast

from mjxsim.randomization.frequency import Frequency, check_frequency
from mjxsim.randomization.physics_config import (
    EnvironmentPhysics,
    ObjectPhysics,
    PhysicsRandomization,
    RobotPhysics,
)
from mjxsim.randomization.ranges import How, Range, check_range
from mjxsim.randomization.written import check_keys, is_number, is_open, pair_of, section_of

__all__ = ["FREQUENCY", "FromDictionary", "from_dict"]

FREQUENCY = "randomization_frequency"  # the key


@dataclasses.dataclass(frozen=True)
class FromDictionary:
    """What a dictionary says.

    Attributes:
      physics: Ranges of model fields.
      actuator_delay: Time by which a control takes effect late [s], or None for no delay.
      frequency: How often a world is drawn anew: at every "step", "episode", once a "session", or
        every so many control steps.
    """

    physics: PhysicsRandomization
    actuator_delay: Range | None
    frequency: Frequency


@dataclasses.dataclass(frozen=True)
class _Key:
    """What one key of a dictionary means.

    Attributes:
      entry: Field of the section's dataclass.
      how: What its numbers mean.
      standard: What `...` stands for.
      single: What one number v stands for: [-v, v], [0, v], or None where a pair is needed.
    """

    entry: str
    how: How
    standard: tuple[float, float]
    single: Literal["both ways", "from zero"] | None = None


_DELAY = _Key("actuator_delay", "absolute", (0.01, 0.05))
_SECTIONS: dict[str, dict[str, _Key]] = {
    "object_properties": {
        "mass_range": _Key("mass", "scale", (0.5, 2.0)),
        "friction_range": _Key("friction", "absolute", (0.3, 0.9)),
        "restitution_range": _Key("restitution", "absolute", (0.0, 0.3)),
        "inertia_scale": _Key("inertia", "scale", (0.8, 1.2)),
    },
    "robot_parameters": {
        "joint_damping_range": _Key("joint_damping", "absolute", (0.005, 0.015)),
        "joint_friction_range": _Key("joint_friction", "absolute", (0.001, 0.005)),
        "actuator_delay_range": _DELAY,
    },
    "environment": {
        "gravity_variation": _Key("gravity", "add", (-0.1, 0.1), "both ways"),
        "air_resistance": _Key("air_resistance", "absolute", (0.0, 0.001), "from zero"),
    },
}


def from_dict(data: Mapping[str, object], frequency: str | int | None = None) -> FromDictionary:
    """Typed ranges from a dictionary; what it leaves out is not randomized.

    | section | key | numbers |
    |---|---|---|
    | object_properties | mass_range | [low, high], factors on mass and inertia |
    | | friction_range | [low, high], sliding friction itself |
    | | restitution_range | [low, high], rebound over impact speed itself |
    | | inertia_scale | [low, high], factors |
    | robot_parameters | joint_damping_range | [low, high], N m s/rad |
    | | joint_friction_range | [low, high], N m |
    | | actuator_delay_range | [low, high], s |
    | environment | gravity_variation | v or [low, high], added along each axis, m/s^2; v: ±v |
    | | air_resistance | v or [low, high], viscosity, Pa s; v: from 0 to v |

    The top level may also hold "randomization_frequency": "step", "episode" (the default),
    "session" or a number of control steps.

    Args:
      data: The dictionary.
      frequency: Its randomization_frequency, if given apart from it.

    Raises:
      ValueError: one line, for an unknown section or key (with the nearest valid one), a value
        that is no pair of numbers, an inverted pair, a value that nothing can have (a negative
        mass), or a frequency that is none or given twice differently.
    """
    sections = (*_SECTIONS, FREQUENCY)
    given = section_of(data, sections) if isinstance(data, Mapping) else None
    if given is None:
        raise ValueError(
            f"physics randomization must be a dictionary with {', '.join(sections)}, got {data!r}"
        )
    check_keys("randomization section", given, sections)
    values: dict[str, dict[str, Range]] = {}
    for section, keys in _SECTIONS.items():
        content = section_of(given.get(section, {}), tuple(keys))
        if content is None:
            raise ValueError(
                f"randomization section {section!r} must hold {', '.join(keys)}, "
                f"got {given[section]!r}"
            )
        check_keys(f"key of {section!r}", content, tuple(keys))
        values[section] = {
            keys[key].entry: _range(f"{section}.{key}", keys[key], value)
            for key, value in content.items()
        }
    robot = values["robot_parameters"]
    delay = robot.pop(_DELAY.entry, None)
    physics = PhysicsRandomization(
        objects=ObjectPhysics(**values["object_properties"]),
        robot=RobotPhysics(**robot),
        environment=EnvironmentPhysics(**values["environment"]),
    )
    return FromDictionary(physics, delay, _frequency(given.get(FREQUENCY), frequency))


def _range(name: str, meant: _Key, value: object) -> Range:
    """The range that `value` stands for; its errors name the key."""
    pair = meant.standard if is_open(value) else value
    low, high = pair_of(name, pair, number=meant.single is not None)
    if is_number(pair):
        if high < 0.0:
            raise ValueError(f"{name} must not be negative, got {value!r}")
        low = -high if meant.single == "both ways" else 0.0
    try:
        made = Range(low, high, meant.how)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if meant.how != "add":
        positive = meant.entry in ("mass", "inertia", "friction")
        check_range(name, made, least=0.0, above=0.0 if positive else None)
    return made


def _frequency(written: object, given: str | int | None) -> Frequency:
    for value in (written, given):
        if value is not None and not is_open(value):
            check_frequency(FREQUENCY, cast(Frequency, value))
    written = None if is_open(written) else written
    if written is not None and given is not None and written != given:
        raise ValueError(f"{FREQUENCY} is {written!r} in the dictionary and given as {given!r}")
    return cast(Frequency, given or written or "episode")

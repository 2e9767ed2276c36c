"""Randomization written as a plain dictionary, as papers and configuration files write it.

{
    "object_properties": {"mass_range": [0.5, 2.0], "friction_range": [0.3, 0.9]},
    "robot_parameters": {"actuator_delay_range": [0.0, 0.02]},
    "environment": {"gravity_variation": 0.1},
    "randomization_frequency": "episode",
}
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal, cast, get_args

from mjxsim.naming import unknown
from mjxsim.randomization.physics_config import (
    EnvironmentPhysics,
    ObjectPhysics,
    PhysicsRandomization,
    RobotPhysics,
)
from mjxsim.randomization.ranges import How, Range, check_range

__all__ = ["FREQUENCY", "FromDictionary", "from_dict"]

FREQUENCY = "randomization_frequency"  # the key
Named = Literal["step", "episode", "session"]


@dataclasses.dataclass(frozen=True)
class FromDictionary:
    """What a dictionary says.

    Attributes:
      physics: Ranges of model fields.
      actuator_delay: Time by which a control takes effect late [s], or None for no delay.
      frequency: How often a world is drawn anew: at every "step", "episode", or once a "session".
    """

    physics: PhysicsRandomization
    actuator_delay: Range | None
    frequency: Named


@dataclasses.dataclass(frozen=True)
class _Key:
    """What one key of a dictionary means.

    Attributes:
      entry: Field of the section's dataclass.
      how: What its numbers mean.
      single: What one number v stands for: [-v, v], [0, v], or None where a pair is needed.
    """

    entry: str
    how: How
    single: Literal["both ways", "from zero"] | None = None


_DELAY = _Key("actuator_delay", "absolute")
_SECTIONS: dict[str, dict[str, _Key]] = {
    "object_properties": {
        "mass_range": _Key("mass", "scale"),
        "friction_range": _Key("friction", "absolute"),
        "restitution_range": _Key("restitution", "absolute"),
        "inertia_scale": _Key("inertia", "scale"),
    },
    "robot_parameters": {
        "joint_damping_range": _Key("joint_damping", "absolute"),
        "joint_friction_range": _Key("joint_friction", "absolute"),
        "actuator_delay_range": _DELAY,
    },
    "environment": {
        "gravity_variation": _Key("gravity", "add", "both ways"),
        "air_resistance": _Key("air_resistance", "absolute", "from zero"),
    },
}


def from_dict(data: Mapping[str, object], frequency: str | None = None) -> FromDictionary:
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

    The top level may also hold "randomization_frequency": "step", "episode" (the default) or
    "session".

    Args:
      data: The dictionary.
      frequency: Its randomization_frequency, if given apart from it.

    Raises:
      ValueError: one line, for an unknown section or key (with the nearest valid one), a value
        that is no pair of numbers, an inverted pair, a value that nothing can have (a negative
        mass), or a frequency that is none or given twice differently.
    """
    values: dict[str, dict[str, Range]] = {}
    for section, content in data.items():
        if section == FREQUENCY:
            continue
        if section not in _SECTIONS:
            raise ValueError(unknown("randomization section", section, (*_SECTIONS, FREQUENCY)))
        if not isinstance(content, Mapping):
            raise ValueError(
                f"randomization section {section!r} must hold {', '.join(_SECTIONS[section])}, "
                f"got {content!r}"
            )
        values[section] = {}
        for key, value in content.items():
            if key not in _SECTIONS[section]:
                raise ValueError(unknown(f"key of {section!r}", key, _SECTIONS[section]))
            meant = _SECTIONS[section][key]
            values[section][meant.entry] = _range(f"{section}.{key}", meant, value)
    robot = values.get("robot_parameters", {})
    delay = robot.pop(_DELAY.entry, None)
    physics = PhysicsRandomization(
        objects=ObjectPhysics(**values.get("object_properties", {})),
        robot=RobotPhysics(**robot),
        environment=EnvironmentPhysics(**values.get("environment", {})),
    )
    return FromDictionary(physics, delay, _frequency(data.get(FREQUENCY), frequency))


def _range(name: str, meant: _Key, value: object) -> Range:
    """The range that `value` stands for; its errors name the key."""
    pair = value
    if meant.single is not None and _is_number(value):
        most = cast(float, value)
        if most < 0.0:
            raise ValueError(f"{name} must not be negative, got {value!r}")
        pair = (-most if meant.single == "both ways" else 0.0, most)
    numbers = list(pair) if isinstance(pair, list | tuple) else []
    if len(numbers) != 2 or not all(map(_is_number, numbers)):
        wanted = "[low, high]" if meant.single is None else "a number or [low, high]"
        raise ValueError(f"{name} must be {wanted}, got {value!r}")
    try:
        made = Range(float(numbers[0]), float(numbers[1]), meant.how)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if meant.how != "add":
        positive = meant.entry in ("mass", "inertia", "friction")
        check_range(name, made, least=0.0, above=0.0 if positive else None)
    return made


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _frequency(written: object, given: str | None) -> Named:
    valid = get_args(Named)
    for value in (written, given):
        if value is not None and value not in valid:
            raise ValueError(unknown(FREQUENCY, str(value), valid))
    if written is not None and given is not None and written != given:
        raise ValueError(f"{FREQUENCY} is {written!r} in the dictionary and given as {given!r}")
    return cast(Named, given or written or "episode")

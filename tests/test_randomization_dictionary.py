"""A dictionary as people write it becomes typed ranges, or one line that says what is wrong."""

import pytest

from mjxsim.randomization import (
    PhysicsRandomization,
    RandomizationConfig,
    Range,
    from_dict,
)

WHOLE = {
    "object_properties": {
        "mass_range": [0.5, 2.0],
        "friction_range": [0.3, 0.9],
        "restitution_range": [0.0, 0.3],
        "inertia_scale": [0.8, 1.2],
    },
    "robot_parameters": {
        "joint_damping_range": [0.005, 0.015],
        "joint_friction_range": [0.001, 0.005],
        "actuator_delay_range": [0, 0.02],
    },
    "environment": {"gravity_variation": 0.1, "air_resistance": 0.001},
    "randomization_frequency": "session",
}


def test_the_whole_dictionary() -> None:
    got = from_dict(WHOLE)
    assert got.physics.entries() == {
        "objects.mass": Range(0.5, 2.0, "scale"),
        "objects.inertia": Range(0.8, 1.2, "scale"),
        "objects.friction": Range(0.3, 0.9),
        "objects.restitution": Range(0.0, 0.3),
        "robot.joint_damping": Range(0.005, 0.015),
        "robot.joint_friction": Range(0.001, 0.005),
        "environment.gravity": Range(-0.1, 0.1, "add"),
        "environment.air_resistance": Range(0.0, 0.001),
    }
    assert got.actuator_delay == Range(0.0, 0.02)
    assert got.frequency == "session"


def test_what_is_left_out_is_off() -> None:
    got = from_dict({"environment": {"gravity_variation": (-0.2, 0.1)}})
    assert got.physics.entries() == {"environment.gravity": Range(-0.2, 0.1, "add")}
    assert (got.actuator_delay, got.frequency) == (None, "episode")
    assert from_dict({}).physics == PhysicsRandomization()


def test_the_frequency_may_be_given_apart() -> None:
    assert from_dict({}, "step").frequency == "step"
    assert from_dict(WHOLE, "session").frequency == "session"


@pytest.mark.parametrize(
    ("data", "message"),
    (
        (
            {"object_propertys": {}},
            "unknown randomization section 'object_propertys': did you mean 'object_properties'?",
        ),
        (
            {"object_properties": {"masss_range": [0.5, 2.0]}},
            "unknown key of 'object_properties' 'masss_range': did you mean 'mass_range'? valid: "
            "friction_range, inertia_scale, mass_range, restitution_range",
        ),
        (
            {"object_properties": {"mass_range": [2.0, 0.5]}},
            "object_properties.mass_range: range [2.0, 0.5]: low must not exceed high",
        ),
        (
            {"object_properties": {"mass_range": [-0.5, 2.0]}},
            "object_properties.mass_range: range [-0.5, 2.0]: a factor (how='scale') must not be",
        ),
        (
            {"object_properties": {"mass_range": [0, 2.0]}},
            "object_properties.mass_range [0.0, 2.0]: factors must keep it above 0",
        ),
        (
            {"object_properties": {"friction_range": [-0.1, 0.9]}},
            "object_properties.friction_range [-0.1, 0.9]: values must not make it less than 0",
        ),
        (
            {"robot_parameters": {"actuator_delay_range": [-0.01, 0.02]}},
            "robot_parameters.actuator_delay_range [-0.01, 0.02]: values must not make it less",
        ),
        (
            {"object_properties": {"mass_range": 2.0}},
            "object_properties.mass_range must be [low, high], got 2.0",
        ),
        (
            {"environment": {"gravity_variation": "little"}},
            "environment.gravity_variation must be a number or [low, high], got 'little'",
        ),
        (
            {"environment": {"gravity_variation": -0.1}},
            "environment.gravity_variation must not be negative, got -0.1",
        ),
        (
            {"environment": {"air_resistance": [0.0, float("nan")]}},
            "environment.air_resistance: a range's high must be a finite number, got nan",
        ),
        ({"environment": 0.1}, "section 'environment' must hold gravity_variation, air_resistance"),
        (
            {"randomization_frequency": "episodes"},
            "unknown randomization_frequency 'episodes': did you mean 'episode'?",
        ),
    ),
)
def test_a_mistake_is_one_clear_line(data: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError) as error:
        from_dict(data)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_two_frequencies_must_agree() -> None:
    with pytest.raises(ValueError, match="'session' in the dictionary and given as 'step'"):
        from_dict(WHOLE, "step")


def test_both_dictionaries_make_one_configuration():
    physics = {
        "object_properties": {"mass_range": [0.5, 2.0]},
        "randomization_frequency": "session",
    }
    visual = {"lighting": {"random_intensity": True, "intensity_range": [0.7, 1.3]}}
    config = RandomizationConfig.from_dict(physics, visual)
    assert config.physics.objects.mass == Range(0.5, 2.0, "scale")
    assert config.physics_frequency == "session"
    assert config.visual.lighting.intensity == Range(0.7, 1.3, "scale")
    assert config.visual.frequency == "episode"
    assert RandomizationConfig.from_dict() == RandomizationConfig()


def test_one_frequency_is_for_both_dictionaries():
    config = RandomizationConfig.from_dict(None, {"textures": {"random_objects": True}}, "step")
    assert config.physics_frequency == config.visual.frequency == "step"
    with pytest.raises(ValueError, match="frequency") as caught:
        RandomizationConfig.from_dict(None, None, "sometimes")
    assert "\n" not in str(caught.value)

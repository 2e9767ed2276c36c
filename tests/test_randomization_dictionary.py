"""A dictionary as people write it becomes typed ranges, or one line that says what is wrong."""

from collections.abc import Callable

import numpy as np
import pytest

from mjxsim.randomization import (
    STANDARD,
    STANDARD_VISUAL,
    ObjectPhysics,
    PhysicsRandomization,
    RandomizationConfig,
    Range,
    SensorRandomization,
    VisualRandomization,
    from_dict,
)
from mjxsim.randomization.visual_config import CameraRandomization

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


# As a plan writes it down: keys without values, and dots where one may think of one.
OUTLINE = {
    "object_properties": {"mass_range", "friction_range", "restitution_range", "inertia_scale"},
    "robot_parameters": {"joint_damping_range", "joint_friction_range", "actuator_delay_range"},
    "environment": {"gravity_variation": ..., "air_resistance": ...},
}
LOOKS = {
    "camera_parameters": {
        "random_position": True,
        "position_range": [-0.1, 0.1],
        "random_rotation": ...,
        "rotation_range": ...,
        "random_fov": ...,
        "fov_range": [45, 75],
    },
    "lighting": {"random_intensity", "intensity_range", "random_color", "color_range"},
    "textures": {"random_objects", "texture_variations", "random_colors", "color_variations"},
    "post_processing": {
        "gaussian_noise": {"mean", "std"},
        "motion_blur": {"kernel_size"},
        "compression_artifacts": {"quality"},
    },
}


def test_what_is_left_open_has_the_standard_range() -> None:
    robot = {**WHOLE["robot_parameters"], "actuator_delay_range": [0.01, 0.05]}
    assert from_dict(OUTLINE) == from_dict(
        {**WHOLE, "robot_parameters": robot, "randomization_frequency": "episode"}
    )
    assert from_dict({"object_properties": ...}).physics.objects == from_dict(WHOLE).physics.objects


def test_looks_that_are_left_open_have_the_standard_ranges() -> None:
    config = RandomizationConfig.from_dict(OUTLINE, LOOKS, "session")
    looks, standard = config.visual, STANDARD_VISUAL
    assert (looks.camera, looks.frequency) == (standard.camera, "session")
    assert looks.lighting.intensity == standard.lighting.intensity
    assert looks.lighting.color == standard.lighting.color
    assert looks.textures.objects.patterns >= 10
    for surface in (looks.textures.objects, looks.textures.table, looks.textures.robot):
        assert surface.colors >= 20
    for field in ("noise_std", "motion_blur", "jpeg_quality"):
        assert getattr(looks.post_processing, field) == getattr(standard.post_processing, field)
    with pytest.raises(ValueError, match="key of lighting 'random_colour': did you mean"):
        RandomizationConfig.from_dict(None, {"lighting": {"random_colour"}})


def test_numbers_may_be_numpys() -> None:
    written = {"object_properties": {"mass_range": np.array([0.5, 2.0], np.float32)}}
    assert from_dict(written).physics.objects.mass == Range(0.5, 2.0, "scale")


@pytest.mark.parametrize(
    ("make", "message"),
    (
        (lambda: ObjectPhysics(mass=(0.5, 2.0)), "objects.mass must be a Range such as"),
        (lambda: SensorRandomization(noise=0.1), "sensor noise must be a Range"),
        (lambda: SensorRandomization("cube"), r"sensor names must be a tuple of names such as"),
        (
            lambda: VisualRandomization(camera=CameraRandomization(position=(-0.1, 0.1))),
            r"camera.position must be a Range such as .*got \(-0.1, 0.1\)",
        ),
        (
            lambda: RandomizationConfig(visual=STANDARD),
            "randomization.visual must be a VisualRandomization, got PhysicsRandomization",
        ),
        (
            lambda: RandomizationConfig(sensors=SensorRandomization()),
            "randomization.sensors must be a tuple",
        ),
    ),
)
def test_what_is_no_range_is_one_line(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        make()
    assert "\n" not in str(error.value)


def test_what_is_left_out_is_off() -> None:
    got = from_dict({"environment": {"gravity_variation": (-0.2, 0.1)}})
    assert got.physics.entries() == {"environment.gravity": Range(-0.2, 0.1, "add")}
    assert (got.actuator_delay, got.frequency) == (None, "episode")
    assert from_dict({}).physics == PhysicsRandomization()


def test_the_frequency_may_be_given_apart() -> None:
    assert from_dict({}, "step").frequency == "step"
    assert from_dict(WHOLE, "session").frequency == "session"
    assert from_dict({}, 5).frequency == 5
    assert from_dict({"randomization_frequency": 5}).frequency == 5


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
        ([0.5, 2.0], "physics randomization must be a dictionary with object_properties, robot_"),
        ({3: {}}, "unknown randomization section '3': valid: environment, object_properties"),
        ({"environment": {3: 0.1}}, "unknown key of 'environment' '3': valid: air_resistance"),
        ({"environment": {"gravity"}}, "unknown key of 'environment' 'gravity': did you mean"),
        ({"environment": 0.1}, "section 'environment' must hold gravity_variation, air_resistance"),
        (
            {"randomization_frequency": "episodes"},
            "randomization_frequency must be 'step', 'episode', 'session' or a number of control "
            "steps from 1, got 'episodes'",
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
    for given in ({"physics": 5}, {"visual": ["textures"]}):
        with pytest.raises(ValueError, match="must be a dictionary, got"):
            RandomizationConfig.from_dict(**given)

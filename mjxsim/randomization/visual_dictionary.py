"""Visual randomization from a plain dictionary, as one writes it in a script or reads from YAML.

Every key may be left out. A range without its switch (`position_range` without `random_position`)
is on; a switch without its range has that of `STANDARD_VISUAL`.

    {
        "camera_parameters": {
            "random_position": True,      # of cameras that stand in the scene
            "position_range": [-0.1, 0.1],  # [m] along each axis
            "random_rotation": True,
            "rotation_range": [-0.2, 0.2],  # [rad] about each of a camera's axes
            "random_fov": True,
            "fov_range": [45, 75],  # [deg], vertical
        },
        "lighting": {
            "random_intensity": True,
            "intensity_range": [0.7, 1.3],  # factor
            "random_color": True,
            "color_range": [0.8, 1.2],  # factor on each channel
        },
        "textures": {
            "random_objects": True,  # patterns on objects, ...
            "texture_variations": 10,  # ... out of so many
            "random_colors": True,  # of objects, table and robot, ...
            "color_variations": 20,  # ... out of so many
        },
        "post_processing": {  # numbers, or ranges to draw an episode's from
            "gaussian_noise": {"mean": 0.0, "std": 0.02},  # shares of white
            "motion_blur": {"kernel_size": 5},  # [pixels]
            "compression_artifacts": {"quality": 80},  # of JPEG, 1 to 100
        },
        "randomization_frequency": "episode",  # or "step", "session", or a number of steps
    }

`...` as a value stands for the standard one, and a set of keys for a section of standard values.
"""

import dataclasses
from collections.abc import Mapping
from typing import cast

import numpy as np

from mjxsim.randomization.frequency import Frequency
from mjxsim.randomization.post_processing import PostProcessing
from mjxsim.randomization.ranges import How, Range
from mjxsim.randomization.visual_config import (
    STANDARD_VISUAL,
    CameraRandomization,
    Lighting,
    Surface,
    Textures,
    VisualRandomization,
)
from mjxsim.randomization.written import check_keys, is_open, pair_of, section_of
from mjxsim.rendering.textures import PALETTE, PATTERNS

__all__ = ["visual_randomization"]

_KEYS: dict[str, tuple[str, ...]] = {
    "camera_parameters": (
        "random_position",
        "position_range",
        "random_rotation",
        "rotation_range",
        "random_fov",
        "fov_range",
    ),
    "lighting": ("random_intensity", "intensity_range", "random_color", "color_range"),
    "textures": ("random_objects", "texture_variations", "random_colors", "color_variations"),
    "post_processing": ("gaussian_noise", "motion_blur", "compression_artifacts"),
    "post_processing.gaussian_noise": ("mean", "std"),
    "post_processing.motion_blur": ("kernel_size",),
    "post_processing.compression_artifacts": ("quality",),
}
_FREQUENCY = "randomization_frequency"
_EFFECTS = {
    "noise_mean": ("gaussian_noise", "mean"),
    "noise_std": ("gaussian_noise", "std"),
    "motion_blur": ("motion_blur", "kernel_size"),
    "jpeg_quality": ("compression_artifacts", "quality"),
}
# What errors of the configuration begin with, and what that is called here.
_NAMES = {
    "camera.fov ": "camera_parameters.fov_range ",
    "frequency ": f"{_FREQUENCY} ",
    **{
        f"post_processing.{field} ": f"post_processing.{kind}.{key} "
        for field, (kind, key) in _EFFECTS.items()
    },
}


def visual_randomization(settings: Mapping[str, object]) -> VisualRandomization:
    """The configuration that a dictionary describes.

    Raises:
      ValueError: one line, for a key that does not exist (with the nearest that does), a value of
        another type, or a range that is the wrong way round or gives impossible values.
    """
    top = (*(k for k in _KEYS if "." not in k), _FREQUENCY)
    given = _mapping("visual_randomization", settings, top)
    camera = _section(given, "camera_parameters")
    lighting = _section(given, "lighting")
    standard = STANDARD_VISUAL
    cameras = CameraRandomization(
        position=_switched(camera, "position", standard.camera.position, "add"),
        rotation=_switched(camera, "rotation", standard.camera.rotation, "add"),
        fov=_switched(camera, "fov", standard.camera.fov, "absolute"),
    )
    lights = Lighting(
        intensity=_switched(lighting, "intensity", standard.lighting.intensity, "scale"),
        color=_switched(lighting, "color", standard.lighting.color, "scale"),
    )
    textures = _textures(_section(given, "textures"))
    frequency = given.get(_FREQUENCY, ...)
    post_processing = _section(given, "post_processing")
    try:
        return VisualRandomization(
            camera=cameras,
            lighting=lights,
            textures=textures,
            post_processing=_post_processing(post_processing),
            frequency="episode" if is_open(frequency) else cast(Frequency, frequency),
        )
    except ValueError as error:
        # In this dictionary's words.
        text = str(error)
        for ours, theirs in _NAMES.items():
            text = theirs + text.removeprefix(ours) if text.startswith(ours) else text
        raise ValueError(text) from None


@dataclasses.dataclass(frozen=True)
class _Section:
    name: str
    values: Mapping[str, object]

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def inner(self, key: str) -> "_Section":
        name = f"{self.name}.{key}"
        return _Section(name, _mapping(name, self.values.get(key, {}), _KEYS[name]))

    def switch(self, key: str, otherwise: bool) -> bool:
        value = self.values.get(key, otherwise)
        if is_open(value):
            return True
        if not isinstance(value, bool | np.bool_):
            raise ValueError(f"{self.name}.{key} must be True or False, got {value!r}")
        return bool(value)

    def count(self, key: str, most: int, otherwise: int) -> int:
        value = self.values.get(key, otherwise)
        if is_open(value):
            return otherwise
        if (
            not isinstance(value, int | np.integer)
            or isinstance(value, bool)
            or not 1 <= value <= most
        ):
            raise ValueError(
                f"{self.name}.{key} must be a whole number from 1 to {most}, got {value!r}"
            )
        return int(value)

    def range(self, key: str, how: How, standard: Range | None, *, number: bool = False) -> Range:
        """A pair of numbers; or, where that is allowed, one number."""
        name, value = f"{self.name}.{key}", self.values[key]
        if is_open(value) and standard is not None:
            return standard
        low, high = pair_of(name, value, number=number)
        if low > high:
            raise ValueError(f"{name} [{low}, {high}]: low must not exceed high")
        try:
            return Range(low, high, how)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None


def _section(given: Mapping[str, object], name: str) -> _Section:
    return _Section(name, _mapping(name, given.get(name, {}), _KEYS[name]))


def _mapping(name: str, value: object, valid: tuple[str, ...]) -> dict[str, object]:
    given = section_of(value, valid)
    if given is None:
        raise ValueError(f"{name} must be a dictionary with keys {', '.join(valid)}, got {value!r}")
    check_keys(f"key of {name}", given, valid)
    return given


def _switched(section: _Section, what: str, standard: Range | None, how: How) -> Range | None:
    key = f"{what}_range"
    own = section.range(key, how, standard) if key in section else standard
    return own if section.switch(f"random_{what}", key in section) else None


def _textures(section: _Section) -> Textures:
    standard = STANDARD_VISUAL.textures
    patterns = section.count("texture_variations", len(PATTERNS), standard.objects.patterns)
    colors = section.count("color_variations", len(PALETTE), standard.objects.colors)
    patterned = section.switch("random_objects", "texture_variations" in section)
    coloured = section.switch("random_colors", "color_variations" in section)
    plain = Surface(colors=colors if coloured else 0)
    objects = plain
    if patterned:
        objects = dataclasses.replace(plain, patterns=patterns, tile=standard.objects.tile)
    return Textures(objects=objects, table=plain, robot=plain)


def _post_processing(section: _Section) -> PostProcessing:
    found: dict[str, Range] = {}
    for field, (kind, key) in _EFFECTS.items():
        inner = section.inner(kind)
        if key in inner:
            standard = getattr(STANDARD_VISUAL.post_processing, field) or Range(0.0, 0.0)
            found[field] = inner.range(key, "absolute", standard, number=True)
        elif kind in section and not inner.values:
            raise ValueError(f"{inner.name}: needs one of {', '.join(_KEYS[inner.name])}")
    return dataclasses.replace(PostProcessing(), **found)

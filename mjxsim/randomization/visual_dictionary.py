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
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeGuard

from mjxsim.naming import unknown
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
    top = [*(k for k in _KEYS if "." not in k), _FREQUENCY]
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
    frequency = given.get(_FREQUENCY, VisualRandomization().frequency)
    post_processing = _section(given, "post_processing")
    try:
        return VisualRandomization(
            camera=cameras,
            lighting=lights,
            textures=textures,
            post_processing=_post_processing(post_processing),
            frequency=frequency,  # pyright: ignore[reportArgumentType]
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
        if not isinstance(value, bool):
            raise ValueError(f"{self.name}.{key} must be True or False, got {value!r}")
        return value

    def count(self, key: str, most: int, otherwise: int) -> int:
        value = self.values.get(key, otherwise)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise ValueError(
                f"{self.name}.{key} must be a whole number from 1 to {most}, got {value!r}"
            )
        return value

    def range(self, key: str, how: How, *, number: bool = False) -> Range:
        """A pair of numbers; or, where that is allowed, one number."""
        name, value = f"{self.name}.{key}", self.values[key]
        pair = (value, value) if number and _is_number(value) else value
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(map(_is_number, pair)):
            wanted = "a number or [low, high]" if number else "[low, high]"
            raise ValueError(f"{name} must be {wanted}, got {value!r}")
        low, high = (float(end) for end in pair)
        if low > high:
            raise ValueError(f"{name} [{low}, {high}]: low must not exceed high")
        try:
            return Range(low, high, how)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None


def _section(given: Mapping[str, object], name: str) -> _Section:
    return _Section(name, _mapping(name, given.get(name, {}), _KEYS[name]))


def _mapping(name: str, value: object, valid: Sequence[str]) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} must be a dictionary with keys {', '.join(valid)}, got {value!r}")
    for key in value:
        if key not in valid:
            raise ValueError(unknown(f"key of {name}", str(key), valid))
    return dict(value)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _switched(section: _Section, what: str, standard: Range | None, how: How) -> Range | None:
    key = f"{what}_range"
    own = section.range(key, how) if key in section else standard
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
            found[field] = inner.range(key, "absolute", number=True)
        elif kind in section and not inner.values:
            raise ValueError(f"{inner.name}: needs one of {', '.join(_KEYS[inner.name])}")
    return dataclasses.replace(PostProcessing(), **found)

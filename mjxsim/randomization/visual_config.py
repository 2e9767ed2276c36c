"""What may look different from world to world, and by how much.

Every entry is a `Range`, or a number of things to choose among; None and 0 leave what they are
about as it is. `STANDARD_VISUAL` is a set to begin with.
"""

import dataclasses
import functools
from collections.abc import Iterator

from mjxsim.randomization.frequency import Frequency, check_frequency
from mjxsim.randomization.post_processing import PostProcessing
from mjxsim.randomization.ranges import GivenRange, How, MaybeRange, Range, check_range
from mjxsim.rendering.textures import PALETTE, PATTERNS

__all__ = [
    "STANDARD_VISUAL",
    "Background",
    "CameraRandomization",
    "Distractors",
    "Lighting",
    "Surface",
    "Textures",
    "VisualRandomization",
]


@dataclasses.dataclass(frozen=True)
class CameraRandomization:
    """Where cameras are, and how much they see; every camera draws its own values.

    Attributes:
      position: Shift along each axis of the frame of the body that carries the camera (the
        world's, for one that stands) [m]; three draws. "add".
      rotation: The three entries of a rotation vector in the camera's own frame (right, up,
        back) [rad], by which it is turned; three draws. "add".
      fov: Vertical field of view [deg], above 0 and below 180. "absolute", "scale" or "add".
    """

    position: MaybeRange = None
    rotation: MaybeRange = None
    fov: MaybeRange = None


@dataclasses.dataclass(frozen=True)
class Lighting:
    """The lights; every light, the one at the camera too, draws its own values.

    Attributes:
      position: Shift of a light along each axis [m]; it goes on shining at the same point of the
        table, so that this turns a light without a place too. "add".
      intensity: Factor on all of a light. "scale".
      color: Factor on each channel of a light. "scale".
      extra: How many lights are added, rounded. "absolute". They cast no shadow, and stand 1 to 2
        m from the middle of the work area, 30 to 80 degrees above it.
      extra_intensity: Of each added light; the scene's main light has 0.55. "absolute".
    """

    position: MaybeRange = None
    intensity: MaybeRange = None
    color: MaybeRange = None
    extra: MaybeRange = None
    extra_intensity: GivenRange = Range(0.1, 0.4)


@dataclasses.dataclass(frozen=True)
class Surface:
    """How a kind of thing looks: each thing draws once, and all its parts of one colour alike.

    With `width` below 1, a new pattern or colour shows with that probability.

    Attributes:
      patterns: How many patterns of `rendering.textures.PATTERNS` to choose among, spread evenly
        over the list, the plain one always among them; 0 leaves textures alone.
      colors: How many colours of `rendering.textures.PALETTE` to choose among, for a surface and
        for its pattern; 0 keeps the colour, and patterns darken it.
      tint: Factor on each channel of the colours. "scale".
      tile: Edge of a pattern's tile [m]. "absolute"; None is 0.1 m.
      specular: Strength of the gloss, 0 to 1.
      shininess: How narrow the gloss is, 0 to 1.
    """

    patterns: int = 0
    colors: int = 0
    tint: MaybeRange = None
    tile: MaybeRange = None
    specular: MaybeRange = None
    shininess: MaybeRange = None


@dataclasses.dataclass(frozen=True)
class Textures:
    """Surfaces by kind. What is translucent, as goal markers are, is never changed.

    Attributes:
      objects: Free bodies. Where a scene has several, they are told apart by colour and keep it,
        unless `visual_randomizer` is told otherwise.
      table: Its top and legs.
      robot: All of the robot.
      floor: Under the table, and whatever else belongs to the world itself.
      fixtures: Bins, cabinets, sockets. They keep their colours likewise.
    """

    objects: Surface = Surface()
    table: Surface = Surface()
    robot: Surface = Surface()
    floor: Surface = Surface()
    fixtures: Surface = Surface()


@dataclasses.dataclass(frozen=True)
class Background:
    """What is behind everything.

    Attributes:
      sky: Each channel of two colours, of the sky straight down and straight up. "absolute", 0 to
        1.
    """

    sky: MaybeRange = None


@dataclasses.dataclass(frozen=True)
class Distractors:
    """Boxes, balls and cylinders on the table that are only seen; see `randomization.props`.

    Attributes:
      count: How many, rounded. "absolute".
      size: Half their length along each axis [m]. "absolute".
      surface: Their patterns and colours.
    """

    count: MaybeRange = None
    size: GivenRange = Range(0.015, 0.04)
    surface: Surface = Surface(len(PATTERNS), len(PALETTE), tile=Range(0.03, 0.15))


@dataclasses.dataclass(frozen=True)
class VisualRandomization:
    """Everything that may look different.

    Attributes:
      camera: Of cameras that stand in the scene.
      hand_camera: Of cameras that a robot carries.
      lighting: Lights.
      textures: Surfaces.
      background: The sky.
      distractors: Things that do not matter.
      post_processing: What the camera does to its pictures.
      frequency: How often all this is drawn anew.
    """

    camera: CameraRandomization = CameraRandomization()
    hand_camera: CameraRandomization = CameraRandomization()
    lighting: Lighting = Lighting()
    textures: Textures = Textures()
    background: Background = Background()
    distractors: Distractors = Distractors()
    post_processing: PostProcessing = PostProcessing()
    frequency: Frequency = "episode"

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for a value that a parameter cannot have."""
        limits = _limits(self)
        for name, (least, most, hows) in limits.items():
            given = _leaf(self, name)
            check_range(name, given, least=least, most=most, hows=hows)
            if name == "distractors.size" or name.endswith((".tile", "camera.fov")):
                check_range(name, given, above=0.0)
        for name, surface in self.surfaces().items():
            for field, count, most in (
                ("patterns", surface.patterns, len(PATTERNS)),
                ("colors", surface.colors, len(PALETTE)),
            ):
                if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= most:
                    raise ValueError(
                        f"{name}.{field} must be a whole number from 0 to {most}, got {count!r}"
                    )
        check_frequency("frequency", self.frequency)

    def entries(self) -> dict[str, Range]:
        """Every range that is set, by names such as "camera.position"."""
        return dict(_ranges("", self))

    def surfaces(self) -> dict[str, Surface]:
        """Every surface, by names such as "textures.table"."""
        kinds = {f.name: getattr(self.textures, f.name) for f in dataclasses.fields(Textures)}
        own = {f"textures.{name}": surface for name, surface in kinds.items()}
        return {**own, "distractors.surface": self.distractors.surface}

    @property
    def changes_looks(self) -> bool:
        """Whether anything but the camera's processing differs between worlds."""
        plain = VisualRandomization(post_processing=self.post_processing, frequency=self.frequency)
        return self != plain

    @property
    def props(self) -> int:
        """How many props a scene must have."""
        return 0 if self.distractors.count is None else round(self.distractors.count.high)

    @property
    def spare_lights(self) -> int:
        """How many spare lights a scene must have."""
        return 0 if self.lighting.extra is None else round(self.lighting.extra.high)

    @property
    def patterned(self) -> bool:
        """Whether a scene must have the library of patterns."""
        used = [s for n, s in self.surfaces().items() if self.props or n.startswith("textures.")]
        return any(surface.patterns for surface in used)


def _ranges(name: str, value: object) -> Iterator[tuple[str, Range]]:
    if isinstance(value, Range):
        yield name, value
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            inner = f"{name}.{field.name}" if name else field.name
            yield from _ranges(inner, getattr(value, field.name))


def _leaf(config: VisualRandomization, name: str) -> Range | None:
    """What an entry such as "camera.position" holds."""
    return functools.reduce(getattr, name.split("."), config)  # pyright: ignore[reportReturnType]


_Limit = tuple[float | None, float | None, tuple[How, ...]]


def _limits(config: VisualRandomization) -> dict[str, _Limit]:
    """The least and the greatest value of ranges by name, and what their numbers may mean."""
    limits: dict[str, _Limit] = {
        "lighting.position": (None, None, ("add",)),
        "lighting.intensity": (0.0, None, ("scale",)),
        "lighting.color": (0.0, None, ("scale",)),
        "lighting.extra": (0.0, 16.0, ("absolute",)),
        "lighting.extra_intensity": (0.0, None, ("absolute",)),
        "background.sky": (0.0, 1.0, ("absolute",)),
        "distractors.count": (0.0, 64.0, ("absolute",)),
        "distractors.size": (None, 0.2, ("absolute",)),
    }
    for camera in ("camera", "hand_camera"):
        limits[f"{camera}.position"] = (None, None, ("add",))
        limits[f"{camera}.rotation"] = (None, None, ("add",))
        limits[f"{camera}.fov"] = (None, 179.0, ("absolute", "scale", "add"))
    for surface in config.surfaces():
        limits[f"{surface}.tint"] = (0.0, None, ("scale",))
        limits[f"{surface}.tile"] = (None, None, ("absolute",))
        limits[f"{surface}.specular"] = (0.0, 1.0, ("absolute",))
        limits[f"{surface}.shininess"] = (0.0, 1.0, ("absolute",))
    return limits


_GLOSS = {"specular": Range(0.0, 0.8), "shininess": Range(0.1, 0.9)}

# Camera by 0.1 m, 0.2 rad and 45 to 75 degrees, light by 30 % and its colour by 20 %; a hand camera
# is mounted more exactly. The other widths are this library's choice, by eye.
STANDARD_VISUAL = VisualRandomization(
    camera=CameraRandomization(
        position=Range(-0.1, 0.1, "add"),
        rotation=Range(-0.2, 0.2, "add"),
        fov=Range(45.0, 75.0),
    ),
    hand_camera=CameraRandomization(
        position=Range(-0.005, 0.005, "add"),
        rotation=Range(-0.05, 0.05, "add"),
        fov=Range(0.95, 1.05, "scale"),
    ),
    lighting=Lighting(
        position=Range(-0.5, 0.5, "add"),
        intensity=Range(0.7, 1.3, "scale"),
        color=Range(0.8, 1.2, "scale"),
        extra=Range(0.0, 2.0),
    ),
    textures=Textures(
        objects=Surface(16, 24, tile=Range(0.02, 0.08), **_GLOSS),
        table=Surface(len(PATTERNS), 24, tile=Range(0.1, 0.6), **_GLOSS),
        robot=Surface(8, 20, tint=Range(0.8, 1.2, "scale"), tile=Range(0.1, 0.4), **_GLOSS),
        floor=Surface(16, 24, tile=Range(0.2, 1.0), **_GLOSS),
        fixtures=Surface(8, 0, tint=Range(0.8, 1.2, "scale"), tile=Range(0.03, 0.1), **_GLOSS),
    ),
    background=Background(sky=Range(0.0, 1.0)),
    distractors=Distractors(count=Range(0.0, 6.0)),
    post_processing=PostProcessing(
        motion_blur=Range(1.0, 3.0),
        exposure=Range(-0.5, 0.5),
        white_balance=Range(0.85, 1.15),
        noise_std=Range(0.0, 0.03),
        jpeg_quality=Range(60.0, 100.0),
    ),
)

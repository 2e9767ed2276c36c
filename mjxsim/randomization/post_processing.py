"""What a camera does to its pictures, drawn for each episode; noise anew for each picture."""

import dataclasses
import math

import flax.struct
import jax
import jax.numpy as jnp

from mjxsim.randomization.draws import Draw, Needs, Width
from mjxsim.randomization.ranges import MaybeRange, Range, check_range
from mjxsim.rendering import postprocess

__all__ = ["Draws", "PostProcessing", "draw", "process"]


@dataclasses.dataclass(frozen=True)
class PostProcessing:
    """What may happen to a picture, each with the range of an episode's value; None is off.

    They are applied in the order in which they stand here, as light meets them. Every range says
    its values (`how="absolute"`).

    Attributes:
      gaussian_blur: Size of the kernel [pixels], 1 (none) or more.
      motion_blur: Length of the line [pixels], 1 (none) or more; an episode's blur has one
        direction, any.
      exposure: [stops]; each doubles the light.
      white_balance: Gain of red and of blue, drawn apart, against green; 1 changes nothing.
      temperature: Colour temperature of the light [K], 1667 to 25000; 6500 changes nothing.
      noise_mean: Of Gaussian noise, as a share of white.
      noise_std: Likewise; 0 to 1.
      jpeg_quality: 1 to 100, as libjpeg's.
      jpeg_subsample: Whether JPEG keeps colours at half the resolution (4:2:0).
      drop: Probability, for each picture, that it is lost and the last one seen again.
      delay: How late pictures are [pictures], rounded to whole ones.
    """

    gaussian_blur: MaybeRange = None
    motion_blur: MaybeRange = None
    exposure: MaybeRange = None
    white_balance: MaybeRange = None
    temperature: MaybeRange = None
    noise_mean: MaybeRange = None
    noise_std: MaybeRange = None
    jpeg_quality: MaybeRange = None
    jpeg_subsample: bool = True
    drop: MaybeRange = None
    delay: MaybeRange = None

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for a range with values that mean nothing."""
        limits: dict[str, tuple[float | None, float | None]] = {
            "gaussian_blur": (1.0, 99.0),
            "motion_blur": (1.0, 99.0),
            "exposure": (None, None),
            "temperature": (1667.0, 25000.0),
            "noise_mean": (-1.0, 1.0),
            "noise_std": (0.0, 1.0),
            "jpeg_quality": (1.0, 100.0),
            "drop": (0.0, 1.0),
            "delay": (0.0, None),
        }
        for name, (least, most) in limits.items():
            given: Range | None = getattr(self, name)
            check_range(
                f"post_processing.{name}", given, least=least, most=most, hows=("absolute",)
            )
        check_range(
            "post_processing.white_balance", self.white_balance, above=0.0, hows=("absolute",)
        )

    @property
    def changes_pictures(self) -> bool:
        """Whether `process` does anything."""
        elsewhere = ("jpeg_subsample", "drop", "delay")
        fields = (f.name for f in dataclasses.fields(self) if f.name not in elsewhere)
        return any(getattr(self, name) is not None for name in fields)

    @property
    def longest_delay(self) -> int:
        """What `postprocess.frames.init` is to be told [pictures]."""
        return 0 if self.delay is None else round(self.delay.high)


class Draws(flax.struct.PyTreeNode):
    """One episode's values; what is off has the value that changes nothing."""

    gaussian_blur: jax.Array  # () [pixels]
    motion_blur: jax.Array  # () [pixels]
    motion_angle: jax.Array  # () [rad] from the right towards the top
    exposure: jax.Array  # () [stops]
    white_balance: jax.Array  # (3,) gain of each channel's light
    temperature: jax.Array  # () [K]
    noise_mean: jax.Array  # () share of white
    noise_std: jax.Array  # ()
    jpeg_quality: jax.Array  # ()
    drop: jax.Array  # () probability
    delay: jax.Array  # () int32 [pictures]


def draw(config: PostProcessing, key: jax.Array, width: Width = 1.0) -> Draws:
    """One episode's values.

    Args:
      config: what is on.
      key: for the episode.
      width: how far ranges are opened, () or by names such as "post_processing.exposure"; 0 is not
        at all (JPEG is then of quality 100).
    """
    dry = Draw.dry()
    _drawn(config, dry)
    return _drawn(config, Needs(dry.noted).draw(key, width))


def _drawn(config: PostProcessing, named: Draw) -> Draws:
    def one(name: str, given: Range | None, neutral: float) -> jax.Array:
        return named.of(f"post_processing.{name}", given, neutral)

    # Red and blue; green stays.
    gains = named.of("post_processing.white_balance", config.white_balance, jnp.ones(2))
    return Draws(
        gaussian_blur=one("gaussian_blur", config.gaussian_blur, 1.0),
        motion_blur=one("motion_blur", config.motion_blur, 1.0),
        motion_angle=math.pi * named.uniform("post_processing.motion_angle", ()),
        exposure=one("exposure", config.exposure, 0.0),
        white_balance=jnp.stack([gains[0], jnp.float32(1.0), gains[1]]),
        temperature=one("temperature", config.temperature, postprocess.DAYLIGHT),
        noise_mean=one("noise_mean", config.noise_mean, 0.0),
        noise_std=one("noise_std", config.noise_std, 0.0),
        jpeg_quality=one("jpeg_quality", config.jpeg_quality, 100.0),
        drop=one("drop", config.drop, 0.0),
        delay=jnp.round(one("delay", config.delay, 0.0)).astype(jnp.int32),
    )


def process(config: PostProcessing, key: jax.Array, image: jax.Array, draws: Draws) -> jax.Array:
    """What the camera gives for a picture; drops and delays are `postprocess.frames`'s.

    Args:
      config: what is on.
      key: for this picture.
      image: (height, width, 3), float32 in [0, 1] or uint8.
      draws: from `draw`, for this episode.

    Returns:
      The same shape and type.
    """
    if not config.changes_pictures:
        return image
    given = image
    if given.dtype == jnp.uint8:
        image = given.astype(jnp.float32) / 255.0
    if config.gaussian_blur is not None:
        size = _odd(config.gaussian_blur)
        image = _done(postprocess.gaussian_blur(image, size, draws.gaussian_blur))
    if config.motion_blur is not None:
        size = _odd(config.motion_blur)
        blurred = postprocess.motion_blur(image, size, draws.motion_angle, draws.motion_blur)
        image = _done(blurred)
    if config.exposure is not None:
        image = postprocess.exposure(image, draws.exposure)
    if config.white_balance is not None:
        image = postprocess.white_balance(image, draws.white_balance)
    if config.temperature is not None:
        gains = postprocess.temperature_gains(draws.temperature)
        image = postprocess.white_balance(image, gains)
    if config.noise_mean is not None or config.noise_std is not None:
        noisy = postprocess.gaussian_noise(image, key, draws.noise_mean, draws.noise_std)
        image = _done(noisy)
    if config.jpeg_quality is not None:
        image = postprocess.jpeg(image, draws.jpeg_quality, subsample=config.jpeg_subsample)
    return jnp.round(255.0 * image).astype(jnp.uint8) if given.dtype == jnp.uint8 else image


def _done(image: jax.Array) -> jax.Array:
    """The same; else XLA's CPU backend works a pixel out again for each of its later uses."""
    return jax.lax.optimization_barrier(image)


def _odd(sizes: Range) -> int:
    """The least odd kernel that holds every size."""
    return 2 * math.ceil((sizes.high - 1.0) / 2.0) + 1

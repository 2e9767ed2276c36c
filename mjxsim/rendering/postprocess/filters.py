"""What optics and a sensor do to a picture: blur, exposure, white balance and noise.

Pictures are float32 (height, width, 3) in [0, 1], as displayed; every function is pure, unbatched
(vmap adds worlds) and takes its strengths as values that may differ between worlds. Only the sizes
of kernels are fixed when a program is compiled.
"""

import jax
import jax.numpy as jnp
import numpy as np

GAMMA = 2.2  # a displayed value is about the light to the power of 1 / GAMMA (IEC 61966-2-1)
DAYLIGHT = 6500.0  # [K] the colour of light that leaves a picture as it is


def gaussian_blur(
    image: jax.Array, size: int, kernel_size: jax.Array | float | None = None
) -> jax.Array:
    """Blurs by a Gaussian; beyond the edges a picture goes on as at the edge.

    Args:
      image: (height, width, 3).
      size: pixels along the kernel's side that are computed with, odd.
      kernel_size: () at most `size` [pixels], which it is by default. The Gaussian's standard
        deviation is 0.3 ((kernel_size - 1) / 2 - 1) + 0.8, as OpenCV's getGaussianKernel has it,
        and below 3 pixels goes to 0 at 1.
    """
    _check_odd(size)
    kernel_size = jnp.asarray(size if kernel_size is None else kernel_size, jnp.float32)
    deviation = jnp.minimum(0.15 * kernel_size + 0.35, 0.4 * (kernel_size - 1.0))
    deviation = jnp.maximum(deviation, 1e-3)
    offsets = jnp.arange(size, dtype=jnp.float32) - size // 2
    weights = jnp.exp(-0.5 * (offsets / deviation) ** 2)
    weights = weights / weights.sum()
    height, width, _ = image.shape
    padded = _padded(image, size // 2)
    rows = jnp.zeros((height, *padded.shape[1:]), image.dtype)
    for i in range(size):
        rows += weights[i] * padded[i : i + height]
    result = jnp.zeros_like(image)
    for i in range(size):
        result += weights[i] * rows[:, i : i + width]
    return result


def motion_blur(
    image: jax.Array,
    size: int,
    angle: jax.Array | float,
    kernel_size: jax.Array | float | None = None,
) -> jax.Array:
    """Blurs along a line, as when the camera turns while the shutter is open.

    Args:
      image: (height, width, 3).
      size: pixels along the kernel's side that are computed with, odd.
      angle: () [rad] of the line, from the right towards the top.
      kernel_size: () how long the line is, 1 to `size` [pixels], `size` by default.
    """
    _check_odd(size)
    kernel_size = jnp.asarray(size if kernel_size is None else kernel_size, jnp.float32)
    along = jnp.linspace(-0.5, 0.5, size) * (kernel_size - 1.0)
    cells = jnp.arange(size, dtype=jnp.float32) - size // 2

    def shares(offset: jax.Array) -> jax.Array:
        """Linear interpolation of each sample from the cells around it; (samples, cells)."""
        return jnp.maximum(1.0 - jnp.abs(offset[:, None] - cells), 0.0)

    down, right = shares(-along * jnp.sin(angle)), shares(along * jnp.cos(angle))
    kernel = (down[:, :, None] * right[:, None, :]).sum(0) / size  # (size, size)
    height, width, _ = image.shape
    padded = _padded(image, size // 2)

    def row(i: jax.Array, total: jax.Array) -> jax.Array:
        strip = jax.lax.dynamic_slice_in_dim(padded, i, height)
        for j in range(size):
            total += kernel[i, j] * strip[:, j : j + width]
        return total

    return jax.lax.fori_loop(0, size, row, jnp.zeros_like(image))


def exposure(image: jax.Array, stops: jax.Array | float) -> jax.Array:
    """Doubles the light `stops` () times, and what is too bright is white."""
    return jnp.clip(image * jnp.exp2(jnp.asarray(stops) / GAMMA), 0.0, 1.0)


def white_balance(image: jax.Array, gains: jax.Array) -> jax.Array:
    """Multiplies the light of every channel by `gains` (3,)."""
    return jnp.clip(image * gains ** (1.0 / GAMMA), 0.0, 1.0)


def temperature_gains(kelvin: jax.Array | float) -> jax.Array:
    """Red, green and blue (3,) of light at a colour temperature, against `DAYLIGHT`; green is 1.

    For a camera set to daylight: low is reddish, high is bluish. The locus of black bodies is that
    of Kim et al., "Design of advanced color temperature control system for HDTV applications",
    2002, from 1667 K to 25000 K; from XYZ to linear sRGB by IEC 61966-2-1.
    """
    rgb = _black_body(jnp.asarray(kelvin, jnp.float32)) / _black_body(jnp.float32(DAYLIGHT))
    return rgb / rgb[1]


def gaussian_noise(
    image: jax.Array,
    key: jax.Array,
    mean: jax.Array | float = 0.0,
    std: jax.Array | float = 0.02,
) -> jax.Array:
    """Adds a number of its own to every channel of every pixel.

    Args:
      image: (height, width, 3).
      key: for this picture.
      mean: () of the numbers, as a share of white.
      std: () likewise.
    """
    # Two numbers of 16 bits out of each word: half the random bits, and within 4.2 deviations.
    words = jax.random.bits(key, ((image.size + 1) // 2,), jnp.uint32)
    numbers = jnp.concatenate([words >> 16, words & 0xFFFF])[: image.size].astype(jnp.float32)
    normal = np.sqrt(2.0) * jax.lax.erf_inv((numbers + 0.5) / 2.0**15 - 1.0)
    return jnp.clip(image + mean + std * normal.reshape(image.shape), 0.0, 1.0)


def _black_body(kelvin: jax.Array) -> jax.Array:
    t = 1000.0 / jnp.clip(kelvin, 1667.0, 25000.0)
    warm = ((-0.2661239 * t - 0.2343589) * t + 0.8776956) * t + 0.179910
    cold = ((-3.0258469 * t + 2.1070379) * t + 0.2226347) * t + 0.240390
    x = jnp.where(kelvin < 4000.0, warm, cold)
    lowest = ((-1.1063814 * x - 1.34811020) * x + 2.18555832) * x - 0.20219683
    low = ((-0.9549476 * x - 1.37418593) * x + 2.09137015) * x - 0.16748867
    high = ((3.0817580 * x - 5.87338670) * x + 3.75112997) * x - 0.37001483
    y = jnp.where(kelvin < 2222.0, lowest, jnp.where(kelvin < 4000.0, low, high))
    xyz = (x / y, 1.0, (1.0 - x - y) / y)
    rgb = [sum(a * b for a, b in zip(row, xyz, strict=True)) for row in _FROM_XYZ]
    return jnp.maximum(jnp.stack(rgb), 1e-3)  # red light beyond sRGB would have negative blue


_FROM_XYZ = (
    (3.2404542, -1.5371385, -0.4985314),
    (-0.9692660, 1.8760108, 0.0415560),
    (0.0556434, -0.2040259, 1.0572252),
)


def _padded(image: jax.Array, by: int) -> jax.Array:
    return jnp.pad(image, ((by, by), (by, by), (0, 0)), mode="edge")


def _check_odd(size: int) -> None:
    if size < 1 or size % 2 == 0:
        raise ValueError(f"a kernel's size must be odd and positive [pixels], got {size}")

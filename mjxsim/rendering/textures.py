"""Patterns and colours to dress surfaces in: the same arrays on every machine, without a file.

A pattern says, for each texel and channel, how much of one colour and how much of another shows:
`low * (1 - p) + high * p`. All of them tile.
"""

import functools
from collections.abc import Callable

import numpy as np

Pattern = Callable[[np.ndarray, np.ndarray], np.ndarray]

_FINER = 4  # samples per texel along each axis, whose mean is the texel

# Colours as displayed, each as its name calls to mind.
PALETTE: dict[str, tuple[float, float, float]] = {
    name: (red / 255.0, green / 255.0, blue / 255.0)
    for name, (red, green, blue) in {
        "white": (255, 255, 255),
        "silver": (192, 192, 192),
        "gray": (128, 128, 128),
        "charcoal": (54, 57, 63),
        "black": (20, 20, 20),
        "red": (220, 30, 35),
        "crimson": (150, 15, 45),
        "salmon": (250, 128, 114),
        "orange": (245, 130, 30),
        "gold": (225, 175, 45),
        "yellow": (250, 225, 55),
        "khaki": (180, 172, 95),
        "olive": (128, 128, 0),
        "lime": (150, 215, 50),
        "green": (40, 150, 60),
        "forest": (25, 85, 45),
        "mint": (165, 225, 195),
        "teal": (0, 128, 128),
        "cyan": (60, 205, 225),
        "sky": (135, 190, 235),
        "blue": (40, 85, 205),
        "navy": (20, 30, 95),
        "indigo": (75, 0, 130),
        "purple": (140, 60, 165),
        "lavender": (200, 185, 235),
        "magenta": (215, 45, 165),
        "pink": (245, 170, 200),
        "brown": (120, 75, 45),
        "chocolate": (70, 42, 28),
        "tan": (210, 180, 140),
        "beige": (235, 225, 200),
        "wood": (184, 153, 120),
    }.items()
}


@functools.cache
def patterns(size: int = 64) -> np.ndarray:
    """All patterns of `PATTERNS`, in its order; the first is all ones, for a plain surface.

    Args:
      size: texels along a side, a power of two.

    Returns:
      float32 (k, size, size, 3) in [0, 1], read-only.

    Raises:
      ValueError: a size that is not a power of two, or less than 8.
    """
    if size < 8 or size & (size - 1):
        raise ValueError(f"a pattern's size must be a power of two from 8 [texels], got {size}")
    fine = (np.arange(size * _FINER) + 0.5) / (size * _FINER)
    u, v = np.meshgrid(fine, fine)
    result = np.empty((len(PATTERNS), size, size, 3), np.float32)
    for i, pattern in enumerate(PATTERNS.values()):
        drawn = pattern(u, v)
        drawn = np.broadcast_to(drawn if drawn.ndim == 3 else drawn[..., None], (*u.shape, 3))
        texels = drawn.reshape(size, _FINER, size, _FINER, 3).mean(axis=(1, 3))
        result[i] = np.clip(texels, 0.0, 1.0)
    result.flags.writeable = False
    return result


def _plain(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    del v
    return np.ones_like(u)


def _checker(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (np.floor(4 * u) + np.floor(4 * v)) % 2


def _stripes(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    del v
    return np.floor(8 * u) % 2


def _diagonal(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.floor(6 * (u + v)) % 2


def _dots(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _from_middle(4 * u, 4 * v) > 0.32


def _grid(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    near = np.minimum(np.minimum(4 * u % 1, -4 * u % 1), np.minimum(4 * v % 1, -4 * v % 1))
    return near > 0.06


def _bricks(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    row = np.floor(6 * v)
    along, up = 3 * u + 0.5 * (row % 2), 6 * v % 1
    joint = (along % 1 < 0.05) | (up < 0.1)
    shade = 0.7 + 0.3 * _hash(np.floor(along) % 3, row % 6, 1)
    return np.where(joint, 0.0, shade * (0.9 + 0.1 * _clouds(u, v)))


def _tiles(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    joint = np.minimum(3 * u % 1, 3 * v % 1) < 0.05
    shade = [
        0.55 + 0.45 * _hash(np.floor(3 * u) % 3, np.floor(3 * v) % 3, 20 + i) for i in range(3)
    ]
    return np.where(joint[..., None], 0.0, np.stack(shade, axis=-1))


def _planks(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    plank = np.floor(4 * v) % 4
    shade = 0.75 + 0.25 * _hash(plank, plank, 2)
    grain = _perlin(u + plank / 7, 4 * v, 2, 12, 3)
    seam = (4 * v % 1 < 0.04) | ((u + 0.37 * plank) % 1 < 0.012)
    return np.where(seam, 0.0, shade * (0.85 + 0.5 * grain))


def _wood(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    # Rings cut along the trunk: nearly straight lines, bent by slow noise.
    bend = 0.7 * _perlin(u, v, 1, 2, 4) + 0.2 * _perlin(u, v, 2, 8, 5)
    ring = (6 * v + 2.5 * bend) % 1
    return 0.35 + 0.5 * np.minimum(ring / 0.85, (1 - ring) / 0.15) + 0.3 * _perlin(u, v, 4, 32, 6)


def _marble(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    turbulence = sum(np.abs(_perlin(u, v, 2**i, 2**i, 10 + i)) / 2**i for i in range(1, 5))
    vein = np.abs(np.sin(np.pi * (u + 2 * v + 4.5 * turbulence)))
    return vein**0.45


def _clouds(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return 0.5 + 0.8 * _octaves(u, v, 3, 4, 30)


def _grainy(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return 0.5 + 0.8 * _octaves(u, v, 14, 2, 40)


def _stains(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Clouds of another shape in each channel, so that colours beside the two show."""
    return np.stack([0.5 + 0.9 * _octaves(u, v, 4, 3, 50 + 10 * i) for i in range(3)], axis=-1)


def _camouflage(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    noise = _octaves(u, v, 4, 3, 80)
    return 0.5 * (noise > -0.08) + 0.5 * (noise > 0.12)


def _speckle(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    first, _, cell = _cells(u, v, 20, 90)
    return first > 0.45 * cell[..., 0] ** 2


def _mosaic(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    first, second, cell = _cells(u, v, 5, 100)
    return np.where((second - first < 0.06)[..., None], 0.0, 0.2 + 0.8 * cell)


def _waves(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.sin(2 * np.pi * (5 * v + 0.35 * np.sin(2 * np.pi * 2 * u)))


def _zigzag(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (5 * v + 2 * np.abs(4 * u % 1 - 0.5)) % 1 > 0.5


def _gradient(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    del v
    return 0.5 - 0.5 * np.cos(2 * np.pi * u)


def _rings(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.cos(2 * np.pi * 5 * np.minimum(_from_middle(2 * u, 2 * v), 0.5))


def _weave(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    over = (np.floor(8 * u) + np.floor(8 * v)) % 2
    across, along = np.sin(np.pi * (8 * u % 1)), np.sin(np.pi * (8 * v % 1))
    return np.where(over > 0, 0.55 + 0.45 * across, 0.25 + 0.45 * along)


def _brushed(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return 0.6 + 0.5 * _perlin(u, v, 2, 40, 110) + 0.3 * _perlin(u, v, 4, 64, 111)


PATTERNS: dict[str, Pattern] = {
    "plain": _plain,
    "checker": _checker,
    "stripes": _stripes,
    "diagonal": _diagonal,
    "dots": _dots,
    "grid": _grid,
    "bricks": _bricks,
    "tiles": _tiles,
    "planks": _planks,
    "wood": _wood,
    "marble": _marble,
    "clouds": _clouds,
    "grainy": _grainy,
    "stains": _stains,
    "camouflage": _camouflage,
    "speckle": _speckle,
    "mosaic": _mosaic,
    "waves": _waves,
    "zigzag": _zigzag,
    "gradient": _gradient,
    "rings": _rings,
    "weave": _weave,
    "brushed": _brushed,
}


def _hash(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """A number in [0, 1) for each pair of whole numbers, as if drawn at random.

    Rounds of multiplying and folding: the finalizer of Appleby's MurmurHash3 (fmix32).
    """
    h = np.uint32(seed * 0x9E3779B9 & 0xFFFFFFFF)
    for value in (x, y):
        h = h ^ np.asarray(value).astype(np.int64).astype(np.uint32)
        h = (h ^ (h >> 16)) * np.uint32(0x85EBCA6B)
        h = (h ^ (h >> 13)) * np.uint32(0xC2B2AE35)
        h = h ^ (h >> 16)
    return h / 2.0**32


def _perlin(u: np.ndarray, v: np.ndarray, nu: int, nv: int, seed: int) -> np.ndarray:
    """Gradient noise (Perlin, "Improving noise", 2002) with nu x nv cells to a tile; about ±0.7."""
    x, y = nu * u, nv * v
    i, j = np.floor(x), np.floor(y)
    x, y = x - i, y - j
    sx, sy = (t**3 * (t * (6 * t - 15) + 10) for t in (x, y))
    total = np.zeros_like(x)
    for di, dj in ((0, 0), (0, 1), (1, 0), (1, 1)):
        turn = 2 * np.pi * _hash((i + di) % nu, (j + dj) % nv, seed)
        slope = np.cos(turn) * (x - di) + np.sin(turn) * (y - dj)
        total += (sx if di else 1 - sx) * (sy if dj else 1 - sy) * slope
    return total


def _octaves(u: np.ndarray, v: np.ndarray, cells: int, count: int, seed: int) -> np.ndarray:
    """`count` layers of noise, each twice as fine and half as strong as the last."""
    layers = [_perlin(u, v, cells * 2**i, cells * 2**i, seed + i) / 2**i for i in range(count)]
    return np.sum(layers, axis=0)


def _cells(
    u: np.ndarray, v: np.ndarray, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How far the nearest and the second of count x count scattered points are.

    The third result is three numbers in [0, 1) of the nearest one's own, (..., 3). Worley, "A
    cellular texture basis function", 1996.
    """
    x, y = count * u, count * v
    i, j = np.floor(x), np.floor(y)
    first, second = np.full_like(x, np.inf), np.full_like(x, np.inf)
    cell = np.zeros((*x.shape, 3))
    for di in (-1, 0, 1):
        for dj in (-1, 0, 1):
            a, b = (i + di) % count, (j + dj) % count
            away = np.hypot(i + di + _hash(a, b, seed) - x, j + dj + _hash(a, b, seed + 1) - y)
            nearer = away < first
            second = np.where(nearer, first, np.minimum(second, away))
            first = np.where(nearer, away, first)
            own = np.stack([_hash(a, b, seed + 2 + c) for c in range(3)], axis=-1)
            cell = np.where(nearer[..., None], own, cell)
    return first, second, cell


def _from_middle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance from the middle of the unit square that a point is in."""
    return np.hypot(x % 1 - 0.5, y % 1 - 0.5)

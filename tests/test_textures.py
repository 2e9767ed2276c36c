import itertools

import numpy as np
import pytest

from mjxsim.rendering.textures import PALETTE, PATTERNS, patterns


def test_patterns_are_shares_and_the_first_is_plain() -> None:
    drawn = patterns(64)
    assert drawn.shape == (len(PATTERNS), 64, 64, 3)
    assert drawn.dtype == np.float32
    assert drawn.min() >= 0.0 and drawn.max() <= 1.0
    assert (drawn[0] == 1.0).all()
    assert not drawn.flags.writeable


def test_patterns_differ_from_one_another() -> None:
    """A dozen and more that nobody would take for one another, each with some contrast."""
    drawn = patterns(32)
    assert len(drawn) > 12
    assert all(p.std() > 0.08 for p in drawn[1:])
    for (i, a), (j, b) in itertools.combinations(enumerate(drawn), 2):
        assert np.abs(a - b).mean() > 0.1, f"{list(PATTERNS)[i]} and {list(PATTERNS)[j]}"


@pytest.mark.parametrize("name", [name for name in PATTERNS if name != "plain"])
def test_patterns_tile(name: str) -> None:
    """Moving the sheet by half a tile leaves no seam: a tile's middle and edge look alike.

    A pattern that is computed anywhere on the plane is the same one tile further on.
    """
    fine = (np.arange(64) + 0.5) / 64
    u, v = np.meshgrid(fine, fine)
    here = np.float64(PATTERNS[name](u, v))
    for du, dv in ((1, 0), (0, 1), (2, 3)):
        # Hard edges may move by rounding; nothing else may.
        moved = np.abs(PATTERNS[name](u + du, v + dv) - here)
        assert (moved > 1e-6).mean() < 0.01


def test_texels_are_means() -> None:
    """Twice as coarse is the mean of what is fine, so that a smaller picture shows no moire."""
    fine, coarse = patterns(64), patterns(32)
    means = fine.reshape(-1, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    assert np.abs(means - coarse).mean() < 0.02


@pytest.mark.parametrize("size", [4, 48, 0])
def test_sizes(size: int) -> None:
    with pytest.raises(ValueError, match=f"power of two from 8 .*got {size}"):
        patterns(size)


def test_palette() -> None:
    colours = np.array(list(PALETTE.values()))
    assert len(colours) >= 24
    assert colours.min() >= 0.0 and colours.max() <= 1.0
    apart = np.abs(colours[:, None] - colours[None]).max(-1) + np.eye(len(colours))
    assert apart.min() > 0.05

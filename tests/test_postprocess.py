"""What a camera does to pictures, against codecs and arithmetic that are not ours."""

import io
from fractions import Fraction

import av
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxsim.rendering import postprocess
from mjxsim.rendering.postprocess import compression as codec
from mjxsim.rendering.postprocess import frames

HEIGHT, WIDTH = 44, 52  # no multiple of 8


def picture(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Edges, slopes and some noise; uint8 (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    smooth = [np.sin(x / 5) / 2 + 0.5, np.cos(y / 7 + x / 9) / 2 + 0.5, (x // 8 + y // 8) % 2]
    noise = np.random.default_rng(0).normal(size=(height, width, 3))
    return np.uint8(255 * np.clip(np.stack(smooth, axis=-1) + 0.03 * noise, 0, 1))


def shown(image: np.ndarray) -> jax.Array:
    return jnp.asarray(image, jnp.float32) / 255.0


def encoded(planes: list[np.ndarray], coarseness: int) -> bytes:
    """A JPEG file of Y, Cb and Cr planes of one size, by ffmpeg."""
    height, width = planes[0].shape
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj444p"
    encoder.time_base, encoder.color_range = Fraction(1, 25), 2
    encoder.options = {"qmin": str(coarseness), "qmax": str(coarseness)}
    frame = av.VideoFrame(width, height, "yuvj444p")
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, :width] = values
        plane.update(rows)
    return b"".join(bytes(p) for p in [*encoder.encode(frame), *encoder.encode(None)])


def decoded(data: bytes) -> list[np.ndarray]:
    decoder = av.CodecContext.create("mjpeg", "r")
    frame, *_ = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
    return [
        np.frombuffer(bytes(p), np.uint8).reshape(p.height, p.line_size)[:, : p.width]
        for p in frame.planes
    ]


def table_of(data: bytes) -> np.ndarray:
    """The file's first quantisation table (8, 8), out of its zigzag order."""
    start = data.index(b"\xff\xdb") + 5
    zigzag = sorted(
        ((r, c) for r in range(8) for c in range(8)),
        key=lambda at: (sum(at), at[0] if sum(at) % 2 else at[1]),
    )
    table = np.zeros((8, 8), np.float32)
    for value, at in zip(data[start : start + 64], zigzag, strict=True):
        table[at] = value
    return table


def test_jpeg_agrees_with_ffmpeg() -> None:
    """With ffmpeg's table, what is left of a plane is what ffmpeg's encoder and decoder leave.

    ffmpeg rounds coefficients up only from about 0.6 on, which encoders may do. So the planes are
    made of coefficients that every encoder rounds alike.
    """
    rng = np.random.default_rng(1)
    table = table_of(encoded([np.zeros((40, 48), np.uint8)] * 3, 10))
    assert table[0, 0] == 8 and table.max() > 40
    dct = codec._DCT.astype(float)
    steps = rng.integers(-3, 4, (3, 5, 6, 8, 8)) * (rng.random((3, 5, 6, 8, 8)) < 0.1)
    steps[..., 0, 0] = rng.integers(-20, 20, (3, 5, 6))
    blocks = (steps + rng.uniform(-0.25, 0.25, steps.shape)) * table
    planes = np.einsum("ui,nrcuv,vj->nricj", dct, blocks, dct).reshape(3, 40, 48) + 128.0
    planes = np.uint8(np.clip(np.round(planes), 0, 255))
    for plane, theirs in zip(planes, decoded(encoded(list(planes), 10)), strict=True):
        ours = np.asarray(codec.compress(jnp.asarray(plane, jnp.float32), jnp.asarray(table)))
        assert np.abs(ours - plane).mean() > 1.0  # something is lost
        assert np.abs(ours - theirs).max() <= 1.0


@pytest.mark.parametrize("subsample", [True, False])
@pytest.mark.parametrize("quality", [10, 75, 95])
def test_jpeg_agrees_with_libjpeg(quality: int, subsample: bool) -> None:
    """Tables, colours, chroma and odd sizes: what libjpeg leaves, but for coefficients on edges."""
    image = pytest.importorskip("PIL.Image")
    given = picture()
    file = io.BytesIO()
    image.fromarray(given).save(file, "JPEG", quality=quality, subsampling=2 if subsample else 0)
    opened = image.open(file)
    for theirs, ours in zip(opened.quantization.values(), codec.tables(quality), strict=True):
        assert sorted(theirs) == sorted(np.asarray(ours).ravel())
    theirs = np.asarray(opened.convert("RGB"), float)
    ours = 255.0 * np.asarray(postprocess.jpeg(shown(given), quality, subsample=subsample))
    assert np.abs(ours - theirs).mean() < min(1.0, 0.3 * np.abs(theirs - given).mean())


def test_tables_are_libjpegs() -> None:
    """The first row of luma at 75 and 25, and the ends of the scale."""
    assert np.asarray(codec.tables(75.0)[0])[0].tolist() == [8, 6, 5, 8, 12, 20, 26, 31]
    assert np.asarray(codec.tables(25.0)[0])[0].tolist() == [32, 22, 20, 32, 48, 80, 102, 122]
    assert (np.asarray(codec.tables(100.0)) == 1).all()
    assert np.asarray(codec.tables(1.0)).max() == 255
    assert (np.asarray(codec.tables(50.0)[1]) == codec.CHROMA).all()


def test_jpeg_loses_less_at_higher_quality() -> None:
    given = shown(picture())
    qualities = jnp.array([1.0, 10.0, 50.0, 90.0, 100.0])
    kept = jax.vmap(lambda q: postprocess.jpeg(given, q, subsample=False))(qualities)
    lost = np.abs(np.asarray(kept) - np.asarray(given)).mean(axis=(1, 2, 3))
    assert (np.diff(lost) < 0).all()
    assert lost[-1] < 1.0 / 255.0


def test_colours_round_trip() -> None:
    """Pure colours of T.871, and back within a rounding."""
    red, white = codec.to_ycc(*jnp.array([[255.0, 255], [0, 255], [0, 255]])), [255, 128, 128]
    assert [float(p[0]) for p in red] == [76, 85, 255]
    assert [float(p[1]) for p in red] == white
    given = [jnp.asarray(picture()[..., i], jnp.float32) for i in range(3)]
    back = codec.from_ycc(*codec.to_ycc(*given))
    assert max(float(jnp.abs(a - b).max()) for a, b in zip(given, back, strict=True)) <= 2.0


def test_blurs_spread_a_dot_and_keep_its_light() -> None:
    dot = jnp.zeros((21, 21, 3)).at[10, 10].set(1.0)
    gauss = np.asarray(postprocess.gaussian_blur(dot, 5))[..., 0]
    # getGaussianKernel(5, -1) of OpenCV: a deviation of 1.1.
    expected = np.exp(-0.5 * (np.arange(-2, 3) / 1.1) ** 2)
    expected /= expected.sum()
    np.testing.assert_allclose(gauss[8:13, 8:13], np.outer(expected, expected), atol=1e-6)
    assert gauss.sum() == pytest.approx(1.0, abs=1e-5)
    line = np.asarray(postprocess.motion_blur(dot, 7, 0.0))[..., 0]
    np.testing.assert_allclose(line[10, 7:14], 1 / 7, atol=1e-6)
    assert line.sum() == pytest.approx(1.0, abs=1e-5)
    rising = np.asarray(postprocess.motion_blur(dot, 7, np.pi / 4))[..., 0]
    assert rising[8, 12] > 0.05 and rising[12, 8] > 0.05  # rows count downwards
    assert rising[12, 12] == rising[8, 8] == 0.0


def test_blurs_of_one_pixel_and_of_plain_pictures_change_nothing() -> None:
    given = shown(picture())
    np.testing.assert_allclose(postprocess.gaussian_blur(given, 7, 1.0), given, atol=1e-6)
    np.testing.assert_allclose(postprocess.motion_blur(given, 7, 1.0, 1.0), given, atol=1e-6)
    grey = jnp.full((9, 9, 3), 0.4)
    np.testing.assert_allclose(postprocess.gaussian_blur(grey, 5), grey, atol=1e-6)
    np.testing.assert_allclose(postprocess.motion_blur(grey, 5, 0.7), grey, atol=1e-6)


def test_kernels_are_odd() -> None:
    for size in (0, 4):
        with pytest.raises(ValueError, match=f"odd and positive .*got {size}"):
            postprocess.gaussian_blur(jnp.zeros((8, 8, 3)), size)
        with pytest.raises(ValueError, match=f"odd and positive .*got {size}"):
            postprocess.motion_blur(jnp.zeros((8, 8, 3)), size, 0.0)


def test_exposure_counts_stops_of_light() -> None:
    """Two half steps make one, a stop doubles the light behind a display's curve, white stays."""
    given = jnp.full((2, 2, 3), 0.25)
    once, twice = (postprocess.exposure(given, s) for s in (1.0, 0.5))
    np.testing.assert_allclose(once, postprocess.exposure(twice, 0.5), atol=1e-6)
    np.testing.assert_allclose(once**2.2, 2 * given**2.2, rtol=1e-5)
    assert float(postprocess.exposure(jnp.ones((1, 1, 3)), 3.0).max()) == 1.0


def test_temperatures() -> None:
    """Daylight changes nothing; candles are red, shade is blue."""
    np.testing.assert_allclose(postprocess.temperature_gains(6500.0), 1.0, atol=1e-6)
    warm, cold = (np.asarray(postprocess.temperature_gains(k)) for k in (3000.0, 10000.0))
    assert warm[0] > 1.5 and warm[2] < 0.5
    assert cold[0] < 0.9 and cold[2] > 1.1
    # Both formulas of the locus meet where one takes over from the other.
    for edge in (2222.0, 4000.0):
        sides = [postprocess.temperature_gains(edge + d) for d in (-0.5, 0.5)]
        np.testing.assert_allclose(*sides, rtol=5e-3)


@pytest.mark.parametrize("shape", [(64, 64, 3), (7, 9, 3)])
def test_noise_is_gaussian(shape: tuple[int, int, int]) -> None:
    given = jnp.full(shape, 0.5)
    made = np.asarray(postprocess.gaussian_noise(given, jax.random.key(3), 0.1, 0.05)) - 0.6
    n = made.size
    assert made.shape == shape
    assert abs(made.mean()) < 5 * 0.05 / np.sqrt(n)
    assert made.std() == pytest.approx(0.05, rel=5 / np.sqrt(2 * n))
    # Neighbours and channels are independent of one another; the halves of a word too.
    assert abs(np.corrcoef(made.ravel()[: n // 2], made.ravel()[-(n // 2) :])[0, 1]) < 5 / n**0.5
    again = np.asarray(postprocess.gaussian_noise(given, jax.random.key(3), 0.1, 0.05)) - 0.6
    other = np.asarray(postprocess.gaussian_noise(given, jax.random.key(4), 0.1, 0.05)) - 0.6
    assert (made == again).all() and (made != other).mean() > 0.9


def test_frames_come_late() -> None:
    images = [jnp.full((2, 2, 3), i, jnp.uint8) for i in range(6)]
    stream = frames.init(images[0], longest=3)
    seen = []
    for image in images[1:]:
        stream, out = frames.push(stream, jax.random.key(0), image, delay=2)
        seen.append(int(out[0, 0, 0]))
    assert seen == [0, 0, 1, 2, 3]
    _, out = frames.push(stream, jax.random.key(0), images[0], delay=9)
    assert int(out[0, 0, 0]) == 3  # the longest delay, 3 behind the newest
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        frames.init(images[0], longest=-1)


def test_dropped_frames_repeat_the_last() -> None:
    def step(stream: frames.Frames, i: jax.Array) -> tuple[frames.Frames, jax.Array]:
        key = jax.random.fold_in(jax.random.key(0), i)
        image = jnp.full((1, 1, 3), i, jnp.float32)
        stream, out = frames.push(stream, key, image, drop=0.3)
        return stream, out[0, 0, 0]

    numbers = jnp.arange(1.0, 2001.0)
    _, seen = jax.lax.scan(step, frames.init(jnp.zeros((1, 1, 3))), numbers.astype(jnp.int32))
    seen, numbers = np.asarray(seen), np.asarray(numbers)
    lost = seen != numbers
    assert (seen[1:][lost[1:]] == seen[:-1][lost[1:]]).all()
    assert lost.mean() == pytest.approx(0.3, abs=0.05)

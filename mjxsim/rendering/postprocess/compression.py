"""What JPEG at some quality leaves of a picture: baseline JPEG's lossy half, without its bytes.

ITU-T T.81 (JPEG) and T.871 (JFIF): colours to luma and chroma, chroma perhaps at half the
resolution, a cosine transform of every 8 x 8 block, coefficients rounded to multiples of a table,
and back. What is left out (zigzag, Huffman codes) loses nothing.
"""

import jax
import jax.numpy as jnp
import numpy as np

BLOCK = 8  # [pixels] along each side of what is transformed together

# ITU-T T.81, Annex K, tables K.1 and K.2, for quality 50.
LUMA = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)
CHROMA = np.array(
    [
        [17, 18, 24, 47, 99, 99, 99, 99],
        [18, 21, 26, 66, 99, 99, 99, 99],
        [24, 26, 56, 99, 99, 99, 99, 99],
        [47, 66, 99, 99, 99, 99, 99, 99],
        [99, 99, 99, 99, 99, 99, 99, 99],
        [99, 99, 99, 99, 99, 99, 99, 99],
        [99, 99, 99, 99, 99, 99, 99, 99],
        [99, 99, 99, 99, 99, 99, 99, 99],
    ],
    np.float32,
)

# T.871, section 7: RGB to Y, Cb, Cr (ITU-R BT.601 at full range), and back.
_TO_YCC = (
    (0.299, 0.587, 0.114),
    (-0.168735892, -0.331264108, 0.5),
    (0.5, -0.418687589, -0.081312411),
)
_FROM_YCC = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))


def jpeg(image: jax.Array, quality: jax.Array | float, *, subsample: bool = True) -> jax.Array:
    """A picture after JPEG compression.

    Args:
      image: float32 (height, width, 3) in [0, 1], any size.
      quality: () 1 to 100, as libjpeg's.
      subsample: whether chroma is kept at half the resolution (4:2:0), as most encoders do.

    Returns:
      float32 (height, width, 3), multiples of 1/255.
    """
    luma_table, chroma_table = tables(quality)
    red, green, blue = (jnp.round(255.0 * image[..., i]) for i in range(3))
    planes = to_ycc(red, green, blue)
    luma = compress(planes[0], luma_table)
    if subsample:
        height, width = image.shape[:2]
        rows, columns = (height + 1) // 2, (width + 1) // 2
        small = [compress(_halved(p), chroma_table)[:rows, :columns] for p in planes[1:]]
        cb, cr = (_doubled(p)[:height, :width] for p in small)
    else:
        cb, cr = (compress(p, chroma_table) for p in planes[1:])
    return jnp.stack(from_ycc(luma, cb, cr), axis=-1) / 255.0


def tables(quality: jax.Array | float) -> tuple[jax.Array, jax.Array]:
    """The quantisation tables (8, 8) of luma and chroma (libjpeg, jpeg_quality_scaling)."""
    quality = jnp.clip(jnp.round(jnp.asarray(quality, jnp.float32)), 1.0, 100.0)
    # libjpeg's arithmetic is of integers.
    percent = jnp.where(quality < 50.0, jnp.floor(5000.0 / quality), 200.0 - 2.0 * quality)
    luma, chroma = (
        jnp.clip(jnp.floor((t * percent + 50.0) / 100.0), 1.0, 255.0) for t in (LUMA, CHROMA)
    )
    return luma, chroma


def compress(plane: jax.Array, table: jax.Array) -> jax.Array:
    """What quantisation by `table` (8, 8) leaves of a plane (height, width); both 0 to 255."""
    height, width = plane.shape
    padded = _padded(plane, BLOCK)
    rows, columns = (n // BLOCK for n in padded.shape)
    blocks = padded.reshape(rows, BLOCK, columns, BLOCK) - 128.0
    table = table[:, None, :]
    kept = table * jnp.round(_transformed(blocks, _DCT) / table)
    decoded = _transformed(kept, _DCT.T).reshape(padded.shape)[:height, :width]
    return jnp.clip(jnp.round(decoded + 128.0), 0.0, 255.0)


def to_ycc(red: jax.Array, green: jax.Array, blue: jax.Array) -> list[jax.Array]:
    """Y, Cb and Cr, whole numbers from 0 to 255, of red, green and blue from 0 to 255."""
    return [
        jnp.clip(jnp.round(r * red + g * green + b * blue + offset), 0.0, 255.0)
        for (r, g, b), offset in zip(_TO_YCC, (0.0, 128.0, 128.0), strict=True)
    ]


def from_ycc(luma: jax.Array, cb: jax.Array, cr: jax.Array) -> list[jax.Array]:
    """Red, green and blue of Y, Cb and Cr; the inverse of `to_ycc`."""
    return [
        jnp.clip(jnp.round(y * luma + b * (cb - 128.0) + r * (cr - 128.0)), 0.0, 255.0)
        for y, b, r in _FROM_YCC
    ]


def _dct() -> np.ndarray:
    """The orthonormal DCT-II matrix (8, 8): coefficients are D x, T.81 A.3.3 in one dimension."""
    k, n = np.meshgrid(np.arange(BLOCK), np.arange(BLOCK), indexing="ij")
    matrix = np.sqrt(2.0 / BLOCK) * np.cos(np.pi * (2 * n + 1) * k / (2 * BLOCK))
    matrix[0] /= np.sqrt(2.0)
    return matrix.astype(np.float32)


_DCT = _dct()


def _transformed(blocks: jax.Array, matrix: np.ndarray) -> jax.Array:
    """`matrix` applied to the rows and columns of blocks (rows, 8, columns, 8)."""
    # Full precision: TF32 or bfloat16 would move coefficients over the edge of a step.
    exact = jax.lax.Precision.HIGHEST
    blocks = jnp.einsum("ui,rict->ruct", matrix, blocks, precision=exact)
    return jnp.einsum("vj,rucj->rucv", matrix, blocks, precision=exact)


def _padded(plane: jax.Array, to: int) -> jax.Array:
    """A plane that goes on as at its edge, until its sides are multiples of `to`."""
    height, width = plane.shape
    return jnp.pad(plane, ((0, -height % to), (0, -width % to)), mode="edge")


def _halved(plane: jax.Array) -> jax.Array:
    """Means of 2 x 2 pixels, rounded down and up in turn, as whole blocks (h2v2_downsample)."""
    padded = _padded(plane, 2 * BLOCK)
    rows = padded[0::2] + padded[1::2]
    bias = np.float32(1 + np.arange(rows.shape[1] // 2) % 2)
    return jnp.floor(0.25 * (rows[:, 0::2] + rows[:, 1::2] + bias))


def _doubled(plane: jax.Array) -> jax.Array:
    """Twice the size, interpolated between the pixels' middles (libjpeg, h2v2_fancy_upsample)."""
    for axis, bias in ((0, (0.0, 0.0)), (1, (8 / 16, 7 / 16))):
        padded = jnp.pad(plane, [(1, 1) if i == axis else (0, 0) for i in (0, 1)], mode="edge")
        near, count = 0.75 * plane, plane.shape[axis]
        before = near + 0.25 * jax.lax.slice_in_dim(padded, 0, count, axis=axis) + bias[0]
        after = near + 0.25 * jax.lax.slice_in_dim(padded, 2, count + 2, axis=axis) + bias[1]
        shape = [2 * n if i == axis else n for i, n in enumerate(plane.shape)]
        plane = jnp.stack([before, after], axis + 1).reshape(shape)
    return jnp.floor(plane)

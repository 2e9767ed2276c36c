"""All textures of a scene in one array, each at every size a picture may want it."""

import dataclasses

import mujoco
import numpy as np

SIZE = 128  # [texels] along a side of a texture of the model; patterns have their own


@dataclasses.dataclass(frozen=True, eq=False)
class Atlas:
    """k square textures as mip maps: level 0 first, each level half the size of the last."""

    texels: np.ndarray  # (sum of k * side^2,) int32, red + 256 green + 65536 blue
    size: int  # [texels] along a side at level 0, a power of two
    count: int
    names: tuple[str, ...]  # of the model's textures, which come after the patterns
    patterns: int  # how many of `count` are patterns; 0 is all white

    @property
    def levels(self) -> int:
        """How many sizes there are, down to one texel."""
        return self.size.bit_length()

    @property
    def starts(self) -> np.ndarray:
        """Where each level begins; (levels,)."""
        sides = self.size >> np.arange(self.levels)
        return np.concatenate([[0], np.cumsum(self.count * sides**2)[:-1]]).astype(np.int32)


def of(model: mujoco.MjModel, patterns: np.ndarray | None = None) -> Atlas | None:
    """The textures of a model and `patterns` (k, s, s, 3) beside them; None if there are none."""
    drawn = [
        i for i in range(model.ntex) if model.tex_type[i] != mujoco.mjtTexture.mjTEXTURE_SKYBOX
    ]
    if patterns is None and not drawn:
        return None
    if patterns is None:
        patterns = np.ones((1, SIZE, SIZE, 3), np.float32)
    size = patterns.shape[1]
    if size & (size - 1):
        raise ValueError(f"textures must be a power of two texels wide, got {size}")
    pictures = [*patterns, *(_resized(_face(model, i), size) for i in drawn)]
    level, packed = np.stack(pictures), []
    for side in size >> np.arange(size.bit_length()):
        level = level.reshape(-1, side, level.shape[1] // side, side, level.shape[1] // side, 3)
        level = level.mean(axis=(2, 4))
        packed.append(_packed(level).ravel())
    return Atlas(
        texels=np.concatenate(packed),
        size=size,
        count=len(pictures),
        names=tuple(model.texture(i).name for i in drawn),
        patterns=len(patterns),
    )


def _packed(colours: np.ndarray) -> np.ndarray:
    """Colours (..., 3) in [0, 1] as one int32 (...) each."""
    byte = np.round(np.clip(colours, 0.0, 1.0) * 255.0).astype(np.int32)
    return byte[..., 0] + 256 * byte[..., 1] + 65536 * byte[..., 2]


def index_of(model: mujoco.MjModel, texture: int, patterns: int) -> int:
    """Where a texture of the model is among an atlas's."""
    skies = model.tex_type[:texture] == mujoco.mjtTexture.mjTEXTURE_SKYBOX
    return patterns + texture - int(skies.sum())


def _face(model: mujoco.MjModel, texture: int) -> np.ndarray:
    """A texture's picture (height, width, 3) in [0, 1]; of a cube the first of its faces."""
    height, width = int(model.tex_height[texture]), int(model.tex_width[texture])
    channels, start = int(model.tex_nchannel[texture]), int(model.tex_adr[texture])
    if model.tex_type[texture] == mujoco.mjtTexture.mjTEXTURE_CUBE:
        height = width
    data = model.tex_data[start : start + height * width * channels]
    picture = data.reshape(height, width, channels) / 255.0
    return np.repeat(picture, 3, axis=2) if channels == 1 else picture[..., :3]


def _resized(picture: np.ndarray, size: int) -> np.ndarray:
    """A picture of any size as (size, size, 3): means of what each texel covers."""
    for axis in (0, 1):
        n = picture.shape[axis]
        ends = np.linspace(0.0, n, size + 1)
        total = np.concatenate([np.zeros_like(picture.take([0], axis)), picture.cumsum(axis)], axis)
        low = np.minimum(ends.astype(int), n - 1)
        shape = [1, 1, 1]
        shape[axis] = -1
        share = (ends - low).reshape(shape)
        at = total.take(low, axis) * (1 - share) + total.take(low + 1, axis) * share
        picture = np.diff(at, axis=axis) / (n / size)
    return picture

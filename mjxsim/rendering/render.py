"""A picture of one world by ray casting: colour, depth and segmentation, pure and unbatched."""

import dataclasses
import functools
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.math import poses as frames
from mjxsim.math import rotations
from mjxsim.math.poses import Pose
from mjxsim.physics.base import PhysicsState
from mjxsim.rendering import shapes, trace
from mjxsim.rendering.scene import Camera, Scene
from mjxsim.rendering.shade import Surface, lamps, lit, shadow, sky, surface, surfaces
from mjxsim.rendering.shapes import Vector, vector
from mjxsim.rendering.trace import Hits, Poses, Rays, pick
from mjxsim.rendering.visual import Visual

TILE = 8  # [pixels] along each side of what is culled together
BLOCKS = 4  # parts of a picture that are drawn one after the other, the fullest tiles first


class Image(flax.struct.PyTreeNode):
    """What a camera sees; rows from the top."""

    rgb: jax.Array  # uint8 (height, width, 3)
    depth: jax.Array  # float32 (height, width) [m] along the camera's axis, to the first solid geom
    segmentation: jax.Array  # int32 (height, width) id of the geom in the model; -1 where none is


@dataclasses.dataclass(frozen=True)
class View:
    """A camera by name, and how its picture is taken."""

    camera: str
    height: int = 64  # [pixels]
    width: int = 64
    shadows: bool = True
    samples: int = 1  # rays along each side of a pixel, whose colours are averaged


class Eye(NamedTuple):
    """A camera in the world frame."""

    pos: jax.Array  # (3,) [m] world
    mat: jax.Array  # (3, 3) right, up and back as columns
    scale: tuple[jax.Array, jax.Array]  # of a ray's x and y at z = -1, at the picture's edge


class _Tiles(NamedTuple):
    """A picture's t tiles; x and y are -1 to 1 from its left to its right and from low to high."""

    left: np.ndarray  # (t,) of the first pixel's middle
    top: np.ndarray  # (t,)
    x: np.ndarray  # (TILE * TILE,) of each pixel from there
    y: np.ndarray


def render(scene: Scene, physics: PhysicsState, view: View, visual: Visual) -> Image:
    """Draws one world as one camera sees it.

    Args:
      scene: `Scene.of` the engine's model.
      physics: the world; poses are read from `xpos` and `xquat`.
      view: which camera, and how large.
      visual: `Visual.of(scene)`, or one that was drawn at random.

    Raises:
      ValueError: the scene has no such camera, or shows a mesh or height field.
    """
    images = render_cameras(scene, physics, (view.camera,), view, visual)
    return jax.tree.map(lambda x: x[0], images)


def render_cameras(
    scene: Scene, physics: PhysicsState, cameras: tuple[str, ...], view: View, visual: Visual
) -> Image:
    """As `render`, by several cameras in the same way; every leaf gains a leading axis.

    `view.camera` does not count. One program for all: it compiles in the time of one.
    """
    scene.check_primitive()
    geoms = placed(scene, physics, visual)
    eyes = [eye_of(scene, physics, name, view, visual) for name in cameras]
    stacked: Eye = jax.tree.map(lambda *x: jnp.stack(x), *eyes)
    draw = functools.partial(_averaged if view.samples > 1 else _picture, scene)
    return jax.vmap(lambda eye: draw(physics, view, visual, geoms, eye))(stacked)


def _picture(
    scene: Scene, physics: PhysicsState, view: View, visual: Visual, geoms: Poses, eye: Eye
) -> Image:
    tiles = _tiles(view)
    meets = _in_cones(geoms, eye, tiles)
    # Tiles that meet many geoms are drawn together, so that the others need not wait for them.
    seen_through = meets[:, scene.solid :].any(axis=1)
    order = jnp.argsort(-(meets.sum(axis=1) + len(scene.geoms) * seen_through))
    blocks = order.reshape(_blocks(len(tiles.left)), -1)

    def draw(_: None, block: jax.Array) -> tuple[None, tuple[jax.Array, ...]]:
        return None, _draw(
            scene, geoms, visual, physics, view, eye, tiles, pick(meets, block), block
        )

    _, drawn = jax.lax.scan(draw, None, blocks)
    where = jnp.argsort(order)
    colour, depth, names = (
        _untiled(pick(x.reshape(-1, TILE * TILE), where), view.height, view.width) for x in drawn
    )
    rgb = jnp.stack([(colour >> (8 * i)).astype(jnp.uint8) for i in range(3)], axis=-1)
    return Image(rgb=rgb, depth=depth, segmentation=names)


def _averaged(
    scene: Scene, physics: PhysicsState, view: View, visual: Visual, geoms: Poses, eye: Eye
) -> Image:
    """A picture of `samples` by `samples` rays per pixel; depth and geom are of a middle one."""
    n = view.samples
    fine = dataclasses.replace(view, height=n * view.height, width=n * view.width, samples=1)
    image = _picture(scene, physics, fine, visual, geoms, eye)
    rgb = image.rgb.reshape(view.height, n, view.width, n, 3).astype(jnp.float32)
    middle = slice(n // 2, None, n)
    return Image(
        rgb=jnp.round(rgb.mean(axis=(1, 3))).astype(jnp.uint8),
        depth=image.depth[middle, middle],
        segmentation=image.segmentation[middle, middle],
    )


def placed(scene: Scene, physics: PhysicsState, visual: Visual) -> Poses:
    """Where the geoms are, and how large."""
    body = Pose(physics.xpos[scene.body], physics.xquat[scene.body])
    world = jax.vmap(frames.compose)(body, Pose(visual.pos, visual.quat))
    size = visual.size
    options = [shape.radius(size) for shape in shapes.ALL]
    radius = jax.lax.select_n(jnp.asarray(scene.kind), *options)
    return Poses(world.pos, jax.vmap(rotations.to_matrix)(world.quat), size, radius)


def _draw(
    scene: Scene,
    geoms: Poses,
    visual: Visual,
    physics: PhysicsState,
    view: View,
    eye: Eye,
    tiles: _Tiles,
    meets: jax.Array,
    block: jax.Array,
) -> tuple[jax.Array, ...]:
    """Colour (packed), depth and geom of some tiles' pixels; (t, TILE * TILE) each."""
    moving = geoms, _rays(eye, tiles, block)
    # Of all this only the depth has a derivative; loops that end early would refuse one.
    geoms, eye, visual, physics = jax.lax.stop_gradient((geoms, eye, visual, physics))
    rays, back = _rays(eye, tiles, block), eye.mat[:, 2]
    pixel = 2.0 * eye.scale[1] / view.height

    solid = trace.nearest(scene, geoms, rays, meets)
    solid = solid.where((solid.t >= scene.near) & (solid.t <= scene.far))
    found = surfaces(scene, geoms, visual, rays, solid, pixel)
    depth = jnp.minimum(_follow(solid.t, _gap(*moving, solid, found)), scene.far)
    shining = lamps(scene, visual, physics, -back, found)
    dark: list[jax.Array | None] = [None] * len(shining)
    if view.shadows:
        for i, light in enumerate(scene.lights):
            if light.shadow:
                dark[i + 1] = shadow(scene, geoms, found, shining[i + 1][1])
    paint, behind = lit(rays, found, shining, dark), sky(visual, rays)
    # Packed, for else a compiler works the whole of a pixel out once for each channel.
    packed = _pack(vector(jnp.where(found.seen, a, b) for a, b in zip(paint, behind, strict=True)))

    first = solid
    for geom in range(scene.solid, len(scene.geoms)):

        def over(_: int, below: tuple, geom: int = geom) -> tuple:
            packed, first = below
            found, t = surface(scene, geoms, visual, rays, geom, solid.t, pixel)
            shining = lamps(scene, visual, physics, -back, found)
            paint = lit(rays, found, shining, [None] * len(shining))
            # MuJoCo draws translucent geoms twice.
            alpha = jnp.where(found.seen, 1.0 - (1.0 - visual.rgba[geom, 3]) ** 2, 0.0)
            colours = zip(paint, _unpack(packed), strict=True)
            packed = _pack(vector(alpha * a + (1.0 - alpha) * b for a, b in colours))
            nearer = t < first.t
            hit = Hits(jnp.where(nearer, t, first.t), jnp.where(nearer, geom, first.geom))
            return packed, hit

        # Once, where some tile meets it, and else not at all.
        times = meets[:, geom].any().astype(jnp.int32)
        packed, first = jax.lax.fori_loop(0, times, over, (packed, first))

    names = np.append(scene.geoms, -1).astype(np.int32)
    geom = jnp.where(first.geom < 0, len(scene.geoms), first.geom)
    return packed, depth, pick(names, geom)


def _pack(colour: Vector) -> jax.Array:
    """A colour in [0, 1] as one int32 of three bytes."""
    red, green, blue = (jnp.round(255.0 * c).astype(jnp.int32) for c in colour)
    return red + 256 * green + 65536 * blue


def _unpack(packed: jax.Array) -> Vector:
    return vector(((packed >> (8 * i)) & 255).astype(jnp.float32) / 255.0 for i in range(3))


def _rays(eye: Eye, tiles: _Tiles, block: jax.Array) -> Rays:
    """Rays through the middle of some tiles' pixels, of length 1 along the camera's axis."""
    x = (pick(tiles.left, block)[:, None] + tiles.x) * eye.scale[0]
    y = (pick(tiles.top, block)[:, None] + tiles.y) * eye.scale[1]
    right, up, back = (eye.mat[:, i] for i in range(3))
    towards = vector(x * right[i] + y * up[i] - back[i] for i in range(3))
    return Rays(vector(eye.pos), towards)


@jax.custom_jvp
def _follow(t: jax.Array, gap: jax.Array) -> jax.Array:
    """`t`, with the derivative of `gap`, whose value is never computed."""
    del gap
    return t


@_follow.defjvp
def _(primals: tuple[jax.Array, ...], tangents: tuple[jax.Array, ...]) -> tuple:
    return primals[0], tangents[1]


def _gap(geoms: Poses, rays: Rays, hits: Hits, surface: Surface) -> jax.Array:
    """By how much each ray ends before its surface, which is 0 until geoms or camera move; (t, s).

    A surface is flat to first order: the point that was hit moves with its geom, and the ray's new
    end is where it meets the plane through there.
    """
    geom = jnp.maximum(hits.geom, 0)
    still = jax.lax.stop_gradient(geoms)
    away = [p - pick(still.pos[:, i], geom) for i, p in enumerate(surface.point)]
    inside = [sum(pick(still.mat[:, i, j], geom) * away[i] for i in range(3)) for j in range(3)]
    t, gap, along = jnp.where(surface.seen, hits.t, 0.0), 0.0, 0.0
    for i, normal in enumerate(surface.normal):
        point = pick(geoms.pos[:, i], geom) + sum(
            pick(geoms.mat[:, i, j], geom) * inside[j] for j in range(3)
        )
        gap += normal * (point - rays.origin[i] - t * rays.direction[i])
        along += normal * jax.lax.stop_gradient(rays.direction[i])
    return jnp.where(surface.seen, gap / jnp.minimum(along, -1e-6), 0.0)


def eye_of(scene: Scene, physics: PhysicsState, name: str, view: View, visual: Visual) -> Eye:
    """Where the camera of that name is, and how wide it looks."""
    camera: Camera = scene.camera(name)
    i = list(scene.cameras).index(name)
    body = Pose(physics.xpos[camera.body], physics.xquat[camera.body])
    moved = Pose(jnp.asarray(camera.pos) + visual.camera_pos[i], jnp.asarray(camera.quat))
    pose = frames.compose(frames.compose(body, moved), Pose(jnp.zeros(3), visual.camera_quat[i]))
    half = jnp.tan(jnp.deg2rad(visual.camera_fovy[i]) / 2)
    return Eye(pose.pos, rotations.to_matrix(pose.quat), (half * view.width / view.height, half))


def _tiles(view: View) -> _Tiles:
    rows, columns = -(-view.height // TILE), -(-view.width // TILE)
    line, column = np.divmod(np.arange(rows * columns), columns)
    y, x = np.divmod(np.arange(TILE * TILE), TILE)
    return _Tiles(
        left=((2 * TILE * column + 1) / view.width - 1).astype(np.float32),
        top=(1 - (2 * TILE * line + 1) / view.height).astype(np.float32),
        x=(2 * x / view.width).astype(np.float32),
        y=(-2 * y / view.height).astype(np.float32),
    )


def _blocks(tiles: int) -> int:
    """Into how many blocks so many tiles can be split."""
    return next(n for n in range(min(BLOCKS, tiles), 0, -1) if tiles % n == 0)


def _untiled(tiles: jax.Array, height: int, width: int) -> jax.Array:
    """(tiles, rays) to (height, width)."""
    rows, columns = -(-height // TILE), -(-width // TILE)
    picture = tiles.reshape(rows, columns, TILE, TILE).swapaxes(1, 2)
    return picture.reshape(rows * TILE, columns * TILE)[:height, :width]


def _in_cones(geoms: Poses, eye: Eye, tiles: _Tiles) -> jax.Array:
    """Whether the cone around each tile's rays touches the ball around each geom; bool (t, n)."""
    left, right = tiles.left, tiles.left + tiles.x.max()
    high, low = tiles.top, tiles.top + tiles.y.min()

    def towards(a: np.ndarray, b: np.ndarray) -> jax.Array:
        ray = jnp.stack([a * eye.scale[0], b * eye.scale[1], -jnp.ones(len(a))], axis=1)
        return ray / jnp.linalg.norm(ray, axis=1, keepdims=True)

    axis = towards((left + right) / 2, (low + high) / 2)
    corners = [towards(a, b) for a in (left, right) for b in (low, high)]
    cos = jnp.min(jnp.stack([(axis * c).sum(1) for c in corners]), axis=0) - 1e-6
    sin = jnp.sqrt(1.0 - cos**2)
    centre = (geoms.pos - eye.pos) @ eye.mat  # (n, 3) in the camera's frame
    ahead = axis @ centre.T  # (t, n)
    aside = jnp.sqrt(jnp.maximum((centre**2).sum(1) - ahead**2, 0.0))
    outside = aside * cos[:, None] - ahead * sin[:, None]  # from the cone's side [m]
    return (outside <= geoms.radius) & (ahead >= -geoms.radius)

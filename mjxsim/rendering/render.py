"""A picture of one world by ray casting: colour, depth and segmentation, pure and unbatched."""

import dataclasses
import functools

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.math import poses as frames
from mjxsim.math import rotations
from mjxsim.math.poses import Pose
from mjxsim.naming import check_count
from mjxsim.physics.base import PhysicsState
from mjxsim.rendering import shapes
from mjxsim.rendering.scene import Camera, Scene
from mjxsim.rendering.shade import shining, surfaces
from mjxsim.rendering.tiles import Eye, Grid, Shown, draw
from mjxsim.rendering.trace import Hits, Poses, pick
from mjxsim.rendering.visual import Visual


class Image(flax.struct.PyTreeNode):
    """What a camera sees; rows from the top."""

    rgb: jax.Array  # uint8 (height, width, 3)
    depth: jax.Array  # float32 (height, width) [m] along the camera's axis, to the first solid geom
    segmentation: jax.Array  # int32 (height, width) id of the geom in the model; -1 where none is


@dataclasses.dataclass(frozen=True)
class View:
    """A camera by name, and how its picture is taken.

    Raises:
      ValueError: one line, for a size or number of samples that is no whole number from 1.
    """

    camera: str
    height: int = 64  # [pixels]
    width: int = 64
    shadows: bool = True
    samples: int = 1  # rays along each side of a pixel, whose colours are averaged

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("height", "width", "samples"):
            check_count(f"{name} of a View", getattr(self, name))


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
    grid = Grid.of(view.height, view.width)
    shown = Shown(geoms, eye, visual, shining(scene, visual, physics))
    # Of all this only the depth has a derivative; loops that end early would refuse one.
    still: Shown = jax.lax.stop_gradient(shown)
    drawn = draw(scene, grid, view.shadows, still)
    gap = _gap(scene, shown, still, grid, Hits(drawn.t, drawn.solid))
    depth = jnp.minimum(_follow(drawn.t, gap), scene.far)
    names = np.append(scene.geoms, -1).astype(np.int32)  # the last for nothing
    colour, depth, first = (grid.picture(x) for x in (drawn.colour, depth, drawn.first))
    rgb = jax.lax.bitcast_convert_type(colour, jnp.uint8)[..., :3]  # the low byte comes first
    segmentation = pick(names, jnp.where(first < 0, len(scene.geoms), first))
    return Image(rgb=rgb, depth=depth, segmentation=segmentation)


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


@jax.custom_jvp
def _follow(t: jax.Array, gap: jax.Array) -> jax.Array:
    """`t`, with the derivative of `gap`, whose value is never computed."""
    del gap
    return t


@_follow.defjvp
def _(primals: tuple[jax.Array, ...], tangents: tuple[jax.Array, ...]) -> tuple:
    return primals[0], tangents[1]


def _gap(scene: Scene, shown: Shown, still: Shown, grid: Grid, hits: Hits) -> jax.Array:
    """By how much each ray ends before its surface, which is 0 until geoms or camera move; (k, s).

    A surface is flat to first order: the point that was hit moves with its geom, and the ray's new
    end is where it meets the plane through there.
    """
    tile = jnp.arange(len(grid.left))
    rays, pixel = grid.rays(shown.eye, tile), jnp.zeros(())
    surface = surfaces(
        scene, still.geoms, still.visual, jnp.int32(0), grid.rays(still.eye, tile), hits, pixel
    )
    geoms, geom = shown.geoms, jnp.maximum(hits.geom, 0)
    away = [p - pick(still.geoms.pos[:, i], geom) for i, p in enumerate(surface.point)]
    inside = [
        sum(pick(still.geoms.mat[:, i, j], geom) * away[i] for i in range(3)) for j in range(3)
    ]
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
    scale = jnp.stack([half * view.width / view.height, half])
    return Eye(pose.pos, rotations.to_matrix(pose.quat), scale)

"""Where distractors stand: on the table that is seen, apart from one another, out of the way.

The table is divided into square cells. Those that touch no forbidden box may hold one prop each. A
box is forbidden around the robot's base and all it can reach (`WorkArea.table`, `air` and `reach`),
and around every object and fixture as the scene has them at home. Props are drawn and nothing else:
an arm that leaves its work area passes through them.
"""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim.randomization.rows import with_rows
from mjxsim.rendering import shapes
from mjxsim.rendering.scene import Scene
from mjxsim.rendering.visual import Visual
from mjxsim.robots.base import RobotSpec

__all__ = ["cells", "placed"]

_MARGIN = 0.02  # [m] around what is forbidden
_GAP = 0.01  # [m] between a prop and its cell's edge, at the least


def cells(scene: Scene, robot: RobotSpec, size: float) -> tuple[np.ndarray, float]:
    """Middles of the cells that props of half-lengths up to `size` [m] may stand in.

    Returns:
      float32 (k, 2) [m] in the world, and half the cells' edge [m].
    """
    half = np.sqrt(2.0) * size + _GAP  # a box may be turned
    low, high = np.array(robot.table)
    count = np.maximum(((high - low) // (2 * half)).astype(int), 0)
    # As many as fit, and their middles evenly over the table.
    axes = [np.linspace(a + half, b - half, n) for a, b, n in zip(low, high, count, strict=True)]
    middles = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    free = np.ones(len(middles), bool)
    for box_low, box_high in _forbidden(scene, robot):
        apart = (middles + half <= box_low - _MARGIN) | (middles - half >= box_high + _MARGIN)
        free &= apart.any(axis=1)
    return middles[free].astype(np.float32), float(half)


def placed(
    visual: Visual,
    scene: Scene,
    cell: jax.Array,
    half: float,
    sizes: jax.Array,
    there: jax.Array,
    numbers: jax.Array,
) -> Visual:
    """The same with props on the table.

    Args:
      visual: of one world.
      scene: with p props.
      cell: (p, 2) middles out of `cells`, one for each prop.
      half: likewise [m].
      sizes: (p, 3) half-lengths [m].
      there: (p,) bool.
      numbers: (p, 3) in [0, 1), for where in its cell each stands, and how it is turned.
    """
    props = scene.props
    about_z = (scene.kind[props] == shapes.ALL.index(shapes.CYLINDER))[:, None]
    sizes = jnp.where(about_z, sizes[:, [0, 0, 2]], sizes)
    sizes = jnp.where(there[:, None], sizes, 0.0)
    room = half - _GAP - jnp.sqrt(sizes[:, 0] ** 2 + sizes[:, 1] ** 2)
    at = cell + (2.0 * numbers[:, :2] - 1.0) * jnp.maximum(room, 0.0)[:, None]
    yaw = np.pi * numbers[:, 2]
    none = jnp.zeros_like(yaw)
    quat = jnp.stack([jnp.cos(yaw / 2), none, none, jnp.sin(yaw / 2)], axis=1)
    return visual.replace(
        pos=with_rows(visual.pos, props, jnp.concatenate([at, sizes[:, 2:]], axis=1)),
        quat=with_rows(visual.quat, props, quat),
        size=with_rows(visual.size, props, sizes),
    )


def _forbidden(scene: Scene, robot: RobotSpec) -> list[tuple[np.ndarray, np.ndarray]]:
    """Lower and upper x, y [m] of boxes that props must not be in."""
    model = scene.model
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key("home").id)
    mujoco.mj_forward(model, data)
    own = {body.name for body in robot.load().bodies} - {"world"}
    area = robot.area
    corners = [*area.table, *area.air, *(area.reach or ())]
    low, high = [np.array(c[:2]) for c in corners], [np.array(c[:2]) for c in corners]
    boxes = []
    for geom in scene.geoms[scene.geoms < model.ngeom]:
        body = int(model.geom_bodyid[geom])
        if body == 0:
            continue  # the table and the floor
        middle, radius = data.geom_xpos[geom][:2], model.geom_rbound[geom]
        if model.body(body).name in own:
            low.append(middle - radius)
            high.append(middle + radius)
        else:
            boxes.append((middle - radius, middle + radius))
    return [(np.min(low, axis=0), np.max(high, axis=0)), *boxes]

"""The derivative of a picture's depth by where things are, against differences."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pictures
import pytest

from mjxsim.rendering import Scene, View, Visual, render

XML = """
<mujoco>
  <worldbody>
    <light pos="0 0 3"/>
    <camera name="eye" pos="0 0 2" fovy="40"/>
    <geom type="plane" size="2 2 .1"/>
    <body name="ball" pos="-.2 0 .3"><geom type="sphere" size=".2"/></body>
    <body name="box" pos=".3 .1 .2" euler="20 30 10"><geom type="box" size=".15 .1 .2"/></body>
  </worldbody>
</mujoco>
"""
SIZE = 24


@pytest.fixture(scope="module")
def picture():
    """(shift of the bodies (nbody, 3)) -> depth and segmentation, and its pullback."""
    model = mujoco.MjModel.from_xml_string(XML)
    scene = Scene.of(model)
    visual, physics = Visual.of(scene), pictures.world(model, model.qpos0)

    def draw(shift: jax.Array) -> tuple[jax.Array, jax.Array]:
        moved = physics.replace(xpos=physics.xpos + shift)
        image = render(scene, moved, View("eye", SIZE, SIZE, shadows=False), visual)
        return image.depth, image.segmentation

    def slope(shift: jax.Array, where: jax.Array) -> jax.Array:
        return jax.grad(lambda s: jnp.where(where, draw(s)[0], 0.0).sum())(shift)

    return model, jax.jit(draw), jax.jit(slope)


@pytest.mark.parametrize("name", ["ball", "box"])
def test_depth_follows_a_body_that_moves(picture, name):
    model, draw, slope = picture
    body, still = model.body(name).id, jnp.zeros((model.nbody, 3))
    geom = model.body(name).geomadr[0]
    for axis in range(3):
        step = still.at[body, axis].set(1e-3)
        (low, before), (high, after) = draw(-step), draw(step)
        # Silhouettes and edges jump: pixels that see the same face all the while.
        seen = np.asarray((before == geom) & (after == geom) & (draw(still)[1] == geom))
        difference = np.asarray(high - low) / 2e-3
        smooth = seen & (np.abs(difference) < 3.0)
        assert smooth.sum() > 15
        found = np.asarray(slope(still, jnp.asarray(smooth)))
        assert np.isfinite(found).all()
        np.testing.assert_allclose(
            found[body, axis], difference[smooth].sum(), rtol=0.03, atol=0.05
        )


def test_the_whole_picture_has_a_finite_slope(picture):
    model, _, slope = picture
    found = slope(jnp.zeros((model.nbody, 3)), jnp.ones((SIZE, SIZE), bool))
    assert np.isfinite(found).all()
    assert (np.asarray(found)[model.body("ball").id] != 0.0).any()

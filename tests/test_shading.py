"""Textures, lights and what a `View` or a `Visual` changes, against MuJoCo where it can."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pictures
import pytest
from pictures import needs_gl

from mjxsim.rendering import Image, Scene, View, Visual, make_renderer, render
from mjxsim.robots.panda.constants import PANDA
from mjxsim.scenes import tabletop

TEXTURED = """
<mujoco>
  <visual>
    <headlight ambient=".5 .5 .5" diffuse=".4 .4 .4" specular="0 0 0"/>
    <quality offsamples="0"/>
    <map znear="0.01" zfar="30"/>
  </visual>
  <statistic extent="1" center="0 0 0"/>
  <asset>
    <texture name="checker" type="2d" builtin="checker" rgb1=".9 .2 .1" rgb2=".1 .3 .8"
      width="64" height="64"/>
    <texture name="gradient" type="2d" builtin="gradient" rgb1="1 1 0" rgb2="0 .2 .6"
      width="64" height="64"/>
    <texture name="cube" type="cube" builtin="checker" rgb1=".2 .7 .3" rgb2=".9 .9 .9"
      width="64" height="64"/>
    <texture name="picture" type="2d" file="picture.png"/>
    <texture name="sky" type="skybox" builtin="gradient" rgb1=".6 .7 .9" rgb2=".2 .2 .3"
      width="64" height="384"/>
    <material name="checker" texture="checker" texrepeat="3 3" specular="0"/>
    <material name="tiles" texture="checker" texrepeat="4 4" texuniform="true" specular="0"/>
    <material name="gradient" texture="gradient" specular="0"/>
    <material name="cube" texture="cube" specular="0"/>
    <material name="picture" texture="picture" specular="0"/>
  </asset>
  <worldbody>
    <camera name="front" pos="0 -1.6 1" xyaxes="1 0 0 0 .53 .85"/>
    <camera name="left" pos="-1.4 -.9 1" xyaxes=".54 -.84 0 .43 .28 .86"/>
    <geom type="plane" size="1.5 1.2 .1" material="tiles"/>
    <geom type="box" size=".2 .2 .2" pos="-.5 0 .21" material="checker"/>
    <geom type="box" size=".2 .2 .2" pos="0 .2 .21" euler="0 0 30" material="gradient"/>
    <geom type="box" size=".15 .15 .15" pos=".5 -.1 .16" material="cube"/>
    <geom type="box" size=".2 .1 .2" pos=".1 -.4 .21" material="picture"/>
  </worldbody>
</mujoco>
"""
# Of many small pieces, for MuJoCo lights the corners of a face and no more.
FLOOR = "".join(
    f'<geom type="box" material="dull" size=".05 .05 .05" pos="{x / 10:.2f} {y / 10:.2f} -.05" '
    'rgba=".7 .7 .7 1"/>'
    for x in range(-7, 8)
    for y in range(-7, 8)
)
LIT = f"""
<mujoco>
  <visual>
    <headlight ambient=".1 .1 .1" diffuse=".2 .2 .2" specular=".1 .1 .1"/>
    <quality offsamples="0" numslices="96" numstacks="48" shadowsize="2048"/>
    <map znear="0.01" zfar="30"/>
  </visual>
  <statistic extent="1" center="0 0 0"/>
  <asset><material name="dull" specular="0" emission=".1"/></asset>
  <worldbody>
    <camera name="front" pos="0 -1.6 1" xyaxes="1 0 0 0 .53 .85"/>
    <light name="sun" type="directional" dir="-.3 .4 -1" pos="0 0 2" diffuse=".5 .5 .4"
      castshadow="false"/>
    <light name="bulb" type="point" pos="-.4 -.5 .9" diffuse=".9 .6 .6" ambient=".05 0 0"
      specular=".3 .3 .3" attenuation=".3 .4 .6" castshadow="false"/>
    <light name="spot" type="spot" pos=".4 -.6 1" dir="-.2 .5 -1" cutoff="30" exponent="8"
      diffuse=".4 .9 .5" attenuation="1 .1 .1" castshadow="false"/>
    {FLOOR}
    <geom type="sphere" size=".15" pos="-.45 0 .15" rgba=".9 .9 .9 1"/>
    <geom type="capsule" size=".08 .12" pos="0 .2 .2" euler="20 0 0" rgba=".3 .5 .9 1"/>
    <geom type="cylinder" size=".1 .12" pos=".13 -.3 .12" rgba=".9 .7 .2 1"/>
    <geom type="ellipsoid" size=".1 .2 .12" pos=".5 0 .12" rgba=".8 .2 .2 1"/>
    <body pos=".2 0 .5"><freejoint/><geom type="box" size=".06 .06 .06" rgba=".2 .8 .3 .4"/></body>
  </worldbody>
</mujoco>
"""
HEIGHT, WIDTH = 121, 157  # [pixels], multiples of nothing


def picture() -> bytes:
    """A PNG file without symmetry."""
    from mjxsim.rendering import png

    y, x = np.mgrid[:32, :32]
    return png(np.uint8(np.stack([8 * x, 8 * y, 255 * ((x < 8) & (y < 12))], axis=-1)))


@functools.cache
def textured() -> tuple[Scene, Visual, pictures.Draw]:
    spec = mujoco.MjSpec.from_string(TEXTURED, assets={"picture.png": picture()})
    scene = Scene.of(spec.compile())
    return scene, Visual.of(scene), pictures.from_any_camera(scene, 256, 256)


@functools.cache
def lit() -> tuple[Scene, Visual, pictures.Draw]:
    scene = Scene.of(mujoco.MjModel.from_xml_string(LIT))
    return scene, Visual.of(scene), pictures.from_any_camera(scene, HEIGHT, WIDTH)


def reference(scene: Scene, view: View, visual: Visual) -> Image:
    physics = pictures.world(scene.model)
    draw = make_renderer("gl", scene, view, announce=False)
    return pictures.on_host(draw(physics, visual))


@needs_gl
@pytest.mark.parametrize("camera", ["front", "left"])
def test_textures(camera: str) -> None:
    scene, visual, draw = textured()
    ours = draw(camera, pictures.world(scene.model), visual)
    right = reference(scene, View(camera, 256, 256), visual)
    inner = pictures.inner(right)
    for geom in range(scene.model.ngeom):
        there = inner & (right.segmentation == geom) & (ours.segmentation == geom)
        assert there.sum() > 100
        difference = np.abs(ours.rgb.astype(int) - right.rgb)[there]
        # A texture's edge falls on another pixel: MuJoCo blends texels, we take the nearest.
        print(camera, geom, there.sum(), difference.mean(), (difference.max(1) > 40).mean())
        assert np.median(difference.max(1)) <= 8, geom
        # Of a cube's six pictures we take the first for all: the box's top differs, in part.
        assert (difference.max(1) > 40).mean() < (0.5 if geom == 3 else 0.12), geom
    assert pictures.ssim(ours.rgb, right.rgb) > 0.9


@needs_gl
@pytest.mark.parametrize("on", [(0,), (1,), (2,), (0, 1, 2)], ids=["sun", "bulb", "spot", "all"])
def test_lights(on: tuple[int, ...]) -> None:
    scene, visual, draw = lit()
    keep = np.isin(np.arange(3), on)[:, None]
    lights = visual.lights
    for kind in ("ambient", "diffuse", "specular"):
        lights = lights.replace(**{kind: getattr(lights, kind) * keep})
    visual = visual.replace(lights=lights)
    ours = draw("front", pictures.world(scene.model), visual)
    right = reference(scene, View("front", HEIGHT, WIDTH), visual)
    difference = np.abs(ours.rgb.astype(int) - right.rgb).max(-1)[pictures.inner(right)]
    print(on, difference.mean(), np.percentile(difference, (50, 90, 99)))
    assert np.percentile(difference, 90) <= 8
    assert pictures.ssim(ours.rgb, right.rgb) > 0.95


@needs_gl
def test_what_a_visual_changes_is_the_same_in_opengl() -> None:
    """Colours, sizes, surfaces, poses of geoms, and the camera: all but textures and sky."""
    scene, visual, draw = lit()
    sphere = int(np.flatnonzero(scene.kind == 1)[0])
    changed = visual.replace(
        rgba=visual.rgba.at[sphere, :3].set(jnp.float32([0.1, 0.2, 0.9])),
        size=visual.size.at[sphere].mul(1.5),
        pos=visual.pos.at[sphere].add(jnp.float32([0.05, 0.0, 0.1])),
        specular=visual.specular.at[sphere].set(0.0),
        camera_pos=visual.camera_pos + jnp.float32([0.1, 0.0, 0.1]),
        camera_fovy=visual.camera_fovy + 8.0,
    )
    before = draw("front", pictures.world(scene.model), visual)
    ours = draw("front", pictures.world(scene.model), changed)
    right = reference(scene, View("front", HEIGHT, WIDTH), changed)
    assert pictures.ssim(ours.rgb, before.rgb) < 0.8
    assert pictures.ssim(ours.rgb, right.rgb) > 0.95
    assert pictures.depth_agrees(ours, right) >= 0.995


@needs_gl
def test_props_and_spare_lights_are_the_same_in_opengl() -> None:
    model = small()
    scene = Scene.of(model, props=3, spare_lights=1)
    visual = Visual.of(scene)
    at = jnp.float32([[0.3, 0.0, 0.3], [-0.3, 0.0, 0.3], [0.0, 0.3, 0.3]])
    visual = visual.replace(
        pos=visual.pos.at[scene.props].set(at),
        size=visual.size.at[scene.props].set(0.1),
        lights=visual.lights.replace(
            pos=visual.lights.pos.at[-1].set(jnp.float32([0.0, -0.5, 1.0])),
            diffuse=visual.lights.diffuse.at[-1].set(0.5),
        ),
    )
    physics = pictures.world(model)
    ours = pictures.on_host(jax.jit(functools.partial(drawn, scene))(physics, visual))
    right = reference(scene, SMALL, visual)
    assert set(range(model.ngeom, model.ngeom + 3)) <= set(np.unique(ours.segmentation))
    assert (ours.segmentation == right.segmentation).mean() > 0.99
    assert pictures.ssim(ours.rgb, right.rgb) > 0.9


@functools.cache
def small() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string("""
<mujoco>
  <visual><quality offsamples="0" numslices="96" numstacks="48" numquads="64"/></visual>
  <statistic extent="1" center="0 0 0"/>
  <worldbody>
    <light name="sun" type="directional" dir="-.3 .4 -1"/>
    <camera name="front" pos="0 -1.6 1" xyaxes="1 0 0 0 .53 .85"/>
    <geom type="plane" size="2 2 .1" rgba=".6 .5 .4 1"/>
    <body pos="0 0 .3"><freejoint/>
      <camera name="hand" pos="0 0 .4"/>
      <geom type="box" size=".1 .05 .1" rgba=".8 .2 .2 1"/></body>
  </worldbody>
</mujoco>""")


SMALL = View("front", 64, 64)


def drawn(scene: Scene, physics, visual: Visual) -> Image:
    return render(scene, physics, SMALL, visual)


def test_a_hands_camera_goes_with_it_and_two_cameras_share_a_program() -> None:
    scene = Scene.of(small())
    visual = Visual.of(scene)
    views = {name: View(name, 40, 56) for name in ("front", "hand")}

    @functools.partial(jax.jit, compiler_options=pictures.QUICK)
    def both(physics) -> dict[str, Image]:
        return {name: render(scene, physics, view, visual) for name, view in views.items()}

    still = both(pictures.world(scene.model))
    moved = both(pictures.world(scene.model, np.float64([0, 0, 0.5, 1, 0, 0, 0])))
    assert still["hand"].rgb.shape == (40, 56, 3)
    box = 1
    np.testing.assert_array_equal(
        still["hand"].segmentation == box, moved["hand"].segmentation == box
    )
    assert (still["front"].segmentation != moved["front"].segmentation).any()
    floor = np.asarray(still["hand"].segmentation) == 0
    rise = np.asarray(moved["hand"].depth - still["hand"].depth)
    np.testing.assert_allclose(rise[floor], 0.2, atol=1e-5)
    np.testing.assert_allclose(rise[~floor], 0.0, atol=1e-5)


def test_worlds_side_by_side_are_the_worlds_alone() -> None:
    scene = Scene.of(small())
    visual = Visual.of(scene)
    heights = np.linspace(0.2, 0.6, 5)
    worlds = [pictures.world(small(), np.float64([0, 0, h, 1, 0, 0, 0])) for h in heights]
    batch = jax.tree.map(lambda *x: jnp.stack(x), *worlds)
    draw = functools.partial(drawn, scene)
    one = jax.jit(draw, compiler_options=pictures.QUICK)
    several = jax.jit(jax.vmap(draw, (0, None)), compiler_options=pictures.QUICK)
    many = several(batch, visual)
    assert len({np.asarray(many.rgb[i]).tobytes() for i in range(5)}) == 5
    for i, physics in enumerate(worlds):
        alone = one(physics, visual)
        difference = np.abs(np.asarray(many.rgb[i], int) - np.asarray(alone.rgb, int))
        # Another order of float32 operations may round a colour otherwise, or take a pixel on an
        # edge for the other side's.
        assert (difference > 1).mean() < 2e-3
        assert (np.asarray(many.segmentation[i]) == np.asarray(alone.segmentation)).mean() > 0.999


def test_samples_smooth_edges() -> None:
    scene = Scene.of(small())
    visual = Visual.of(scene)
    physics = pictures.world(small())
    views = (SMALL, dataclasses.replace(SMALL, samples=2), View("front", 128, 128))

    def all_of_them(physics, visual: Visual) -> list[Image]:
        return [render(scene, physics, view, visual) for view in views]

    program = jax.jit(all_of_them, compiler_options=pictures.QUICK)
    coarse, fine, twice = map(pictures.on_host, program(physics, visual))
    means = twice.rgb.reshape(64, 2, 64, 2, 3).mean((1, 3))
    np.testing.assert_allclose(fine.rgb, means, atol=0.51)
    assert len(np.unique(fine.rgb.reshape(-1, 3), axis=0)) > len(
        np.unique(coarse.rgb.reshape(-1, 3), axis=0)
    )
    assert fine.depth.shape == fine.segmentation.shape == (64, 64)
    assert (fine.segmentation == coarse.segmentation).mean() > 0.98


CLOSE = """
<mujoco>
  <visual><quality offsamples="0" numslices="96" numstacks="48"/><map znear=".02"/></visual>
  <statistic extent="1" center="0 0 0"/>
  <worldbody>
    <camera name="front" pos="0 0 .5"/>
    <geom type="plane" size="2 2 .1"/>
    %s
  </worldbody>
</mujoco>
"""


@needs_gl
@pytest.mark.parametrize("alpha", [1.0, 0.5], ids=["solid", "translucent"])
def test_what_begins_before_the_near_plane_is_looked_through(alpha: float) -> None:
    """A box and round things of which at least a part is within 2 cm of the camera."""
    shapes = (
        'type="box" size=".02 .02 .02" pos=".02 .02 .47"',
        'type="sphere" size=".012" pos="-.01 -.01 .475"',
        'type="capsule" size=".008 .02" pos="-.015 .012 .48" euler="0 60 0"',
        'type="cylinder" size=".008 .012" pos=".015 -.012 .48" euler="30 0 0"',
    )
    geoms = "".join(f'<geom rgba=".8 .2 .2 {alpha}" {shape}/>' for shape in shapes)
    scene = Scene.of(mujoco.MjModel.from_xml_string(CLOSE % geoms))
    view, visual = View("front", 96, 96, shadows=False), Visual.of(scene)
    right = reference(scene, view, visual).segmentation
    program = jax.jit(functools.partial(render, scene, view=view), compiler_options=pictures.QUICK)
    ours = np.asarray(program(pictures.world(scene.model), visual=visual).segmentation)
    assert (right == 0).mean() > 0.5
    assert (ours == right).mean() > 0.995, "but for edges: MuJoCo's round things are flat pieces"


def test_an_unknown_camera_names_the_nearest() -> None:
    scene = Scene.of(tabletop.build(PANDA).compile())
    physics, visual = pictures.world(scene.model), Visual.of(scene)
    for attempt in (
        lambda: render(scene, physics, View("wrst"), visual),
        lambda: make_renderer("auto", scene, View("wrst"), announce=False),
    ):
        with pytest.raises(ValueError, match="unknown camera 'wrst': did you mean 'wrist'") as info:
            attempt()
        assert "\n" not in str(info.value)

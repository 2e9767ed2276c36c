"""The renderers behind one call: what is chosen and refused, worlds side by side and different."""

import dataclasses
import functools
import importlib.util

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pictures
import pytest
from pictures import needs_gl

from mjxsim.rendering import GLRenderer, Scene, View, Visual, backends, make_renderer

PRIMITIVE = """
<mujoco>
  <visual><quality offsamples="0" numslices="96" numstacks="48"/></visual>
  <statistic extent="1" center="0 0 0"/>
  <worldbody>
    <light type="directional" dir="-.3 .4 -1"/>
    <camera name="front" pos="0 -1.6 1" xyaxes="1 0 0 0 .53 .85"/>
    <geom type="plane" size="2 2 .1" rgba=".6 .5 .4 1"/>
    <body pos="0 0 .3"><freejoint/>%s</body>
  </worldbody>
</mujoco>"""
BOX = '<geom name="thing" type="box" size=".2 .1 .2" rgba=".8 .2 .2 1"/>'
MESH = '<geom name="thing" type="mesh" mesh="wedge" rgba=".8 .2 .2 1"/>'
WEDGE = '<asset><mesh name="wedge" vertex="0 0 0 .4 0 0 0 .4 0 0 0 .4"/></asset><worldbody>'
VIEW = View("front", 48, 64)


def scene(thing: str = BOX, **options: int) -> Scene:
    xml = PRIMITIVE % thing
    xml = xml.replace("<worldbody>", WEDGE) if thing == MESH else xml
    return Scene.of(mujoco.MjModel.from_xml_string(xml), **options)


def worlds(what: Scene, heights: tuple[float, ...] = (0.2, 0.4, 0.6)):
    found = [pictures.world(what.model, np.float64([0, 0, h, 1, 0, 0, 0])) for h in heights]
    return found, jax.tree.map(lambda *x: jnp.stack(x), *found)


def test_auto_says_what_it_chose_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    make_renderer("auto", scene(), VIEW)
    said = capsys.readouterr().out
    assert said.startswith("mjxsim: renderer 'jax' (")
    assert said.count("\n") == 1
    make_renderer("auto", scene(), VIEW, announce=False)
    assert capsys.readouterr().out == ""
    name, reason = backends.choose("auto", scene(MESH))
    assert name in ("gl", "warp")
    assert "meshes" in reason


def test_errors_are_one_line() -> None:
    primitive, mesh = scene(), scene(MESH)
    lit = Scene.of(primitive.model, spare_lights=8)
    patterns = Scene.of(primitive.model, patterns=np.ones((2, 8, 8, 3), np.float32))
    nothing = '<mujoco><worldbody><camera name="front"/></worldbody></mujoco>'
    empty = Scene.of(mujoco.MjModel.from_xml_string(nothing))
    for name, what, line in (
        ("opengl", primitive, r"unknown renderer 'opengl': .*valid: auto, gl, jax, warp"),
        ("jax", mesh, r"geom 'thing' is a mesh, .*use renderer='gl'"),
        ("jax", empty, r"there is nothing to draw: the model has no geom in groups 0 to 2"),
        ("gl", lit, r"at most 7 lights and the headlight, and the scene has 9"),
        ("gl", patterns, r"no textures but the model's"),
    ):
        with pytest.raises(ValueError, match=line) as info:
            make_renderer(name, what, VIEW, announce=False)
        assert "\n" not in str(info.value)


def test_without_warp_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match="needs warp-lang: pip install"):
        backends.choose("warp", scene())


@needs_gl
@pytest.mark.parametrize("thing", [BOX, MESH], ids=["primitive", "mesh"])
def test_opengl_draws_worlds_side_by_side_as_alone(thing: str) -> None:
    what = scene(thing)
    draw, visual = make_renderer("gl", what, VIEW, announce=False), Visual.of(what)
    singles, batch = worlds(what)
    many = pictures.on_host(jax.jit(jax.vmap(draw, (0, None)))(batch, visual))
    assert many.rgb.shape == (3, 48, 64, 3)
    assert many.segmentation.dtype == np.int32
    for i, physics in enumerate(singles):
        alone = pictures.on_host(draw(physics, visual))
        np.testing.assert_array_equal(many.rgb[i], alone.rgb)
        np.testing.assert_array_equal(many.depth[i], alone.depth)
        np.testing.assert_array_equal(many.segmentation[i], alone.segmentation)
    assert ((many.segmentation == 1).sum((1, 2)) > 50).all(), "the thing is seen"
    assert (many.segmentation[0] != many.segmentation[2]).any()


@needs_gl
def test_opengl_takes_a_meshs_colour_from_the_visual() -> None:
    what = scene(MESH)
    draw, visual = make_renderer("gl", what, VIEW, announce=False), Visual.of(what)
    (physics,), _ = worlds(what, (0.4,))
    thing = int(np.flatnonzero(what.geoms == 1)[0])
    blue = visual.replace(rgba=visual.rgba.at[thing].set(jnp.float32([0.1, 0.1, 0.9, 1.0])))
    before, after = (pictures.on_host(draw(physics, v)) for v in (visual, blue))
    there = before.segmentation == 1
    assert (before.rgb[there][:, 0] > before.rgb[there][:, 2]).all()
    assert (after.rgb[there][:, 2] > after.rgb[there][:, 0]).all()
    np.testing.assert_array_equal(before.segmentation, after.segmentation)
    np.testing.assert_array_equal(before.rgb, pictures.on_host(draw(physics, visual)).rgb)


def test_warp_agrees_with_ours() -> None:
    """On Warp's CPU device where there is no GPU; four samples to a pixel."""
    pytest.importorskip("warp")
    what, view = scene(), dataclasses.replace(VIEW, samples=2)
    visual = Visual.of(what)
    _, batch = worlds(what)
    ours, warp = (
        pictures.on_host(
            jax.jit(jax.vmap(make_renderer(name, what, view, announce=False), (0, None)))(
                batch, visual
            )
        )
        for name in ("jax", "warp")
    )
    assert warp.rgb.shape == ours.rgb.shape
    assert (warp.segmentation == ours.segmentation).mean() > 0.99
    same = (warp.segmentation == ours.segmentation) & (ours.segmentation >= 0)
    np.testing.assert_allclose(warp.depth[same], ours.depth[same], atol=2e-3)
    for a, b in zip(ours.rgb, warp.rgb, strict=True):
        assert pictures.ssim(a, b) > 0.9


PAINTED = """
<mujoco>
  <visual><quality offsamples="0" numslices="96" numstacks="48"/><map zfar="30"/></visual>
  <statistic extent="1" center="0 0 0"/>
  <asset>
    <material name="red" rgba=".9 .2 .1 1" specular=".2"/>
    <material name="glass" rgba=".2 .4 .9 .5"/>
  </asset>
  <worldbody>
    <camera name="front" pos="0 -1.6 1" xyaxes="1 0 0 0 .53 .85"/>
    <camera name="left" pos="-1.4 -.9 1" xyaxes=".54 -.84 0 .43 .28 .86" fovy="60"/>
    <light type="directional" dir="-.3 .4 -1" pos="0 0 2" diffuse=".5 .5 .4" castshadow="false"/>
    <light type="spot" pos="-.4 -.6 1.2" dir=".2 .3 -1" castshadow="false" diffuse=".3 .3 .3"/>
    <geom type="plane" size="2 2 .1" rgba=".6 .5 .4 1"/>
    <geom type="sphere" size=".2" pos="-.3 0 .2" material="red"/>
    <geom type="sphere" size=".2" pos=".3 0 .2" material="red" rgba=".1 .8 .3 1"/>
    <geom type="sphere" size=".1" pos="0 -.4 .1" material="glass"/>
  </worldbody>
</mujoco>
"""


@functools.cache
def painted() -> tuple[Scene, Visual, pictures.Draw]:
    scene = Scene.of(mujoco.MjModel.from_xml_string(PAINTED))
    return scene, Visual.of(scene), pictures.from_any_camera(scene, 96, 128)


def changed(model: mujoco.MjModel, field: str, row: int, values: object) -> dict[str, jax.Array]:
    """The model's own values of a field, but for one row."""
    field_values = np.array(getattr(model, field), np.float32)
    field_values[row] = values
    return {field: jnp.asarray(field_values)}


SHOWN = {
    "geom_rgba": (1, (0.2, 0.3, 0.9, 1.0)),
    "mat_rgba": (0, (0.2, 0.3, 0.9, 1.0)),
    "mat_emission": (0, 0.4),
    "mat_specular": (0, 1.0),
    "mat_shininess": (0, 0.05),
    "light_pos": (1, (0.2, -0.5, 0.9)),
    "light_dir": (0, (0.6, 0.2, -0.8)),
    "light_ambient": (1, (0.2, 0.1, 0.0)),
    "light_diffuse": (0, (0.1, 0.5, 0.9)),
    "light_specular": (0, (0.9, 0.1, 0.1)),
    "cam_pos": (1, (-1.2, -0.8, 1.1)),
    "cam_quat": (1, (0.75, 0.45, -0.2, -0.4)),
    "cam_fovy": (1, 40.0),
}


def test_an_override_that_is_the_models_changes_no_look() -> None:
    """Neither the model's nor one that was drawn at random."""
    scene, visual, _ = painted()
    random = jax.tree.map(lambda x: x * 0.9 if x.dtype == jnp.float32 else x, visual)
    fields = (*SHOWN, "geom_pos", "geom_quat", "geom_size")
    own = {k: jnp.asarray(getattr(scene.model, k), jnp.float32) for k in fields}
    for looks in (visual, random):
        same = jax.jit(lambda looks, own: looks.overridden(scene, own))(looks, own)
        jax.tree.map(np.testing.assert_array_equal, same, looks)


@needs_gl
@pytest.mark.parametrize("field", SHOWN)
def test_a_world_with_its_own_model_fields_looks_as_in_opengl(field: str) -> None:
    scene, visual, draw = painted()
    model, (row, values) = scene.model, SHOWN[field]
    if field.endswith("quat"):
        values = np.array(values) / np.linalg.norm(values)
    own = changed(model, field, row, values)
    looks = visual.overridden(scene, own)
    physics = pictures.world(model)
    ours = draw("left", physics, looks).rgb.astype(int)
    before = draw("left", physics, visual).rgb.astype(int)
    with GLRenderer(model, (96, 128), "left") as renderer:
        world = (model.qpos0, np.zeros((0, 3)), np.zeros((0, 4)))
        right = renderer.render(*world, jax.tree.map(np.asarray, own)).astype(int)
    off, unheeded = np.abs(ours - right).mean(), np.abs(before - right).mean()
    print(field, off, unheeded)
    # Of 255. Without any override the two are 0.17 apart: MuJoCo's spheres are flat pieces.
    assert off < 0.3 < unheeded


def test_recolouring_one_geom_changes_that_geom_alone() -> None:
    scene, visual, _ = painted()
    random = visual.replace(rgba=visual.rgba * 0.9)
    looks = random.overridden(scene, changed(scene.model, "geom_rgba", 1, (0.2, 0.3, 0.9, 1.0)))
    differs = (np.asarray(looks.rgba) != np.asarray(random.rgba)).any(axis=1)
    np.testing.assert_array_equal(scene.geoms[differs], [1])


def test_what_is_drawn_at_random_is_drawn_around_a_worlds_own_camera_and_light() -> None:
    scene, visual, _ = painted()
    model = scene.model
    random = visual.replace(
        camera_pos=visual.camera_pos + 0.05,
        lights=visual.lights.replace(diffuse=visual.lights.diffuse * 0.5),
    )
    own = changed(model, "cam_pos", 1, (-1.2, -0.8, 1.1))
    own |= changed(model, "light_diffuse", 0, (0.1, 0.5, 0.9))
    looks = random.overridden(scene, own)
    np.testing.assert_allclose(looks.camera_pos[1], (0.25, 0.15, 0.15), atol=1e-6)
    np.testing.assert_allclose(looks.lights.diffuse[0], (0.05, 0.25, 0.45), atol=1e-6)
    np.testing.assert_array_equal(looks.lights.diffuse[1], random.lights.diffuse[1])


def test_a_field_that_pictures_cannot_show_is_one_line() -> None:
    scene, visual, _ = painted()
    own = {"light_cutoff": jnp.float32([45.0, 30.0])}
    with pytest.raises(ValueError, match="field 'light_cutoff' cannot differ per world") as info:
        visual.overridden(scene, own)
    assert "\n" not in str(info.value)

"""The renderers behind one call: which is chosen, what each refuses, and worlds side by side."""

import dataclasses
import importlib.util

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pictures
import pytest
from pictures import needs_gl

from mjxsim.rendering import Scene, View, Visual, backends, make_renderer

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

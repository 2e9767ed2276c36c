"""The scene as triangles, the worker behind every sink, and the web view in a real browser."""

import io
import sys
import threading
from collections.abc import Iterator

import av
import mujoco
import numpy as np
import pytest
from chromium import Chromium, Page, chromium, needs_chromium, until
from frames import frame

from mjxsim.robots import ROBOTS, get
from mjxsim.scenes import build
from mjxsim.tasks.pick_cube import PickCube, PickCubeConfig
from mjxsim.teleop import triangles
from mjxsim.teleop.triangles import Triangles
from mjxsim.teleop.worker import Worker

SHAPES = """
<mujoco>
  <asset>
    <mesh name="wedge" vertex="0 0 0  .1 0 0  0 .2 0  0 0 .3"/>
    <texture name="half" type="2d" builtin="flat" rgb1=".5 .5 .5" width="8" height="8"/>
    <material name="painted" texture="half" rgba="1 .4 .2 1"/>
  </asset>
  <worldbody>
    <geom name="plane" type="plane" size="2 3 .1"/>
    <geom name="endless" type="plane" size="0 0 .1"/>
    <geom name="box" type="box" size=".1 .2 .3" rgba="1 0 0 .5"/>
    <geom name="sphere" type="sphere" size=".2" material="painted"/>
    <geom name="capsule" type="capsule" size=".1 .3"/>
    <geom name="cylinder" type="cylinder" size=".1 .3"/>
    <geom name="ellipsoid" type="ellipsoid" size=".1 .2 .3"/>
    <geom name="wedge" type="mesh" mesh="wedge"/>
    <geom name="collides" type="sphere" size=".2" group="3"/>
    <geom name="clear" type="sphere" size=".2" rgba="1 1 1 0"/>
  </worldbody>
</mujoco>
"""
VOLUMES = {
    "box": 8 * 0.006,
    "sphere": 4 / 3 * np.pi * 0.008,
    "capsule": np.pi * 0.01 * 0.6 + 4 / 3 * np.pi * 0.001,
    "cylinder": np.pi * 0.01 * 0.6,
    "ellipsoid": 4 / 3 * np.pi * 0.006,
    "wedge": 0.001,
}


@pytest.fixture(scope="module")
def shapes() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(SHAPES)


@pytest.fixture(scope="module")
def panda() -> mujoco.MjModel:
    robot = get("panda")
    return PickCube.scene(PickCubeConfig().for_robot(robot), robot).compile()


# Triangles.


def volume(surface: Triangles) -> float:
    a, b, c = (surface.corners[surface.faces[:, i]].astype(float) for i in range(3))
    return float((np.cross(a, b) * c).sum() / 6)


@pytest.mark.parametrize("name", VOLUMES)
def test_surface_encloses_the_shape(shapes: mujoco.MjModel, name: str) -> None:
    """By the divergence theorem: a hole, or a triangle that faces inwards, changes the volume.

    Polygons of 32 corners lie inside a circle: sin(2 pi / 32) / (2 pi / 32) = 0.9936 of its area.
    """
    surface = triangles.of_geom(shapes, shapes.geom(name).id)
    assert 0.98 <= volume(surface) / VOLUMES[name] <= 1.0 + 1e-5
    edges = np.sort(surface.corners[surface.faces][:, [[0, 1], [1, 2], [2, 0]]], axis=None)
    assert np.isfinite(edges).all()
    length = np.linalg.norm(surface.normals, axis=1)
    used = np.unique(surface.faces)
    np.testing.assert_allclose(length[used], 1.0, atol=1e-5)


def test_normals_are_those_of_the_shape(shapes: mujoco.MjModel) -> None:
    ball = triangles.of_geom(shapes, shapes.geom("sphere").id)
    used = np.unique(ball.faces)
    outward = ball.corners[used] / 0.2
    # Between the corners of a 32-gon a normal turns by up to 2 pi / 32.
    assert ((outward * ball.normals[used]).sum(axis=1) > np.cos(2 * np.pi / 32)).all()
    box = triangles.of_geom(shapes, shapes.geom("box").id)
    assert (np.sort(np.abs(box.normals), axis=1) == [0, 0, 1]).all(), "edges stay edges"
    assert ((box.normals * box.corners).sum(axis=1) > 0).all()


def test_planes(shapes: mujoco.MjModel) -> None:
    plane = triangles.of_geom(shapes, shapes.geom("plane").id)
    assert (np.abs(plane.corners).max(axis=0) == [2, 3, 0]).all()
    assert (plane.normals == [0, 0, 1]).all()
    endless = triangles.of_geom(shapes, shapes.geom("endless").id)
    assert np.abs(endless.corners).max() >= 10.0


def test_only_what_is_drawn_and_in_its_colour(shapes: mujoco.MjModel) -> None:
    names = {shapes.geom(i).name for i in triangles.shown(shapes)}
    assert names == {shapes.geom(i).name for i in range(shapes.ngeom)} - {"collides", "clear"}
    assert triangles.colour_of(shapes, shapes.geom("box").id) == (1.0, 0.0, 0.0, 0.5)
    painted = triangles.colour_of(shapes, shapes.geom("sphere").id)
    # The texture's mean of 0.5, which is stored in a byte, times the material's colour.
    np.testing.assert_allclose(painted, (0.5, 0.2, 0.1, 1.0), atol=1 / 255)


@pytest.mark.parametrize("robot", ROBOTS)
def test_every_geom_of_every_robot(robot: str) -> None:
    model = build(get(robot)).compile()
    for geom in triangles.shown(model):
        surface = triangles.of_geom(model, geom)
        # Bounded by the geom's own box (mjModel.geom_aabb), a plane's apart.
        if model.geom_type[geom] != mujoco.mjtGeom.mjGEOM_PLANE:
            centre, half = model.geom_aabb[geom].reshape(2, 3)
            assert (np.abs(surface.corners - centre) <= half + 1e-6).all()


def test_height_field_is_refused() -> None:
    model = mujoco.MjModel.from_xml_string(
        '<mujoco><asset><hfield name="hills" nrow="2" ncol="2" size="1 1 1 1"/></asset>'
        '<worldbody><geom name="hills" type="hfield" hfield="hills"/></worldbody></mujoco>'
    )
    with pytest.raises(ValueError, match="geom 'hills' is a hfield"):
        triangles.of_geom(model, 0)


# The worker.


def test_newest_wins_and_nobody_waits() -> None:
    go, done = threading.Event(), []

    def slow(item: int) -> None:
        done.append(item)
        go.wait(10)

    worker = Worker("test", slow)
    worker.put(0)
    until(lambda: done == [0], 5, "the first item")
    for item in range(1, 100):  # would wait for ever if it waited at all
        worker.put(item)
    go.set()
    worker.close()
    assert done == [0, 99]
    assert worker.dropped == 98


def test_deep_worker_keeps_order_and_finishes() -> None:
    done: list[object] = []
    worker = Worker("test", done.append, depth=100, finish=lambda: done.append("end"))
    for item in range(50):
        worker.put(item)
    worker.close()
    worker.close()
    worker.put(99)
    assert done == [*range(50), "end"]
    assert worker.dropped == 0


def test_error_ends_a_worker_in_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    def fail(item: int) -> None:
        raise ZeroDivisionError(f"no\nway {item}")

    worker = Worker("the view", fail)
    worker.put(1)
    until(lambda: worker.error is not None, 5, "the error")
    worker.put(2)
    worker.close()
    assert capfd.readouterr().err == "the view stopped: ZeroDivisionError: no way 1\n"


# The web view.


def test_says_what_to_install(panda: mujoco.MjModel, monkeypatch: pytest.MonkeyPatch) -> None:
    from mjxsim.teleop.web import WebView

    monkeypatch.setitem(sys.modules, "viser", None)
    with pytest.raises(RuntimeError, match=r'needs viser: python -m pip install "mjxsim\[web\]"'):
        WebView(panda, port=0)


def test_address_of_another_machine(panda: mujoco.MjModel) -> None:
    pytest.importorskip("viser")
    from mjxsim.teleop.web import WebView

    with pytest.raises(OSError, match=r"cannot listen at 192\.0\.2\.1"):  # RFC 5737, nobody's
        WebView(panda, host="192.0.2.1", port=0)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    pytest.importorskip("viser")  # which brings websockets
    with chromium(tmp_path_factory.mktemp("chromium")) as running:
        yield running


def pixels(page: Page) -> np.ndarray:
    """A screenshot, uint8 (height, width, 3)."""
    with av.open(io.BytesIO(page.screenshot()), format="png_pipe") as stream:
        return next(stream.decode(video=0)).to_ndarray(format="rgb24")


def red(picture: np.ndarray) -> np.ndarray:
    """Where the cube is: rows and columns of strongly red pixels."""
    r, g, b = (picture[..., i].astype(int) for i in range(3))
    return np.argwhere((r > 2 * g + 30) & (r > 2 * b + 30) & (abs(g - b) < 25))


@needs_chromium
def test_web_view(panda: mujoco.MjModel, browser: Chromium) -> None:
    """It says how the session stands, and the cube is where the model's front camera sees it."""
    from mjxsim.teleop.web import WebView

    height, width = 320, 480
    view = WebView(panda, port=0, help=("space: take over",))
    page = browser.page()
    try:
        page.size(width, height)
        view.show(frame(model=panda))  # before anybody looks
        page.open(view.url)
        text = "document.body.innerText"
        page.wait(f"{text}.includes('pick up the red cube')", 30)
        said = str(page.value(text))
        assert view.watched
        assert "lane 3 of 8, steered by you (browser)" in said
        assert "3 of 5 episodes recorded" in said
        assert "recording" in said and "space: take over" in said
        page.wait("document.querySelectorAll('img').length >= 2")
        address = int(panda.jnt_qposadr[panda.joint("cube_joint").id])
        seen, expected = [], []
        for y in (-0.3, -0.15):  # left of the panel
            qpos = panda.key_qpos[0].copy()
            qpos[address : address + 3] = (0.6, y, 0.02)
            view.show(frame(model=panda, qpos=qpos, images={}))
            expected.append(projected(panda, np.array([0.6, y, 0.02]), height, width))
            last = -1.0

            def still() -> bool:
                nonlocal last
                at = red(pixels(page))
                now = at.mean() if len(at) > 20 else -1.0
                near = len(at) > 20 and np.abs(at.mean(axis=0) - expected[-1]).max() < 12
                same, last = now == last, now
                return bool(near and same)

            until(still, 30, f"the cube at y = {y}")
            seen.append(red(pixels(page)).mean(axis=0))
        # Its middle as it is seen is not its middle in space: within half its size of 15 pixels.
        np.testing.assert_allclose(seen, expected, atol=8)
        assert not page.errors
    finally:
        page.close()
        view.close()
        view.close()


def projected(model: mujoco.MjModel, point: np.ndarray, height: int, width: int) -> np.ndarray:
    """Row and column [pixels] at which the front camera sees a point [m]."""
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    camera = model.camera("front").id
    x, y, z = data.cam_xmat[camera].reshape(3, 3).T @ (point - data.cam_xpos[camera])
    scale = height / 2 / np.tan(np.deg2rad(model.cam_fovy[camera]) / 2) / -z
    return np.array([height / 2 - y * scale, width / 2 + x * scale])

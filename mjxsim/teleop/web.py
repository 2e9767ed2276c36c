"""The whole scene of one world in a browser, by viser. Needs the extra `web`.

    view = WebView(env.engine.model)
    print(view.url)
    view.show(frame)  # at every control step

The page can be opened and left at any time, by several people, and only looks: who wants to steer
from a browser takes the device `browser`.
"""

import contextlib
import io
import math
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import mujoco
import numpy as np

from mjxsim.teleop import triangles
from mjxsim.teleop.address import check_address
from mjxsim.teleop.frame import Frame
from mjxsim.teleop.poses import Poses, changed, viewpoint
from mjxsim.teleop.worker import Worker

if TYPE_CHECKING:
    import viser

PORT = 8080  # viser's own
_POSES_EVERY = 1.0 / 30.0  # [s]
_PICTURES_EVERY = 1.0 / 10.0  # [s]
_GAMMA = 2.2  # of sRGB, roughly


class WebView:
    """A sink that shows a world of `model` as a web page; see `mjxsim.teleop.frame.Sink`.

    The page follows at up to 30 poses and 10 pictures a second, from a thread of its own that
    takes the newest frame and forgets the others. With nobody looking it costs next to nothing.

    Args:
      model: the compiled model.
      host: the address that is listened at; "0.0.0.0" for all, and then anybody can look.
      port: the first that is tried; 0 for any.
      title: above the panel.
      help: lines below the pictures, as a device's `help`.

    Raises:
      RuntimeError: viser is not installed; the message says how to install it.
      OSError: `host` is not an address of this machine.
      ValueError: `port` is none.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        *,
        host: str = "127.0.0.1",
        port: int = PORT,
        title: str = "mjxsim",
        help: Sequence[str] = (),
    ) -> None:
        try:
            import viser
        except ImportError as error:
            raise RuntimeError(
                'the web view needs viser: python -m pip install "mjxsim[web]"'
            ) from error
        check_address(host, port)  # viser would wait for ever
        self._poses = Poses(model)
        with _silence():
            self._server = viser.ViserServer(host=host, port=port, label=title, verbose=False)
        self._host = host
        scene, gui = self._server.scene, self._server.gui
        gui.configure_theme(dark_mode=True, show_logo=False, show_share_button=False)
        _light(scene, model)
        scene.set_background_image(_sky(model), format="png")
        self._bodies = _add_geoms(scene, self._poses)
        self._shown = {body: (np.full(3, np.nan), np.full(4, np.nan)) for body in self._bodies}
        self._status = gui.add_markdown("waiting for the first step")
        self._pictures: dict[str, viser.GuiImageHandle] = {}
        if help:
            with gui.add_folder("Keys", order=1e6):
                gui.add_markdown("\n".join(f"- {line}" for line in help))
        home = self._poses.home()
        self._place(home)
        if seen := viewpoint(home):
            camera = self._server.initial_camera
            camera.position, camera.look_at = seen
            camera.fov = math.radians(float(model.cam_fovy[0]))
        self._drawn = self._pictured = 0.0  # when, by time.monotonic()
        self._newest: Frame | None = None
        self._worker = Worker("mjxsim web view", self._draw, finish=self._end)
        self._server.on_client_connect(lambda _: self._catch_up())

    @property
    def url(self) -> str:
        """Where the page is, as seen from this machine."""
        host = "127.0.0.1" if self._host in ("0.0.0.0", "::") else self._host
        return f"http://{host}:{self._server.get_port()}"

    @property
    def watched(self) -> bool:
        """Whether a page is open."""
        return bool(self._server.get_clients())

    def show(self, frame: Frame) -> None:
        """Takes one control step; returns at once."""
        self._newest = frame
        if self.watched:
            self._worker.put(frame)

    def close(self) -> None:
        """Ends the server; a second call does nothing."""
        self._worker.close()

    def _catch_up(self) -> None:
        if self._newest is not None:
            self._worker.put(self._newest)

    def _draw(self, frame: Frame) -> None:
        time.sleep(max(0.0, self._drawn + _POSES_EVERY - time.monotonic()))
        self._drawn = time.monotonic()
        self._place(self._poses.of(frame))
        text = _markdown(frame)
        if text != self._status.content:
            self._status.content = text
        if self._drawn - self._pictured >= _PICTURES_EVERY:
            self._pictured = self._drawn
            for camera, picture in frame.images.items():
                if camera in self._pictures:
                    self._pictures[camera].image = picture
                else:
                    self._pictures[camera] = self._server.gui.add_image(picture, label=camera)

    def _place(self, placed: mujoco.MjData) -> None:
        """Moves the bodies that are elsewhere than they were."""
        with self._server.atomic():
            for body, node in self._bodies.items():
                pos, quat = self._shown[body]
                if changed(pos, placed.xpos[body]):
                    node.position = pos.copy()
                if changed(quat, placed.xquat[body]):
                    node.wxyz = quat.copy()

    def _end(self) -> None:
        with _silence():
            self._server.stop()


def _add_geoms(scene: "viser.SceneApi", poses: Poses) -> "dict[int, viser.FrameHandle]":
    """Puts the geoms into the scene; their bodies' nodes by the bodies' ids."""
    model = poses.model
    bodies: dict[int, viser.FrameHandle] = {}
    for geom in triangles.shown(model):
        body = int(model.geom_bodyid[geom])
        name = "/" + poses.names[body].replace("/", "-")
        if body not in bodies:
            bodies[body] = scene.add_frame(name, show_axes=False)
        surface = triangles.of_geom(model, geom)
        red, green, blue, alpha = triangles.colour_of(model, geom)
        scene.add_mesh_simple(
            f"{name}/{geom}",
            surface.corners,
            surface.faces,
            color=(red, green, blue),
            opacity=None if alpha > 0.995 else alpha,
            cast_shadow=alpha > 0.995,
            position=model.geom_pos[geom].copy(),
            wxyz=model.geom_quat[geom].copy(),
        )
    return bodies


def _light(scene: "viser.SceneApi", model: mujoco.MjModel) -> None:
    """Lights about as bright as the model's.

    MuJoCo adds light to colours as they are stored, a browser's renderer to their squares, roughly.
    The light at the viewer's eye, which cannot follow the eye here, is spread evenly instead: half
    of it, and a third where a lamp shines as well.
    """
    scene.configure_environment_map(None)
    scene.configure_default_lights(False)
    head, lamps = model.vis.headlight, np.flatnonzero(model.light_active)
    ambient = float(np.mean(head.ambient)) * bool(head.active)
    ambient += float(model.light_ambient[lamps].mean(axis=1).sum())
    eye = float(np.mean(head.diffuse)) * bool(head.active)
    direct = model.light_diffuse[lamps].mean(axis=1)
    linear = (ambient + eye / 2) ** _GAMMA
    brightness = max(0.0, (ambient + eye / 3 + float(direct.sum())) ** _GAMMA - linear)
    scene.add_light_ambient("/lights/even", intensity=math.pi * linear)
    for lamp, share in zip(lamps, direct / max(float(direct.sum()), 1e-9), strict=True):
        away = -model.light_dir[lamp] * model.stat.extent
        scene.add_light_directional(
            f"/lights/{lamp}",
            intensity=math.pi * brightness * float(share),
            cast_shadow=bool(model.light_castshadow[lamp]),
            position=tuple(away),
        )


def _markdown(frame: Frame) -> str:
    s = frame.status
    doing = [("recording", s.recording), ("paused", s.paused), ("success", s.success)]
    flags = [f"**{name}**" for name, so in doing if so]
    lane = f"lane {s.lane + 1} of {s.lanes}, " if s.lanes > 1 else ""
    by = f"you ({s.device})" if s.intervening else s.driver
    wanted = "" if s.episodes is None else f" of {s.episodes}"
    recorded = f", {s.episode}{wanted} episodes recorded" if s.recording or s.episode else ""
    rate = f"{s.measured_rate:.1f} of {s.rate:g} Hz" if math.isfinite(s.measured_rate) else ""
    lines = [
        s.instruction,
        " · ".join(flags),
        f"{lane}steered by {by}",
        f"step {s.step}, reward {frame.reward:.2f}{recorded}",
        " · ".join(filter(None, (rate, f"speed {s.speed:g}", f"{s.late} late" if s.late else ""))),
        f"*{s.message}*" if s.message else "",
    ]
    return "\n\n".join(filter(None, lines))


def _sky(model: mujoco.MjModel) -> np.ndarray | None:
    """The model's sky from the horizon's surroundings, uint8 (h, 2, 3), top row first."""
    textures = np.flatnonzero(model.tex_type == mujoco.mjtTexture.mjTEXTURE_SKYBOX)
    if not len(textures):
        return None
    texture = textures[0]
    width, channels = int(model.tex_width[texture]), int(model.tex_nchannel[texture])
    # A cube map's faces: right, left, up, down, front, back.
    start = int(model.tex_adr[texture]) + 4 * width * width * channels
    front = model.tex_data[start : start + width * width * channels]
    column = front.reshape(width, width, channels)[width // 4 : -(width // 4), width // 2, :3]
    return np.repeat(column[:, None], 2, axis=1)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Viser prints a table whatever it is told."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield

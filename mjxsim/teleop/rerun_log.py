"""What happens to one world, logged to Rerun. Needs the extra `rerun`.

    sink = RerunSink(env.engine.model, path=pathlib.Path("out.rrd"))
    sink.show(frame)  # at every control step
    sink.close()

Timelines are `step`, control steps since the session began, and `time`, simulated. Entities:

    world/<body>                       where it is; its geoms below it, once
    cameras/<camera>                   what it sees
    observation, action                one line for each entry
    reward
    status/<what>                      recording, intervening, success; lane, episode; rate
    instruction, messages              in words
"""

import contextlib
import math
import os
import pathlib
import sysconfig
import uuid
from collections.abc import Iterator

import mujoco
import numpy as np

from mjxsim.teleop import screen, triangles
from mjxsim.teleop.frame import Frame
from mjxsim.teleop.poses import Poses, changed, viewpoint
from mjxsim.teleop.worker import Worker

_WAITING = 256  # frames that may wait to be logged; about 25 MB of two 128x128 cameras
_OLDEST = (0, 27)  # the first in which a log says from where its scene is seen
_QUALITY = 90  # of the JPEGs, of 100
_FLAGS = ("recording", "intervening", "success", "lane", "episode", "measured_rate", "late")


class RerunSink:
    """A sink that logs every frame it is shown; see `mjxsim.teleop.frame.Sink`.

    Logging is done on a thread of its own. When it cannot follow, the oldest of the frames that
    wait are left out; `close` says how many.

    Args:
      model: the compiled model.
      path: a file to write, as `rerun out.rrd` opens it; what is there is overwritten. None starts
        the Rerun viewer and logs to it.

    Raises:
      RuntimeError: Rerun is not installed or too old, or there is no display for its viewer.
      OSError: the file cannot be written.
    """

    def __init__(self, model: mujoco.MjModel, *, path: pathlib.Path | None = None) -> None:
        try:
            import rerun
        except ImportError as error:
            raise RuntimeError(
                'Rerun is not installed: python -m pip install "mjxsim[rerun]"'
            ) from error
        if tuple(int(part) for part in rerun.__version__.split(".")[:2]) < _OLDEST:
            raise RuntimeError(
                f"Rerun {rerun.__version__} is too old: "
                'python -m pip install --upgrade "mjxsim[rerun]"'
            )
        if path is None and (why := screen.why_none()):
            raise RuntimeError(f"{why}; log to a file with --rerun-file out.rrd instead")
        self._rerun = rerun
        self._log = rerun.RecordingStream(
            "mjxsim", recording_id=uuid.uuid4()
        )  # one for each session
        if path is not None:
            path.open("wb").close()  # whose OSError names the file
            self._log.save(path)
        else:
            with _viewer_on_path():
                self._log.spawn()
        self._poses = Poses(model)
        self._names: tuple[str, ...] | None = None
        self._said = ("", "")
        self._bodies = self._add_geoms()
        self._at = {body: (np.full(3, np.nan), np.full(4, np.nan)) for body in self._bodies}
        self._worker = Worker("mjxsim Rerun", self._write, depth=_WAITING, finish=self._finish)

    def show(self, frame: Frame) -> None:
        """Takes one control step; returns at once."""
        self._worker.put(frame)

    def close(self) -> None:
        """Logs what waits and completes the file; a second call does nothing."""
        self._worker.close(timeout=60.0)
        if self._worker.dropped:
            print(f"Rerun: {self._worker.dropped} steps came too fast and are not logged")

    @property
    def dropped(self) -> int:
        """How many frames were left out."""
        return self._worker.dropped

    def _write(self, frame: Frame) -> None:
        rr, log, status = self._rerun, self._log, frame.status
        log.set_time("step", sequence=frame.step)
        log.set_time("time", duration=frame.time)
        placed = self._poses.of(frame)
        for body, path in self._bodies.items():
            pos, quat = self._at[body]
            moved = changed(pos, placed.xpos[body])
            if changed(quat, placed.xquat[body]) or moved:
                xyzw = np.roll(quat, -1)
                turn = rr.Quaternion(xyzw=xyzw.tolist())
                log.log(path, rr.Transform3D(translation=pos.tolist(), quaternion=turn))
        for camera, picture in frame.images.items():
            log.log(["cameras", camera], rr.Image(picture).compress(jpeg_quality=_QUALITY))
        self._write_first(frame)
        log.log("observation", rr.Scalars(frame.observation))
        log.log("action", rr.Scalars(frame.action))
        log.log("reward", rr.Scalars(frame.reward))
        for flag in _FLAGS:
            value = float(vars(status)[flag])
            if math.isfinite(value):
                log.log(["status", flag], rr.Scalars(value))
        said = status.instruction, status.message
        if said[0] != self._said[0]:
            log.log("instruction", rr.TextDocument(said[0]))
        if said[1] and said[1] != self._said[1]:
            log.log("messages", rr.TextLog(said[1]))
        self._said = said

    def _write_first(self, frame: Frame) -> None:
        """What the first frame tells: the names of the lines, and what there is to arrange."""
        if self._names == frame.observation_names:
            return
        self._names = frame.observation_names
        self._blueprint(tuple(frame.images))
        lines = self._rerun.SeriesLines
        if self._names:
            self._log.log("observation", lines(names=list(self._names)), static=True)
        actions = [f"action {i}" for i in range(len(frame.action))]
        self._log.log("action", lines(names=actions), static=True)

    def _add_geoms(self) -> dict[int, list[object]]:
        """Logs the geoms, once; the entities of their bodies by the bodies' ids."""
        rr, log, model = self._rerun, self._log, self._poses.model
        log.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
        bodies: dict[int, list[object]] = {}
        for geom in triangles.shown(model):
            body = int(model.geom_bodyid[geom])
            path = bodies.setdefault(body, ["world", self._poses.names[body]])
            surface = triangles.of_geom(model, geom)
            red, green, blue, alpha = triangles.colour_of(model, geom)
            xyzw = np.roll(model.geom_quat[geom], -1)
            here = [*path, model.geom(geom).name or f"geom{geom}"]
            log.log(
                here,
                rr.Transform3D(
                    translation=model.geom_pos[geom].tolist(),
                    quaternion=rr.Quaternion(xyzw=xyzw.tolist()),
                ),
                rr.Mesh3D(
                    vertex_positions=surface.corners,
                    triangle_indices=surface.faces,
                    vertex_normals=surface.normals,
                    albedo_factor=[red, green, blue, alpha],
                ),
                static=True,
            )
        return bodies

    def _blueprint(self, cameras: tuple[str, ...]) -> None:
        """How the viewer arranges it at first."""
        rrb = self._rerun.blueprint

        pictures = [rrb.Spatial2DView(origin=f"cameras/{c}", name=c) for c in cameras]
        lines = [rrb.TimeSeriesView(origin=o, name=o) for o in ("action", "observation", "reward")]
        words = rrb.TextDocumentView(origin="instruction", name="instruction")
        eye = None
        if seen := viewpoint(self._poses.home()):
            eye = rrb.EyeControls3D(
                position=seen[0].tolist(), look_target=seen[1].tolist(), eye_up=[0.0, 0.0, 1.0]
            )
        scene = rrb.Spatial3DView(origin="world", name="world", eye_controls=eye)
        seeing = scene
        if pictures:
            seeing = rrb.Vertical(scene, rrb.Horizontal(*pictures), row_shares=[3, 1])
        self._log.send_blueprint(
            rrb.Blueprint(
                rrb.Horizontal(
                    seeing,
                    rrb.Vertical(words, *lines, row_shares=[1, 2, 2, 2]),
                    column_shares=[3, 2],
                ),
                rrb.TimePanel(timeline="step", state="collapsed"),
                collapse_panels=True,
            )
        )

    def _finish(self) -> None:
        self._log.flush()
        self._log.disconnect()


@contextlib.contextmanager
def _viewer_on_path() -> Iterator[None]:
    """Rerun looks for its viewer on PATH, which an environment that is not activated is not on."""
    before = os.environ.get("PATH", "")
    os.environ["PATH"] = os.pathsep.join(filter(None, (before, sysconfig.get_path("scripts"))))
    try:
        yield
    finally:
        os.environ["PATH"] = before

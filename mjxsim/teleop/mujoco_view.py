"""MuJoCo's own viewer as a sink."""

import dataclasses
import math
import sys
import threading
from typing import Any

import mujoco
import numpy as np

from mjxsim.teleop import screen
from mjxsim.teleop.frame import Frame
from mjxsim.teleop.poses import Poses, viewpoint

_PATIENCE = 5.0  # [s] for the viewer's threads to end


@dataclasses.dataclass(frozen=True, eq=False)
class Launched:
    """MuJoCo's passive viewer while it is open."""

    handle: Any  # what mujoco.viewer.launch_passive returns
    threads: set[threading.Thread]

    def close(self) -> None:
        """Closes the window; a second call does nothing."""
        self.handle.close()
        for thread in self.threads:  # a process that ends while one still draws crashes
            thread.join(_PATIENCE)


def launch(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    *,
    show_left_ui: bool = True,
    show_right_ui: bool = True,
) -> Launched:
    """Opens the viewer, with its panels or without.

    Raises:
      RuntimeError: there is no display, or on macOS, Python was not started as `mjpython`.
    """
    # The viewer itself would end the process, or wait for ever.
    if why := screen.why_none() or _why_no_window():
        raise RuntimeError(why)
    import mujoco.viewer

    before = set(threading.enumerate())
    handle = mujoco.viewer.launch_passive(
        model, data, show_left_ui=show_left_ui, show_right_ui=show_right_ui
    )
    return Launched(handle, set(threading.enumerate()) - before)


class MujocoView:
    """Shows a world of `model` in MuJoCo's viewer; see `mjxsim.teleop.frame.Sink`.

    `show` copies a few numbers; the viewer draws on a thread of its own. What a person pushes with
    the mouse is shown by the viewer alone and does not reach the world.

    Raises:
      RuntimeError: there is no display, or on macOS, Python was not started as `mjpython`.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model, self._data = model, Poses(model).home()
        try:
            self._viewer = launch(model, self._data, show_left_ui=False)
        except RuntimeError as error:
            raise RuntimeError(
                f"{error}; look with --viewer web or --viewer png instead"
            ) from error
        self._handle = self._viewer.handle
        if seen := viewpoint(self._data):
            self._look(*seen)

    @property
    def open(self) -> bool:
        """Whether the window has not been closed."""
        return self._handle.is_running()

    def show(self, frame: Frame) -> None:
        """Takes one control step."""
        if not self.open:
            return
        with self._handle.lock():
            self._data.time = frame.time
            self._data.qpos[:] = frame.qpos
            self._data.mocap_pos[:] = frame.mocap_pos
            self._data.mocap_quat[:] = frame.mocap_quat
            mujoco.mj_forward(self._model, self._data)
        self._handle.sync()

    def close(self) -> None:
        """Closes the window; a second call does nothing."""
        self._viewer.close()

    def _look(self, eye: np.ndarray, point: np.ndarray) -> None:
        """Puts the viewer's camera at `eye` [m], looking at `point`."""
        way = point - eye
        with self._handle.lock():
            camera = self._handle.cam
            camera.lookat[:] = point
            camera.distance = float(np.linalg.norm(way))
            camera.azimuth = math.degrees(math.atan2(way[1], way[0]))
            camera.elevation = math.degrees(math.asin(way[2] / camera.distance))


def _why_no_window() -> str | None:
    """Why GLFW, by which MuJoCo's viewer opens its window, cannot start; None if it can."""
    if sys.platform == "darwin":  # the viewer says itself that it needs mjpython
        return None
    import glfw

    said: list[str | bytes] = []
    glfw.set_error_callback(lambda _, text: said.append(text))
    if glfw.init():
        return None
    why = said[-1] if said else "GLFW does not say why"
    return f"no window can be opened ({why.decode() if isinstance(why, bytes) else why})"

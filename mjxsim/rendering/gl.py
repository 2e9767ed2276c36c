"""Offscreen pictures by MuJoCo's own OpenGL renderer, on the host, one at a time.

MuJoCo chooses its OpenGL platform from MUJOCO_GL when it is imported, and on Linux that is GLFW
unless told otherwise, which needs a display. Here the platform is chosen when the first picture is
wanted, by trying: it works after `import mujoco`, and a machine without OpenGL loses its pictures
and nothing else.
"""

import atexit
import copy
import functools
import importlib
import os
import subprocess
import sys
import weakref
from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import Protocol, Self

import mujoco
import numpy as np

from mjxsim.naming import unknown

_NONE: Mapping[str, np.ndarray] = MappingProxyType({})
_OFF = ("disable", "disabled", "off", "false", "0")
_MODULES = {
    "egl": "mujoco.egl",
    "osmesa": "mujoco.osmesa",
    "glfw": "mujoco.glfw",
    "cgl": "mujoco.cgl",
}
# Drawn in another process: a driver that is missing or broken may abort the process that asks.
_PROBE = """
import importlib, sys, mujoco
context = importlib.import_module(sys.argv[1]).GLContext(16, 16)
context.make_current()
mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), mujoco.mjtFontScale.mjFONTSCALE_50)
print("mjxsim: drawn")
"""


class NoRendererError(RuntimeError):
    """No OpenGL platform of this machine can draw offscreen; the message says what to install."""


class _Context(Protocol):
    def make_current(self) -> None: ...

    def free(self) -> None: ...


class GLRenderer:
    """Draws worlds of one compiled model.

    Use it from the thread that made it, and close it (or use it in a `with`) when done.

    Args:
      model: the compiled model; copied, for offscreen sizes are part of a model.
      size: height and width of a picture [pixels].
      camera: the name of one of the model's cameras.
      shadows: software rendering takes about eight times longer with them.

    Raises:
      ValueError: the model has no camera of that name.
      NoRendererError: nothing on this machine can draw.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        size: tuple[int, int] = (480, 640),
        camera: str = "front",
        *,
        shadows: bool = False,
    ) -> None:
        self._context: _Context | None = None  # first, for __del__ runs even if the rest fails
        names = [model.camera(i).name for i in range(model.ncam)]
        if camera not in names:
            raise ValueError(unknown("camera", camera, names))
        height, width = size
        self._model = copy.copy(model)
        self._model.vis.global_.offheight = height
        self._model.vis.global_.offwidth = width
        self._data = mujoco.MjData(self._model)
        self._nominal = model
        self._overridden: set[str] = set()
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FIXED
        self._camera.fixedcamid = names.index(camera)
        self._scene = mujoco.MjvScene(self._model, maxgeom=2 * model.ngeom + 100)
        self._scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = shadows
        self._options = mujoco.MjvOption()
        self._rect = mujoco.MjrRect(0, 0, width, height)
        self._context = open_context(width, height)
        # EGL ends at exit, before objects are deleted; a context must be gone by then.
        self._at_exit = functools.partial(_close, weakref.ref(self))
        atexit.register(self._at_exit)
        self._context.make_current()
        self._mjr = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._mjr)

    def render(
        self,
        qpos: np.ndarray,
        mocap_pos: np.ndarray,
        mocap_quat: np.ndarray,
        overrides: Mapping[str, np.ndarray] = _NONE,
    ) -> np.ndarray:
        """A picture of one world, whatever engine stepped it.

        Args:
          qpos: (nq,) [m, rad].
          mocap_pos: (nmocap, 3) [m].
          mocap_quat: (nmocap, 4) wxyz.
          overrides: values of mjModel fields in this world; those of `opt` are not visible and
            are ignored.

        Returns:
          uint8 (height, width, 3), RGB, top row first.
        """
        if self._context is None:
            raise RuntimeError("this renderer is closed")
        self._override(overrides)
        self._data.qpos[:] = qpos
        self._data.mocap_pos[:] = mocap_pos
        self._data.mocap_quat[:] = mocap_quat
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)
        mujoco.mj_tendon(self._model, self._data)
        category = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(
            self._model, self._data, self._options, None, self._camera, category, self._scene
        )
        pixels = np.empty((self._rect.height, self._rect.width, 3), np.uint8)
        self._context.make_current()
        mujoco.mjr_render(self._rect, self._scene, self._mjr)
        mujoco.mjr_readPixels(pixels, None, self._rect, self._mjr)
        return pixels[::-1].copy()  # OpenGL's first row is the lowest

    def close(self) -> None:
        """Frees the OpenGL context; closing twice is allowed."""
        if self._context is not None:
            self._context.make_current()
            self._mjr.free()
            self._context.free()
            self._context = None
            atexit.unregister(self._at_exit)

    def _override(self, overrides: Mapping[str, np.ndarray]) -> None:
        values = {k: v for k, v in overrides.items() if not k.startswith("opt.")}
        for field in self._overridden - values.keys():
            getattr(self._model, field)[:] = getattr(self._nominal, field)
        for field, value in values.items():
            target = getattr(self._model, field)
            target[:] = np.reshape(value, target.shape)
        self._overridden = set(values)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def _close(renderer: "weakref.ref[GLRenderer]") -> None:
    alive = renderer()
    if alive is not None:
        alive.close()


@functools.cache
def platform() -> str:
    """The OpenGL platform that can draw offscreen here: MUJOCO_GL if set, else the first to work.

    Tried once per process, in a process of its own (about a second).

    Raises:
      NoRendererError: none can; the message says what to install.
    """
    reasons = []
    for name in _candidates():
        reason = _why_not(name)
        if reason is None:
            return name
        reasons.append(f"{name}: {reason}")
    asked = os.environ.get("MUJOCO_GL")
    if asked:
        advice = "unset MUJOCO_GL"
    elif sys.platform == "linux":
        advice = "apt-get install libegl1 libgl1-mesa-dri, or libosmesa6"
    else:
        advice = "install a graphics driver"
    tried = "; ".join(reasons) or f"MUJOCO_GL={asked} turns it off"
    raise NoRendererError(f"cannot draw offscreen with OpenGL ({tried}): {advice}")


def _candidates() -> tuple[str, ...]:
    asked = os.environ.get("MUJOCO_GL", "").lower().strip()
    if asked in _OFF:
        return ()
    if asked in _MODULES:
        return (asked,)
    if sys.platform == "darwin":
        return ("cgl", "glfw")
    if sys.platform != "linux":
        return ("glfw",)
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return ("egl", "glfw", "osmesa")
    return ("egl", "osmesa")


def _why_not(name: str) -> str | None:
    """None if a platform can draw, else the reason in one line."""
    # MuJoCo imports the platform of MUJOCO_GL by itself, and each platform sets PYOPENGL_PLATFORM.
    environment = {**os.environ, "MUJOCO_GL": name}
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE, _MODULES[name]],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if probe.returncode == 0 and "mjxsim: drawn" in probe.stdout:
        return None
    lines = [line for line in probe.stderr.splitlines() if line.strip()]
    return lines[-1][:100] if lines else f"the driver ended with code {probe.returncode}"


def open_context(width: int, height: int) -> _Context:
    """A new context of `platform()`; it belongs to the thread that calls.

    Raises:
      NoRendererError: none can be opened.
    """
    name = platform()
    try:
        return importlib.import_module(_MODULES[name]).GLContext(width, height)
    except (ImportError, AttributeError, RuntimeError) as error:
        raise NoRendererError(
            f"OpenGL platform {name!r} works, but not in this process ({error}): another OpenGL "
            "platform was loaded before; set MUJOCO_GL to the one in use"
        ) from error

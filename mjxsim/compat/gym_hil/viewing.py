"""Seeing gym-hil's worlds: MuJoCo's viewer, or a window with both cameras."""

import os
from typing import Any

import gymnasium
import mujoco
import numpy as np

from mjxsim.compat.gym_hil.scene import CAMERAS
from mjxsim.compat.gym_hil.spaces import HilObservation
from mjxsim.compat.gym_hil.wrappers import Stepped, Wrapped, base
from mjxsim.envs.gym_env import Info
from mjxsim.rendering import NoRendererError
from mjxsim.teleop.devices import DeviceError
from mjxsim.teleop.devices.sdl import SdlEvents
from mjxsim.teleop.mujoco_view import Launched, launch

_SCALE = 3  # pixels of the window for one of a picture


class PassiveViewerWrapper(gymnasium.Wrapper[HilObservation, np.ndarray, Any, Any]):
    """MuJoCo's interactive viewer, which opens at the first reset and shows every step.

    Raises:
      mjxsim.rendering.NoRendererError: there is no display; at the first reset.
    """

    def __init__(
        self, env: Wrapped, *, show_left_ui: bool = False, show_right_ui: bool = False
    ) -> None:
        super().__init__(env)
        self._panels = {"show_left_ui": show_left_ui, "show_right_ui": show_right_ui}
        self._data = mujoco.MjData(base(env).model)
        self._viewer: Launched | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[HilObservation, Info]:
        observed, info = self.env.reset(seed=seed, options=options)
        if self._viewer is None:
            self._viewer = _passive(base(self.env).model, self._data, self._panels)
        self._show()
        return observed, info

    def step(self, action: np.ndarray) -> Stepped:
        observed, reward, terminated, truncated, info = self.env.step(action)
        self._show()
        return observed, float(reward), terminated, truncated, info

    def close(self) -> None:
        """Closes the viewer and the environment."""
        if self._viewer is not None:
            self._viewer.close()
            self._viewer = None
        super().close()

    def _show(self) -> None:
        if self._viewer is None or not self._viewer.handle.is_running():
            return  # somebody closed it
        world, handle = base(self.env), self._viewer.handle
        with handle.lock():
            self._data.qpos[:] = world.state.physics.qpos
            mujoco.mj_kinematics(world.model, self._data)
            mujoco.mj_comPos(world.model, self._data)
            mujoco.mj_camlight(world.model, self._data)
        handle.sync()


class CameraWindowWrapper(gymnasium.Wrapper[HilObservation, np.ndarray, Any, Any]):
    """A window with what the front and the wrist camera see; the keyboard device listens to it.

    Raises:
      mjxsim.rendering.NoRendererError: pygame is not installed, or there is no display.
    """

    def __init__(self, env: Wrapped) -> None:
        super().__init__(env)
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        try:
            import pygame
        except ImportError as error:
            raise NoRendererError(
                'a camera window needs pygame: python -m pip install "mjxsim[teleop]"'
            ) from error
        settings = base(env).settings
        height, width = settings.picture if settings.image_obs else base(env).drawn_size
        try:
            SdlEvents()  # starts SDL, and refuses to where it would draw what nobody can see
            self._window = pygame.display.set_mode((len(CAMERAS) * width * _SCALE, height * _SCALE))
        except (DeviceError, pygame.error) as error:
            why = error.__cause__ or error  # what SdlEvents advises is for the command line
            raise NoRendererError(
                f"no display for a camera window ({why}): pass use_viewer=False and "
                "display_cameras=False, or run under xvfb-run"
            ) from error
        pygame.display.set_caption("mjxsim: front and wrist camera")
        self._pygame = pygame

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[HilObservation, Info]:
        observed, info = self.env.reset(seed=seed, options=options)
        self._show()
        return observed, info

    def step(self, action: np.ndarray) -> Stepped:
        observed, reward, terminated, truncated, info = self.env.step(action)
        self._show()
        return observed, float(reward), terminated, truncated, info

    def close(self) -> None:
        """Closes the window and the environment."""
        if self._pygame.display.get_init():
            self._pygame.display.quit()
        super().close()

    def _show(self) -> None:
        pygame = self._pygame
        if not pygame.display.get_init() or pygame.display.get_surface() is None:
            return  # somebody closed it
        seen = base(self.env).pictures()
        wide = np.concatenate([seen[name] for name in CAMERAS], axis=1)
        surface = pygame.surfarray.make_surface(wide.swapaxes(0, 1))
        self._window.blit(pygame.transform.scale(surface, self._window.get_size()), (0, 0))
        pygame.display.flip()
        pygame.event.pump()


def _passive(model: mujoco.MjModel, data: mujoco.MjData, panels: dict[str, bool]) -> Launched:
    try:
        return launch(model, data, **panels)
    except Exception as error:  # GLFW and the viewer each have errors of their own
        raise NoRendererError(
            f"MuJoCo's viewer does not open: {error}; pass use_viewer=False, take an id without "
            "Viewer, or run under xvfb-run (on macOS, under mjpython)"
        ) from error

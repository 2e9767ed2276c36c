"""Pictures of worlds for people, from any camera and at any size; for policies see `pixels`."""

import types
from collections.abc import Callable, Sequence
from typing import Self

import flax.struct
import jax
import numpy as np

from mjxsim.envs.env import Env, State
from mjxsim.envs.pixels import Eyes
from mjxsim.physics import PhysicsState
from mjxsim.physics.base import Overrides
from mjxsim.physics.compile import jit
from mjxsim.rendering import GLRenderer, Image, View, Visual, make_renderer


class Shot(flax.struct.PyTreeNode):
    """What a picture of one world depends on; also of many, with leading axes."""

    physics: PhysicsState  # without what only its engine knows
    overrides: Overrides
    visual: Visual | None  # None as the model says

    @classmethod
    def of(cls, state: State) -> Self:
        """How a world looks now."""
        visual = None if state.sight is None else state.sight.visual
        return cls(state.physics.replace(raw={}), state.overrides, visual)


class Painter:
    """Draws worlds of one environment; use it in a `with`, or close it.

    Where every world looks as the model says, MuJoCo's OpenGL draws them. Looks that are randomized
    (`RandomizationConfig.visual`, of an environment with cameras) are drawn as cameras see them,
    but for what those do to their pictures.

    Args:
      env: the environment.
      size: height and width of a picture [pixels].
      camera: the name of one of the scene's cameras.

    Raises:
      ValueError: the scene has no camera of that name.
      NoRendererError: nothing on this machine can draw.
    """

    def __init__(self, env: Env, size: tuple[int, int], camera: str) -> None:
        self._gl: GLRenderer | None = None
        self._looks: Callable[[Shot], Image] | None = None
        if env.eyes is None or env.eyes.randomizer is None:
            self._gl = GLRenderer(env.engine.model, size, camera)
        else:
            self._looks = _drawer(env.eyes, size, camera)

    def draw(self, shots: Shot, which: Sequence[int] | None = None) -> np.ndarray:
        """Pictures, uint8 (n, height, width, 3), top row first.

        Args:
          shots: of worlds; a new number of them may take a new compilation.
          which: the worlds that are wanted, n of them; None is all.
        """
        if self._looks is not None:
            drawn = np.asarray(self._looks(shots).rgb)
            return drawn if which is None else drawn[np.asarray(which, int)]
        if self._gl is None:
            raise RuntimeError("this painter is closed")
        p = shots.physics
        worlds = jax.device_get((p.qpos, p.mocap_pos, p.mocap_quat, dict(shots.overrides)))
        which = range(len(worlds[0])) if which is None else which
        each = [jax.tree.map(lambda x, i=i: x[i], worlds) for i in which]
        return np.stack([self._gl.render(*world) for world in each])

    def close(self) -> None:
        """Frees what draws; closing twice is allowed."""
        if self._gl is not None:
            self._gl.close()
        self._gl = self._looks = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        self.close()


def _drawer(eyes: Eyes, size: tuple[int, int], camera: str) -> Callable[[Shot], Image]:
    view = View(camera, *size, shadows=eyes.config.shadows)
    render = make_renderer("auto", eyes.scene, view, announce=False)

    def one(shot: Shot) -> Image:
        looks = (shot.visual or Visual.of(eyes.scene)).overridden(eyes.scene, shot.overrides)
        return render(shot.physics, looks)

    return jit(jax.vmap(one), draws=True)

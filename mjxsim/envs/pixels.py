"""What a world's cameras see, as part of its observation.

Pictures are drawn once for each control step, after episodes that ended have been restarted: the
last picture of an episode that is over is not drawn.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim.naming import check_count, check_names, unknown
from mjxsim.physics import PhysicsState
from mjxsim.physics.base import Overrides
from mjxsim.randomization import post_processing
from mjxsim.randomization.frequency import Keys, renewed
from mjxsim.randomization.post_processing import PostProcessing
from mjxsim.randomization.visual import VisualRandomizer, visual_randomizer, visual_scene
from mjxsim.randomization.visual_config import CameraRandomization, VisualRandomization
from mjxsim.rendering import Renderer, Scene, View, Visual, make_renderers
from mjxsim.rendering.postprocess.frames import Frames, push
from mjxsim.rendering.postprocess.frames import init as stream_of
from mjxsim.robots.base import RobotSpec

STATE = "observation.state"  # keys as LeRobot has them
IMAGES = "observation.images"


@dataclasses.dataclass(frozen=True)
class CameraConfig:
    """The cameras of an environment; none by default."""

    names: tuple[str, ...] = ()
    height: int = 64  # [pixels]
    width: int = 64
    frames: int = 1  # pictures that are shown at once, the newest last
    shadows: bool = True
    samples: int = 1  # rays along each side of a pixel
    renderer: str = "auto"  # "jax", "gl" or "warp"; see docs/rendering.md
    # Named parts of the observation that must be seen in the pictures. A critic still knows them.
    hidden: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for names, sizes or numbers that cannot be."""
        check_names("cameras.names", self.names)
        check_names("cameras.hidden", self.hidden)
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"cameras.names must differ from one another, got {self.names}")
        for name in ("height", "width", "frames", "samples"):
            check_count(f"cameras.{name}", getattr(self, name))
        if self.hidden and not self.names:
            raise ValueError(
                f"cameras.hidden {self.hidden} needs a camera that sees what is hidden: set "
                "cameras.names"
            )


class Sight(flax.struct.PyTreeNode):
    """How one world looks, and its newest pictures; c cameras."""

    visual: Visual | None  # None where it is not randomized
    draws: post_processing.Draws | None  # (c, ...) what each camera does in this episode
    frames: Frames | None  # (c, ...) pictures on their way
    pixels: dict[str, jax.Array]  # by camera: uint8 (height, width, 3 * frames), the newest last


@dataclasses.dataclass(frozen=True, eq=False)
class Eyes:
    """The cameras bound to a scene."""

    config: CameraConfig
    scene: Scene
    draw: Renderer  # of all the cameras
    visible: np.ndarray  # which entries of the observation are not hidden
    random: VisualRandomization
    randomizer: VisualRandomizer | None

    @classmethod
    def build(
        cls,
        config: CameraConfig,
        random: VisualRandomization,
        model: mujoco.MjModel,
        robot: RobotSpec,
        layout: Mapping[str, slice],
        *,
        announce: bool = True,
    ) -> Self:
        """Raises ValueError, one line, for an unknown camera, renderer or part to hide."""
        scene, c = visual_scene(random, model), config
        view = View(c.names[0], c.height, c.width, c.shadows, c.samples)
        draw = make_renderers(c.renderer, scene, c.names, view, announce=announce)
        for name in config.hidden:
            if name not in layout:
                raise ValueError(unknown("part of the observation to hide", name, layout))
        shown = [np.arange(s.start, s.stop) for n, s in layout.items() if n not in config.hidden]
        if not shown:
            raise ValueError(
                "cameras.hidden hides all of the observation: leave at least one part of it, such "
                f"as {next(iter(layout))!r}"
            )
        randomizer = visual_randomizer(random, scene, robot) if random.changes_looks else None
        if announce and (kind := _moves_none(config, random, scene)):
            print(
                f"mjxsim: randomization.visual.{kind} moves none of the cameras {[*config.names]}"
            )
        return cls(config, scene, draw, np.concatenate(shown), random, randomizer)

    @property
    def lasting(self) -> bool:
        """Whether anything is drawn once per world."""
        return self.random.frequency == "session" and self.random != VisualRandomization()

    def begin(self, keys: Keys, width: jax.Array) -> Sight:
        """How a world looks when an episode begins; nothing is seen yet."""
        c, process = self.config, self.random.post_processing
        visual, draws = self._draw(keys.of(self.random.frequency), width)
        blank = jnp.zeros((c.height, c.width, 3), jnp.uint8)
        stream = None
        if process.drop is not None or process.delay is not None:
            one = stream_of(blank, process.longest_delay)
            stream = jax.tree.map(lambda x: jnp.stack([x] * len(c.names)), one)
        stack = jnp.tile(blank, c.frames)
        return Sight(visual, draws, stream, dict.fromkeys(c.names, stack))

    def look(
        self,
        sight: Sight,
        physics: PhysicsState,
        overrides: Overrides,
        step_count: jax.Array,
        key: jax.Array,
        width: jax.Array,
    ) -> Sight:
        """The pictures of now.

        Args:
          sight: the last ones.
          physics: the world.
          overrides: its model's fields.
          step_count: int32 (), 0 at an episode's beginning, which has no earlier pictures.
          key: for this step.
          width: () how far ranges are open.
        """
        c, first = self.config, step_count == 0
        draw_key, picture_key = jax.random.split(key)
        visual, draws = renewed(
            self.random.frequency,
            lambda: self._draw(draw_key, width),
            (sight.visual, sight.draws),
            step_count,
        )
        looks = (visual or Visual.of(self.scene)).overridden(self.scene, overrides)
        drawn = self.draw(physics, looks).rgb
        drawn, stream = self._process(picture_key, drawn, draws, sight.frames, first)
        pixels = {}
        for name, new in zip(c.names, drawn, strict=True):
            older = jnp.where(first, jnp.tile(new, c.frames)[..., 3:], sight.pixels[name][..., 3:])
            pixels[name] = jnp.concatenate([older, new], axis=-1)
        return Sight(visual, draws, stream, pixels)

    def _draw(
        self, key: jax.Array, width: jax.Array
    ) -> tuple[Visual | None, post_processing.Draws | None]:
        look_key, camera_key = jax.random.split(key)
        visual = None if self.randomizer is None else self.randomizer(look_key, width)
        process = self.random.post_processing
        if process == PostProcessing():
            return visual, None
        keys = jax.random.split(camera_key, len(self.config.names))
        draws = jax.vmap(lambda key: post_processing.draw(process, key, width))(keys)
        return visual, draws

    def _process(
        self,
        key: jax.Array,
        images: jax.Array,
        draws: post_processing.Draws | None,
        stream: Frames | None,
        first: jax.Array,
    ) -> tuple[jax.Array, Frames | None]:
        """What the cameras give for their pictures (c, height, width, 3)."""
        process = self.random.post_processing
        if draws is None:
            return images, stream
        noise_key, drop_key = jax.random.split(key)
        keys = jax.random.split(noise_key, len(images))
        images = jax.vmap(functools.partial(post_processing.process, process))(keys, images, draws)
        if stream is None:
            return images, None
        begun = jax.vmap(lambda image: stream_of(image, process.longest_delay))(images)
        frames: Frames = jax.tree.map(lambda new, old: jnp.where(first, new, old), begun, stream)

        def pushed(
            frames: Frames, key: jax.Array, image: jax.Array, d: post_processing.Draws
        ) -> tuple[Frames, jax.Array]:
            return push(frames, key, image, drop=d.drop, delay=d.delay)

        keys = jax.random.split(drop_key, len(images))
        stream, images = jax.vmap(pushed)(frames, keys, images, draws)
        return images, stream


def _moves_none(config: CameraConfig, random: VisualRandomization, scene: Scene) -> str | None:
    """Which kind of camera is randomized and not looked through, if one is."""
    standing = {scene.camera(name).body == 0 for name in config.names}
    kinds = (("camera", random.camera, True), ("hand_camera", random.hand_camera, False))
    given = [(kind, there in standing) for kind, r, there in kinds if r != CameraRandomization()]
    return next((kind for kind, seen in given if not seen), None) if len(given) == 1 else None

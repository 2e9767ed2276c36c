"""What gym-hil's environments are told, as one frozen configuration, and what it makes of mjxsim.

gym-hil itself takes the first eight; the others are what guides for it pass, which it ignores.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from mjxsim.compat.gym_hil import tasks
from mjxsim.compat.gym_hil.checks import check, check_switches, finite, positive, whole
from mjxsim.compat.gym_hil.control import OpspaceConfig
from mjxsim.compat.gym_hil.scene import CAMERAS
from mjxsim.envs import CameraConfig, Env
from mjxsim.envs.make import compose
from mjxsim.naming import unknown
from mjxsim.randomization import STANDARD_VISUAL, RandomizationConfig
from mjxsim.randomization.frequency import check_frequency
from mjxsim.robots.panda_robotiq import PANDA_ROBOTIQ

Task = Literal["PandaPickCube", "PandaArrangeBoxes"]
RENDER_MODES = ("rgb_array", "human")
REWARDS = ("sparse", "dense")
CONTROL_MODES = ("gamepad", "keyboard", "spacemouse", "policy")
EE_STEP = 0.025  # [m] for an action of 1; hil_wrappers.py, DEFAULT_EE_STEP_SIZE

# What `enable_domain_randomization` alone does: a range for each thing that differs most between a
# simulation and a table, narrow enough that the task stays possible.
STANDARD_PHYSICS: dict[str, object] = {
    "object_properties": {"mass_range": [0.5, 2.0], "friction_range": [0.5, 1.2]},
    "robot_parameters": {"joint_damping_range": [0.5, 2.0]},
}


@dataclasses.dataclass(frozen=True)
class GymRenderingSpec:
    """How large pictures are; camera_id and mode are there for gym-hil's signature."""

    height: int = 128
    width: int = 128
    camera_id: str | int = -1
    mode: Literal["rgb_array", "human"] = "rgb_array"

    def __post_init__(self) -> None:
        if not all(whole(n) and n > 0 for n in (self.height, self.width)):
            raise ValueError(
                f"render_spec takes height and width [pixels], got {self.height!r}x{self.width!r}"
            )


@dataclasses.dataclass(frozen=True)
class Settings:
    """Of one environment; hashable, so that what is compiled for it is compiled once."""

    task: Task
    seed: int | None = 0
    control_dt: float = 0.1  # [s]
    physics_dt: float = 0.002  # [s]
    render_spec: GymRenderingSpec = GymRenderingSpec()
    render_mode: Literal["rgb_array", "human"] | None = "rgb_array"
    image_obs: bool = False
    reward_type: Literal["sparse", "dense"] = "sparse"
    random_block_position: bool = False
    # Pictures are drawn as `render_spec` says, and then resized to this (height, width).
    resize_size: tuple[int, int] | None = None
    control_time_s: float | None = None  # [s] after which an episode is truncated; None: never
    fixed_reset_joint_positions: tuple[float, ...] | None = None  # (7,) [rad] instead of home
    # Whether agent_pos ends with the joints' mean velocities over the last step, as LeRobot's
    # wrapper of that name appends them: (25,) instead of (18,).
    add_joint_velocity_to_observation: bool = False
    randomization: RandomizationConfig | None = None
    # Whether a gripper action of 2 opens, as its name says, rather than closes, as in gym-hil.
    corrected_gripper: bool = False
    engine: str = "c"

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for a value that cannot be."""
        check("render_mode", self.render_mode, (*RENDER_MODES, None))
        check("reward_type", self.reward_type, REWARDS)
        check_switches(
            image_obs=self.image_obs,
            random_block_position=self.random_block_position,
            add_joint_velocity_to_observation=self.add_joint_velocity_to_observation,
            corrected_gripper=self.corrected_gripper,
        )
        times = {"control_dt": self.control_dt, "physics_dt": self.physics_dt}
        if self.control_time_s is not None:
            times["control_time_s"] = self.control_time_s
        for name, seconds in times.items():
            if not positive(seconds):
                raise ValueError(f"{name} must be a positive number [s], got {seconds!r}")
        steps = self.control_dt / self.physics_dt
        if round(steps) < 1 or not math.isclose(steps, round(steps), rel_tol=1e-6):
            raise ValueError(
                f"control_dt {self.control_dt} s must be a multiple of the physics timestep "
                f"physics_dt, {self.physics_dt} s"
            )
        if self.seed is not None and not (whole(self.seed) and self.seed >= 0):
            raise ValueError(f"seed must be a whole number, not negative, got {self.seed!r}")
        if self.task != "PandaPickCube" and self.random_block_position:
            raise ValueError(
                f"random_block_position is a setting of PandaPickCube, not {self.task}"
            )
        size = self.resize_size
        if size is not None and not (len(size) == 2 and all(whole(n) and n > 0 for n in size)):
            raise ValueError(f"resize_size is (height, width) [pixels], got {size}")
        joints = self.fixed_reset_joint_positions
        if joints is not None and not (len(joints) == tasks.JOINTS and all(map(finite, joints))):
            raise ValueError(
                f"fixed_reset_joint_positions takes {tasks.JOINTS} finite angles [rad], "
                f"got {joints}"
            )

    @property
    def picture(self) -> tuple[int, int]:
        """Height and width of a picture in an observation."""
        return self.resize_size or (self.render_spec.height, self.render_spec.width)

    @property
    def agent_size(self) -> int:
        """Of agent_pos."""
        return 18 + tasks.JOINTS * self.add_joint_velocity_to_observation


def settings_of(task: Task, given: Mapping[str, Any]) -> Settings:
    """Settings from keywords; `wrapper_kwargs`-style names of randomization are understood.

    Raises:
      ValueError: one line, for a keyword that does not exist or a value that cannot be.
    """
    given = dict(given)
    switches = {k: given.pop(k, None) for k in RANDOMIZATION}
    _check_randomization(**switches)
    if switches["enable_domain_randomization"] or any(switches[k] for k in KINDS):
        given["randomization"] = _randomization(**switches)
    valid = {f.name for f in dataclasses.fields(Settings)} - {"task"}
    for name in given:
        if name not in valid:
            raise ValueError(unknown(f"setting of {task}", name, {*valid, *RANDOMIZATION}))
    for name in ("resize_size", "fixed_reset_joint_positions"):
        if given.get(name) is not None:
            given[name] = tuple(np.ravel(given[name]).tolist())
    if "render_spec" in given:
        given["render_spec"] = _render_spec(given["render_spec"])
    return Settings(task=task, **given)


def _render_spec(given: Any) -> GymRenderingSpec:
    """Ours, one from a dictionary of its fields, or from gym-hil's own where both are installed."""
    if isinstance(given, GymRenderingSpec):
        return given
    if isinstance(given, Mapping):
        fields = [f.name for f in dataclasses.fields(GymRenderingSpec)]
        for name in given:
            if name not in fields:
                raise ValueError(unknown("field of render_spec", str(name), fields))
        return GymRenderingSpec(**given)
    try:
        return GymRenderingSpec(given.height, given.width)
    except AttributeError:
        raise ValueError(
            f"render_spec is a GymRenderingSpec(height, width) [pixels], got {given!r}"
        ) from None


KINDS = ("visual_randomization", "physics_randomization")
RANDOMIZATION = ("enable_domain_randomization", *KINDS, "randomization_frequency")


def _check_randomization(
    enable_domain_randomization: Any, randomization_frequency: Any, **kinds: Any
) -> None:
    """Raises ValueError, one line, whether or not anything is switched on; None is not said."""
    if enable_domain_randomization is not None:
        check_switches(enable_domain_randomization=enable_domain_randomization)
    for name, value in kinds.items():
        if not isinstance(value, bool | Mapping | None):
            raise ValueError(f"{name} is True, False or a dictionary, got {value!r}")
    if randomization_frequency is not None:
        check_frequency("randomization_frequency", randomization_frequency)


def _randomization(
    enable_domain_randomization: bool | None,
    visual_randomization: bool | Mapping[str, object] | None,
    physics_randomization: bool | Mapping[str, object] | None,
    randomization_frequency: str | None,
) -> RandomizationConfig | None:
    """`enable_domain_randomization` False switches all of it off; True alone is both, as standard.

    A dictionary is one of `mjxsim.randomization`, True a standard one, False none. Of what is not
    said there is none where the other is asked for, and a standard one where the other is refused.
    """
    if enable_domain_randomization is not None and not enable_domain_randomization:
        return None
    looks = not physics_randomization if visual_randomization is None else visual_randomization
    physics = not visual_randomization if physics_randomization is None else physics_randomization
    config = RandomizationConfig.from_dict(
        physics=STANDARD_PHYSICS if physics is True else physics or None,
        visual=looks if isinstance(looks, Mapping) else None,
        frequency=randomization_frequency,
    )
    if looks is True:
        standard = dataclasses.replace(STANDARD_VISUAL, frequency=config.visual.frequency)
        config = dataclasses.replace(config, visual=standard)
    return config


def make(
    settings: Settings,
    step: tuple[float, float, float] = (EE_STEP, EE_STEP, EE_STEP),
    *,
    episode_seconds: float = math.inf,
    announce: bool = False,
) -> Env:
    """The environment as one of mjxsim: pure, unbatched; actions (4,) in [-1, 1].

    Args:
      settings: what gym-hil's would be told.
      step: [m] that the target moves along x, y, z for an action of 1.
      episode_seconds: [s] after which an episode is truncated where `control_time_s` is None.
      announce: print which engine and renderer "auto" chose, and why.
    """
    limit = settings.control_time_s or episode_seconds
    if math.isinf(limit):
        limit = 1e6 * settings.control_dt
    home = settings.fixed_reset_joint_positions
    common = {
        "control_dt": settings.control_dt,
        "physics_dt": settings.physics_dt,
        "episode_seconds": limit,
        "sparse_reward": settings.reward_type == "sparse",
        "joint_velocity": settings.add_joint_velocity_to_observation,
        **({} if home is None else {"home": home}),
    }
    low, high = OpspaceConfig().bounds
    if settings.task == "PandaPickCube":
        task = tasks.PickCube
        config = tasks.PickCubeConfig(
            **common, random_block_position=settings.random_block_position
        )
    else:
        task, config = tasks.ArrangeBoxes, tasks.ArrangeBoxesConfig(**common)
        low, high = (low[0], -0.5, low[2]), (high[0], 0.5, high[2])
    cameras = None
    if settings.image_obs:
        cameras = CameraConfig(
            names=CAMERAS,
            height=settings.render_spec.height,
            width=settings.render_spec.width,
            hidden=("environment_state",),
        )
    return compose(
        f"gym_hil/{settings.task}",
        task,
        config,
        PANDA_ROBOTIQ,
        settings.engine,
        control=OpspaceConfig(step, (low, high), config.home, settings.corrected_gripper),
        cameras=cameras,
        randomization=settings.randomization,
        announce=announce,
    )

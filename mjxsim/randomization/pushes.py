"""Pushes: short random forces on bodies."""

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim.naming import check_names, unknown
from mjxsim.randomization.ranges import MaybeRange, Range, check_range
from mjxsim.robots.base import RobotSpec

__all__ = ["PushRandomization", "Pushes"]


@dataclasses.dataclass(frozen=True)
class PushRandomization:
    """A force on a body's centre of mass, at a random moment of every interval.

    Times are rounded to whole control steps; during a push the force is constant.

    Attributes:
      force: How strong a push is [N]; None for no pushes.
      interval: Every one that an episode goes through has one push [s].
      duration: How long a push lasts [s], at most the interval.
      bodies: Names of those that are pushed, each push one of them, as likely as the others. None
        given means every free body of the scene or, where there is none, the robot's hands.
      horizontal: Whether the direction lies in the plane of the table, or is uniform on a sphere.
    """

    force: MaybeRange = None
    interval: float = 1.0
    duration: float = 0.1
    bodies: tuple[str, ...] = ()
    horizontal: bool = True

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for a value out of its range."""
        check_names("push bodies", self.bodies)
        check_range("push force", self.force, least=0.0, hows=("absolute",))
        if not 0.0 < self.duration <= self.interval:
            raise ValueError(
                f"push duration must be positive and at most the interval ({self.interval} s), "
                f"got {self.duration} s"
            )


@dataclasses.dataclass(frozen=True, eq=False)
class Pushes:
    """`PushRandomization` in a scene; a pure function of an episode's key and the time in it."""

    force: Range
    interval: int  # [control steps]
    duration: int  # [control steps]
    bodies: np.ndarray  # (n,) int, ids
    nbody: int
    horizontal: bool

    @classmethod
    def build(
        cls, config: PushRandomization, model: mujoco.MjModel, robot: RobotSpec, period: float
    ) -> "Pushes | None":
        """Resolves names to ids; None without pushes. `period` is a control step [s].

        Raises:
          ValueError: an unknown body (with the nearest valid one), one that cannot move, or a
            duration that rounds to no step.
        """
        if config.force is None:
            return None
        duration = round(config.duration / period)
        if duration == 0:
            raise ValueError(
                f"a push of {config.duration} s is over before it is felt: it rounds to whole "
                f"control steps of {period:g} s"
            )
        bodies = [_moving(model, name) for name in config.bodies or _usual(model, robot)]
        return cls(
            force=config.force,
            interval=round(config.interval / period),
            duration=duration,
            bodies=np.array(bodies),
            nbody=model.nbody,
            horizontal=config.horizontal,
        )

    def wrench(self, key: jax.Array, width: jax.Array | float, step_count: jax.Array) -> jax.Array:
        """Forces [N] and torques [N m] on every body, (nbody, 6), as `Engine.step` takes them.

        Args:
          key: of the episode, the same at each of its steps.
          width: of the force's range, ().
          step_count: of this episode before this step, int32 ().
        """
        interval_key = jax.random.fold_in(key, step_count // self.interval)
        moment_key, body_key, force_key, direction_key = jax.random.split(interval_key, 4)
        start = jax.random.randint(moment_key, (), 0, self.interval - self.duration + 1)
        since = step_count % self.interval - start
        now = (since >= 0) & (since < self.duration)
        body = jnp.asarray(self.bodies)[jax.random.randint(body_key, (), 0, len(self.bodies))]
        direction = jax.random.normal(direction_key, (3,))
        if self.horizontal:
            direction = direction * jnp.array([1.0, 1.0, 0.0])
        direction = direction / jnp.maximum(jnp.linalg.norm(direction), 1e-6)
        force = jnp.where(now, self.force.draw(force_key, 0.0, width), 0.0) * direction
        pushed = (jnp.arange(self.nbody) == body)[:, None]
        return jnp.where(pushed, jnp.concatenate([force, jnp.zeros(3)]), 0.0)


def _moving(model: mujoco.MjModel, name: str) -> int:
    body = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name)
    movable = [model.body(i).name for i in range(1, model.nbody) if model.body_treeid[i] >= 0]
    if body < 0:
        raise ValueError(unknown("body to push", name, movable))
    if name not in movable:
        raise ValueError(f"body {name!r} is fixed and cannot be pushed: {', '.join(movable)} can")
    return body


def _usual(model: mujoco.MjModel, robot: RobotSpec) -> list[str]:
    """The free bodies of a scene or, without any, the robot's hands."""
    free = model.jnt_type == mujoco.mjtJoint.mjJNT_FREE
    names = [model.body(model.jnt_bodyid[j]).name for j in np.flatnonzero(free)]
    return names or [arm.hand_body for arm in robot.arms]

"""What a physics engine is: one unbatched, pure, functional interface.

`vmap` adds the worlds. Three engines implement it with the same meaning: MJX-JAX and MJX-Warp
(`mjx.py`, `warp.py`) and C MuJoCo (`mujoco_c.py`).
"""

from collections.abc import Mapping
from typing import Protocol

import flax.struct
import jax
import jax.numpy as jnp
import mujoco
import numpy as np

# Per-world values of mjModel fields, by field name ("body_mass", "opt.gravity", ...).
Overrides = Mapping[str, jax.Array]

# A generalized velocity beyond this is a diverged simulation, not a fast robot. [rad/s, m/s]
MAX_SPEED = 1e4


class Faults(flax.struct.PyTreeNode):
    """What went wrong in one world since its last reset; counts of control steps."""

    diverged: jax.Array  # int32 (), steps whose result was not finite and was discarded
    contact_overflow: jax.Array  # int32 (), steps with more contacts than the engine has room for
    constraint_overflow: jax.Array  # int32 (), the same for constraint rows

    @classmethod
    def none(cls) -> "Faults":
        zero = jnp.zeros((), jnp.int32)
        return cls(zero, zero, zero)

    def add(self, diverged: jax.Array, contact: jax.Array, constraint: jax.Array) -> "Faults":
        """Counts one step's faults (bool or int, ())."""
        return Faults(
            self.diverged + diverged.astype(jnp.int32),
            self.contact_overflow + contact.astype(jnp.int32),
            self.constraint_overflow + constraint.astype(jnp.int32),
        )


class PhysicsState(flax.struct.PyTreeNode):
    """One world at the end of a control step. Frames are the world's; quaternions are wxyz.

    Poses and the sensors of the position and velocity stages are current. Sensors of the
    acceleration stage (forces) describe the last substep, and are zero after `init`.
    """

    time: jax.Array  # () [s] since reset
    qpos: jax.Array  # (nq,) [m, rad]
    qvel: jax.Array  # (nv,) [m/s, rad/s]
    ctrl: jax.Array  # (nu,) as the actuators take it
    mocap_pos: jax.Array  # (nmocap, 3) [m]
    mocap_quat: jax.Array  # (nmocap, 4)
    xpos: jax.Array  # (nbody, 3) [m]
    xquat: jax.Array  # (nbody, 4)
    site_xpos: jax.Array  # (nsite, 3) [m]
    site_xmat: jax.Array  # (nsite, 3, 3)
    sensordata: jax.Array  # (nsensordata,)
    faults: Faults
    raw: dict[str, jax.Array]  # what else the engine must carry; opaque


class Engine(Protocol):
    """Steps worlds of one compiled model; every method is pure, unbatched and vmappable."""

    @property
    def name(self) -> str:
        """As `mjxsim.make` takes it."""
        ...

    @property
    def model(self) -> mujoco.MjModel:
        """The nominal model."""
        ...

    @property
    def on_host(self) -> bool:
        """Whether it steps on the host's processor, wherever the rest of a program runs."""
        ...

    @property
    def substeps(self) -> int:
        """Physics steps per control step."""
        ...

    def init(
        self,
        overrides: Overrides,
        qpos: jax.Array,
        qvel: jax.Array,
        ctrl: jax.Array,
        mocap_pos: jax.Array,
        mocap_quat: jax.Array,
    ) -> PhysicsState:
        """A world at rest in time at the given state; shapes as in `PhysicsState`."""
        ...

    def step(
        self,
        overrides: Overrides,
        physics: PhysicsState,
        ctrl: jax.Array,
        wrench: jax.Array | None = None,
        *,
        poses: bool = True,
    ) -> PhysicsState:
        """Advances `substeps` physics steps under a constant `ctrl` (nu,), then updates poses.

        With `poses` false those, and sensors of the position and velocity stages, may be left as
        they were, for whoever steps again before looking; `look` then brings them up to date.

        `wrench` (nbody, 6) is a force [N] and then a torque [N m] on every body at its centre of
        mass, in the world's frame, during this step and no longer; None for none.

        A step that ends in a state that is not finite, or faster than `MAX_SPEED`, is discarded:
        the world keeps the state it had and `faults.diverged` counts it.
        """
        ...

    def look(self, overrides: Overrides, physics: PhysicsState) -> PhysicsState:
        """The same world with its poses, and sensors of position and velocity, up to date."""
        ...


def is_sane(qpos: jax.Array, qvel: jax.Array) -> jax.Array:
    """Whether a state (nq,), (nv,) is finite and slower than `MAX_SPEED`; bool ()."""
    return jnp.isfinite(qpos).all() & (jnp.abs(qvel) < MAX_SPEED).all()


def stale_sensors(model: mujoco.MjModel) -> np.ndarray:
    """Which entries of sensordata belong to the acceleration stage; bool (nsensordata,)."""
    mask = np.zeros(model.nsensordata, bool)
    for i in range(model.nsensor):
        if model.sensor_needstage[i] == mujoco.mjtStage.mjSTAGE_ACC:
            adr = model.sensor_adr[i]
            mask[adr : adr + model.sensor_dim[i]] = True
    return mask

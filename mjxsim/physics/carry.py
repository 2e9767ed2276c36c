"""What MJX needs of one step in the next: all that the MJX engines carry of a world."""

from typing import Self

import flax.struct
import jax
import jax.numpy as jnp
import mujoco
from mujoco import mjx

from mjxsim.physics.base import PhysicsState


class Carry(flax.struct.PyTreeNode):
    """The part of `mjx.Data` that a step does not compute anew."""

    time: jax.Array  # () [s]
    qpos: jax.Array  # (nq,)
    qvel: jax.Array  # (nv,)
    act: jax.Array  # (na,)
    qacc_warmstart: jax.Array  # (nv,)
    sensordata: jax.Array  # (nsensordata,)

    @classmethod
    def of(cls, physics: PhysicsState) -> Self:
        """What a world's last step left."""
        return cls(
            time=physics.time,
            qpos=physics.qpos,
            qvel=physics.qvel,
            act=physics.raw["act"],
            qacc_warmstart=physics.raw["qacc_warmstart"],
            sensordata=physics.sensordata,
        )

    @classmethod
    def after(cls, data: mjx.Data) -> Self:
        """What a substep leaves in `data`."""
        return cls(**{name: getattr(data, name) for name in cls.__dataclass_fields__})

    @classmethod
    def rest(cls, model: mujoco.MjModel) -> Self:
        """The model's reference pose at rest, at time 0."""
        zeros = jnp.zeros
        return cls(
            time=jnp.float32(0.0),
            qpos=jnp.asarray(model.qpos0, jnp.float32),
            qvel=zeros(model.nv, jnp.float32),
            act=zeros(model.na, jnp.float32),
            qacc_warmstart=zeros(model.nv, jnp.float32),
            sensordata=zeros(model.nsensordata, jnp.float32),
        )

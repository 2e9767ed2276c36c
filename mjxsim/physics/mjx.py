"""MJX as an engine: MJX-JAX on CPU, GPU and TPU; MJX-Warp in `warp.py` builds on the same pieces.

Only what `mj_step` needs from one step to the next is carried (qpos, qvel, act, the solver's warm
start, time): the rest of `mjx.Data` is rebuilt inside each substep, which costs nothing, since
every one of its fields is recomputed there, and keeps a world at about a kilobyte.
"""

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp
import mujoco
from mujoco import mjx

from mjxsim.physics.base import (
    Faults,
    Overrides,
    PhysicsState,
    is_sane,
    stale_sensors,
)
from mjxsim.physics.chains import short_chains
from mjxsim.physics.overrides import check_fields


@flax.struct.dataclass
class _Carry:
    """What one substep hands to the next."""

    time: jax.Array  # () [s]
    qpos: jax.Array  # (nq,)
    qvel: jax.Array  # (nv,)
    act: jax.Array  # (na,)
    qacc_warmstart: jax.Array  # (nv,)
    sensordata: jax.Array  # (nsensordata,)


@dataclasses.dataclass(frozen=True, eq=False)
class MjxJax:
    """MJX-JAX: pure JAX, differentiable, on any device; `substeps` physics steps a control step."""

    model: mujoco.MjModel
    substeps: int
    name: str = "mjx"
    mx: mjx.Model = dataclasses.field(init=False, repr=False)
    template: mjx.Data = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mx", mjx.put_model(self.model, impl="jax"))
        object.__setattr__(self, "template", mjx.make_data(self.mx))

    def init(
        self,
        overrides: Overrides,
        qpos: jax.Array,
        qvel: jax.Array,
        ctrl: jax.Array,
        mocap_pos: jax.Array,
        mocap_quat: jax.Array,
    ) -> PhysicsState:
        t = self.template
        data = t.replace(
            qpos=jnp.asarray(qpos, jnp.float32),
            qvel=jnp.asarray(qvel, jnp.float32),
            ctrl=jnp.asarray(ctrl, jnp.float32),
            mocap_pos=jnp.asarray(mocap_pos, jnp.float32),
            mocap_quat=jnp.asarray(mocap_quat, jnp.float32),
            sensordata=jnp.zeros(self.model.nsensordata, jnp.float32),
        )
        return self._read(self._model(overrides), data, Faults.none())

    def step(self, overrides: Overrides, physics: PhysicsState, ctrl: jax.Array) -> PhysicsState:
        model = self._model(overrides)
        base = self.template.replace(
            ctrl=ctrl, mocap_pos=physics.mocap_pos, mocap_quat=physics.mocap_quat
        )

        def substep(carry: _Carry, _: None) -> tuple[_Carry, None]:
            data = base.replace(**vars(carry))
            with short_chains():
                data = mjx.step(model, data)
            return _Carry(**{f: getattr(data, f) for f in vars(carry)}), None

        before = _Carry(
            time=physics.time,
            qpos=physics.qpos,
            qvel=physics.qvel,
            act=physics.raw["act"],
            qacc_warmstart=physics.raw["qacc_warmstart"],
            sensordata=physics.sensordata,
        )
        after, _ = jax.lax.scan(substep, before, length=self.substeps)
        bad = ~is_sane(after.qpos, after.qvel)
        after = jax.tree.map(lambda old, new: jnp.where(bad, old, new), before, after)
        fine = jnp.zeros((), bool)  # MJX-JAX gives every potential contact room of its own
        faults = physics.faults.add(bad, contact=fine, constraint=fine)
        return self._read(model, base.replace(**vars(after)), faults)

    def _model(self, overrides: Overrides) -> mjx.Model:
        check_fields(overrides)
        return self.mx.tree_replace(dict(overrides)) if overrides else self.mx

    def _read(self, model: mjx.Model, data: mjx.Data, faults: Faults) -> PhysicsState:
        """Poses and position and velocity sensors of the state in `data`."""
        forces = data.sensordata
        with short_chains():
            data = mjx.kinematics(model, data)
            data = mjx.com_pos(model, data)
            if self.model.nsensor:
                data = mjx.com_vel(model, data)
                data = mjx.sensor_pos(model, data)
                data = mjx.sensor_vel(model, data)
        stale = stale_sensors(self.model)
        return PhysicsState(
            time=data.time,
            qpos=data.qpos,
            qvel=data.qvel,
            ctrl=data.ctrl,
            mocap_pos=data.mocap_pos,
            mocap_quat=data.mocap_quat,
            xpos=data.xpos,
            xquat=data.xquat,
            site_xpos=data.site_xpos,
            site_xmat=data.site_xmat,
            sensordata=jnp.where(stale, forces, data.sensordata),
            faults=faults,
            raw={"act": data.act, "qacc_warmstart": data.qacc_warmstart},
        )

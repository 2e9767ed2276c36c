"""MJX as an engine: MJX-JAX on CPU, GPU and TPU; MJX-Warp in `warp.py` builds on the same pieces.

Only what `mj_step` needs from one step to the next is carried (qpos, qvel, act, the solver's warm
start, time): the rest of `mjx.Data` is rebuilt inside each substep, which costs nothing, since
every one of its fields is recomputed there, and keeps a world at about a kilobyte.
"""

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from mujoco import mjx

from mjxsim.physics.base import (
    Faults,
    Overrides,
    PhysicsState,
    is_sane,
    stale_sensors,
)
from mjxsim.physics.carry import Carry
from mjxsim.physics.chains import short_chains
from mjxsim.physics.compile import collector_paused
from mjxsim.physics.helpers import helpers_once
from mjxsim.physics.line_search import exact_line_search
from mjxsim.physics.overrides import check_fields, leaf_of, replaced
from mjxsim.physics.tendons import joint_tendons

_FAINT = np.array([mujoco.mjMINIMP, mujoco.mjMINIMP, 1.0, 0.5, 1.0], np.float32)  # solimp


@dataclasses.dataclass(frozen=True, eq=False)
class MjxJax:
    """MJX-JAX: pure JAX, on any device; `substeps` physics steps a control step."""

    model: mujoco.MjModel
    substeps: int
    name: str = "mjx"
    on_host: bool = False
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
        model, t = self._bind(overrides)
        data = t.replace(
            qpos=jnp.asarray(qpos, jnp.float32),
            qvel=jnp.asarray(qvel, jnp.float32),
            ctrl=jnp.asarray(ctrl, jnp.float32),
            mocap_pos=jnp.asarray(mocap_pos, jnp.float32),
            mocap_quat=jnp.asarray(mocap_quat, jnp.float32),
            sensordata=jnp.zeros(self.model.nsensordata, jnp.float32),
        )
        return self._read(model, data, Faults.none())

    @collector_paused()
    def step(
        self,
        overrides: Overrides,
        physics: PhysicsState,
        ctrl: jax.Array,
        wrench: jax.Array | None = None,
        *,
        poses: bool = True,
    ) -> PhysicsState:
        model, t = self._bind(overrides)
        base = t.replace(
            ctrl=jnp.asarray(ctrl, jnp.float32),
            mocap_pos=physics.mocap_pos,
            mocap_quat=physics.mocap_quat,
        )
        if wrench is not None:
            base = base.replace(xfrc_applied=jnp.asarray(wrench, jnp.float32))

        def substep(carry: Carry, _: None) -> tuple[Carry, None]:
            data = base.replace(**vars(carry))
            with short_chains(), joint_tendons(), exact_line_search(), helpers_once():
                data = _substep(model, data)
            return Carry.after(data), None

        before = self._sane(Carry.of(physics))
        after, _ = jax.lax.scan(substep, before, length=self.substeps)
        bad = ~is_sane(after.qpos, after.qvel) | ~is_sane(physics.qpos, physics.qvel)
        bad |= ~jnp.isfinite(ctrl).all()  # clipping would hide it
        after = jax.tree.map(lambda old, new: jnp.where(bad, old, new), before, after)
        base = base.replace(ctrl=jnp.where(bad, physics.ctrl, base.ctrl))
        fine = jnp.zeros((), bool)  # MJX-JAX gives every potential contact room of its own
        faults = physics.faults.add(bad, contact=fine, constraint=fine)
        if not poses:
            return physics.replace(
                time=after.time,
                qpos=after.qpos,
                qvel=after.qvel,
                ctrl=base.ctrl,
                sensordata=after.sensordata,
                faults=faults,
                raw={"act": after.act, "qacc_warmstart": after.qacc_warmstart},
            )
        return self._read(model, base.replace(**vars(after)), faults)

    def look(self, overrides: Overrides, physics: PhysicsState) -> PhysicsState:
        model, t = self._bind(overrides)
        data = t.replace(
            ctrl=physics.ctrl,
            mocap_pos=physics.mocap_pos,
            mocap_quat=physics.mocap_quat,
            **vars(Carry.of(physics)),
        )
        return self._read(model, data, physics.faults)

    def _sane(self, carry: Carry) -> Carry:
        """The same, or the model's reference pose at rest where it is not finite."""
        rest = Carry.rest(self.model).replace(time=carry.time)
        sane = is_sane(carry.qpos, carry.qvel)
        return jax.tree.map(lambda x, y: jnp.where(sane, x, y), carry, rest)

    def _bind(self, overrides: Overrides) -> tuple[mjx.Model, mjx.Data]:
        """The model with these values, and empty data for it.

        Raises:
          ValueError: a field that MJX-JAX cannot vary per world.
        """
        check_fields(self.model, overrides)
        if not overrides:
            return self.mx, self.template
        model, template = self.mx, self.template
        if "dof_frictionloss" in overrides:
            # Rows exist only where the compiled model has friction loss: make them all. A row of
            # exactly zero would hold its joint like an equality.
            rows = np.ones(self.model.nv, bool)
            model = model.tree_replace({"_impl.dof_hasfrictionloss": rows})
            template = mjx.make_data(model)
            loss = jnp.asarray(overrides["dof_frictionloss"])
            solimp = jnp.asarray(overrides.get("dof_solimp", model.dof_solimp))
            overrides = {
                **overrides,
                "dof_frictionloss": jnp.maximum(loss, mujoco.mjMINVAL),
                # A row of nothing still holds a joint that is at rest in Newton's first iterations,
                # and a cube that lands then runs out of them: give it the least impedance.
                "dof_solimp": jnp.where((loss > 0.0)[:, None], solimp, _FAINT),
            }
        parameters = {f.name for f in mjx.Model.fields()}
        parameters |= {f"opt.{f.name}" for f in mjx.Option.fields()}
        for field in overrides:
            if field not in parameters or isinstance(leaf_of(model, field), np.ndarray):
                raise ValueError(f"engine 'mjx' cannot vary mjModel field {field!r} per world")
        return model.tree_replace(replaced(model, overrides)), template

    def _read(self, model: mjx.Model, data: mjx.Data, faults: Faults) -> PhysicsState:
        """Poses and position and velocity sensors of the state in `data`."""
        forces = data.sensordata
        stale = stale_sensors(self.model)
        with short_chains(), helpers_once():
            data = mjx.kinematics(model, data)
            if not stale.all():
                data = mjx.com_pos(model, data)
                data = mjx.com_vel(model, data)
                data = mjx.sensor_pos(model, data)
                data = mjx.sensor_vel(model, data)
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


def _substep(model: mjx.Model, data: mjx.Data) -> mjx.Data:
    """`mjx.step`, but a saturated actuator adds no damping to the implicit integrator.

    C (engine_derivative.c, mjd_actuator_vel) and Warp leave out the velocity derivative of an
    actuator whose force is clamped; MJX-JAX 3.17 keeps it, and a servo at its force limit is
    then braked by a force it does not have: 0.1 rad/s of error in one step of the Panda's wrist.
    """
    if model.opt.integrator != mujoco.mjtIntegrator.mjINT_IMPLICITFAST:
        return mjx.step(model, data)
    data = mjx.forward(model, data)
    low, high = model.actuator_forcerange.T
    free = (data.actuator_force > low) & (data.actuator_force < high)
    free |= jnp.asarray(~np.asarray(model.actuator_forcelimited, bool))
    damping = {
        "actuator_biasprm": model.actuator_biasprm.at[:, 2].multiply(free),
        "actuator_gainprm": model.actuator_gainprm.at[:, 2].multiply(free),
    }
    return mjx.implicit(model.tree_replace(damping), data)

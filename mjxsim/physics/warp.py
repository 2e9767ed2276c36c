"""MJX-Warp as an engine: MuJoCo's Warp kernels inside jit, on NVIDIA GPUs (and, for tests, CPU).

The same meaning as MJX-JAX (`mjx.py`). What differs is room: Warp keeps the contacts of ALL worlds
in one list, so the size of its data depends on the batch. The engine is written for one world and
`vmap` adds the others; the rule that makes this work is `over_worlds`: a batching rule that
learns how many worlds there are, merges nested batches into one, and only then allocates.
"""

import dataclasses
from collections.abc import Callable
from typing import TypeVar

import flax.struct
import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import warp as wp
from mujoco import mjx
from mujoco.mjx.warp import types as warp_types

from mjxsim.physics.base import (
    Faults,
    Overrides,
    PhysicsState,
    is_sane,
    stale_sensors,
)
from mjxsim.physics.carry import Carry
from mjxsim.physics.overrides import check_fields, replaced

wp.config.log_level = wp.LOG_WARNING  # neither its banner nor a line for every kernel it loads

# mujoco_warp/_src/types.py: OverflowType.
_CONSTRAINT_BITS = (1 << 0) | (1 << 1) | (1 << 7)  # NEFC, NJMAX_NNZ, NVMAX
# BROADPHASE, NARROWPHASE, CCD, HFIELD, CONTACT_MATCH, EPA_HORIZON, TACTILE
_CONTACT_BITS = sum(1 << bit for bit in (2, 3, 4, 5, 6, 8, 11))

_UNUSED = frozenset({"dof_M0", "actuator_length0"})  # derived constants that Warp never reads
_BATCHED = warp_types._BATCH_DIM["Model"]  # whether a field of mjModel may differ per world

A = TypeVar("A")
B = TypeVar("B")


class _Inputs(flax.struct.PyTreeNode):
    """What a control step needs of one world."""

    overrides: dict[str, jax.Array]
    carry: Carry
    ctrl: jax.Array  # (nu,)
    mocap_pos: jax.Array  # (nmocap, 3) [m]
    mocap_quat: jax.Array  # (nmocap, 4)
    wrench: jax.Array | None = None  # (nbody, 6) [N, N m]


class _Outputs(flax.struct.PyTreeNode):
    """What a control step gives of one world."""

    carry: Carry
    poses: dict[str, jax.Array]  # xpos, xquat, site_xpos, site_xmat
    bad: jax.Array  # bool (), the step was discarded
    overflow: jax.Array  # int32 (), Warp's overflow bits


@dataclasses.dataclass(frozen=True, eq=False)
class MjxWarp:
    """MJX-Warp; `substeps` physics steps make one control step.

    `max_contacts` and `max_constraints` are the room for one world; None takes what the model
    could need with every pair in contact. Contacts share one list of batch * max_contacts, so a
    world may have more while others have fewer, and an overflow counts in every world of the
    batch: Warp does not say whose contacts it dropped. Constraint rows are per world.
    """

    model: mujoco.MjModel
    substeps: int
    max_contacts: int | None = None
    max_constraints: int | None = None
    name: str = "warp"
    on_host: bool = False
    mx: mjx.Model = dataclasses.field(init=False, repr=False)
    template: mjx.Data = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        mx = mjx.put_model(self.model, impl="warp")
        contacts, rows = capacity(self.model, mx)
        contacts = contacts if self.max_contacts is None else self.max_contacts
        rows = rows if self.max_constraints is None else self.max_constraints
        # Overflow is counted in `Faults`; printing from every world of every step helps nobody.
        mx = mx.tree_replace({"opt._impl.warn_overflow": 0})
        template = mjx.make_data(self.model, impl="warp", naconmax=contacts, njmax=rows)
        object.__setattr__(self, "max_contacts", contacts)
        object.__setattr__(self, "max_constraints", rows)
        object.__setattr__(self, "mx", mx)
        object.__setattr__(self, "template", template)

    def init(
        self,
        overrides: Overrides,
        qpos: jax.Array,
        qvel: jax.Array,
        ctrl: jax.Array,
        mocap_pos: jax.Array,
        mocap_quat: jax.Array,
    ) -> PhysicsState:
        f32 = jnp.float32
        start = Carry.rest(self.model).replace(
            qpos=jnp.asarray(qpos, f32), qvel=jnp.asarray(qvel, f32)
        )
        inputs = self._inputs(overrides, start, ctrl, mocap_pos, mocap_quat)
        out = over_worlds(self._begin)(inputs)
        return self._state(out, inputs, Faults.none())

    def step(
        self,
        overrides: Overrides,
        physics: PhysicsState,
        ctrl: jax.Array,
        wrench: jax.Array | None = None,
        *,
        poses: bool = True,
    ) -> PhysicsState:
        del poses  # always up to date
        before = Carry.of(physics)
        inputs = self._inputs(overrides, before, ctrl, physics.mocap_pos, physics.mocap_quat)
        if wrench is not None:
            inputs = inputs.replace(wrench=jnp.asarray(wrench, jnp.float32))
        out = over_worlds(self._advance)(inputs)
        faults = physics.faults.add(
            out.bad,
            contact=(out.overflow & _CONTACT_BITS) != 0,
            constraint=(out.overflow & _CONSTRAINT_BITS) != 0,
        )
        inputs = inputs.replace(ctrl=jnp.where(out.bad, physics.ctrl, inputs.ctrl))
        return self._state(out, inputs, faults)

    def look(self, overrides: Overrides, physics: PhysicsState) -> PhysicsState:
        del overrides
        return physics

    def _inputs(
        self,
        overrides: Overrides,
        carry: Carry,
        ctrl: jax.Array,
        mocap_pos: jax.Array,
        mocap_quat: jax.Array,
    ) -> _Inputs:
        f32 = jnp.float32
        return _Inputs(
            overrides=self._leaves(overrides),
            carry=carry,
            ctrl=jnp.asarray(ctrl, f32),
            mocap_pos=jnp.asarray(mocap_pos, f32),
            mocap_quat=jnp.asarray(mocap_quat, f32),
        )

    def _leaves(self, overrides: Overrides) -> dict[str, jax.Array]:
        """The overrides by their place in Warp's model.

        Raises:
          ValueError: a field that Warp cannot vary per world.
        """
        check_fields(self.model, overrides)
        own = {f.name for f in warp_types.ModelWarp.fields()}
        leaves = {}
        for field, value in overrides.items():
            if field == "opt.impratio":
                leaves["opt._impl.impratio_invsqrt"] = jax.lax.rsqrt(jnp.float32(value))
                continue
            if field in _UNUSED:
                continue
            if not _BATCHED.get(field.replace(".", "__"), False):
                raise ValueError(f"engine 'warp' cannot vary mjModel field {field!r} per world")
            leaves[f"_impl.{field}" if field in own else field] = value
        return replaced(self.mx, leaves)

    def _state(self, out: _Outputs, inputs: _Inputs, faults: Faults) -> PhysicsState:
        return PhysicsState(
            time=out.carry.time,
            qpos=out.carry.qpos,
            qvel=out.carry.qvel,
            ctrl=inputs.ctrl,
            mocap_pos=inputs.mocap_pos,
            mocap_quat=inputs.mocap_quat,
            sensordata=out.carry.sensordata,
            faults=faults,
            raw={"act": out.carry.act, "qacc_warmstart": out.carry.qacc_warmstart},
            **out.poses,
        )

    # From here on every array has a leading axis of n worlds.

    def _begin(self, n: int, inputs: _Inputs) -> _Outputs:
        data = self._load(empty_data(self.template, n), inputs, inputs.carry)
        none = jnp.zeros(n, jnp.int32)
        return self._read(inputs, data, inputs.carry, none > 0, none)

    def _advance(self, n: int, inputs: _Inputs) -> _Outputs:
        rest = jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *x.shape)), Carry.rest(self.model))
        sane = jax.vmap(is_sane)(inputs.carry.qpos, inputs.carry.qvel)
        before = _choose(sane, inputs.carry, rest.replace(time=inputs.carry.time))

        def substep(data: mjx.Data, _: None) -> tuple[mjx.Data, None]:
            return self._vmapped(mjx.step)(inputs.overrides, data), None

        data = self._load(empty_data(self.template, n), inputs, before)
        data, _ = jax.lax.scan(substep, data, length=self.substeps)
        after = Carry.after(data)
        good = sane & jax.vmap(is_sane)(after.qpos, after.qvel)
        good &= jnp.isfinite(inputs.ctrl).all(axis=1)  # clipping would hide it
        kept = _choose(good, after, before)
        overflow = data._impl.overflow.reshape(n)
        return self._read(inputs, self._load(data, inputs, kept), kept, ~good, overflow)

    def _load(self, data: mjx.Data, inputs: _Inputs, carry: Carry) -> mjx.Data:
        if inputs.wrench is not None:
            data = data.replace(xfrc_applied=inputs.wrench)
        return data.replace(
            ctrl=inputs.ctrl,
            mocap_pos=inputs.mocap_pos,
            mocap_quat=inputs.mocap_quat,
            **vars(carry),
        )

    def _vmapped(
        self, stage: Callable[[mjx.Model, mjx.Data], mjx.Data]
    ) -> Callable[[dict[str, jax.Array], mjx.Data], mjx.Data]:
        """`stage` over all the worlds; vmap leaves alone what Warp's data shares among them."""

        def one(overrides: dict[str, jax.Array], data: mjx.Data) -> mjx.Data:
            return stage(self.mx.tree_replace(dict(overrides)), data)

        return jax.vmap(one)

    def _read(
        self, inputs: _Inputs, data: mjx.Data, carry: Carry, bad: jax.Array, overflow: jax.Array
    ) -> _Outputs:
        """Poses, and sensors of the position and velocity stages, of the state in `data`."""
        stale = stale_sensors(self.model)
        # MJX-Warp can run the kinematics alone, or everything; sensors need everything.
        stage = mjx.kinematics if stale.all() else mjx.forward
        data = self._vmapped(stage)(inputs.overrides, data)
        sensordata = jnp.where(stale, carry.sensordata, data.sensordata)
        return _Outputs(
            carry=carry.replace(sensordata=sensordata),
            poses={f: getattr(data, f) for f in ("xpos", "xquat", "site_xpos", "site_xmat")},
            bad=bad,
            overflow=overflow,
        )


def empty_data(template: mjx.Data, n: int) -> mjx.Data:
    """Data with room for `n` worlds, from that of one."""

    def grow(path: jax.tree_util.KeyPath, x: jax.Array) -> jax.Array:
        name = path[-1].name
        if name in warp_types.DATA_NON_VMAP and not name.startswith("contact__"):
            return x
        x = jnp.broadcast_to(x, (n, *x.shape))
        return x.reshape(n * x.shape[1], *x.shape[2:]) if name.startswith("contact__") else x

    impl = template._impl
    data = jax.tree_util.tree_map_with_path(grow, template)
    return data.replace(
        _impl=data._impl.replace(naconmax=n * impl.naconmax, naccdmax=n * impl.naccdmax)
    )


def _choose(condition: jax.Array, on_true: Carry, on_false: Carry) -> Carry:
    """World by world; `condition` is (n,)."""

    def select(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(condition.reshape(-1, *(1,) * (a.ndim - 1)), a, b)

    return jax.tree.map(select, on_true, on_false)


def over_worlds(run: Callable[[int, A], B]) -> Callable[[A], B]:
    """`run(n, inputs)`, in which every array has a leading axis n, as a function of one world.

    Under `vmap` (nested too) it runs once with all the worlds of all the axes.
    """
    batched = _batched(run, 1)

    def unbatched(inputs: A) -> B:
        out = batched(jax.tree.map(lambda x: x[None], inputs))
        return jax.tree.map(lambda x: x[0], out)

    return unbatched


def _batched(run: Callable[[int, A], B], n: int) -> Callable[[A], B]:
    @jax.custom_batching.custom_vmap
    def call(inputs: A) -> B:
        return run(n, inputs)

    @call.def_vmap
    def rule(axis_size: int, in_batched: tuple[A], inputs: A) -> tuple[B, B]:
        def merge(batched: bool, x: jax.Array) -> jax.Array:
            x = x if batched else jnp.broadcast_to(x, (axis_size, *x.shape))
            return x.reshape(axis_size * n, *x.shape[2:])

        out = _batched(run, axis_size * n)(jax.tree.map(merge, in_batched[0], inputs))
        out = jax.tree.map(lambda x: x.reshape(axis_size, n, *x.shape[1:]), out)
        return out, jax.tree.map(lambda _: True, out)

    return call


# The most contacts that two primitives have in Warp (mujoco_warp/_src/collision_primitive.py).
_GEOM = mujoco.mjtGeom
_CONTACTS = {
    frozenset((_GEOM.mjGEOM_PLANE, _GEOM.mjGEOM_SPHERE)): 1,
    frozenset((_GEOM.mjGEOM_PLANE, _GEOM.mjGEOM_ELLIPSOID)): 1,
    frozenset((_GEOM.mjGEOM_PLANE, _GEOM.mjGEOM_CAPSULE)): 2,
    frozenset((_GEOM.mjGEOM_PLANE, _GEOM.mjGEOM_CYLINDER)): 4,
    frozenset((_GEOM.mjGEOM_PLANE, _GEOM.mjGEOM_BOX)): 4,
    frozenset((_GEOM.mjGEOM_PLANE, _GEOM.mjGEOM_MESH)): 4,
    frozenset((_GEOM.mjGEOM_SPHERE,)): 1,
    frozenset((_GEOM.mjGEOM_SPHERE, _GEOM.mjGEOM_CAPSULE)): 1,
    frozenset((_GEOM.mjGEOM_SPHERE, _GEOM.mjGEOM_CYLINDER)): 1,
    frozenset((_GEOM.mjGEOM_SPHERE, _GEOM.mjGEOM_BOX)): 1,
    frozenset((_GEOM.mjGEOM_CAPSULE,)): 2,
    frozenset((_GEOM.mjGEOM_CAPSULE, _GEOM.mjGEOM_BOX)): 2,
}
_OTHER_CONTACTS = 8  # box on box, and Warp's general convex collider with multiple contacts


def capacity(model: mujoco.MjModel, mx: mjx.Model) -> tuple[int, int]:
    """Contacts and constraint rows of one world with everything touching and at its limit.

    Every pair of geoms that can collide counts, so a scene of many geoms without explicit pairs
    gets more room than it will use: give `max_contacts` and `max_constraints` there.
    """
    contacts, rows = 0, 0
    pairs = zip(mx._impl.nxn_geom_pair_filtered, mx._impl.nxn_pairid_filtered, strict=True)
    for (geom1, geom2), (pair, _) in pairs:
        kinds = frozenset((_GEOM(model.geom_type[geom1]), _GEOM(model.geom_type[geom2])))
        count = _CONTACTS.get(kinds, _OTHER_CONTACTS)
        if pair >= 0:
            dim = int(model.pair_dim[pair])
        else:
            dim = int(max(model.geom_condim[geom1], model.geom_condim[geom2]))
        elliptic = model.opt.cone == mujoco.mjtCone.mjCONE_ELLIPTIC
        contacts += count
        rows += count * (dim if dim == 1 or elliptic else 2 * (dim - 1))
    eq_rows = {mujoco.mjtEq.mjEQ_CONNECT: 3, mujoco.mjtEq.mjEQ_WELD: 6}
    equality = [eq_rows.get(mujoco.mjtEq(kind), 1) for kind in model.eq_type]
    # Warp drops a connect or weld that would end in the last rows (_src/constraint.py).
    rows += sum(equality) + max(equality, default=0)
    rows += int(np.sum(model.jnt_limited)) + int(np.sum(model.tendon_limited))
    if np.any(model.dof_frictionloss):
        rows += model.nv
    rows += int(np.count_nonzero(model.tendon_frictionloss))
    return max(contacts, 1), max(rows, 1)

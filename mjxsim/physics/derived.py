"""The constants that MuJoCo derives from a model's fields, for worlds that differ in them.

`mj_setConst` runs once when a model is compiled. A world with another mass or armature needs its
results again: `complete` recomputes them in JAX, so that one dict of overrides makes every engine
step the same model as one compiled with those values.
"""

import jax
import jax.core
import jax.numpy as jnp
import mujoco
import numpy as np
from mujoco import mjx

from mjxsim.physics.base import Overrides
from mjxsim.physics.chains import short_chains
from mjxsim.physics.overrides import check_names, leaf_of

# Fields whose change moves the derived constants (mujoco.MjModel._setconst_inputs, those that a
# randomizer may touch).
_INERTIAL = frozenset(
    {
        "body_mass",
        "body_inertia",
        "body_ipos",
        "body_iquat",
        "body_pos",
        "body_quat",
        "jnt_pos",
        "jnt_axis",
        "dof_armature",
        "actuator_gear",
    }
)

Model = mjx.Model  # of MJX-JAX; what randomizers read


def put_model(model: mujoco.MjModel) -> Model:
    """The MJX-JAX model of a compiled model, for `complete`."""
    return mjx.put_model(model, impl="jax")


def complete(model: mjx.Model, overrides: Overrides) -> dict[str, jax.Array]:
    """The overrides together with every derived constant they make stale.

    A body that MuJoCo compiled as simple (free, its inertia aligned with its frame: most objects)
    has a mass matrix without room for an offset: it keeps its `body_ipos` and `body_iquat`. To
    vary them, compile the scene with an offset there.

    Args:
      model: the nominal MJX-JAX model.
      overrides: field -> value, each of the field's own shape; unbatched.

    Returns:
      The same dict and, where masses, inertias, frames, joints or armatures are among the fields,
      body_subtreemass, dof_M0, dof_invweight0, body_invweight0, tendon_invweight0 and
      actuator_acc0 as `mj_setConst` (engine_setconst.c) defines them; where geom_size is,
      geom_rbound of the primitive shapes (their inertia is the caller's to give).

    Raises:
      ValueError: a field is unknown or structural, or (unless traced) offsets a simple body.
    """
    check_names(overrides)
    given = {k: jnp.asarray(v) for k, v in overrides.items()}
    for field in ("body_ipos", "body_iquat"):
        if field in given:
            given[field] = _keep_simple(model, field, given[field])
    derived = {}
    if "geom_size" in given:
        derived["geom_rbound"] = _bounding_radius(model, given["geom_size"])
    if _INERTIAL & set(given):
        derived |= _inertial_constants(model, given)
    return {**derived, **given}


def _keep_simple(model: mjx.Model, field: str, value: jax.Array) -> jax.Array:
    """The value with the nominal rows of the simple bodies; raises if it is known to differ."""
    simple = (model.body_simple != 0) & (np.arange(model.nbody) > 0)
    nominal = leaf_of(model, field)
    if not isinstance(value, jax.core.Tracer):
        wrong = simple & ~np.isclose(value, nominal, atol=1e-6).all(axis=1)
        for body in np.flatnonzero(wrong):
            name = model.names[model.name_bodyadr[body] :].split(b"\0")[0].decode()
            raise ValueError(
                f"{field} of body {name!r} was compiled with its inertia aligned and cannot "
                "differ per world; compile the scene with a small offset there"
            )
    return jnp.where(jnp.asarray(simple)[:, None], nominal, value)


def _inertial_constants(model: mjx.Model, given: dict[str, jax.Array]) -> dict[str, jax.Array]:
    m = model.tree_replace(given)
    data = mjx.make_data(model).replace(qpos=jnp.asarray(model.qpos0, jnp.float32))
    with short_chains():
        data = mjx.kinematics(m, data)
        data = mjx.com_pos(m, data)
        data = mjx.tendon(m, data)
        data = mjx.crb(m, data)
        data = mjx.factor_m(m, data)
        data = mjx.transmission(m, data)
    mass_matrix = mjx.full_m(m, data)
    inverse = jnp.linalg.inv(mass_matrix)
    derived = {
        "body_subtreemass": _subtree_mass(model, m.body_mass),
        "dof_M0": jnp.diagonal(mass_matrix),
        "dof_invweight0": _dof_weight(model, jnp.diagonal(inverse)),
        "body_invweight0": _body_weight(m, data, inverse),
    }
    if model.ntendon:
        jac = data._impl.ten_J
        derived["tendon_invweight0"] = jnp.einsum("tv,vw,tw->t", jac, inverse, jac)
    if model.nu:
        moment = data._impl.actuator_moment
        derived["actuator_acc0"] = jnp.linalg.norm(moment @ inverse, axis=-1)
    return derived


def _bounding_radius(model: mjx.Model, size: jax.Array) -> jax.Array:
    """Radius of the sphere around each geom [m] (mjCGeom::GetRBound); (ngeom,)."""
    kinds = mujoco.mjtGeom
    radius = {
        kinds.mjGEOM_SPHERE: size[:, 0],
        kinds.mjGEOM_CAPSULE: size[:, 0] + size[:, 1],
        kinds.mjGEOM_CYLINDER: jnp.hypot(size[:, 0], size[:, 1]),
        kinds.mjGEOM_ELLIPSOID: size.max(axis=1),
        kinds.mjGEOM_BOX: jnp.linalg.norm(size, axis=1),
    }
    result = jnp.asarray(leaf_of(model, "geom_rbound"))
    for kind, value in radius.items():
        result = jnp.where(jnp.asarray(np.asarray(model.geom_type) == int(kind)), value, result)
    return result


def _subtree_mass(model: mjx.Model, body_mass: jax.Array) -> jax.Array:
    """Mass of each body with everything below it [kg]; (nbody,)."""
    member = np.eye(model.nbody, dtype=np.float32)
    for body in range(model.nbody - 1, 0, -1):
        member[model.body_parentid[body]] += member[body]
    return jnp.asarray(member) @ body_mass


def _dof_weight(model: mjx.Model, diagonal: jax.Array) -> jax.Array:
    """Inverse inertia seen by each dof, averaged over a joint's equivalent axes; (nv,)."""
    average = np.zeros((model.nv, model.nv), np.float32)
    for joint in range(model.njnt):
        adr = model.jnt_dofadr[joint]
        kind = model.jnt_type[joint]
        groups = {
            int(mujoco.mjtJoint.mjJNT_FREE): (3, 3),
            int(mujoco.mjtJoint.mjJNT_BALL): (3,),
        }.get(int(kind), (1,))
        for size in groups:
            average[adr : adr + size, adr : adr + size] = 1.0 / size
            adr += size
    return jnp.asarray(average) @ diagonal


def _body_weight(m: mjx.Model, data: mjx.Data, inverse: jax.Array) -> jax.Array:
    """Mean translational and rotational inverse inertia at each body's centre; (nbody, 2)."""
    bodies = np.arange(m.nbody)
    moving = np.asarray(m.body_weldid) != 0

    def weight(body: jax.Array, point: jax.Array) -> jax.Array:
        jacp, jacr = mjx.jac(m, data, point, body)  # (nv, 3) each
        translation = jnp.einsum("vi,vw,wi->", jacp, inverse, jacp) / 3.0
        rotation = jnp.einsum("vi,vw,wi->", jacr, inverse, jacr) / 3.0
        return jnp.stack([translation, rotation])

    weights = jax.vmap(weight)(jnp.asarray(bodies), data.xipos)
    return jnp.where(jnp.asarray(moving)[:, None], weights, 0.0)

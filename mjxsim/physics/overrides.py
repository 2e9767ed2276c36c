"""Per-world values of model fields, and the constants that MuJoCo derives from them.

`mj_setConst` runs once when a model is compiled. A world with another mass or armature needs its
results again: `complete` recomputes them in JAX, so that one dict of overrides makes every engine
step the same model as one compiled with those values.
"""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from mujoco import mjx
from mujoco.batch import MODEL_FIELDS

from mjxsim.naming import unknown
from mjxsim.physics.base import Overrides
from mjxsim.physics.chains import short_chains

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
        "dof_armature",
        "actuator_gear",
    }
)
# Structure that compiled programs rely on; overriding it would be silently ignored somewhere.
_STRUCTURE = frozenset(
    {"body_simple", "body_sameframe", "dof_simplenum", "geom_type", "jnt_type", "opt.timestep"}
)


def check_fields(overrides: Overrides) -> None:
    """Raises ValueError, one line, for a field that no engine or not every engine can override."""
    for field in overrides:
        if field not in MODEL_FIELDS:
            raise ValueError(unknown("mjModel field to override", field, MODEL_FIELDS))
        if field in _STRUCTURE or field.endswith(("adr", "num", "id")):
            raise ValueError(f"mjModel field {field!r} is structure and cannot differ per world")


def complete(model: mjx.Model, overrides: Overrides) -> dict[str, jax.Array]:
    """The overrides together with every derived constant they make stale.

    Args:
      model: the nominal MJX-JAX model.
      overrides: field -> value, each of the field's own shape; unbatched.

    Returns:
      The same dict and, where masses, inertias, frames or armatures are among the fields,
      body_subtreemass, dof_M0, dof_invweight0, body_invweight0, tendon_invweight0 and
      actuator_acc0 as `mj_setConst` (engine_setconst.c) defines them.

    Raises:
      ValueError: a field is unknown or structural.
    """
    check_fields(overrides)
    given = {k: jnp.asarray(v) for k, v in overrides.items()}
    if not _INERTIAL & set(given):
        return given
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
    return {**derived, **given}


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

"""Lets MJX trace only the tendons that a model has.

MJX-JAX 3.17 traces its spatial tendons, with wrapping around geoms, for every model that has any
tendon, over arrays of length zero. For a gripper whose fingers share a fixed tendon that is a tenth
of the time it takes to trace a whole step.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import jax.numpy as jnp
import numpy as np
from mujoco import mjx
from mujoco.mjx._src import smooth

from mjxsim.physics.patching import patched


def joint_tendons() -> AbstractContextManager[None]:
    """While MJX is traced inside this context, models with fixed tendons alone take a short way."""
    return patched(smooth, "tendon", _short_for_joints)


def _short_for_joints(
    original: Callable[[mjx.Model, mjx.Data], mjx.Data],
) -> Callable[[mjx.Model, mjx.Data], mjx.Data]:
    def tendon(m: mjx.Model, d: mjx.Data) -> mjx.Data:
        if not m.ntendon or (m.wrap_type != mjx.WrapType.JOINT).any():
            return original(m, d)
        rows = np.repeat(np.arange(m.ntendon), m.tendon_num)
        joints = m.wrap_objid
        coef = jnp.asarray(m.wrap_prm)
        jac = jnp.zeros((m.ntendon, m.nv)).at[rows, m.jnt_dofadr[joints]].add(coef)
        length = jnp.zeros(m.ntendon).at[rows].add(coef * d.qpos[m.jnt_qposadr[joints]])
        return d.tree_replace({"ten_length": length, "_impl.ten_J": jac})

    return tendon

"""Lets MJX trace only the tendons that a model has.

MJX-JAX 3.17 traces its spatial tendons, with wrapping around geoms, for every model that has any
tendon, over arrays of length zero. For a gripper whose fingers share a fixed tendon that is a tenth
of the time it takes to trace a whole step.
"""

import contextlib
import threading
from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np
from mujoco import mjx
from mujoco.mjx._src import smooth

_lock = threading.RLock()


@contextlib.contextmanager
def joint_tendons() -> Iterator[None]:
    """While MJX is traced inside this context, models with fixed tendons alone take a short way."""
    with _lock:
        original = smooth.tendon

        def tendon(m: mjx.Model, d: mjx.Data) -> mjx.Data:
            if not m.ntendon or (m.wrap_type != mjx.WrapType.JOINT).any():
                return original(m, d)
            rows = np.repeat(np.arange(m.ntendon), m.tendon_num)
            joints = m.wrap_objid
            coef = jnp.asarray(m.wrap_prm)
            jac = jnp.zeros((m.ntendon, m.nv)).at[rows, m.jnt_dofadr[joints]].add(coef)
            length = jnp.zeros(m.ntendon).at[rows].add(coef * d.qpos[m.jnt_qposadr[joints]])
            return d.tree_replace({"ten_length": length, "_impl.ten_J": jac})

        smooth.tendon = tendon
        try:
            yield
        finally:
            smooth.tendon = original

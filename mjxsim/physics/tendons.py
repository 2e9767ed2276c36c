"""Lets MJX trace only the tendons that a model has.

MJX-JAX 3.17 traces its spatial tendons, with wrapping around geoms, for every model that has any
tendon, over arrays of length zero. For a gripper whose fingers share a fixed tendon that is a tenth
of the time it takes to trace a whole step.
"""

import contextlib
from collections.abc import Callable, Iterator

import jax.numpy as jnp
import numpy as np
from mujoco import mjx
from mujoco.mjx._src import smooth

from mjxsim.physics.patching import patched

Stage = Callable[[mjx.Model, mjx.Data], mjx.Data]


@contextlib.contextmanager
def joint_tendons() -> Iterator[None]:
    """While MJX is traced inside this context, models with fixed tendons alone take a short way."""
    with patched(smooth, "tendon", _short_tendon), patched(smooth, "tendon_bias", _no_bias):
        yield


def _joints_alone(m: mjx.Model) -> bool:
    return m.ntendon > 0 and bool((m.wrap_type == mjx.WrapType.JOINT).all())


def _no_bias(original: Stage) -> Stage:
    """The Jacobian of a fixed tendon is constant, so its armature adds no bias force."""
    return lambda m, d: d if _joints_alone(m) else original(m, d)


def _short_tendon(original: Stage) -> Stage:
    def tendon(m: mjx.Model, d: mjx.Data) -> mjx.Data:
        if not _joints_alone(m):
            return original(m, d)
        rows = np.repeat(np.arange(m.ntendon), m.tendon_num)
        joints = m.wrap_objid
        coef = jnp.asarray(m.wrap_prm)
        jac = jnp.zeros((m.ntendon, m.nv)).at[rows, m.jnt_dofadr[joints]].add(coef)
        length = jnp.zeros(m.ntendon).at[rows].add(coef * d.qpos[m.jnt_qposadr[joints]])
        return d.tree_replace({"ten_length": length, "_impl.ten_J": jac})

    return tendon

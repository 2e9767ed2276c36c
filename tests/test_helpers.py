"""MJX's vector functions, traced once, give what MJX itself computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from mujoco.mjx._src import math

from mjxsim.physics.helpers import helpers_once

_SHAPES = {
    "quat_mul": (4, 4),
    "quat_to_mat": (4,),
    "rotate": (3, 4),
    "axis_angle_to_quat": (3, 0),
    "inert_mul": (10, 6),
    "motion_cross": (6, 6),
    "motion_cross_force": (6, 6),
    "make_frame": (3,),
    "closest_segment_to_segment_points": (3, 3, 3, 3),
}


@pytest.mark.parametrize("name", _SHAPES)
def test_same_as_mjx(name: str) -> None:
    keys = jax.random.split(jax.random.key(0), 4)
    args = [
        jax.random.normal(k, (n,) if n else ()) for k, n in zip(keys, _SHAPES[name], strict=False)
    ]
    theirs = getattr(math, name)
    with helpers_once():
        assert getattr(math, name) is not theirs
        ours = getattr(math, name)(*args)
    assert getattr(math, name) is theirs
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), ours, theirs(*args))


def test_a_helper_is_traced_once() -> None:
    def many(q: jax.Array) -> jax.Array:
        for _ in range(5):
            q = math.quat_mul(q, q)
        return q

    with helpers_once():
        ours = jax.make_jaxpr(many)(jnp.ones(4))
    assert len(ours.eqns) == 5
    assert len({id(e.params["jaxpr"]) for e in ours.eqns}) == 1

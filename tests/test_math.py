"""Rotations, poses and reward shaping.

Tolerances: one float32 rounding of a number near 1 is 6e-8; the longest chain here is about
thirty operations, so 2e-6 leaves room and still catches any wrong term.
"""

import functools

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mjxsim.math import Pose, poses, reach_reward, rotations, tolerance

ATOL = 2e-6
_entry = st.floats(-1.0, 1.0, width=32)


def _vectors(size: int, scale: float = 1.0):
    return st.tuples(*[_entry] * size).map(lambda v: scale * np.array(v, np.float32))


def _is_far_from_zero(v: np.ndarray) -> bool:
    return bool(np.linalg.norm(v) > 0.05)


_quats = (
    _vectors(4).filter(_is_far_from_zero).map(lambda v: (v / np.linalg.norm(v)).astype(np.float32))
)
_points = _vectors(3)
_quick = settings(max_examples=60, deadline=None)


@functools.cache
def _jitted(name: str):
    return jax.jit(getattr(rotations, name))


def call(name: str, *args) -> np.ndarray:
    """Return rotations.<name>(*args), jitted once."""
    return np.asarray(_jitted(name)(*[jnp.asarray(a, jnp.float32) for a in args]))


def same_rotation(a: np.ndarray, b: np.ndarray, atol: float = ATOL) -> None:
    """Assert that a and b are equal up to sign."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    np.testing.assert_allclose(a * np.sign(a @ b), b, atol=atol)


@_quick
@given(_quats, _quats, _quats, _points)
def test_quaternions_form_a_group_that_acts_on_points(a, b, c, v):
    same_rotation(
        call("multiply", call("multiply", a, b), c), call("multiply", a, call("multiply", b, c))
    )
    same_rotation(call("multiply", a, call("conjugate", a)), rotations.identity())
    np.testing.assert_allclose(
        call("rotate", call("multiply", a, b), v),
        call("rotate", a, call("rotate", b, v)),
        atol=ATOL,
    )
    np.testing.assert_allclose(np.linalg.norm(call("rotate", a, v)), np.linalg.norm(v), atol=ATOL)


@_quick
@given(_quats, _quats, _points)
def test_agrees_with_mujoco(a, b, v):
    product, matrix, turned = np.zeros(4), np.zeros(9), np.zeros(3)
    mujoco.mju_mulQuat(product, a.astype(np.float64), b.astype(np.float64))
    mujoco.mju_quat2Mat(matrix, a.astype(np.float64))
    mujoco.mju_rotVecQuat(turned, v.astype(np.float64), a.astype(np.float64))
    np.testing.assert_allclose(call("multiply", a, b), product, atol=ATOL)
    np.testing.assert_allclose(call("to_matrix", a), matrix.reshape(3, 3), atol=ATOL)
    np.testing.assert_allclose(call("rotate", a, v), turned, atol=ATOL)


@_quick
@given(_quats)
def test_every_representation_returns_the_same_rotation(a):
    same_rotation(call("from_matrix", call("to_matrix", a)), a)
    same_rotation(call("from_6d", call("to_6d", a)), a)
    same_rotation(call("exp", call("log", a)), a)
    assert call("from_matrix", call("to_matrix", a))[0] >= 0.0


@pytest.mark.parametrize("axis", [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0, -0.8]])
@pytest.mark.parametrize("angle", [0.0, 1e-6, 1e-3, 0.0199, 0.0201, 1.0, 3.1, np.pi])
def test_log_and_matrix_hold_from_zero_to_half_a_turn(axis, angle):
    axis = np.array(axis, np.float32)
    quat = call("from_axis_angle", axis, angle)
    # Relative to the angle: a series that is off by one term shows at the small ones.
    np.testing.assert_allclose(np.linalg.norm(call("log", quat)), angle, rtol=2e-6, atol=1e-12)
    same_rotation(call("exp", angle * axis), quat)
    same_rotation(call("from_matrix", call("to_matrix", quat)), quat)
    np.testing.assert_allclose(
        call("angle_between", rotations.identity(), quat), angle, rtol=2e-6, atol=1e-12
    )


@_quick
@given(_quats, _vectors(3, scale=1.5))
def test_difference_undoes_integrate(a, velocity):
    turned = call("integrate", a, velocity, 0.5)
    np.testing.assert_allclose(call("difference", turned, a), 0.5 * velocity, atol=ATOL)
    np.testing.assert_allclose(np.linalg.norm(turned), 1.0, atol=ATOL)


@_quick
@given(_quats, _points, _quats, _points, _points)
def test_poses_form_a_group_that_acts_on_points(qa, pa, qb, pb, v):
    a = Pose(pos=jnp.asarray(pa), quat=jnp.asarray(qa))
    b = Pose(pos=jnp.asarray(pb), quat=jnp.asarray(qb))
    both = poses.apply(poses.compose(a, b), jnp.asarray(v))
    np.testing.assert_allclose(both, poses.apply(a, poses.apply(b, jnp.asarray(v))), atol=ATOL)
    np.testing.assert_allclose(
        poses.apply(poses.inverse(a), poses.apply(a, jnp.asarray(v))), v, atol=ATOL
    )
    back = poses.compose(a, poses.relative(a, b))
    np.testing.assert_allclose(back.pos, b.pos, atol=ATOL)
    same_rotation(back.quat, b.quat)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: rotations.safe_norm(x[:3]),
        lambda x: rotations.log(rotations.identity() + x),
        lambda x: rotations.exp(x[:3]),
        lambda x: rotations.normalize(rotations.identity() + x),
        lambda x: rotations.from_matrix(jnp.eye(3) + x[0]),
        lambda x: rotations.angle_between(rotations.identity(), rotations.identity() + x),
        lambda x: rotations.from_6d(rotations.to_6d(rotations.identity() + x)),
        lambda x: rotations.difference(rotations.identity() + x, rotations.identity()),
    ],
)
def test_gradients_are_finite_at_the_identity(function):
    for jacobian in (jax.jacfwd(function), jax.jacrev(function)):
        assert np.isfinite(jacobian(jnp.zeros(4, jnp.float32))).all()


def test_log_has_the_right_gradient_at_the_identity():
    gradient = jax.jacrev(rotations.log)(rotations.identity())
    np.testing.assert_allclose(gradient[:, 1:], 2.0 * np.eye(3), atol=ATOL)


SIGMOIDS = [
    "gaussian",
    "hyperbolic",
    "long_tail",
    "reciprocal",
    "cosine",
    "linear",
    "quadratic",
    "tanh_squared",
]


@pytest.mark.parametrize("sigmoid", SIGMOIDS)
def test_tolerance_has_its_three_defining_values(sigmoid):
    shaped = functools.partial(
        tolerance, bounds=(-1.0, 2.0), margin=0.5, sigmoid=sigmoid, value_at_margin=0.3
    )
    inside = shaped(jnp.array([-1.0, 0.0, 2.0]))
    np.testing.assert_array_equal(inside, np.ones(3))
    np.testing.assert_allclose(shaped(jnp.array([-1.5, 2.5])), [0.3, 0.3], atol=1e-6)
    falling = np.asarray(shaped(jnp.linspace(2.0, 4.0, 40)))
    assert (np.diff(falling) <= 0.0).all() and (falling >= 0.0).all()
    gradients = jax.vmap(jax.grad(shaped))(jnp.linspace(-4.0, 4.0, 33))
    assert np.isfinite(gradients).all()


# The formulas of dm_control.utils.rewards with margin 1 and value_at_margin .1, reduced by hand, at
# distances .5 and 1.5.
_W = 10 + 99**0.5  # exp(arccosh(10))
REFERENCE = {
    "gaussian": (0.1**0.25, 0.1**2.25),
    "hyperbolic": (2 / (_W**0.5 + _W**-0.5), 2 / (_W**1.5 + _W**-1.5)),
    "long_tail": (1 / (9 * 0.25 + 1), 1 / (9 * 2.25 + 1)),
    "reciprocal": (1 / (9 * 0.5 + 1), 1 / (9 * 1.5 + 1)),
    "cosine": (0.5 * (1 + 0.1**0.5), 0.0),  # half-angle formula; 1.5 is beyond the half period
    "linear": (0.55, 0.0),
    "quadratic": (0.775, 0.0),
}


@pytest.mark.parametrize("sigmoid", REFERENCE)
def test_tolerance_has_dm_controls_values(sigmoid):
    values = tolerance(jnp.array([0.5, 1.5]), margin=1.0, sigmoid=sigmoid)
    np.testing.assert_allclose(values, REFERENCE[sigmoid], atol=1e-6)


def test_tolerance_with_open_bounds_and_without_margin():
    one_sided = functools.partial(tolerance, bounds=(1.0, float("inf")), margin=1.0)
    np.testing.assert_allclose(one_sided(jnp.array([0.0, 1.0, 1e6])), [0.1, 1.0, 1.0], atol=1e-6)
    assert np.isfinite(jax.grad(one_sided)(jnp.float32(5.0)))
    hard = tolerance(jnp.array([-0.1, 0.0, 1.0, 1.1]), bounds=(0.0, 1.0))
    np.testing.assert_array_equal(hard, [0.0, 1.0, 1.0, 0.0])
    assert hard.dtype == jnp.float32


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"sigmoid": "gausian"}, "did you mean 'gaussian'"),
        ({"bounds": (1.0, 0.0)}, "lower <= upper"),
        ({"margin": -1.0}, "margin"),
        ({"margin": 1.0, "value_at_margin": 0.0}, "value_at_margin"),
    ],
)
def test_tolerance_says_what_is_wrong_in_one_line(arguments, said):
    with pytest.raises(ValueError, match=said) as error:
        tolerance(jnp.float32(0.0), **arguments)
    assert "\n" not in str(error.value)


def test_reach_reward():
    values = reach_reward(jnp.array([0.0, 0.2, 10.0]), scale=0.2)
    np.testing.assert_allclose(values, [1.0, 1.0 - np.tanh(1.0), 0.0], atol=1e-6)
    with pytest.raises(ValueError, match="scale"):
        reach_reward(jnp.float32(0.0), scale=0.0)

"""Derived constants follow any mass and armature that a randomizer may draw."""

import copy
from collections.abc import Callable

import jax
import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mjxsim
from mjxsim import scenes
from mjxsim.physics import complete, put_model
from mjxsim.robots import registry

DERIVED = ("body_subtreemass", "dof_M0", "dof_invweight0", "body_invweight0", "actuator_acc0")
Complete = Callable[[dict[str, np.ndarray]], dict[str, jax.Array]]

_scale = st.floats(0.125, 8.0, width=32)


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return scenes.build(registry.get("panda"), (scenes.ObjectSpec("cube"),)).compile()


@pytest.fixture(scope="module")
def completed(model: mujoco.MjModel) -> Complete:
    nominal = put_model(model)
    return mjxsim.jit(lambda overrides: complete(nominal, overrides))


@given(mass=_scale, armature=_scale)
@settings(max_examples=40, deadline=None)
def test_derived_constants_are_mj_setconst_s(
    model: mujoco.MjModel, completed: Complete, mass: float, armature: float
) -> None:
    """MuJoCo computes in float64, we in float32: a few ulp through a 15 x 15 inverse."""
    changed = copy.copy(model)
    changed.body_mass[:] = np.float32(model.body_mass * mass)
    changed.body_inertia[:] = np.float32(model.body_inertia * mass)
    changed.dof_armature[:] = np.float32(model.dof_armature * armature)
    fields = ("body_mass", "body_inertia", "dof_armature")
    got = completed({f: np.asarray(getattr(changed, f), np.float32) for f in fields})
    mujoco.mj_setConst(changed, mujoco.MjData(changed))
    for field in DERIVED:
        np.testing.assert_allclose(
            got[field], getattr(changed, field), rtol=1e-4, atol=1e-7, err_msg=field
        )
        assert (np.asarray(got[field]) >= 0).all(), field


def test_other_joints_are_other_inertias(model: mujoco.MjModel, completed: Complete) -> None:
    """An axle a centimetre off, and tilted."""
    changed = copy.copy(model)
    arm = slice(0, 7)
    changed.jnt_pos[arm] += (0.01, -0.005, 0.0)
    changed.jnt_axis[arm] += (0.1, 0.05, 0.0)
    changed.jnt_axis[arm] /= np.linalg.norm(changed.jnt_axis[arm], axis=1, keepdims=True)
    fields = ("jnt_pos", "jnt_axis")
    got = completed({f: np.asarray(getattr(changed, f), np.float32) for f in fields})
    mujoco.mj_setConst(changed, mujoco.MjData(changed))
    for field in DERIVED:
        np.testing.assert_allclose(
            got[field], getattr(changed, field), rtol=1e-4, atol=1e-7, err_msg=field
        )
    assert np.abs(changed.dof_M0[arm] / model.dof_M0[arm] - 1.0).max() > 0.01

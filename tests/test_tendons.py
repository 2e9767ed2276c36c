"""The short way through fixed tendons gives what MJX itself computes."""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from mujoco import mjx
from mujoco.mjx._src import smooth

import mjxsim
from mjxsim import scenes
from mjxsim.physics.tendons import joint_tendons
from mjxsim.robots import registry

TWO_TENDONS = """
<mujoco>
  <worldbody>
    <body><joint name="a" axis="0 0 1"/><geom size=".1"/>
      <body pos="1 0 0"><joint name="b" axis="0 1 0"/><geom size=".1"/>
        <body pos="1 0 0"><joint name="c" type="slide"/><geom size=".1"/></body></body></body>
  </worldbody>
  <tendon>
    <fixed><joint joint="a" coef="2"/><joint joint="c" coef="-1"/></fixed>
    <fixed><joint joint="b" coef=".5"/></fixed>
  </tendon>
</mujoco>
"""


def _both_ways(model: mujoco.MjModel) -> tuple[mjx.Data, mjx.Data]:
    m = mjx.put_model(model, impl="jax")

    @mjxsim.jit
    def run(qpos: jax.Array) -> tuple[mjx.Data, mjx.Data]:
        d = smooth.com_pos(m, smooth.kinematics(m, mjx.make_data(m).replace(qpos=qpos)))
        theirs = smooth.tendon(m, d)
        with joint_tendons():
            ours = smooth.tendon(m, d)
        return theirs, ours

    return run(jax.random.normal(jax.random.key(0), (model.nq,)))


def _check(model: mujoco.MjModel) -> None:
    theirs, ours = _both_ways(model)
    np.testing.assert_allclose(ours.ten_length, theirs.ten_length, rtol=1e-6)
    np.testing.assert_array_equal(ours._impl.ten_J, theirs._impl.ten_J)
    assert jnp.abs(ours.ten_length).min() > 0


def test_panda_gripper() -> None:
    _check(scenes.build(registry.get("panda")).compile())


def test_two_tendons_over_three_joints() -> None:
    _check(mujoco.MjModel.from_xml_string(TWO_TENDONS))


def test_patch_is_gone_afterwards() -> None:
    before = smooth.tendon
    with joint_tendons():
        assert smooth.tendon is not before
    assert smooth.tendon is before


def test_armature_adds_no_bias() -> None:
    model = mujoco.MjModel.from_xml_string(TWO_TENDONS)
    model.tendon_armature[:] = 0.5
    m = mjx.put_model(model, impl="jax")

    @mjxsim.jit
    def run(qvel: jax.Array) -> tuple[mjx.Data, mjx.Data]:
        d = mjx.make_data(m).replace(qvel=qvel)
        d = smooth.tendon(m, smooth.com_vel(m, smooth.com_pos(m, smooth.kinematics(m, d))))
        theirs = smooth.tendon_bias(m, d)
        with joint_tendons():
            ours = smooth.tendon_bias(m, d)
        return theirs, ours

    theirs, ours = run(jax.random.normal(jax.random.key(0), (model.nv,)))
    np.testing.assert_array_equal(ours.qfrc_bias, theirs.qfrc_bias)

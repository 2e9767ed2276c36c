"""Mass matrix, bias and Jacobian of a chain against MuJoCo's."""

import dataclasses

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mjxsim
from mjxsim.control.dynamics import ChainDynamics, evaluate
from mjxsim.control.kinematics import Chain
from mjxsim.robots import registry

POSES = 30

# Turned base, anchors off the bodies' origins, two joints in one body, a slide, a joint with a
# reference, a welded body, a side branch with a joint of its own, partial gravity compensation.
ODD_ARM = """
<mujoco><compiler autolimits="true"/><option gravity="1 -2 -9"/>
<default><geom type="box" size=".03 .05 .02" density="4000"/></default>
<worldbody><body pos=".4 .1 0"><freejoint/><geom/></body>
  <body pos=".1 -.2 .3" euler="10 20 30"><geom/>
    <body pos="0 0 .2" euler="0 40 0">
      <joint name="a" axis="0 .6 .8" pos=".02 .01 0" armature=".02"/>
      <joint name="b" axis="1 0 0" pos="0 .03 0" ref="25"/><geom pos=".1 0 .05"/>
      <body pos=".25 0 0" euler="0 0 50" gravcomp=".7">
        <joint name="c" type="slide" axis="0 .8 .6" pos=".05 0 0" ref=".04"/><geom/>
        <body pos="0 .1 0" gravcomp="1"><geom pos=".02 .1 0" euler="10 20 30"/>
          <body pos="0 .1 .1" euler="60 0 0">
            <joint name="d" axis="0 0 1" armature=".1"/><geom/>
            <body pos=".1 0 .05"><joint name="e" axis="0 1 0"/><geom pos="0 .02 .03"/>
              <site name="tip" pos=".01 .02 .1" euler="5 6 7"/>
              <body pos="0 0 .1"><joint name="finger" type="slide" axis="0 1 0"/><geom/></body>
            </body></body></body></body></body></body>
</worldbody></mujoco>
"""


def _odd() -> tuple[mujoco.MjModel, Chain, str]:
    model = mujoco.MjModel.from_xml_string(ODD_ARM)
    return model, Chain.from_model(model, ("a", "b", "c", "d", "e"), "tip"), "tip"


def _panda(compensated: bool = True) -> tuple[mujoco.MjModel, Chain, str]:
    arm, spec = registry.get("panda").arm, registry.get("panda").load()
    if not compensated:
        for body in spec.bodies:
            body.gravcomp = 0.0
    model = spec.compile()
    return model, Chain.from_model(model, arm.joints, arm.tcp_site), arm.tcp_site


@pytest.mark.parametrize(
    "build", [_panda, lambda: _panda(compensated=False), _odd], ids=["panda", "heavy", "odd"]
)
def test_equations_of_motion_agree_with_mujoco(build):
    """Float32 against float64, to a few 1e-7 of the largest number met along the way."""
    model, chain, name = build()
    data, rng = mujoco.MjData(model), np.random.default_rng(0)
    nominal = model.qpos0 + 0.02  # side branches stand off their reference
    dynamics = ChainDynamics.from_model(model, chain, nominal)
    moving = mjxsim.jit(lambda q, qd: evaluate(dynamics, q, qd))
    resting = mjxsim.jit(lambda q: evaluate(dynamics, q))
    site, dofs = model.site(name).id, dynamics.dof_adr
    full, jac, rate = np.zeros((model.nv, model.nv)), *np.zeros((2, 6, model.nv))
    for _ in range(POSES):
        q = rng.uniform(np.maximum(chain.lower, -3), np.minimum(chain.upper, 3)).astype(np.float32)
        qd = rng.normal(size=chain.size).astype(np.float32)
        data.qpos[:], data.qvel[:] = nominal, 0.0
        data.qpos[chain.qpos_adr], data.qvel[dofs] = q, qd
        mujoco.mj_forward(model, data)
        mujoco.mj_fullM(model, data, full)
        mujoco.mj_jacSite(model, data, jac[:3], jac[3:], site)
        point, body = data.site_xpos[site], model.site_bodyid[site]
        mujoco.mj_jacDot(model, data, rate[:3], rate[3:], point, body)

        got = moving(q, qd)
        np.testing.assert_allclose(got.site_pos, point, atol=3e-6)
        np.testing.assert_allclose(got.site_mat, data.site_xmat[site].reshape(3, 3), atol=3e-6)
        np.testing.assert_allclose(got.jacobian, jac[:, dofs], atol=3e-6)
        mass = full[np.ix_(dofs, dofs)]
        np.testing.assert_allclose(got.mass_matrix, mass, atol=1e-6 * mass.max())
        bias = (data.qfrc_bias - data.qfrc_gravcomp)[dofs]
        np.testing.assert_allclose(got.bias, bias, atol=2e-6 * max(10.0, np.abs(bias).max()))
        np.testing.assert_allclose(got.site_bias, rate[:, dofs] @ qd, atol=3e-5)

        data.qvel[:] = 0.0
        mujoco.mj_forward(model, data)
        bias = (data.qfrc_bias - data.qfrc_gravcomp)[dofs]
        still = resting(q)
        np.testing.assert_allclose(still.bias, bias, atol=2e-6 * max(10.0, np.abs(bias).max()))
        np.testing.assert_array_equal(still.mass_matrix, got.mass_matrix)
        np.testing.assert_array_equal(still.site_bias, 0.0)


def test_kinetic_energy_is_that_of_its_links():
    """Half qd M qd against a body-by-body sum that knows nothing of composition."""
    model, chain, _ = _panda()
    data, rng = mujoco.MjData(model), np.random.default_rng(1)
    dynamics = ChainDynamics.from_model(model, chain)
    dynamics = dataclasses.replace(dynamics, armature=np.zeros(7, np.float32))
    q = rng.uniform(chain.lower, chain.upper)
    qd = rng.normal(size=7)
    data.qpos[:7], data.qvel[:7] = q, qd
    mujoco.mj_forward(model, data)
    energy = 0.0
    for body in range(1, model.nbody):
        velocity = np.zeros(6)  # angular, linear, in the frame of the principal axes
        mujoco.mj_objectVelocity(model, data, mujoco.mjtObj.mjOBJ_BODY, body, velocity, 1)
        energy += 0.5 * model.body_inertia[body] @ velocity[:3] ** 2
        energy += 0.5 * model.body_mass[body] * (velocity[3:] @ velocity[3:])
    mass = mjxsim.jit(lambda q: evaluate(dynamics, q).mass_matrix)(jnp.float32(q))
    np.testing.assert_allclose(0.5 * qd @ np.asarray(mass) @ qd, energy, rtol=1e-5)


def test_batched_equals_single_and_is_differentiable():
    model, chain, _ = _panda()
    dynamics = ChainDynamics.from_model(model, chain)
    keys = jax.random.split(jax.random.key(0), 2)
    q, qd = (jax.random.normal(key, (8, 7)) for key in keys)
    batched = mjxsim.jit(jax.vmap(lambda q, qd: evaluate(dynamics, q, qd)))(q, qd)
    one = mjxsim.jit(lambda q, qd: evaluate(dynamics, q, qd))(q[3], qd[3])
    jax.tree.map(lambda b, o: np.testing.assert_allclose(b[3], o, atol=2e-5), batched, one)

    # The energy's derivative along a motion is its power: the bias is consistent with the mass.
    def energy(q: jax.Array) -> jax.Array:
        return 0.5 * jnp.sum(qd[0][:, None] * evaluate(dynamics, q).mass_matrix * qd[0])

    rate = mjxsim.jit(lambda q, qd: jax.jvp(energy, (q,), (qd,))[1])(q[0], qd[0])
    np.testing.assert_allclose(rate, np.sum(qd[0] * batched.bias[0]), atol=1e-4)

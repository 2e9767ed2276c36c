"""Equations of motion of one serial chain, in pure JAX.

A torque controller needs the inertia and the bias forces of a handful of joints at every physics
step. All quantities are spatial vectors about one fixed point, the robot's root, so that bodies are
composed by plain sums: the composite rigid body algorithm for the mass matrix and the recursive
Newton-Euler algorithm for the bias. Source: Featherstone, "Rigid Body Dynamics Algorithms", 2008,
chapters 2, 5 and 6.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim.control.kinematics import Chain, joint_frames, site_pose, sum_of_three


@dataclasses.dataclass(frozen=True, eq=False)
class ChainDynamics:
    """Inertial constants of a chain; static numpy arrays, built once per model.

    Link i is all that moves rigidly with joint i: its body, bodies welded to it, and the bodies of
    side branches (fingers) at a nominal position of their joints. Its numbers are in the frame of
    joint i. What a gripper holds is not part of it, as a real controller does not know it either.
    """

    chain: Chain
    dof_adr: np.ndarray  # (n,) int, indices into qvel
    mass: np.ndarray  # (n,) float32 [kg]
    com: np.ndarray  # (n, 3) float32 [m]
    inertia: np.ndarray  # (n, 3, 3) float32 [kg m^2], about the centre of mass
    # Mass that gravity pulls at, without what gravcomp carries, and mass times its centre.
    weight: np.ndarray  # (n,) float32 [kg]
    weight_moment: np.ndarray  # (n, 3) float32 [kg m]
    armature: np.ndarray  # (n,) float32 [kg m^2, kg], rotor inertia
    damping: np.ndarray  # (n,) float32 [N m s/rad, N s/m], passive viscous damping
    gravity: np.ndarray  # (3,) float32 [m/s^2], world frame

    @classmethod
    def from_model(
        cls, model: mujoco.MjModel, chain: Chain, qpos: np.ndarray | None = None
    ) -> "ChainDynamics":
        """Read the constants of ``chain`` from the nominal ``model``.

        Args:
          model: the compiled model; masses overridden per world are not followed.
          chain: the joints, as :meth:`Chain.from_model` builds them from the same model.
          qpos: ``(nq,)`` where the joints of side branches are taken to stand; ``model.qpos0`` if
            None.
        """
        data = mujoco.MjData(model)
        data.qpos[:] = model.qpos0 if qpos is None else qpos
        mujoco.mj_kinematics(model, data)
        joints = [model.joint(name).id for name in chain.joints]
        links = _links(model, joints)

        n = chain.size
        mass, com, inertia = np.zeros(n), np.zeros((n, 3)), np.zeros((n, 3, 3))
        weight, weight_moment = np.zeros(n), np.zeros((n, 3))
        for i, joint in enumerate(joints):
            body = model.jnt_bodyid[joint]
            rotation = data.xmat[body].reshape(3, 3)
            # Not xanchor, which for a slide is where it was before it slid.
            anchor = data.xpos[body] + rotation @ model.jnt_pos[joint]
            bodies = [body for body, link in enumerate(links) if link == i]
            masses = model.body_mass[bodies]
            centres = (data.xipos[bodies] - anchor) @ rotation
            mass[i] = masses.sum()
            if mass[i] > 0.0:
                com[i] = masses @ centres / mass[i]
            for body, m, centre in zip(bodies, masses, centres, strict=True):
                axes = rotation.T @ data.ximat[body].reshape(3, 3)
                arm = centre - com[i]
                inertia[i] += axes @ np.diag(model.body_inertia[body]) @ axes.T
                inertia[i] += m * (arm @ arm * np.eye(3) - np.outer(arm, arm))
            pulled = masses * (1.0 - model.body_gravcomp[bodies])
            weight[i], weight_moment[i] = pulled.sum(), pulled @ centres

        dofs = model.jnt_dofadr[joints]
        float32 = np.float32
        return cls(
            chain=chain,
            dof_adr=dofs.astype(np.int32),
            mass=mass.astype(float32),
            com=com.astype(float32),
            inertia=inertia.astype(float32),
            weight=weight.astype(float32),
            weight_moment=weight_moment.astype(float32),
            armature=model.dof_armature[dofs].astype(float32),
            damping=model.dof_damping[dofs].astype(float32),
            gravity=model.opt.gravity.astype(float32),
        )

    def joint_velocities(self, qvel: jax.Array) -> jax.Array:
        """Return the chain's joint velocities ``(n,)`` [rad/s, m/s] out of ``qvel (nv,)``."""
        start = int(self.dof_adr[0])
        if np.array_equal(self.dof_adr, np.arange(start, start + self.chain.size)):
            return qvel[start : start + self.chain.size]
        return qvel[self.dof_adr]


class Equations(NamedTuple):
    """What moves a chain at one position and velocity; world frame."""

    site_pos: jax.Array  # (3,) [m]
    site_mat: jax.Array  # (3, 3)
    jacobian: jax.Array  # (6, n), rows as `kinematics.jacobian`
    mass_matrix: jax.Array  # (n, n) [kg m^2, kg], with armature
    # (n,) [N m, N] torque that holds the chain against gravity and, where asked for, keeps its
    # joint velocities constant against Coriolis and centrifugal forces.
    bias: jax.Array
    site_bias: jax.Array  # (6,) [m/s^2, rad/s^2] the site's acceleration at constant velocities


def evaluate(dynamics: ChainDynamics, q: jax.Array, qd: jax.Array | None = None) -> Equations:
    """Return kinematics and equations of motion at joints ``q (n,)`` and velocities ``qd (n,)``.

    ``mass_matrix @ qdd + bias = torque`` for a free chain without damping. With ``qd`` None the
    velocity is taken as zero, which costs about half: ``bias`` is gravity's alone.
    """
    chain = dynamics.chain
    frames = joint_frames(chain, q)
    site_pos, site_mat = site_pose(chain, frames)

    # Joint axes as spatial motion vectors about the root: angular part, and linear part there.
    axes = sum_of_three(frames[:, :, :3], chain.axis[:, None, :])
    anchors = frames[:, :, 3] - chain.root_pos
    hinge = chain.is_hinge[:, None]
    angular = jnp.where(hinge, axes, 0.0)
    linear = jnp.where(hinge, _cross(anchors, axes), axes)
    angular, linear = _fence((angular, linear))
    lever = site_pos - chain.root_pos
    jacobian = _fence(jnp.concatenate([(linear + _cross(angular, lever)).T, angular.T]))

    moment, inertia = _fence(_about_root(dynamics, frames, anchors))
    # Composite bodies: link i and all beyond it.
    n = chain.size
    flat = jnp.concatenate([moment, inertia.reshape(n, 9)], axis=1)
    composite = _suffix_sum(flat)
    total = np.cumsum(dynamics.mass[::-1])[::-1].astype(np.float32)[:, None]
    first, second = composite[:, :3], composite[:, 3:].reshape(n, 3, 3)
    # What joint j would have to exert, as a wrench about the root, for unit acceleration.
    force = total * linear + _cross(angular, first)
    torque = sum_of_three(second, angular[:, None, :]) + _cross(first, linear)
    wrench = _fence(jnp.concatenate([torque, force], axis=1))
    screw = jnp.concatenate([angular, linear], axis=1)
    product = screw[:, None, :] * wrench[None, :, :]
    entries = _fence(_sum_of_six(product))  # (i, j), right where i <= j
    upper = np.triu(np.ones((n, n), bool))
    mass_matrix = jnp.where(upper, entries, entries.T) + np.diag(dynamics.armature)

    site_bias = jnp.zeros(6, jnp.float32)
    load: jax.Array | None = None
    if qd is not None:
        load, site_bias = _velocity_terms(dynamics, angular, linear, moment, inertia, lever, qd)
    if dynamics.weight.any() and dynamics.gravity.any():
        # The wrench against each link's weight.
        pull = dynamics.weight[:, None] * dynamics.gravity
        arm = anchors * dynamics.weight[:, None] + sum_of_three(
            frames[:, :, :3], dynamics.weight_moment[:, None, :]
        )
        against = -jnp.concatenate([_cross(arm, dynamics.gravity), jnp.asarray(pull)], axis=1)
        load = against if load is None else load + against
    bias = jnp.zeros(n, jnp.float32)
    if load is not None:
        bias = _sum_of_six(screw * _suffix_sum(_fence(load)))
    return Equations(site_pos, site_mat, jacobian, *_fence((mass_matrix, bias, site_bias)))


def _about_root(
    dynamics: ChainDynamics, frames: jax.Array, anchors: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return each link's mass times centre ``(n, 3)`` and inertia ``(n, 3, 3)`` about the root."""
    rotation = frames[:, :, :3]
    centre = anchors + sum_of_three(rotation, dynamics.com[:, None, :])
    moment = jnp.asarray(dynamics.mass[:, None]) * centre
    half = _fence(sum_of_three(rotation[:, :, None, :], dynamics.inertia[:, None, :, :]))
    inertia = sum_of_three(half[:, :, None, :], rotation[:, None, :, :])
    square = sum_of_three(moment, centre)[:, None, None] * np.eye(3, dtype=np.float32)
    return moment, inertia + square - moment[:, :, None] * centre[:, None, :]


def _velocity_terms(
    dynamics: ChainDynamics,
    angular: jax.Array,
    linear: jax.Array,
    moment: jax.Array,
    inertia: jax.Array,
    lever: jax.Array,
    qd: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Return each link's wrench ``(n, 6)`` at constant ``qd`` and the site's acceleration there."""
    rates = jnp.concatenate([angular, linear], axis=1) * qd[:, None]
    velocity = _prefix_sum(_fence(rates))
    w, v = velocity[:, :3], velocity[:, 3:]
    # A joint's axis moves with its link.
    turned = jnp.concatenate(
        [_cross(w, rates[:, :3]), _cross(v, rates[:, :3]) + _cross(w, rates[:, 3:])], axis=1
    )
    acceleration = _prefix_sum(_fence(turned))
    dw, dv = acceleration[:, :3], acceleration[:, 3:]
    mass = dynamics.mass[:, None]
    momentum = mass * v + _cross(w, moment)
    spin = sum_of_three(inertia, w[:, None, :]) + _cross(moment, v)
    momentum, spin = _fence((momentum, spin))
    force = mass * dv + _cross(dw, moment) + _cross(w, momentum)
    torque = sum_of_three(inertia, dw[:, None, :]) + _cross(moment, dv)
    torque = torque + _cross(w, spin) + _cross(v, momentum)
    last = dv[-1] + _cross(dw[-1], lever) + _cross(w[-1], v[-1] + _cross(w[-1], lever))
    return jnp.concatenate([torque, force], axis=1), jnp.concatenate([last, dw[-1]])


def _prefix_sum(rows: jax.Array) -> jax.Array:
    """Return the running sums of ``rows (n, k)``, in log2(n) stages (Hillis and Steele, 1986)."""
    done = 1
    while done < rows.shape[0]:
        rows = _fence(jnp.concatenate([rows[:done], rows[done:] + rows[:-done]]))
        done *= 2
    return rows


def _suffix_sum(rows: jax.Array) -> jax.Array:
    """Return the running sums of ``rows (n, k)`` from the last row backwards."""
    done = 1
    while done < rows.shape[0]:
        rows = _fence(jnp.concatenate([rows[:-done] + rows[done:], rows[-done:]]))
        done *= 2
    return rows


def _cross(a: jax.Array, b: jax.Array | np.ndarray) -> jax.Array:
    """Return a x b over the last axis; either may be a single vector."""
    a0, a1, a2 = a[..., 0], a[..., 1], a[..., 2]
    b0, b1, b2 = b[..., 0], b[..., 1], b[..., 2]
    return jnp.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=-1)


def _sum_of_six(terms: jax.Array) -> jax.Array:
    """Return the sum over the last axis, of length 6, written out; see `sum_of_three`."""
    head = terms[..., 0] + terms[..., 1] + terms[..., 2]
    return head + terms[..., 3] + terms[..., 4] + terms[..., 5]


def _links(model: mujoco.MjModel, joints: list[int]) -> list[int]:
    """Return, for every body, the last of ``joints`` (its place) that moves it, or -1."""
    place = {model.jnt_bodyid[joint]: i for i, joint in enumerate(joints)}
    links = [-1] * model.nbody
    for body in range(1, model.nbody):  # parents come first
        links[body] = place.get(body, links[model.body_parentid[body]])
    return links


# Keeps XLA on CPU from fusing one stage into the next and recomputing it for every entry there.
_fence = jax.lax.optimization_barrier

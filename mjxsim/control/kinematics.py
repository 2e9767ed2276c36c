"""Forward kinematics and Jacobian of one serial chain, in pure JAX.

A controller needs the pose of one site as a function of a handful of joints, many times per
control step. The chain's own product of transforms costs a fraction of an engine's full
kinematics, works for a joint vector that is a mere candidate, and is differentiable.
"""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim import naming


@dataclasses.dataclass(frozen=True, eq=False)
class Chain:
    """The joints from the world to one site; static numpy arrays, built once per model.

    The transform from joint i's frame (its anchor, turned as its body) to its parent joint's is
    ``base[i] + sin(q) * sine[i] + cos(q) * cosine[i] + q * linear[i]``, a matrix ``(3, 4)`` of
    rotation and translation: Rodrigues' formula with the constants multiplied out. So one small
    affine map gives every joint's transform, and only their product is sequential.
    """

    joints: tuple[str, ...]  # names, from the base outwards
    qpos_adr: np.ndarray  # (n,) int, indices into qpos
    lower: np.ndarray  # (n,) float32 [rad, m], -inf where the joint has no limit
    upper: np.ndarray  # (n,) float32 [rad, m], +inf where the joint has no limit
    base: np.ndarray  # (n, 3, 4) float32
    sine: np.ndarray  # (n, 3, 4) float32
    cosine: np.ndarray  # (n, 3, 4) float32
    linear: np.ndarray  # (n, 3, 4) float32
    axis: np.ndarray  # (n, 3) float32, unit, in the joint's own frame
    is_hinge: np.ndarray  # (n,) bool; the others are slides
    site_pos: np.ndarray  # (3,) float32 [m], the site in the last joint's frame
    site_mat: np.ndarray  # (3, 3) float32
    root_pos: np.ndarray  # (3,) float32 [m], the robot's root body in the world
    root_mat: np.ndarray  # (3, 3) float32

    @classmethod
    def from_model(cls, model: mujoco.MjModel, joints: Sequence[str], site: str) -> "Chain":
        """Build the chain of ``joints``, in order from the base outwards, that carries ``site``.

        The geometry is the nominal model's: body or joint positions overridden per world are not
        followed, as a real controller does not know them either.

        Raises:
          ValueError: for an unknown joint or site, a joint that is no hinge or slide, or when
            ``joints`` are not exactly the joints between the world and the site, in order.
        """
        site_id = _id(model, mujoco.mjtObj.mjOBJ_SITE, "site", site)
        wanted = [_id(model, mujoco.mjtObj.mjOBJ_JOINT, "joint", name) for name in joints]
        bodies = _bodies_to(model, int(model.site_bodyid[site_id]))
        present = [j for body in bodies for j in _joints_of(model, body)]
        if not wanted or wanted != present:
            names = [model.joint(j).name for j in present]
            raise ValueError(
                f"the joints between the world and site {site!r} are {names}, in this order; "
                f"got {list(joints)}"
            )
        hinge, slide = int(mujoco.mjtJoint.mjJNT_HINGE), int(mujoco.mjtJoint.mjJNT_SLIDE)
        for j in present:
            if model.jnt_type[j] not in (hinge, slide):
                raise ValueError(f"joint {model.joint(j).name!r} must be a hinge or a slide")

        n = len(present)
        base, sine, cosine, linear = np.zeros((4, n, 3, 4))
        fixed = np.eye(4)  # from the frame of the joint before (or the world) to the place reached
        index = 0
        for body in bodies:
            fixed = fixed @ _transform(model.body_pos[body], model.body_quat[body])
            for j in _joints_of(model, body):
                fixed = fixed @ _translation(model.jnt_pos[j])
                axis, at_zero = model.jnt_axis[j], model.qpos0[model.jnt_qposadr[j]]
                rotation, origin = fixed[:3, :3], fixed[:3, 3]
                base[index, :, 3] = origin
                if model.jnt_type[j] == hinge:
                    along, cross = np.outer(axis, axis), _skew(axis)
                    # The joint turns by q - qpos0, and sin(q - q0) = c0 sin q - s0 cos q.
                    s0, c0 = np.sin(at_zero), np.cos(at_zero)
                    base[index, :, :3] = rotation @ along
                    sine[index, :, :3] = rotation @ (c0 * cross + s0 * (np.eye(3) - along))
                    cosine[index, :, :3] = rotation @ (c0 * (np.eye(3) - along) - s0 * cross)
                else:
                    base[index, :, :3] = rotation
                    base[index, :, 3] -= rotation @ axis * at_zero
                    linear[index, :, 3] = rotation @ axis
                fixed = _translation(-model.jnt_pos[j])
                index += 1
        fixed = fixed @ _transform(model.site_pos[site_id], model.site_quat[site_id])

        root = _transform(model.body_pos[bodies[0]], model.body_quat[bodies[0]])

        limited = model.jnt_limited[present].astype(bool)
        return cls(
            joints=tuple(joints),
            qpos_adr=model.jnt_qposadr[present].astype(np.int32),
            lower=np.where(limited, model.jnt_range[present, 0], -np.inf).astype(np.float32),
            upper=np.where(limited, model.jnt_range[present, 1], np.inf).astype(np.float32),
            base=base.astype(np.float32),
            sine=sine.astype(np.float32),
            cosine=cosine.astype(np.float32),
            linear=linear.astype(np.float32),
            axis=model.jnt_axis[present].astype(np.float32),
            is_hinge=model.jnt_type[present] == hinge,
            site_pos=fixed[:3, 3].astype(np.float32),
            site_mat=fixed[:3, :3].astype(np.float32),
            root_pos=root[:3, 3].astype(np.float32),
            root_mat=root[:3, :3].astype(np.float32),
        )

    @property
    def size(self) -> int:
        """The number of joints n."""
        return len(self.joints)

    def joint_positions(self, qpos: jax.Array) -> jax.Array:
        """Return the chain's joint positions ``(n,)`` [rad, m] out of ``qpos (nq,)``."""
        start = int(self.qpos_adr[0])
        if np.array_equal(self.qpos_adr, np.arange(start, start + self.size)):
            return qpos[start : start + self.size]  # a slice is far cheaper than a gather on CPU
        return qpos[self.qpos_adr]


def forward(chain: Chain, q: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the site's world position ``(3,)`` [m] and matrix ``(3, 3)`` at joints ``q (n,)``."""
    return site_pose(chain, joint_frames(chain, q))


def jacobian(chain: Chain, q: jax.Array) -> jax.Array:
    """Return the site's geometric Jacobian ``(6, n)`` in the world frame at joints ``q (n,)``.

    Rows 0-2 are the linear velocity [m/s] and rows 3-5 the angular velocity [rad/s] of the site
    per unit of joint velocity, as ``mj_jacSite`` gives them.
    """
    return forward_and_jacobian(chain, q)[2]


def forward_and_jacobian(chain: Chain, q: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return what :func:`forward` and :func:`jacobian` return, for little more than one of them."""
    frames = joint_frames(chain, q)
    pos, mat = site_pose(chain, frames)
    axes = sum_of_three(frames[:, :, :3], chain.axis[:, None, :])
    hinge = chain.is_hinge[:, None]
    linear = jnp.where(hinge, jnp.cross(axes, pos - frames[:, :, 3]), axes)
    angular = jnp.where(hinge, axes, 0.0)
    return pos, mat, jax.lax.optimization_barrier(jnp.concatenate([linear.T, angular.T]))


def sum_of_three(a: jax.Array | np.ndarray, b: jax.Array | np.ndarray) -> jax.Array:
    """Return the sum of ``a * b`` over the last axis, of length 3, as three products.

    XLA compiles this to plain vector code; ``jnp.sum`` and ``@`` over so short an axis cost three
    times as much on CPU, and ``@`` may round to TF32 elsewhere.
    """
    product = jnp.asarray(a) * b
    return product[..., 0] + product[..., 1] + product[..., 2]


def joint_frames(chain: Chain, q: jax.Array) -> jax.Array:
    """Return every joint's frame ``(n, 3, 4)`` in the world, from the base outwards.

    The running product is a parallel prefix (Hillis and Steele, 1986): log2(n) stages on all
    joints at once and not n stages on one. Without the barriers XLA on CPU fuses the stages and
    recomputes each one's input for every entry of its output, exponentially often.
    """
    sine, cosine = jax.lax.optimization_barrier((jnp.sin(q), jnp.cos(q)))
    frames = chain.base + sine[:, None, None] * chain.sine + cosine[:, None, None] * chain.cosine
    if chain.linear.any():
        frames = frames + q[:, None, None] * chain.linear
    frames = jax.lax.optimization_barrier(frames)
    done = 1
    while done < chain.size:
        joined = _product(frames[:-done], frames[done:])
        frames = jax.lax.optimization_barrier(jnp.concatenate([frames[:done], joined]))
        done *= 2
    return frames


def site_pose(chain: Chain, frames: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return what :func:`forward` returns, from the frames of :func:`joint_frames`."""
    site = np.concatenate([chain.site_mat, chain.site_pos[:, None]], axis=1)
    world = jax.lax.optimization_barrier(_product(frames[-1:], site[None]))[0]
    return world[:, 3], world[:, :3]


def _product(a: jax.Array, b: jax.Array | np.ndarray) -> jax.Array:
    """Return the transforms a b, all ``(k, 3, 4)``."""
    turned = a[:, :, 0:1] * b[:, 0:1] + a[:, :, 1:2] * b[:, 1:2] + a[:, :, 2:3] * b[:, 2:3]
    return turned + a * np.array([0.0, 0.0, 0.0, 1.0], np.float32)


def _id(model: mujoco.MjModel, kind: mujoco.mjtObj, what: str, name: str) -> int:
    found = mujoco.mj_name2id(model, kind, name)
    if found < 0:
        count = {"joint": model.njnt, "site": model.nsite}[what]
        names = [mujoco.mj_id2name(model, kind, i) or "" for i in range(count)]
        raise ValueError(naming.unknown(what, name, [n for n in names if n]))
    return found


def _bodies_to(model: mujoco.MjModel, body: int) -> list[int]:
    """Return the bodies from the world's child down to ``body``."""
    path: list[int] = []
    while body != 0:
        path.append(body)
        body = int(model.body_parentid[body])
    return path[::-1]


def _joints_of(model: mujoco.MjModel, body: int) -> list[int]:
    first, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
    return list(range(first, first + count))


def _transform(pos: np.ndarray, quat: np.ndarray) -> np.ndarray:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quat)
    out = np.eye(4)
    out[:3, :3], out[:3, 3] = matrix.reshape(3, 3), pos
    return out


def _translation(pos: np.ndarray) -> np.ndarray:
    out = np.eye(4)
    out[:3, 3] = pos
    return out


def _skew(v: np.ndarray) -> np.ndarray:
    return np.array([[0.0, -v[2], v[1]], [v[2], 0.0, -v[0]], [-v[1], v[0], 0.0]])

"""Torques that make a TCP behave as a decoupled mass, spring and damper.

Source: Khatib, "A Unified Approach for Motion and Force Control of Robot Manipulators: The
Operational Space Formulation", IEEE J. Robotics and Automation 3(1), 1987.
"""

import dataclasses
import math
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim import naming
from mjxsim.control.dynamics import ChainDynamics, Equations
from mjxsim.control.ik import add_up, pose_error, solve_spd
from mjxsim.control.kinematics import sum_of_three

Rate = Literal["physics", "control"]
Impedance = Literal["fixed", "action"]

# Of a gain's damping times the time for which its torque is held; see `OscConfig.check_rate`.
_MAX_DAMPING_SHARE = 1.5


@dataclasses.dataclass(frozen=True)
class OscConfig:
    """How an operational-space controller follows its target.

    Gains are accelerations per error: the inertia seen at the TCP turns them into forces, so the
    same numbers suit a light and a heavy arm. A TCP at rest yields to a force F [N] by
    ``mobility @ F / stiffness``, where the mobility [1/kg] is that of the arm in that pose.

    The defaults are robosuite's OSC_POSE (``kp`` 150, ``damping_ratio`` 1, ``kp`` 10 in the null
    space; robosuite/controllers/parts/arm/osc.py); gym-hil's opspace takes 200, 1 and 0.5.
    """

    # When torques are computed: "physics" before every physics step, as a real robot's 1 kHz loop
    # would; "control" once per control step and then held, which is cheaper and limits stiffness.
    rate: Rate = "physics"
    stiffness: float = 150.0  # [1/s^2] TCP acceleration per metre of position error
    rotation_stiffness: float = 150.0  # [1/s^2] angular acceleration per rad of error
    damping_ratio: float = 1.0  # 1 is critical
    posture_stiffness: float = 10.0  # [1/s^2] pull of spare freedom to the home posture
    # "action" adds four entries before the gripper's: the stiffness along the base's x, y, z, and
    # of rotation. -1 divides the configured one by `stiffness_span`, 0 leaves it, 1 multiplies.
    impedance: Impedance = "fixed"
    stiffness_span: float = 4.0
    # Whether Coriolis and centrifugal forces are compensated, beside gravity's.
    coriolis: bool = True
    # [1/kg] mobility below which a direction is given up rather than forced: near a singularity.
    min_mobility: float = 0.005
    # [m/rad] as `IkConfig.rotation_weight`: None is 1, and 0.05 for an arm of fewer than 6 joints.
    rotation_weight: float | None = None

    def __post_init__(self) -> None:
        """Raise ValueError where a value cannot work."""
        for name, value, valid in (
            ("rate", self.rate, get_args(Rate)),
            ("impedance", self.impedance, get_args(Impedance)),
        ):
            if value not in valid:
                raise ValueError(naming.unknown(f"osc {name}", value, valid))
        positive = {
            "stiffness": self.stiffness,
            "rotation_stiffness": self.rotation_stiffness,
            "damping_ratio": self.damping_ratio,
            "min_mobility": self.min_mobility,
        }
        for name, value in positive.items():
            if not value > 0.0:
                raise ValueError(f"osc {name} must be positive, got {value}")
        if not self.posture_stiffness >= 0.0 or (self.rotation_weight or 0.0) < 0.0:
            raise ValueError("osc posture_stiffness and rotation_weight must be at least 0")
        if not self.stiffness_span >= 1.0:
            raise ValueError(f"osc stiffness_span must be at least 1, got {self.stiffness_span}")

    @property
    def impedance_size(self) -> int:
        """Action entries for the stiffness."""
        return 4 if self.impedance == "action" else 0

    @property
    def base_stiffness(self) -> tuple[float, float, float, float]:
        """[1/s^2] along x, y, z, and of rotation, for an impedance action of 0."""
        return (self.stiffness, self.stiffness, self.stiffness, self.rotation_stiffness)

    def check_rate(self, hold: float) -> None:
        """Check that the stiffest gain is stable when a torque is held for ``hold`` [s].

        A unit mass under a sampled spring k and damper d, held for T, has its faster root at
        1 - d T (to first order in k T^2), which rings from d T = 1 and diverges from 2.

        Raises:
          ValueError: d T is above 1.5.
        """
        span = self.stiffness_span if self.impedance == "action" else 1.0
        stiffest = max(self.stiffness, self.rotation_stiffness) * span
        stiffest = max(stiffest, self.posture_stiffness)
        limit = (_MAX_DAMPING_SHARE / (2.0 * self.damping_ratio * hold)) ** 2
        if stiffest > limit * (1.0 + 1e-6):
            reached = f" (an action reaches {stiffest:g})" if span > 1.0 else ""
            advice = ", or rate='physics'" if self.rate == "control" else ""
            raise ValueError(
                f"osc stiffness must be at most {math.floor(limit)} 1/s^2 when torques are held "
                f"for {hold:g} s at damping ratio {self.damping_ratio:g}{reached}; lower it{advice}"
            )


def torque(
    dynamics: ChainDynamics,
    now: Equations,
    q: jax.Array,
    qd: jax.Array,
    target_pos: jax.Array,
    target_mat: jax.Array,
    stiffness: jax.Array,
    config: OscConfig,
    rest: np.ndarray,
    hold: float,
) -> jax.Array:
    """Return joint torques ``(n,)`` [N m, N], not limited.

    The joints' passive damping is cancelled, as gravity is. An engine integrates damping implicitly
    and the torque is held, so to the controller the damping acts as inertia: ``hold`` times its
    value is added to the mass matrix, which makes the commanded acceleration the one that happens.

    Args:
      dynamics: the chain.
      now: its equations of motion at ``q`` and ``qd``.
      q: ``(n,)`` [rad, m].
      qd: ``(n,)`` [rad/s, m/s].
      target_pos: ``(3,)`` [m], world frame.
      target_mat: ``(3, 3)``, world frame.
      stiffness: ``(4,)`` [1/s^2], along the base's x, y, z, and of rotation.
      config: the other gains.
      rest: ``(n,)`` [rad, m] posture to which spare freedom is pulled.
      hold: [s] see above: the timestep, or the mean of it and the time for which torques are held.
    """
    n = dynamics.chain.size
    root = dynamics.chain.root_mat
    weight = _weight(config, n)
    posture = config.posture_stiffness * (rest - q)
    posture = posture - 2.0 * config.damping_ratio * math.sqrt(config.posture_stiffness) * qd

    error = pose_error(now.site_pos, now.site_mat, target_pos, target_mat)
    twist = add_up(now.jacobian[:, i] * qd[i] for i in range(n))
    damping = 2.0 * config.damping_ratio * jnp.sqrt(stiffness)
    spring = _along_base(root, error, stiffness)
    wanted = spring - _along_base(root, twist, damping) - now.site_bias
    mass = now.mass_matrix + np.diag(hold * dynamics.damping).astype(np.float32)
    jac, mass, spring = _fence((weight[:, None] * now.jacobian, mass, weight * spring))

    # A joint at its limit that would be driven beyond it takes no part, as in `ik.solve`: to the
    # others it is locked.
    wish = add_up(jac[i] * spring[i] for i in range(6))
    lower, upper = _limits(dynamics)
    free = ~(((q <= lower) & (wish < 0.0)) | ((q >= upper) & (wish > 0.0)))
    eye = np.eye(n, dtype=np.float32)
    mass = jnp.where(free[:, None] & free[None, :], mass, eye)
    jac, posture = jnp.where(free, jac, 0.0), jnp.where(free, posture, 0.0)

    jac, mass, posture, wanted = _fence((jac, mass, posture, wanted))
    reach = solve_spd(mass, jac.T)  # (n, 6) joint acceleration per TCP force
    mobility = add_up(jac[:, i : i + 1] * reach[i] for i in range(n))
    mobility = mobility + config.min_mobility * np.eye(6, dtype=np.float32)
    # The posture's own acceleration at the TCP is taken out: it moves only the null space.
    remaining = weight * wanted - add_up(jac[:, i] * posture[i] for i in range(n))
    force = solve_spd(*_fence((mobility, remaining)))
    push = add_up(jac[i] * force[i] for i in range(6))
    follow = add_up(mass[i] * posture[i] for i in range(n))
    return push + follow + now.bias + dynamics.damping * qd


def _weight(config: OscConfig, joints: int) -> np.ndarray:
    """Return the weights ``(6,)`` of position and rotation."""
    rotation = config.rotation_weight
    if rotation is None:
        rotation = 1.0 if joints >= 6 else 0.05
    return np.array([1.0] * 3 + [rotation] * 3, np.float32)


def _limits(dynamics: ChainDynamics) -> tuple[np.ndarray, np.ndarray]:
    """Return the joint positions ``(n,)`` from which on a joint counts as at its limit."""
    margin = np.where(dynamics.chain.is_hinge, 0.01, 0.001).astype(np.float32)  # [rad, m]
    return dynamics.chain.lower + margin, dynamics.chain.upper - margin


def _along_base(root: np.ndarray, twist: jax.Array, gains: jax.Array) -> jax.Array:
    """Return ``twist (6,)`` times ``gains (4,)``: along the base's x, y, z, and of rotation."""
    linear = sum_of_three(root.T, twist[:3]) * gains[:3]
    linear = sum_of_three(root, linear)
    return jnp.concatenate([linear, twist[3:] * gains[3]])


# Keeps XLA on CPU from fusing one stage into the next and recomputing it for every entry there.
_fence = jax.lax.optimization_barrier

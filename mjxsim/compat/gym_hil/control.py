"""gym-hil's operational-space controller: a mocap target that actions move, followed by torques.

Source: gym-hil 0.1.14, `FrankaGymEnv.apply_action` and `controllers/opspace.py`. It differs from
`mjxsim.control.OperationalSpace`, which is better founded, in what a trained policy notices: joint
damping is not compensated, so that a target that moves is followed with a lag; Coriolis forces are
compensated in the joints but not at the TCP; the posture's gains are torques and not accelerations;
and the controller sees what MuJoCo computed before the last physics step, not after it.
"""

import dataclasses
import math

import flax.struct
import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim.control import Motion
from mjxsim.control.actuation import Actuation, torque_motors
from mjxsim.control.dynamics import ChainDynamics, evaluate
from mjxsim.control.ik import add_up, pose_error, solve_spd
from mjxsim.control.kinematics import Chain, forward
from mjxsim.math import rotations
from mjxsim.physics.base import PhysicsState
from mjxsim.robots.base import RobotSpec

# opspace.py, the defaults of `opspace`, which gym-hil uses.
STIFFNESS = 200.0  # [1/s^2] of position and of rotation
DAMPING_RATIO = 1.0
POSTURE_STIFFNESS = 0.5  # [N m/rad]
TARGET_QUAT = (0.0, 1.0, 0.0, 0.0)  # of scene.xml's mocap body: the gripper points down
MAX_GRIPPER_COMMAND = 255.0  # mujoco_gym_env.py

# Below this determinant of the mobility gym-hil takes a pseudoinverse that drops what is below a
# hundredth of the largest singular value; here the mobility then gets a little added instead, which
# needs no decomposition.
SINGULAR_DETERMINANT = 1e-2
SINGULAR_SHARE = 1e-2

Corners = tuple[tuple[float, float, float], tuple[float, float, float]]


class OpspaceState(flax.struct.PyTreeNode):
    """What the controller remembers between control steps."""

    target: jax.Array  # (3,) [m] where the mocap body is, world frame


@dataclasses.dataclass(frozen=True)
class OpspaceConfig:
    """How actions move the target.

    An action is x, y, z and the gripper, each in [-1, 1]: the target moves by `step` metres for 1,
    within `bounds`, and the gripper's control, 0 to 1, by as much as the action says. In gym-hil a
    positive gripper action CLOSES; with `positive_opens` it opens.
    """

    step: tuple[float, float, float] = (0.025, 0.025, 0.025)  # [m] for an action of 1
    bounds: Corners = ((0.2, -0.3, 0.0), (0.6, 0.3, 0.5))  # [m] world frame
    posture: tuple[float, ...] = (0.0, 0.195, 0.0, -2.43, 0.0, 2.62, 0.785)  # [rad]
    positive_opens: bool = False

    def __call__(self, robot: RobotSpec, model: mujoco.MjModel, control_dt: float) -> "Opspace":
        """Resolves names to indices."""
        del control_dt
        arm = robot.arm
        chain = Chain.from_model(model, arm.joints, arm.tcp_site)
        ids, lower, upper = torque_motors(model, arm.actuators, arm.joints)
        actuation = Actuation(
            arm=ids,
            lower=lower,
            upper=upper,
            gripper=model.actuator(arm.gripper_actuator).id,
            gripper_mode="continuous",
            gripper_open=arm.gripper_open_ctrl,
            gripper_closed=arm.gripper_closed_ctrl,
        )
        dynamics = ChainDynamics.from_model(model, chain)
        return Opspace(chain, actuation, dynamics, self, float(model.opt.timestep))


@dataclasses.dataclass(frozen=True, eq=False)
class Opspace:
    """See the module; a `mjxsim.control.Controller`."""

    chain: Chain
    actuation: Actuation
    dynamics: ChainDynamics
    config: OpspaceConfig
    timestep: float  # [s] of the physics

    @property
    def action_size(self) -> int:
        """x, y, z and the gripper."""
        return 4

    @property
    def every_substep(self) -> bool:
        """See :class:`~mjxsim.control.base.Controller`."""
        return True

    def init(self, physics: PhysicsState) -> OpspaceState:
        """The target is where the TCP is."""
        return OpspaceState(forward(self.chain, self.chain.joint_positions(physics.qpos))[0])

    def __call__(
        self, state: OpspaceState, physics: PhysicsState, action: jax.Array
    ) -> tuple[OpspaceState, jax.Array]:
        """See :class:`~mjxsim.control.base.Controller`; torques come from `feedback` alone."""
        low, high = np.asarray(self.config.bounds, np.float32)
        moved = state.target + np.asarray(self.config.step, np.float32) * action[:3]
        state = OpspaceState(jnp.clip(moved, low, high))
        closing = -action[3] if self.config.positive_opens else action[3]
        before = physics.ctrl[self.actuation.gripper]
        grip = jnp.clip(before + MAX_GRIPPER_COMMAND * closing, 0.0, MAX_GRIPPER_COMMAND)
        is_gripper = np.arange(physics.ctrl.shape[0]) == self.actuation.gripper
        return state, jnp.where(is_gripper, grip, physics.ctrl)

    def feedback(self, state: OpspaceState, physics: PhysicsState, ctrl: jax.Array) -> jax.Array:
        """See :class:`~mjxsim.control.base.Controller`."""
        torque = self.torque(state, physics)
        return self.actuation.drive(ctrl, self.actuation.clip(torque))

    def torque(self, state: OpspaceState, physics: PhysicsState) -> jax.Array:
        """Joint torques (7,) [N m], not limited.

        Poses and inertia are those of one physics step ago, as `mj_step` leaves them, joint
        positions and velocities those of now. A semi-implicit step moves a joint by its new
        velocity, so where it was follows from where it is.
        """
        q = self.chain.joint_positions(physics.qpos)
        qd = self.dynamics.joint_velocities(physics.qvel)
        now = evaluate(self.dynamics, q - self.timestep * qd, qd)
        n = self.chain.size
        jac, mass = now.jacobian, now.mass_matrix

        posture = POSTURE_STIFFNESS * (np.asarray(self.config.posture, np.float32) - q)
        posture = posture - 2.0 * DAMPING_RATIO * math.sqrt(POSTURE_STIFFNESS) * qd
        down = rotations.to_matrix(jnp.array(TARGET_QUAT, jnp.float32))
        error = pose_error(now.site_pos, now.site_mat, state.target, down)
        twist = add_up(jac[:, i] * qd[i] for i in range(n))
        wanted = STIFFNESS * error - 2.0 * DAMPING_RATIO * math.sqrt(STIFFNESS) * twist

        reach = solve_spd(*_fence((mass, jac.T)))  # (n, 6) joint acceleration per TCP force
        mobility = add_up(jac[:, i : i + 1] * reach[i] for i in range(n))
        # What the posture would do at the TCP is taken out, and the null space is left to it.
        remaining = wanted - add_up(reach[i] * posture[i] for i in range(n))
        force = solve_spd(*_fence((_regular(mobility), remaining)))
        return add_up(jac[i] * force[i] for i in range(6)) + posture + now.bias

    def toward(self, state: OpspaceState, motion: Motion | tuple[Motion, ...]) -> jax.Array:
        """See :class:`~mjxsim.control.base.Controller`; the gripper stays turned down."""
        if isinstance(motion, tuple):
            (motion,) = motion
        ahead = (motion.tcp - state.target) / np.asarray(self.config.step, np.float32)
        opening = jnp.where(motion.open_gripper, 1.0, -1.0)
        grip = opening if self.config.positive_opens else -opening
        return jnp.concatenate([jnp.clip(ahead, -1.0, 1.0), grip[None]])

    def stay(self) -> jax.Array:
        """The action (4,) that leaves target and gripper as they are."""
        return jnp.zeros(4, jnp.float32)


def _regular(mobility: jax.Array) -> jax.Array:
    """The mobility (6, 6), with a little added to its diagonal where it is nearly singular."""
    share = SINGULAR_SHARE * jnp.trace(mobility) / 6.0
    near = jnp.where(_determinant(mobility) < SINGULAR_DETERMINANT, share, 0.0)
    return mobility + near * np.eye(6, dtype=np.float32)


def _determinant(matrix: jax.Array) -> jax.Array:
    """Of a symmetric positive definite matrix (n, n): the product of its pivots."""
    size, product = matrix.shape[0], jnp.float32(1.0)
    for _ in range(size):
        product = product * matrix[0, 0]
        column = matrix[1:, :1] / matrix[0, 0]
        matrix = _fence(matrix[1:, 1:] - column * matrix[:1, 1:])
    return product


# Keeps XLA on CPU from fusing one stage into the next and recomputing it for every entry there.
_fence = jax.lax.optimization_barrier

"""Restitution: which `solref` makes a contact bounce as asked.

A MuJoCo contact is a damped spring of natural frequency w = 1 / (timeconst * dampratio) that acts
on accelerations, whatever the mass (MuJoCo documentation, "Solver parameters"). For a free damped
spring of damping ratio z, half a period gives back

    e = exp(-pi z / sqrt(1 - z^2))

of the speed. A contact gives back more, for it pushes but never pulls: it lets go where the spring
would begin to hold (Schwager and Poeschel, "Coefficient of restitution and linear-dashpot model
revisited", 2007): at z = 0.5 not 0.16 but 0.30, and at z = 2, the contacts of our scenes, still
something. And a substep is not short beside such a contact. So the relation is computed as the
engine steps it: the spring above, unilateral, semi-implicit Euler with the model's own timestep,
averaged over where in a substep the surfaces meet.

Both of solref's numbers move together, on a curve that begins at the pair's compiled values and
ends at a hardly damped spring that a bounce still resolves; its restitution rises all the way.
"""

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

__all__ = ["Bounce", "rebound"]

_STATES = 65  # of the curve
_PHASES = 64  # of a substep at which surfaces meet
_DAMPING = 0.1  # damping ratio at the curve's end; it gives back 0.74 of the speed
_RADIANS = 0.4  # of the spring's phase per substep at the curve's end; twice that blurs e by 0.1


def rebound(solref: np.ndarray, timestep: float) -> tuple[np.ndarray, np.ndarray]:
    """Rebound over impact speed of a contact, apart from gravity: mean and spread, (...) each.

    The spread is the standard deviation over where in a substep the surfaces meet. `solref`
    (..., 2) is a time constant [s] and damping ratio; `timestep` [s].
    """
    time_constant = np.maximum(solref[..., :1], 2.0 * timestep)  # as MuJoCo does (refsafe)
    period = time_constant * solref[..., 1:]  # of the spring, per radian
    # The acceleration that a contact brings about: impedance times aref, in which it cancels.
    damping, stiffness = 2.0 / time_constant, 1.0 / period**2
    speed = np.full((*solref.shape[:-1], _PHASES), -1.0)
    depth = speed * timestep * (np.arange(_PHASES) + 0.5) / _PHASES
    for _ in range(int(np.ceil(4.0 * np.pi * period.max() / timestep)) + 8):
        push = np.maximum(-damping * speed - stiffness * depth, 0.0)
        speed = speed + timestep * np.where(depth < 0.0, push, 0.0)
        depth = depth + timestep * speed
    return speed.mean(axis=-1), speed.std(axis=-1)


class Bounce:
    """From restitution to `solref` for some contact pairs of one model.

    Attributes:
      nominal: Restitution of each pair as compiled; (npair,). None can be less.
      most: The greatest that can be asked of every one of them.
    """

    nominal: np.ndarray
    most: float

    def __init__(self, model: mujoco.MjModel, pairs: np.ndarray) -> None:
        """Works out the curve of each of `pairs`, ids (npair,).

        Raises:
          ValueError: a pair's solref is in the direct format (negative).
        """
        start = np.asarray(model.pair_solref[pairs], float)
        if not (start > 0.0).all():
            raise ValueError(
                "restitution needs contact pairs whose solref is a time constant and a damping "
                "ratio (both positive), not in the direct format"
            )
        frequency = _RADIANS / model.opt.timestep
        end = np.array([1.0 / (_DAMPING * frequency), _DAMPING])
        steps = np.linspace(0.0, 1.0, _STATES)
        curve = start[:, None] * (end / start[:, None]) ** steps[:, None]  # (npair, _STATES, 2)
        mean, _ = rebound(curve, model.opt.timestep)
        mean = np.maximum.accumulate(mean, axis=1)  # flat where it dips by the grain of substeps
        self.nominal = mean[:, 0]
        self.most = float(mean[:, -1].min())
        self._rises = jnp.asarray(np.log(end / start), jnp.float32)
        self._table = jnp.asarray(mean, jnp.float32)
        self._steps = jnp.asarray(steps, jnp.float32)

    def solref(self, nominal: jax.Array, restitution: jax.Array) -> jax.Array:
        """Time constant [s] and damping ratio (npair, 2) of the pairs.

        `nominal` (npair, 2) is what they are compiled with, and what comes back, bit for bit,
        where `restitution` (npair,) is no more than the nominal one.
        """
        # Where the curve is flat, jnp.interp takes the later step.
        step = jax.vmap(jnp.interp, in_axes=(0, 0, None))(restitution, self._table, self._steps)
        step = jnp.where(restitution <= self._table[:, 0], 0.0, step)
        return nominal * jnp.exp(step[:, None] * self._rises)

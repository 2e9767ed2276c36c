"""Solver options and contact parameters of every scene, in one place."""

from dataclasses import dataclass

import mujoco

__all__ = ["SceneOptions"]


@dataclass(frozen=True)
class SceneOptions:
    """Physics options of a scene.

    The contact numbers are a compromise between a grasp that does not creep and a solver that
    converges within few iterations. Friction in MuJoCo is regularized: a held object sinks at a
    speed proportional to its weight and to (1 - impedance) / impedance. With impedance 0.995 a
    0.1 kg cube in the Panda's pads sinks 0.05 mm/s, and 0.26 mm/s under five times its weight; 0.99
    doubles that, and 0.998 throws objects about unless the solver gets 8 or more iterations.

    Measured in C, 60 to 200 episodes of random arm motion with the cube between the fingers: the
    Newton solver needs 1 iteration in the median, 4 at 90 % and 7 at 99 % of substeps. Cut off at
    3 to 6 it launched the cube at 8 m/s and more in 5 to 25 % of episodes, cut off at 8 in 0.5 %,
    at 10 in none. A damping ratio of 2 keeps pads from letting go: the solver does not see implicit
    joint damping and overshoots at 1. An elliptic cone with impratio 10 creeps 20 times less, but
    10 iterations are not enough for it and its Hessian is slow in MJX.

    Attributes:
      timestep: One physics substep [s].
      iterations: Upper bound on Newton iterations per substep.
      ls_iterations: Upper bound on line-search iterations per Newton iteration.
      pad_friction: Sliding friction between a fingertip pad and an object (rubber).
      object_friction: Sliding friction between two objects.
      contact_solref: Time constant [s] and damping ratio of every contact; the time constant
        must be at least two timesteps (MuJoCo documentation, "Solver parameters").
      contact_solimp: Impedance of contacts: d0, dmax, width [m].
    """

    timestep: float = 0.005
    iterations: int = 10
    ls_iterations: int = 8
    pad_friction: float = 0.8
    object_friction: float = 0.6
    contact_solref: tuple[float, float] = (0.01, 2.0)
    contact_solimp: tuple[float, float, float] = (0.995, 0.995, 0.001)

    def apply(self, spec: mujoco.MjSpec) -> None:
        """Writes the solver options into `spec` (in place: an MjSpec is a builder)."""
        spec.option.timestep = self.timestep
        spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        spec.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
        spec.option.solver = mujoco.mjtSolver.mjSOL_NEWTON
        spec.option.iterations = self.iterations
        spec.option.ls_iterations = self.ls_iterations

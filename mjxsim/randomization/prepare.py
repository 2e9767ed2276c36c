"""What a scene must be compiled with, so that engines can vary it per world."""

from collections.abc import Sequence

import mujoco
import numpy as np

from mjxsim.randomization.physics import free_bodies
from mjxsim.randomization.physics_config import PhysicsRandomization
from mjxsim.robots.base import RobotSpec

__all__ = ["prepare"]

# An object's centre of mass is compiled this far from its origin [m]. MuJoCo takes 1e-6 for none.
_OFFSET = 2e-6
# Friction loss of joints whose own is to be drawn [N m, N]: nothing that could be felt, but
# MJX-Warp makes room for the constraint rows only where there is some.
_FRICTION = 1e-6


def prepare(
    spec: mujoco.MjSpec,
    config: PhysicsRandomization,
    robot: RobotSpec,
    objects: Sequence[str] | None = None,
) -> None:
    """Edits a scene in place, before it is compiled, so that all of `config` can vary in it.

    An object whose centre of mass is to move is given the mass and inertia it would be compiled
    with and a centre of mass 2 micrometres along x from its origin: without it MuJoCo compiles a
    free body into a mass matrix that has no room for an offset. Joints whose dry friction is to be
    drawn get a friction loss of 1e-6 where they have none. Nothing else changes.

    Args:
      spec: The scene, as `mjxsim.scenes.build` composes it.
      config: What is to be randomized.
      robot: The robot in the scene.
      objects: Names of the bodies that are objects; None for every free body.

    Raises:
      ValueError: one line, for a name that is no free body.
    """
    if config.objects.com_offset is not None:
        model = spec.copy().compile()
        for i in free_bodies(model, objects):
            if not model.body_simple[i]:
                continue
            body = spec.body(model.body(int(i)).name)
            body.explicitinertial = True
            body.mass = model.body_mass[i]
            body.inertia = model.body_inertia[i]
            body.ipos = model.body_ipos[i] + np.array([_OFFSET, 0.0, 0.0])
            body.iquat = model.body_iquat[i]
    friction = config.robot.joint_friction
    # A factor is of what there is: where there is nothing, `physics_randomizer` says so.
    if friction is not None and friction.how != "scale":
        for name in (n for arm in robot.arms for n in (*arm.joints, *arm.gripper_joints)):
            joint = spec.joint(name)
            joint.frictionloss = max(joint.frictionloss, _FRICTION)

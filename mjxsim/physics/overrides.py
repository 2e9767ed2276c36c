"""Per-world values of model fields: which there are, and which an engine can vary."""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
from mujoco.batch import MODEL_FIELDS

from mjxsim.naming import unknown
from mjxsim.physics.base import Overrides

# Fields that an engine leaves out altogether when they are zero in the compiled model. The three
# of the fluid count as one.
_FLUID = frozenset({"opt.density", "opt.viscosity", "opt.wind"})
_OFF_AT_ZERO = frozenset(
    {
        "body_gravcomp",
        "tendon_damping",
        "tendon_dampingpoly",
        "tendon_frictionloss",
        "tendon_stiffness",
        "tendon_stiffnesspoly",
    }
)
# mjModel's real-valued fields are parameters; its integers and flags are structure, on which
# compiled programs rely. The timestep fixes how many substeps there are.
_EMPTY = mujoco.MjModel.from_xml_string("<mujoco/>")


def field_of(model: mujoco.MjModel, field: str) -> np.ndarray:
    """The value of a field by its override name, "body_mass" or "opt.gravity"."""
    owner, name = (model.opt, field[4:]) if field.startswith("opt.") else (model, field)
    return np.asarray(getattr(owner, name))


def check_names(overrides: Overrides) -> None:
    """Raises ValueError, one line, for a field that does not exist or is structure."""
    for field in overrides:
        if field not in MODEL_FIELDS:
            raise ValueError(unknown("mjModel field to override", field, MODEL_FIELDS))
        if field == "opt.timestep" or field_of(_EMPTY, field).dtype.kind != "f":
            raise ValueError(f"mjModel field {field!r} is structure and cannot differ per world")


def check_fields(model: mujoco.MjModel, overrides: Overrides) -> None:
    """Raises ValueError, one line, for a field that no engine or not every engine can override.

    The values may be traced: only their shapes, unbatched, are looked at.
    """
    check_names(overrides)
    for field, value in overrides.items():
        nominal = field_of(model, field)
        if np.shape(value) != nominal.shape:
            raise ValueError(
                f"override of mjModel field {field!r} must have shape {nominal.shape} in one "
                f"world, got {np.shape(value)}"
            )
        group = _FLUID if field in _FLUID else {field} & _OFF_AT_ZERO
        if group and not any(field_of(model, f).any() for f in group):
            raise ValueError(
                f"mjModel field {field!r} is zero in the compiled model, where engines leave it "
                "out; compile the scene with a small value to vary it per world"
            )


def replaced(model: object, leaves: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """`leaves`, by path in an MJX model, in the shape and dtype that the model has there."""
    return {
        path: jnp.asarray(value, jnp.float32).reshape(leaf_of(model, path).shape)
        for path, value in leaves.items()
    }


def leaf_of(model: object, path: str) -> jax.Array | np.ndarray:
    """What an MJX model holds at a path such as "body_mass" or "opt.gravity"."""
    return functools.reduce(getattr, path.split("."), model)

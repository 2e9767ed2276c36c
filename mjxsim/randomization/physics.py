"""Draws a world's physical parameters: from ranges to overrides of model fields.

`physics_randomizer` resolves names to indices once. What it returns is a pure function that gives
the fields a user may set; `mjxsim.physics.complete` adds the constants MuJoCo derives from them.
"""

import dataclasses
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np

from mjxsim import physics as engines
from mjxsim.naming import unknown
from mjxsim.physics import Overrides
from mjxsim.physics.overrides import field_of, leaf_of
from mjxsim.randomization.draws import Width
from mjxsim.randomization.physics_config import PhysicsRandomization
from mjxsim.randomization.ranges import Range, check_range
from mjxsim.randomization.restitution import Bounce
from mjxsim.robots.base import RobotSpec

__all__ = ["PhysicsRandomizer", "free_bodies", "physics_randomizer"]

_Fields = dict[str, jax.Array]  # values of model fields so far
# (uniform draws from [0, 1), fields, width) -> the fields that change
_Edit = Callable[[jax.Array, _Fields, jax.Array | float], _Fields]


class _Change(NamedTuple):
    """What one range does to a model."""

    fields: tuple[str, ...]  # read and changed
    shape: tuple[int, ...]  # of the uniform draws that it takes
    edit: _Edit


@dataclasses.dataclass(frozen=True, eq=False)
class PhysicsRandomizer:
    """A pure function (key, nominal model, width) -> overrides of one world.

    Attributes:
      ranges: What is randomized, by names such as "objects.mass".
      fields: Model fields that a draw overrides.
    """

    ranges: dict[str, Range]
    fields: tuple[str, ...]
    _changes: dict[str, _Change]

    def __call__(self, key: jax.Array, nominal: "engines.Model", width: Width = 1.0) -> Overrides:
        """Draws one world; see `Range.draw` for the widths. Every range has a key of its own."""
        fields = {f: jnp.asarray(leaf_of(nominal, f), jnp.float32) for f in self.fields}
        if not fields:
            return {}
        # By name, so that another range set or left out changes no other draw; and all at once,
        # since every call of the generator adds to what must be compiled.
        names = jnp.asarray([zlib.crc32(name.encode()) for name in self._changes], jnp.uint32)
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, names)
        most = max(math.prod(change.shape) for change in self._changes.values())
        units = jax.vmap(lambda k: jax.random.uniform(k, (most,)))(keys)
        for (name, change), row in zip(self._changes.items(), units, strict=True):
            unit = row[: math.prod(change.shape)].reshape(change.shape)
            opened = width.get(name, 1.0) if isinstance(width, Mapping) else width
            fields |= change.edit(unit, fields, opened)
        return fields


def physics_randomizer(
    config: PhysicsRandomization,
    model: mujoco.MjModel,
    robot: RobotSpec,
    objects: Sequence[str] | None = None,
) -> PhysicsRandomizer:
    """Builds the randomizer of one compiled model.

    Args:
      config: What to randomize.
      model: The scene, compiled after `prepare`.
      robot: The robot in it.
      objects: Names of the bodies that are objects; None for every free body.

    Raises:
      ValueError: one line, for an unknown body, a range that gives values the model cannot have,
        or one that would change nothing in this model.
    """
    bodies = free_bodies(model, objects)
    ranges = config.entries()
    if not len(bodies) and (found := [n for n in ranges if n.startswith("objects.")]):
        raise ValueError(
            f"{found[0]}: the scene has no objects (free bodies) to randomize; leave out what is "
            "about objects, as PhysicsRandomization.without_objects() does"
        )
    build = _Build(model, robot, bodies, ranges)
    makers: dict[str, Callable[[Range], _Change]] = {
        "objects.mass": build.mass,
        "objects.inertia": build.inertia,
        "objects.com_offset": build.com_offset,
        "objects.friction": build.friction,
        "objects.restitution": build.restitution,
        "robot.joint_damping": lambda r: build.joint("robot.joint_damping", r, "dof_damping"),
        "robot.joint_friction": lambda r: build.joint(
            "robot.joint_friction", r, "dof_frictionloss"
        ),
        "robot.armature": lambda r: build.joint("robot.armature", r, "dof_armature"),
        "robot.servo_kp": build.servo_kp,
        "robot.servo_kv": build.servo_kv,
        "robot.pad_friction": build.pad_friction,
        "environment.gravity": build.gravity,
        "environment.air_resistance": build.air_resistance,
        "contact.time_constant": build.time_constant,
        "contact.impedance": build.impedance,
        "contact.impedance_width": build.impedance_width,
    }
    changes = {name: makers[name](given) for name, given in ranges.items()}
    fields = tuple(dict.fromkeys(f for change in changes.values() for f in change.fields))
    return PhysicsRandomizer(ranges, fields, changes)


def free_bodies(model: mujoco.MjModel, names: Sequence[str] | None = None) -> np.ndarray:
    """Ids of the bodies with a free joint, or of those named; (nobject,).

    Raises:
      ValueError: one line, for a name that is none of them.
    """
    free = model.jnt_bodyid[model.jnt_type == mujoco.mjtJoint.mjJNT_FREE]
    by_name = {model.body(int(i)).name: int(i) for i in free}
    if names is None:
        return np.array(list(by_name.values()), int)
    for name in names:
        if name not in by_name:
            raise ValueError(unknown("object (free body)", name, by_name))
    return np.array([by_name[n] for n in names], int)


@dataclasses.dataclass(frozen=True)
class _Build:
    """Makes one range's change: checks it against the model and turns names into indices."""

    model: mujoco.MjModel
    robot: RobotSpec
    bodies: np.ndarray  # (nobject,) ids of the objects
    ranges: dict[str, Range]

    def mass(self, given: Range) -> _Change:
        bodies = self.bodies
        check_range("objects.mass", given, above=0.0, nominal=self.model.body_mass[bodies])

        def edit(unit: jax.Array, fields: _Fields, width: jax.Array | float) -> _Fields:
            before = fields["body_mass"][bodies]
            mass = given.place(unit, before, width)
            ratio = (mass / before)[:, None]
            return {
                "body_mass": fields["body_mass"].at[bodies].set(mass),
                "body_inertia": fields["body_inertia"].at[bodies].multiply(ratio),
            }

        return _Change(("body_mass", "body_inertia"), (len(bodies),), edit)

    def inertia(self, given: Range) -> _Change:
        return self._rows("body_inertia", self.bodies, given, shape=(len(self.bodies), 1))

    def com_offset(self, given: Range) -> _Change:
        simple = self.bodies[self.model.body_simple[self.bodies] != 0]
        if len(simple):
            raise ValueError(
                f"objects.com_offset: body {self.model.body(int(simple[0])).name!r} was compiled "
                "with its centre of mass at its origin, where engines keep it; call "
                "mjxsim.randomization.prepare(spec, config, robot) before spec.compile()"
            )
        return self._rows("body_ipos", self.bodies, given)

    def friction(self, given: Range) -> _Change:
        pads = self.ranges.get("robot.pad_friction") is not None
        pairs = self._object_pairs("objects.friction", pads=not pads)
        return self._sliding("objects.friction", given, pairs, self._owners(pairs))

    def pad_friction(self, given: Range) -> _Change:
        pairs = np.flatnonzero(self._frictional & self._with(self._pads).any(axis=0))
        self._need("robot.pad_friction", pairs, "no frictional contact pair has a pad in it")
        return self._sliding("robot.pad_friction", given, pairs, np.zeros((2, len(pairs)), int))

    def restitution(self, given: Range) -> _Change:
        pairs = self._object_pairs("objects.restitution", pads=False)
        bounce, owners = Bounce(self.model, pairs), self._owners(pairs)
        if given.high > bounce.most:
            raise ValueError(
                f"objects.restitution [{given.low}, {given.high}]: this scene's contacts can give "
                f"back {bounce.most:.2f} of the speed at most"
            )

        def edit(unit: jax.Array, fields: _Fields, width: jax.Array | float) -> _Fields:
            asked = _of_owners(unit, given, bounce.nominal, width, owners)
            solref = bounce.solref(fields["pair_solref"][pairs], asked)
            return {"pair_solref": fields["pair_solref"].at[pairs].set(solref)}

        return _Change(("pair_solref",), (len(self.bodies),), edit)

    def joint(self, name: str, given: Range, field: str) -> _Change:
        nominal = field_of(self.model, field)[self._dofs]
        check_range(name, given, least=0.0, nominal=nominal)
        if given.how == "scale":
            nothing = f"{field} is 0 in this model, and a factor leaves it so; give an absolute one"
            self._need(name, np.flatnonzero(nominal), nothing)
        return self._rows(field, self._dofs, given)

    def servo_kp(self, given: Range) -> _Change:
        servos = self._servos("robot.servo_kp", column=1)

        def edit(unit: jax.Array, fields: _Fields, width: jax.Array | float) -> _Fields:
            factor = given.place(unit, 1.0, width)
            bias = fields["actuator_biasprm"]
            # gain * ctrl + bias0 - kp * length - kv * velocity: all but the last are stiffness.
            return {
                "actuator_gainprm": fields["actuator_gainprm"].at[servos, 0].multiply(factor),
                "actuator_biasprm": bias.at[servos, :2].multiply(factor[:, None]),
            }

        return _Change(("actuator_gainprm", "actuator_biasprm"), (len(servos),), edit)

    def servo_kv(self, given: Range) -> _Change:
        servos = self._servos("robot.servo_kv", column=2)

        def edit(unit: jax.Array, fields: _Fields, width: jax.Array | float) -> _Fields:
            factor = given.place(unit, 1.0, width)
            bias = fields["actuator_biasprm"].at[servos, 2].multiply(factor)
            return {"actuator_biasprm": bias}

        return _Change(("actuator_biasprm",), (len(servos),), edit)

    def gravity(self, given: Range) -> _Change:
        return self._rows("opt.gravity", np.arange(3), given)

    def air_resistance(self, given: Range) -> _Change:
        self._need("environment.air_resistance", self.bodies, "no object is there to feel it")
        dofs, drag = self._drag()

        def edit(unit: jax.Array, fields: _Fields, width: jax.Array | float) -> _Fields:
            viscosity = given.place(unit, 0.0, width)  # one air for all
            return {"dof_damping": fields["dof_damping"].at[dofs].add(viscosity * drag)}

        return _Change(("dof_damping",), (), edit)

    def time_constant(self, given: Range) -> _Change:
        name = "contact.time_constant"
        own = np.zeros(0, int)
        if self.ranges.get("objects.restitution") is not None:
            own = self._object_pairs("objects.restitution", pads=False)
        pairs = np.setdiff1d(np.arange(self.model.npair), own)
        self._need(name, pairs, "there is no contact pair that restitution does not concern")
        nominal = self.model.pair_solref[pairs, 0]
        # MuJoCo raises a shorter one to two timesteps (its flag refsafe).
        check_range(name, given, least=2.0 * self.model.opt.timestep, nominal=nominal)
        return self._rows("pair_solref", pairs, given, columns=slice(0, 1), shape=())

    def impedance(self, given: Range) -> _Change:
        pairs = np.arange(self.model.npair)
        return self._rows("pair_solimp", pairs, given, columns=slice(0, 2), shape=())

    def impedance_width(self, given: Range) -> _Change:
        solimp = self.model.pair_solimp
        varied = self.ranges.get("contact.impedance") is None and (solimp[:, 0] != solimp[:, 1])
        nothing = "d0 equals dmax in every contact pair, so its width has no effect"
        self._need("contact.impedance_width", np.flatnonzero(varied), nothing)
        pairs = np.arange(self.model.npair)
        return self._rows("pair_solimp", pairs, given, columns=slice(2, 3), shape=())

    def _rows(
        self,
        field: str,
        rows: np.ndarray,
        given: Range,
        columns: slice | None = None,
        shape: tuple[int, ...] | None = None,
    ) -> _Change:
        """Redraws rows (and columns) of one field; `shape` as in `Range.draw`."""
        where = rows if columns is None else (rows, columns)

        def edit(unit: jax.Array, fields: _Fields, width: jax.Array | float) -> _Fields:
            value = given.place(unit, fields[field][where], width)
            return {field: fields[field].at[where].set(value)}

        entries = field_of(self.model, field)[where].shape
        return _Change((field,), entries if shape is None else shape, edit)

    def _sliding(self, name: str, given: Range, pairs: np.ndarray, owners: np.ndarray) -> _Change:
        """Redraws both sliding frictions of pairs, by whose objects they are."""
        check_range(name, given, above=0.0, nominal=self.model.pair_friction[pairs, 0])

        def edit(unit: jax.Array, fields: _Fields, width: jax.Array | float) -> _Fields:
            friction = fields["pair_friction"]
            drawn = _of_owners(unit, given, friction[pairs, 0], width, owners)
            return {"pair_friction": friction.at[pairs, :2].set(drawn[:, None])}

        return _Change(("pair_friction",), (int(owners.max()) + 1,), edit)

    def _object_pairs(self, name: str, *, pads: bool) -> np.ndarray:
        """Ids of the frictional contact pairs with an object in them, those with pads or not."""
        chosen = self._frictional & (self._owner_or_none >= 0).any(axis=0)
        if not pads:
            chosen &= ~self._with(self._pads).any(axis=0)
        pairs = np.flatnonzero(chosen)
        self._need(name, pairs, "no frictional contact pair has an object in it")
        return pairs

    def _owners(self, pairs: np.ndarray) -> np.ndarray:
        """Which object each geom of each pair is part of; the other's where none; (2, npairs)."""
        first, second = self._owner_or_none[:, pairs]
        return np.stack([np.where(first < 0, second, first), np.where(second < 0, first, second)])

    @property
    def _owner_or_none(self) -> np.ndarray:
        """Index into `bodies` of each geom of each pair, or -1; (2, npair)."""
        index = np.full(self.model.nbody, -1)
        index[self.bodies] = np.arange(len(self.bodies))
        return index[self.model.geom_bodyid[self._geoms]]

    @property
    def _geoms(self) -> np.ndarray:
        """The geoms of each contact pair; (2, npair)."""
        return np.stack([self.model.pair_geom1, self.model.pair_geom2])

    @property
    def _frictional(self) -> np.ndarray:
        """Whether each contact pair has sliding friction; (npair,)."""
        return np.asarray(self.model.pair_dim) >= 3

    @property
    def _pads(self) -> list[int]:
        names = (n for arm in self.robot.arms for finger in arm.finger_pad_geoms for n in finger)
        return [self.model.geom(n).id for n in names]

    def _with(self, geoms: list[int]) -> np.ndarray:
        return np.isin(self._geoms, geoms)

    @property
    def _dofs(self) -> np.ndarray:
        """Degrees of freedom of the robot's joints; (njoint,)."""
        names = [n for arm in self.robot.arms for n in (*arm.joints, *arm.gripper_joints)]
        return np.array([self.model.joint(n).dofadr[0] for n in names])

    def _servos(self, name: str, column: int) -> np.ndarray:
        """Ids of the robot's position servos."""
        names = [n for arm in self.robot.arms for n in (*arm.actuators, arm.gripper_actuator)]
        ids = np.array([self.model.actuator(n).id for n in names])
        ids = ids[self.model.actuator_biasprm[ids, column] != 0.0]
        has = "stiffness" if column == 1 else "damping"
        self._need(name, ids, f"no actuator of {self.robot.name!r} is a servo with {has}")
        return ids

    def _drag(self) -> tuple[np.ndarray, np.ndarray]:
        """Degrees of freedom of the objects, and damping there per viscosity; (6 nobject,) each.

        engine_passive.c, mj_inertiaBoxFluidModel: force -3 pi d eta v and torque -pi d^3 eta w,
        with d the mean edge of the box that has the body's mass and inertia.
        """
        m = self.model
        dofs = m.body_dofadr[self.bodies][:, None] + np.arange(6)
        x, y, z = m.body_inertia[self.bodies].T
        squares = np.stack([y + z - x, x + z - y, x + y - z])
        edges = np.sqrt(np.maximum(squares, mujoco.mjMINVAL) * 6.0 / m.body_mass[self.bodies])
        edge = edges.mean(axis=0)[:, None]
        drag = np.concatenate(
            [np.repeat(3 * np.pi * edge, 3, 1), np.repeat(np.pi * edge**3, 3, 1)], 1
        )
        return dofs.ravel(), drag.ravel().astype(np.float32)

    @staticmethod
    def _need(name: str, found: np.ndarray, nothing: str) -> None:
        if not len(found):
            raise ValueError(f"{name}: {nothing}")


def _of_owners(
    unit: jax.Array,
    given: Range,
    nominal: jax.Array | np.ndarray,
    width: jax.Array | float,
    owners: np.ndarray,
) -> jax.Array:
    """A value per pair (npair,) from the draws of its two `owners` (2, npair); the greater one."""
    return given.place(unit[owners], nominal, width).max(axis=0)

"""Which physical parameters differ from world to world, and by how much.

Every entry is a `Range` or None, which leaves the parameter alone. `STANDARD` is a set of ranges
to begin with.
"""

import dataclasses

from mjxsim.randomization.ranges import MaybeRange, Range, check_range

__all__ = [
    "STANDARD",
    "ContactPhysics",
    "EnvironmentPhysics",
    "ObjectPhysics",
    "PhysicsRandomization",
    "RobotPhysics",
]

_MAX_IMPEDANCE = 0.9999  # mjMAXIMP; MuJoCo clamps what is above it


@dataclasses.dataclass(frozen=True)
class ObjectPhysics:
    """Of free bodies; every object draws its own values.

    Attributes:
      mass: Mass [kg]; the inertia goes with it. "scale", "absolute" or "add".
      inertia: All of the body's inertia, on top of what the mass does. "scale".
      com_offset: Shift of the centre of mass along each axis of the body [m]; three draws an
        object. "add". The scene must be compiled for it: `prepare`.
      friction: Sliding friction with whatever the object touches (table, fixtures, objects,
        fingertip pads unless `robot.pad_friction` is set); contacts that are frictionless by
        design stay so. Of two objects the greater counts, as for MuJoCo's geoms.
      restitution: Rebound over impact speed against table, fixtures and other objects; fingertip
        pads keep theirs, since pads that bounce let go. "absolute". It cannot be less than the
        scene's own, 0.03 (which is what 0 gives), nor more than 0.74; a single bounce differs
        from it by up to 0.1, with where in a substep the surfaces meet.
    """

    mass: MaybeRange = None
    inertia: MaybeRange = None
    com_offset: MaybeRange = None
    friction: MaybeRange = None
    restitution: MaybeRange = None

    def __post_init__(self) -> None:
        """Raises ValueError, one line, for values that no object can have."""
        check_range("objects.mass", self.mass, above=0.0)
        check_range("objects.inertia", self.inertia, above=0.0, hows=("scale",))
        check_range("objects.com_offset", self.com_offset, hows=("add",))
        check_range("objects.friction", self.friction, above=0.0)
        check_range("objects.restitution", self.restitution, least=0.0, hows=("absolute",))


@dataclasses.dataclass(frozen=True)
class RobotPhysics:
    """Of the joints of the robot's arms and grippers; every joint draws its own values.

    Attributes:
      joint_damping: Viscous friction [N m s/rad, N s/m].
      joint_friction: Dry friction [N m, N] (friction loss).
      armature: Inertia of the rotors, seen at the joint [kg m^2, kg].
      servo_kp: Stiffness of the position servos; motors are left alone. "scale".
      servo_kv: Damping of the position servos that have any. "scale".
      pad_friction: Sliding friction of the fingertip pads with anything; one draw for all pads.
    """

    joint_damping: MaybeRange = None
    joint_friction: MaybeRange = None
    armature: MaybeRange = None
    servo_kp: MaybeRange = None
    servo_kv: MaybeRange = None
    pad_friction: MaybeRange = None

    def __post_init__(self) -> None:
        """Raises ValueError, one line, for values that no joint can have."""
        check_range("robot.joint_damping", self.joint_damping, least=0.0)
        check_range("robot.joint_friction", self.joint_friction, least=0.0)
        check_range("robot.armature", self.armature, least=0.0)
        check_range("robot.servo_kp", self.servo_kp, above=0.0, hows=("scale",))
        check_range("robot.servo_kv", self.servo_kv, least=0.0, hows=("scale",))
        check_range("robot.pad_friction", self.pad_friction, above=0.0)


@dataclasses.dataclass(frozen=True)
class EnvironmentPhysics:
    """Of the world.

    Attributes:
      gravity: Acceleration [m/s^2] along x, y and z, three draws: 0.1 along x or y is a table
        that leans by 0.6 degrees. "add" or "scale". Arms whose weight the model takes off them
        (MuJoCo's gravcomp, as on all of ours) do not feel it.
      air_resistance: Dynamic viscosity of what objects move in [Pa s]: air 1.8e-5, water 1e-3.
        "absolute". The drag is that of MuJoCo's own viscosity (its inertia-box model) on free
        bodies, written as the damping of their free joints, since MJX-JAX has no fluids under the
        implicitfast integrator; that of an arm is nothing beside its joint damping.
    """

    gravity: MaybeRange = None
    air_resistance: MaybeRange = None

    def __post_init__(self) -> None:
        """Raises ValueError, one line, for values that no world can have."""
        check_range("environment.gravity", self.gravity, hows=("add", "scale"))
        check_range(
            "environment.air_resistance", self.air_resistance, least=0.0, hows=("absolute",)
        )


@dataclasses.dataclass(frozen=True)
class ContactPhysics:
    """Of how contacts give way; one draw for all contact pairs.

    Attributes:
      time_constant: Of the contact spring [s], solref's first number; at least two substeps.
        Pairs whose restitution is randomized have theirs from there.
      impedance: solimp's d0 and dmax at once: how little a loaded contact gives way. "absolute".
      impedance_width: Depth over which impedance goes from d0 to dmax [m]. Without effect in
        scenes where the two are equal, as in ours, and refused there.
    """

    time_constant: MaybeRange = None
    impedance: MaybeRange = None
    impedance_width: MaybeRange = None

    def __post_init__(self) -> None:
        """Raises ValueError, one line, for values that no contact can have."""
        check_range("contact.time_constant", self.time_constant, above=0.0)
        check_range(
            "contact.impedance", self.impedance, above=0.0, most=_MAX_IMPEDANCE, hows=("absolute",)
        )
        check_range("contact.impedance_width", self.impedance_width, above=0.0)


@dataclasses.dataclass(frozen=True)
class PhysicsRandomization:
    """Ranges of physical parameters; by default nothing is randomized."""

    objects: ObjectPhysics = ObjectPhysics()
    robot: RobotPhysics = RobotPhysics()
    environment: EnvironmentPhysics = EnvironmentPhysics()
    contact: ContactPhysics = ContactPhysics()

    def without_objects(self) -> "PhysicsRandomization":
        """The same for a scene that has none, as that of `reach`."""
        environment = dataclasses.replace(self.environment, air_resistance=None)
        return dataclasses.replace(self, objects=ObjectPhysics(), environment=environment)

    def entries(self) -> dict[str, Range]:
        """The ranges that are set, by names such as "objects.mass", in the order of declaration."""
        sections = {
            "objects": self.objects,
            "robot": self.robot,
            "environment": self.environment,
            "contact": self.contact,
        }
        return {
            f"{section}.{field.name}": value
            for section, values in sections.items()
            for field in dataclasses.fields(values)
            if (value := vars(values)[field.name]) is not None
        }


# What is varied, and the laws, as in published sim-to-real work on manipulation: OpenAI et al.,
# "Learning dexterous in-hand manipulation" (2018), table 1, draws object masses by a factor from
# 0.5 to 1.5, friction from 0.7 to 1.3, joint damping from 0.3 to 3 and servo stiffness from 0.75 to
# 1.5 (both loguniform), and each coordinate of gravity. The numbers are this library's choice: an
# object may be twice or half as heavy as thought, friction from polished (0.3) to rubber (0.9). The
# arms' damping and stiffness vary less than theirs, for they stand for whole servos: with damping
# from 0.3 to 3 a quarter of the Panda's scripted picks failed for slowness (128 episodes in C).
STANDARD = PhysicsRandomization(
    objects=ObjectPhysics(
        mass=Range(0.5, 2.0, "scale", "loguniform"),
        inertia=Range(0.8, 1.2, "scale"),
        friction=Range(0.3, 0.9),
        restitution=Range(0.0, 0.3),
    ),
    robot=RobotPhysics(
        joint_damping=Range(0.67, 1.5, "scale", "loguniform"),
        joint_friction=Range(0.001, 0.005),
        armature=Range(0.8, 1.2, "scale"),
        servo_kp=Range(0.8, 1.25, "scale", "loguniform"),
    ),
    environment=EnvironmentPhysics(
        gravity=Range(-0.1, 0.1, "add"), air_resistance=Range(0.0, 0.001)
    ),
    contact=ContactPhysics(time_constant=Range(1.0, 2.0, "scale")),
)

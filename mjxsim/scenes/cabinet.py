"""A low cabinet with one or two drawers, each with a bar to pull it by."""

import itertools
from dataclasses import dataclass

import mujoco

__all__ = ["Cabinet"]

_OAK = (0.62, 0.44, 0.29, 1.0)
_DARK_OAK = (0.5, 0.34, 0.21, 1.0)
_FRONTS = ((0.9, 0.88, 0.83, 1.0), (0.55, 0.66, 0.72, 1.0))
_STEEL = (0.72, 0.74, 0.77, 1.0)
_SIDES = {1: ("",), 2: ("left_", "right_")}

# The joints that place the cabinet are so heavy and so viscous that a pull of 50 N moves it by less
# than 0.3 mm in 5 s. Weight alone would do the same, but MuJoCo's solver measures its progress by
# the mean inertia: 1e6 kg made it stop early and drawers jitter. A mocap body would be
# placed exactly, but MJX-JAX 3.17 leaves the children of a mocap body where the model had them
# (smooth.kinematics sets mocap poses after the tree).
_ANCHOR_MASS = 100.0  # [kg, kg m^2]
_ANCHOR_DAMPING = 1e6  # [N s/m, N m s/rad]


@dataclass(frozen=True)
class Cabinet:
    """A cabinet on the table whose drawers open towards the robot.

    Its frame: origin on the table below the middle of the closed fronts, x from the front into the
    cabinet, z up. The first three joints, cabinet_x, cabinet_y [m] and cabinet_yaw [rad], are the
    pose of that frame in the world and hardly yield to any pull; each world may start with
    others. Then one slide joint per drawer, `<drawer>_slide` [m], 0 closed.

    Bodies: "cabinet" and one per drawer, of its name. Sites: `<drawer>_handle`, the middle of the
    bar, in the drawer's axes. The bars are horizontal and stand off the front, so that fingers that
    point down can hook them from above, or straddle them when turned by a right angle.

    Attributes:
      drawers: 1 (named "drawer") or 2 side by side ("left_drawer", "right_drawer" as the robot sees
        them).
      width: Of one drawer [m].
      depth: Of the cabinet [m].
      handle_height: Of the bar's middle above the table [m]; the cabinet ends a little higher, so
        that a gripper that points down passes over it.
      gap: Free space between the front and the bar [m].
      travel: How far a drawer opens [m].
      bar_radius: [m].
      drawer_mass: [kg].
      friction: Coulomb friction of a drawer's runners [N].
      damping: Viscous damping of a drawer's runners [N s/m].
    """

    drawers: int = 2
    width: float = 0.13
    depth: float = 0.18
    handle_height: float = 0.1
    gap: float = 0.034
    travel: float = 0.12
    bar_radius: float = 0.006
    drawer_mass: float = 0.5
    friction: float = 1.0
    damping: float = 8.0

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for a number of drawers or a travel that cannot be."""
        if self.drawers not in _SIDES:
            raise ValueError(f"a cabinet has 1 or 2 drawers, got {self.drawers}")
        if not 0.0 < self.travel < self.depth:
            raise ValueError(
                f"a drawer's travel must be positive and less than the cabinet's depth "
                f"({self.depth} m), got {self.travel} m"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """The drawers' bodies, from left to right as the robot sees them."""
        return tuple(f"{side}drawer" for side in _SIDES[self.drawers])

    @property
    def front_thickness(self) -> float:
        """Of a drawer's front [m]."""
        return 0.012

    @property
    def standoff(self) -> float:
        """From the cabinet's origin to the bar's middle, against x [m]."""
        return self.front_thickness + self.gap + self.bar_radius

    @property
    def hook_depth(self) -> float:
        """From the bar's middle to the middle of the space behind it [m]."""
        return self.bar_radius + 0.5 * self.gap

    @property
    def height(self) -> float:
        """Of the cabinet above the table [m]."""
        return self.handle_height + 0.022

    @property
    def base(self) -> float:
        """Height of the cabinet's legs [m]."""
        return min(0.02, 0.2 * self.height)

    @property
    def object_geoms(self) -> tuple[str, ...]:
        """See `Fixture`."""
        return ()

    @property
    def handle_geoms(self) -> tuple[str, ...]:
        """See `Fixture`."""
        return tuple(f"{name}_bar" for name in self.names)

    @property
    def guard_geoms(self) -> tuple[str, ...]:
        """See `Fixture`."""
        return ("cabinet_body", *(f"{name}_front" for name in self.names))

    @property
    def qpos(self) -> tuple[float, ...]:
        """See `Fixture`: its pose and closed drawers."""
        return (0.6, 0.0, 0.0) + (0.0,) * self.drawers

    def add(self, spec: mujoco.MjSpec) -> None:
        """See `Fixture`."""
        cabinet = spec.worldbody.add_body(name="cabinet")
        slide, hinge = mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_HINGE
        for name, kind, axis in (
            ("cabinet_x", slide, [1, 0, 0]),
            ("cabinet_y", slide, [0, 1, 0]),
            ("cabinet_yaw", hinge, [0, 0, 1]),
        ):
            cabinet.add_joint(
                name=name, type=kind, axis=axis, armature=_ANCHOR_MASS, damping=_ANCHOR_DAMPING
            )
        self._add_carcass(cabinet)
        for i, name in enumerate(self.names):
            y = (0.5 * (self.drawers - 1) - i) * self.width
            self._add_drawer(cabinet, name, y, _FRONTS[i])

    def _add_carcass(self, cabinet: mujoco.MjsBody) -> None:
        """Walls that are seen, and one box that fingertips feel."""
        half = 0.5 * self.drawers * self.width + 0.006
        middle, thick = 0.5 * self.depth, 0.006
        box = mujoco.mjtGeom.mjGEOM_BOX
        cabinet.add_geom(
            name="cabinet_body",
            type=box,
            size=[middle, half, 0.5 * self.height],
            pos=[middle, 0, 0.5 * self.height],
            mass=1.0,
            contype=0,
            conaffinity=0,
            group=3,
            rgba=[0.6, 0.4, 0.3, 0.3],
        )
        top, base = self.height - thick, self.base
        parts = {
            "top": ([middle + 0.006, half + 0.004, thick], [middle - 0.006, 0, top], _OAK),
            "floor": ([middle, half, thick], [middle, 0, base], _OAK),
            "back": ([0.004, half, 0.5 * (top - base)], [self.depth, 0, 0.5 * (top + base)], _OAK),
        }
        # Outer walls, and one between two drawers.
        for i in range(self.drawers + 1):
            y = (i - 0.5 * self.drawers) * self.width
            wall = [middle, 0.5 * thick, 0.5 * (top - base)]
            parts[f"wall_{i}"] = (wall, [middle, y, 0.5 * (top + base)], _OAK)
        for i, (x, side) in enumerate(itertools.product((0.02, self.depth - 0.02), (-1, 1))):
            leg = [0.008, 0.008, 0.5 * base]
            parts[f"leg_{i}"] = (leg, [x, side * (half - 0.015), 0.5 * base], _DARK_OAK)
        for name, (size, pos, rgba) in parts.items():
            _add_visual(cabinet, f"cabinet_{name}", box, size, pos, rgba)

    def _add_drawer(
        self,
        cabinet: mujoco.MjsBody,
        name: str,
        y: float,
        rgba: tuple[float, float, float, float],
    ) -> None:
        box, capsule = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CAPSULE
        low, high = self.base + 0.01, self.height - 0.015
        middle, tall = 0.5 * (low + high), 0.5 * (high - low)
        wide = 0.5 * self.width - 0.004
        body = cabinet.add_body(name=name, pos=[0, y, 0])
        body.add_joint(
            name=f"{name}_slide",
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=[-1, 0, 0],
            range=[0, self.travel],
            limited=mujoco.mjtLimited.mjLIMITED_TRUE,
            frictionloss=self.friction,
            # Friction is regularized: at MuJoCo's default impedance of 0.9 a stuck drawer creeps
            # ten times faster (0.9 mm/s under 0.5 N).
            solimp_friction=[0.99, 0.99, 0.001, 0.5, 2],
            damping=self.damping,
        )
        shared = {"contype": 0, "conaffinity": 0}
        body.add_geom(
            name=f"{name}_front",
            type=box,
            size=[0.5 * self.front_thickness, wide, tall],
            pos=[-0.5 * self.front_thickness, 0, middle],
            mass=0.9 * self.drawer_mass,
            rgba=rgba,
            group=2,
            **shared,
        )
        x, half_bar = -self.standoff, 0.4 * self.width
        body.add_geom(
            name=f"{name}_bar",
            type=capsule,
            fromto=[x, -half_bar, self.handle_height, x, half_bar, self.handle_height],
            size=[self.bar_radius, 0, 0],
            mass=0.1 * self.drawer_mass,
            rgba=_STEEL,
            group=2,
            **shared,
        )
        body.add_site(name=f"{name}_handle", pos=[x, 0, self.handle_height], group=4)
        post = mujoco.mjtGeom.mjGEOM_CYLINDER
        for side in (-1, 1):
            at = [0.5 * x, side * half_bar, self.handle_height]
            size, turned = [0.7 * self.bar_radius, -0.5 * x, 0], [0.7071068, 0, 0.7071068, 0]
            _add_visual(body, f"{name}_post_{side}", post, size, at, _STEEL, turned)
        # The drawer's box behind its front, open at the top.
        long = 0.5 * (self.depth - 0.02)
        walls = {
            "floor": ([long, wide, 0.002], [long, 0, low]),
            "end": ([0.002, wide, 0.7 * tall], [2 * long, 0, low + 0.7 * tall]),
            "side_0": ([long, 0.002, 0.7 * tall], [long, wide, low + 0.7 * tall]),
            "side_1": ([long, 0.002, 0.7 * tall], [long, -wide, low + 0.7 * tall]),
        }
        for part, (size, pos) in walls.items():
            _add_visual(body, f"{name}_{part}", box, size, pos, _DARK_OAK)


def _add_visual(
    body: mujoco.MjsBody,
    name: str,
    shape: mujoco.mjtGeom,
    size: list[float],
    pos: list[float],
    rgba: tuple[float, float, float, float],
    quat: list[float] | None = None,
) -> None:
    body.add_geom(
        name=name,
        type=shape,
        size=size,
        pos=pos,
        quat=quat or [1, 0, 0, 0],
        rgba=rgba,
        contype=0,
        conaffinity=0,
        group=2,
        mass=0,
    )

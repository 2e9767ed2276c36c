"""Takes a robot from any MJCF file, as its maker or its user wrote it.

Such a file has meshes, contact masks of its own, perhaps keyframes, and seldom a site between the
fingers or a force sensor in them. `adopt` leaves the file alone and states what is to change when
it is loaded.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import mujoco
import numpy as np

from mjxsim.naming import unknown
from mjxsim.robots.base import ArmSpec, RobotSpec, Vec3, WorkArea

__all__ = ["adopt"]

Contact = Literal["box", "capsule", "sphere", "hull"]
_SHAPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "hull": mujoco.mjtGeom.mjGEOM_MESH,
}
_HULL_VERTICES = 16  # of a convex hull: MJX compiles and steps by their number
_TOUCH_RADIUS = 0.2  # [m] a finger's force sensor sees every contact of the finger's body


def adopt(
    name: str,
    xml_path: Path,
    *,
    joints: Sequence[str],
    actuators: Sequence[str],
    gripper_joints: Sequence[str],
    gripper_actuator: str,
    gripper_open_ctrl: float,
    gripper_closed_ctrl: float,
    gripper_closed_qpos: Sequence[float],
    hand_body: str,
    finger_bodies: tuple[str, str],
    tcp_pos: Vec3,
    tcp_quat: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0),
    home_qpos: Sequence[float],
    workspace: tuple[Vec3, Vec3],
    area: WorkArea,
    contact: Contact = "box",
    servo: tuple[float, float] | None = None,
) -> RobotSpec:
    """A robot from a file of one arm with a two-finger gripper at the origin, x forward, z up.

    Args:
      name: what to call it.
      xml_path: the MJCF file of the robot alone, without floor and objects.
      joints: as in `ArmSpec`.
      actuators: as in `ArmSpec`.
      gripper_joints: as in `ArmSpec`.
      gripper_actuator: as in `ArmSpec`.
      gripper_open_ctrl: as in `ArmSpec`.
      gripper_closed_ctrl: as in `ArmSpec`.
      gripper_closed_qpos: of each of `gripper_joints` [m or rad].
      hand_body: as in `ArmSpec`.
      finger_bodies: the two bodies that close on an object; what collides in the file in these and
        in `hand_body` will collide here.
      tcp_pos: the tool centre point in the frame of `hand_body` [m].
      tcp_quat: its orientation there, wxyz: z along the approach, y along which the gripper closes.
      home_qpos: `joints` [rad] and then `gripper_joints`, open.
      workspace: as in `ArmSpec`.
      area: where it can work.
      contact: what stands in for a mesh in contact: a primitive that MuJoCo fits to it, or its
        convex hull of at most 16 vertices (true to shape, and slow to compile in MJX).
      servo: position gain [N m/rad] and velocity gain [N m s/rad] that replace the arm's actuators;
        None keeps them, and then they must be position servos.

    Raises:
      ValueError: a name that the file does not have (with the nearest it has), an order of joints
        or actuators that is not the file's, or bodies in which nothing collides.
      OSError: the file cannot be read.
    """
    if contact not in _SHAPES:
        raise ValueError(unknown("contact shape", contact, _SHAPES))
    if not Path(xml_path).is_file():
        raise FileNotFoundError(2, "no such MJCF file", str(xml_path))
    spec = mujoco.MjSpec.from_file(str(xml_path))
    _check_order("joint", [j.name for j in spec.joints], [*joints, *gripper_joints])
    _check_order("actuator", [a.name for a in spec.actuators], [*actuators, gripper_actuator])
    for body in (hand_body, *finger_bodies):
        if body not in (names := [b.name for b in spec.bodies]):
            raise ValueError(unknown("body", body, names))
    edit = _Adoption(
        name=name,
        hand=hand_body,
        fingers=finger_bodies,
        tcp_pos=tcp_pos,
        tcp_quat=tcp_quat,
        contact=contact,
        actuators=tuple(actuators),
        servo=servo,
    )
    geoms = edit(spec)
    width = _open_width(spec, (*joints, *gripper_joints), home_qpos, geoms)
    count = len(joints)
    arm = ArmSpec(
        joints=tuple(joints),
        actuators=tuple(actuators),
        gripper_joints=tuple(gripper_joints),
        gripper_actuator=gripper_actuator,
        gripper_open_ctrl=gripper_open_ctrl,
        gripper_closed_ctrl=gripper_closed_ctrl,
        gripper_open_qpos=sum(home_qpos[count:]),
        gripper_closed_qpos=sum(gripper_closed_qpos),
        gripper_max_width=width,
        tcp_site=edit.tcp_site,
        hand_body=hand_body,
        finger_pad_geoms=(geoms[finger_bodies[0]], geoms[finger_bodies[1]]),
        finger_tip_geoms=(*geoms[finger_bodies[0]], *geoms[finger_bodies[1]]),
        other_collision_geoms=geoms[hand_body],
        finger_touch_sensors=edit.touch_sensors,
        home_qpos=tuple(home_qpos),
        workspace=workspace,
        wrist_camera=((0.1, 0.0, 0.0), tcp_pos, (1.0, 0.0, 0.0)),
    )
    return RobotSpec(name=name, xml_path=Path(xml_path), arms=(arm,), area=area, edits=(edit,))


@dataclasses.dataclass(frozen=True)
class _Adoption:
    """What changes when the file is loaded."""

    name: str
    hand: str
    fingers: tuple[str, str]
    tcp_pos: Vec3
    tcp_quat: tuple[float, float, float, float]
    contact: Contact
    actuators: tuple[str, ...]
    servo: tuple[float, float] | None

    @property
    def tcp_site(self) -> str:
        return f"{self.name}_tcp"

    @property
    def touch_sensors(self) -> tuple[str, str]:
        return f"{self.fingers[0]}_touch", f"{self.fingers[1]}_touch"

    def __call__(self, spec: mujoco.MjSpec) -> dict[str, tuple[str, ...]]:
        """Edits `spec` (in place: an MjSpec is a builder); the colliding geoms by body."""
        geoms = {body: self._contacts(spec, body) for body in (*self.fingers, self.hand)}
        for geom in spec.geoms:  # contacts come from the pairs that a scene makes
            geom.contype = geom.conaffinity = 0
        for key in list(spec.keys):  # of another scene
            spec.delete(key)
        spec.body(self.hand).add_site(name=self.tcp_site, pos=self.tcp_pos, quat=self.tcp_quat)
        for finger, sensor in zip(self.fingers, self.touch_sensors, strict=True):
            zone = f"{finger}_zone"
            spec.body(finger).add_site(name=zone, size=[_TOUCH_RADIUS] * 3, group=5)
            spec.add_sensor(
                name=sensor,
                type=mujoco.mjtSensor.mjSENS_TOUCH,
                objtype=mujoco.mjtObj.mjOBJ_SITE,
                objname=zone,
            )
        if self.servo is not None:
            for name in self.actuators:
                spec.actuator(name).set_to_position(kp=self.servo[0], kv=self.servo[1])
        return geoms

    def _contacts(self, spec: mujoco.MjSpec, body: str) -> tuple[str, ...]:
        """The geoms of a body that collide: named, and simple shapes in place of meshes."""
        names: list[str] = []
        colliding = [g for g in spec.body(body).geoms if g.contype or g.conaffinity]
        for i, geom in enumerate(colliding):
            if geom.type == mujoco.mjtGeom.mjGEOM_MESH:
                names.append(self._in_place_of(spec, body, geom, i))
                continue
            if not geom.name:
                geom.name = f"{body}_contact_{i}"
            names.append(geom.name)
        if not names and body != self.hand:
            raise ValueError(
                f"nothing in body '{body}' collides in the file: give a geom of it a contype"
            )
        return tuple(names)

    def _in_place_of(
        self, spec: mujoco.MjSpec, body: str, geom: mujoco.MjsGeom, number: int
    ) -> str:
        """Adds the shape that stands in for a mesh; its name."""
        if self.contact == "hull":
            spec.mesh(geom.meshname).maxhullvert = _HULL_VERTICES
        name = f"{body}_{self.contact}_{number}"
        spec.body(body).add_geom(
            name=name,
            type=_SHAPES[self.contact],
            meshname=geom.meshname,
            pos=geom.pos,
            quat=geom.quat,
            mass=0,
            group=3,
        )
        return name


def _check_order(what: str, there: list[str], given: list[str]) -> None:
    for name in given:
        if name not in there:
            raise ValueError(unknown(what, name, [n for n in there if n]))
    if there != given:
        raise ValueError(f"the file's {what}s are {there} in this order, the robot's are {given}")


def _open_width(
    spec: mujoco.MjSpec,
    joints: tuple[str, ...],
    home_qpos: Sequence[float],
    geoms: dict[str, tuple[str, ...]],
) -> float:
    """The distance between the two fingers at home [m]."""
    model = spec.compile()
    if len(home_qpos) != len(joints):
        raise ValueError(f"home_qpos needs {len(joints)} values, for {joints}, got {home_qpos}")
    data = mujoco.MjData(model)
    data.qpos[:] = home_qpos
    mujoco.mj_forward(model, data)
    left, right, *_ = geoms.values()
    distances = [
        mujoco.mj_geomDistance(model, data, model.geom(a).id, model.geom(b).id, 1.0, None)
        for a in left
        for b in right
    ]
    return float(np.min(distances))

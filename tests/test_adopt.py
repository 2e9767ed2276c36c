"""A robot from anybody's MJCF: what is changed when it is loaded, and what is refused."""

import dataclasses
import pathlib
import re
from typing import Any

import mujoco
import numpy as np
import pytest

from mjxsim import robots, scenes

PAGE = pathlib.Path(__file__).parents[1] / "docs" / "add_a_robot.md"
MJCF = re.findall(r"^```xml\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.M)[0]

SETTINGS: dict[str, Any] = {
    "joints": ("pan", "lift", "elbow", "pitch", "roll"),
    "actuators": ("pan", "lift", "elbow", "pitch", "roll"),
    "servo": (1000.0, 20.0),
    "gripper_joints": ("left", "right"),
    "gripper_actuator": "gripper",
    "gripper_open_ctrl": 0.05,
    "gripper_closed_ctrl": 0.0,
    "gripper_closed_qpos": (0.0, 0.0),
    "hand_body": "hand",
    "finger_bodies": ("left_finger", "right_finger"),
    "tcp_pos": (0.0, 0.0, 0.065),
    "home_qpos": (0.0, 0.3969, 1.5020, 1.2427, 0.0, 0.05, 0.05),
    "workspace": ((0.2, -0.3, 0.01), (0.5, 0.3, 0.4)),
    "area": robots.WorkArea(((0.3, -0.1), (0.4, 0.1)), ((0.3, -0.1, 0.1), (0.4, 0.1, 0.2)), 0.02),
}


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "my_arm.xml"
    path.write_text(MJCF, "utf-8")
    return path


@pytest.mark.parametrize(
    ("contact", "kind"),
    [
        ("box", mujoco.mjtGeom.mjGEOM_BOX),
        ("capsule", mujoco.mjtGeom.mjGEOM_CAPSULE),
        ("sphere", mujoco.mjtGeom.mjGEOM_SPHERE),
        ("hull", mujoco.mjtGeom.mjGEOM_MESH),
    ],
)
def test_meshes_get_a_shape_for_contact(path: pathlib.Path, contact: str, kind: int) -> None:
    robot = robots.adopt("my_arm", path, contact=contact, **SETTINGS)
    model = scenes.build(robot, (scenes.ObjectSpec("cube"),)).compile()
    for (pad,) in robot.arm.finger_pad_geoms:
        assert model.geom(pad).type == kind
    assert not model.geom_contype.any() and not model.geom_conaffinity.any()
    plain = mujoco.MjModel.from_xml_string(MJCF)
    np.testing.assert_array_equal(
        model.body("left_finger").mass, plain.body("left_finger").mass, "the file's own mass"
    )


def test_tcp_width_and_servos(path: pathlib.Path) -> None:
    robot = robots.adopt("my_arm", path, contact="hull", **SETTINGS)
    assert robot.arm.gripper_max_width == pytest.approx(0.1, abs=1e-6)  # 2 x 5 cm
    model = robot.load().compile()
    data = mujoco.MjData(model)
    data.qpos[:] = robot.home_qpos
    mujoco.mj_forward(model, data)
    tcp = data.site(robot.arm.tcp_site)
    np.testing.assert_allclose(tcp.xpos, [0.4, 0.0, 0.255], atol=1e-3)
    np.testing.assert_allclose(tcp.xmat[8], -1.0, atol=1e-6)  # straight down
    assert model.actuator("pan").gainprm[0] == 1000.0
    np.testing.assert_array_equal(model.actuator("pan").biasprm[:3], [0.0, -1000.0, -20.0])


def test_fingers_feel_a_cube(path: pathlib.Path) -> None:
    robot = robots.adopt("my_arm", path, **SETTINGS)
    model = scenes.build(robot, (scenes.ObjectSpec("cube"),)).compile()
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    data.joint("cube_joint").qpos[:3] = data.site(robot.arm.tcp_site).xpos
    data.joint("left").qpos = data.joint("right").qpos = 0.0201  # about to touch
    data.actuator("gripper").ctrl = robot.arm.gripper_closed_ctrl
    mujoco.mj_step(model, data, nstep=100)
    assert data.sensordata.min() > 5.0
    held = data.body("cube").xpos - data.site(robot.arm.tcp_site).xpos
    assert np.linalg.norm(held) < 0.01


def _without_finger_contacts(path: pathlib.Path) -> None:
    path.write_text(
        MJCF.replace('mesh="finger" rgba', 'mesh="finger" contype="0" conaffinity="0" rgba')
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joints": ("pan", "lift", "elbw", "pitch", "roll")}, "did you mean 'elbow'"),
        ({"hand_body": "hnd"}, "did you mean 'hand'"),
        ({"actuators": ("lift", "pan", "elbow", "pitch", "roll")}, "in this order"),
        ({"home_qpos": (0.0, 0.0)}, "home_qpos needs 7 values"),
        ({"contact": "mesh"}, "contact shape"),
    ],
)
def test_mistakes_get_one_line(path: pathlib.Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        robots.adopt("my_arm", path, **{**SETTINGS, **change})
    assert "\n" not in str(caught.value)


def test_fingers_must_collide(path: pathlib.Path) -> None:
    _without_finger_contacts(path)
    with pytest.raises(ValueError, match="nothing in body 'left_finger' collides"):
        robots.adopt("my_arm", path, **SETTINGS)


def test_no_such_file() -> None:
    with pytest.raises(FileNotFoundError, match="no such MJCF file"):
        robots.adopt("my_arm", pathlib.Path("absent.xml"), **SETTINGS)


def test_edits_are_made_at_every_load(path: pathlib.Path) -> None:
    robot = robots.adopt("my_arm", path, **SETTINGS)
    again = dataclasses.replace(robot, name="again")
    assert again.load().compile().nsite == robot.load().compile().nsite == 3

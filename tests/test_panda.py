"""The compiled Panda against its table of constants and against Franka's published kinematics."""

import itertools
import math

import mujoco
import numpy as np
import pytest

from mjxsim import robots
from mjxsim.robots.panda import constants as c
from mjxsim.robots.panda.constants import PANDA

# The table has at most 7 significant digits and quaternions 16; anything above this is a typo.
EXACT = 1e-9

# Modified (Craig) Denavit-Hartenberg parameters a [m], d [m], alpha [rad] of the Panda, joint 1 to
# 7 and flange, copied from https://frankaemika.github.io/docs/control_parameters.html. They are
# independent of the link table, which comes from the menagerie's MJCF.
DH = (
    (0.0, 0.333, 0.0),
    (0.0, 0.0, -math.pi / 2),
    (0.0, 0.316, math.pi / 2),
    (0.0825, 0.0, math.pi / 2),
    (-0.0825, 0.384, -math.pi / 2),
    (0.0, 0.0, math.pi / 2),
    (0.088, 0.0, math.pi / 2),
    (0.0, 0.107, 0.0),
)


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return PANDA.load().compile()


def _rotation(axis: str, angle: float) -> np.ndarray:
    s, k = math.sin(angle), math.cos(angle)
    if axis == "x":
        return np.array([[1, 0, 0], [0, k, -s], [0, s, k]])
    return np.array([[k, -s, 0], [s, k, 0], [0, 0, 1]])


def _matrix(quat: np.ndarray) -> np.ndarray:
    out = np.empty(9)
    mujoco.mju_quat2Mat(out, quat)
    return out.reshape(3, 3)


def _inertia_tensor(model: mujoco.MjModel, body: str) -> np.ndarray:
    """Inertia about the centre of mass in body axes, undoing the compiler's diagonalization."""
    frame = _matrix(model.body(body).iquat)
    return frame @ np.diag(model.body(body).inertia) @ frame.T


def _full(xx: float, yy: float, zz: float, xy: float, xz: float, yz: float) -> np.ndarray:
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


@pytest.mark.parametrize("index", range(7))
def test_link_matches_table(model: mujoco.MjModel, index: int) -> None:
    link = c.LINKS[index]
    body = model.body(link.name)
    np.testing.assert_allclose(body.pos, link.pos, atol=EXACT)
    np.testing.assert_allclose(_matrix(body.quat), _rotation("x", link.x_rotation), atol=EXACT)
    np.testing.assert_allclose(body.mass, link.mass, atol=EXACT)
    np.testing.assert_allclose(body.ipos, link.com, atol=EXACT)
    np.testing.assert_allclose(_inertia_tensor(model, link.name), _full(*link.inertia), atol=EXACT)
    assert model.body_gravcomp[body.id] == 1.0


@pytest.mark.parametrize("index", range(7))
def test_joint_and_servo_match_table(model: mujoco.MjModel, index: int) -> None:
    link = c.LINKS[index]
    joint = model.joint(PANDA.arm.joints[index])
    assert model.body(joint.bodyid[0]).name == link.name
    np.testing.assert_array_equal(joint.axis, (0, 0, 1))
    np.testing.assert_allclose(joint.range, link.joint_range, atol=EXACT)
    assert joint.armature == c.ARMATURE
    assert joint.damping == link.damping
    servo = model.actuator(PANDA.arm.actuators[index])
    assert servo.trnid[0] == joint.id
    assert servo.gainprm[0] == link.kp
    np.testing.assert_array_equal(servo.biasprm[:3], (0, -link.kp, -link.kv))
    np.testing.assert_array_equal(servo.forcerange, (-link.force_limit, link.force_limit))
    np.testing.assert_allclose(servo.ctrlrange, link.joint_range, atol=EXACT)


def test_hand_matches_table(model: mujoco.MjModel) -> None:
    hand = model.body(PANDA.arm.hand_body)
    np.testing.assert_allclose(hand.pos, c.HAND_POS, atol=EXACT)
    np.testing.assert_allclose(_matrix(hand.quat), _rotation("z", c.HAND_Z_ROTATION), atol=EXACT)
    assert hand.mass == c.HAND_MASS
    np.testing.assert_allclose(hand.ipos, c.HAND_COM, atol=EXACT)
    np.testing.assert_allclose(_inertia_tensor(model, "hand"), np.diag(c.HAND_INERTIA), atol=EXACT)
    tcp = model.site(PANDA.arm.tcp_site)
    np.testing.assert_allclose(tcp.pos, c.TCP_POS, atol=EXACT)
    np.testing.assert_array_equal(tcp.quat, (1, 0, 0, 0))
    capsule = model.geom("hand_capsule")
    np.testing.assert_allclose(capsule.pos, c.HAND_CAPSULE_POS, atol=EXACT)
    np.testing.assert_allclose(
        capsule.size[:2], (c.HAND_CAPSULE_RADIUS, c.HAND_CAPSULE_HALF_LENGTH), atol=EXACT
    )
    np.testing.assert_allclose(np.abs(_matrix(capsule.quat)[:, 2]), (0, 1, 0), atol=EXACT)


@pytest.mark.parametrize("side", (0, 1))
def test_finger_matches_table(model: mujoco.MjModel, side: int) -> None:
    joint = model.joint(PANDA.arm.gripper_joints[side])
    finger = model.body(joint.bodyid[0])
    np.testing.assert_allclose(finger.pos, c.FINGER_POS, atol=EXACT)
    np.testing.assert_allclose(_matrix(finger.quat), _rotation("z", side * math.pi), atol=EXACT)
    assert finger.mass == c.FINGER_MASS
    np.testing.assert_allclose(finger.ipos, c.FINGER_COM, atol=EXACT)
    np.testing.assert_allclose(
        _inertia_tensor(model, finger.name), np.diag(c.FINGER_INERTIA), atol=1e-12
    )
    np.testing.assert_array_equal(joint.axis, (0, 1, 0))
    np.testing.assert_array_equal(joint.range, c.FINGER_RANGE)
    assert joint.armature == c.FINGER_ARMATURE
    assert joint.damping == c.FINGER_DAMPING


def test_gripper_actuator_matches_table(model: mujoco.MjModel) -> None:
    servo = model.actuator(PANDA.arm.gripper_actuator)
    assert servo.gainprm[0] == c.GRIPPER_KP
    np.testing.assert_array_equal(servo.biasprm[:3], (0, -c.GRIPPER_KP, 0))
    np.testing.assert_array_equal(servo.ctrlrange, c.FINGER_RANGE)
    np.testing.assert_array_equal(servo.forcerange, (-c.GRIPPER_FORCE_LIMIT, c.GRIPPER_FORCE_LIMIT))
    # Half of the actuator force reaches each pad; 70 N is the hand's continuous grasping force.
    assert c.GRIPPER_KP * c.FINGER_RANGE[1] / 2 <= 70.0


@pytest.mark.parametrize("side", (0, 1))
def test_pad_spheres_are_tangent_to_the_fingertip(model: mujoco.MjModel, side: int) -> None:
    half, centre = np.array(c.FINGERTIP_HALF_SIZE), np.array(c.FINGERTIP_POS)
    low, high = centre - half, centre + half
    assert abs(low[1]) < 1e-4  # so the pads meet when the gripper is closed
    positions = []
    for name in PANDA.arm.finger_pad_geoms[side]:
        geom = model.geom(name)
        assert geom.type == mujoco.mjtGeom.mjGEOM_SPHERE
        assert geom.size[0] == c.PAD_RADIUS
        gap = np.minimum(geom.pos - low, high - geom.pos) - c.PAD_RADIUS
        np.testing.assert_allclose(gap[[0, 2]], 0.0, atol=EXACT)
        assert geom.pos[1] == c.PAD_RADIUS  # the inner face is the plane y = 0 of the finger
        positions.append(tuple(geom.pos))
    assert len(set(positions)) == 4


def test_only_primitives_and_no_implicit_contacts(model: mujoco.MjModel) -> None:
    assert model.nmesh == 0
    assert not model.geom_contype.any()
    assert not model.geom_conaffinity.any()
    assert set(model.geom_group) == {2, 3}
    named = {*itertools.chain(*PANDA.arm.finger_pad_geoms), *PANDA.arm.other_collision_geoms}
    collision = {model.geom(i).name for i in np.flatnonzero(model.geom_group == 3)}
    assert collision == named
    assert set(PANDA.arm.finger_tip_geoms) <= named


def test_geoms_add_no_mass(model: mujoco.MjModel) -> None:
    total = sum(link.mass for link in c.LINKS) + c.HAND_MASS + 2 * c.FINGER_MASS
    np.testing.assert_allclose(model.body_mass.sum(), total, atol=EXACT)


@pytest.mark.parametrize(
    "q",
    (
        (0.0,) * 7,
        (0.0, -math.pi / 4, 0.0, -3 * math.pi / 4, 0.0, math.pi / 2, math.pi / 4),
        (0.3, -0.9, 1.1, -2.2, -1.7, 2.9, 0.6),
    ),
)
def test_forward_kinematics_is_the_published_dh_chain(
    model: mujoco.MjModel, q: tuple[float, ...]
) -> None:
    position, rotation = np.zeros(3), np.eye(3)
    for (a, d, alpha), angle in zip(DH, (*q, 0.0), strict=True):
        turned = rotation @ _rotation("x", alpha)
        position = position + turned @ np.array([a, 0.0, d])
        rotation = turned @ _rotation("z", angle)
    data = mujoco.MjData(model)
    data.qpos[:7] = q
    mujoco.mj_kinematics(model, data)
    hand = data.body(PANDA.arm.hand_body)
    np.testing.assert_allclose(hand.xpos, position, atol=1e-6)
    expected = rotation @ _rotation("z", -math.pi / 4)  # the hand is mounted at -45 deg
    np.testing.assert_allclose(hand.xmat.reshape(3, 3), expected, atol=1e-6)


def test_home_pose(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    data.qpos[:] = PANDA.home_qpos
    mujoco.mj_kinematics(model, data)
    tcp = data.site(PANDA.arm.tcp_site)
    np.testing.assert_allclose(tcp.xpos, (0.5, 0.0, 0.2), atol=1e-6)
    np.testing.assert_allclose(tcp.xmat.reshape(3, 3), np.diag([1, -1, -1]), atol=1e-6)
    joints = (*PANDA.arm.joints, *PANDA.arm.gripper_joints)
    for name, value in zip(joints, PANDA.home_qpos, strict=True):
        low, high = model.joint(name).range
        assert low <= value <= high


def test_workspace_corners_are_reachable_with_the_hand_down(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    jac = np.zeros((6, model.nv))
    site = model.site(PANDA.arm.tcp_site).id
    low, high = model.jnt_range[:7].T
    for corner in itertools.product(*zip(*PANDA.arm.workspace, strict=True)):
        data.qpos[:] = PANDA.home_qpos
        for _ in range(300):  # damped least squares, joints clamped to their ranges
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            turn = np.diag([1, -1, -1]) @ data.site_xmat[site].reshape(3, 3).T
            skew = (turn - turn.T) / 2
            error = np.r_[
                np.subtract(corner, data.site_xpos[site]), skew[2, 1], skew[0, 2], skew[1, 0]
            ]
            mujoco.mj_jacSite(model, data, jac[:3], jac[3:], site)
            arm = jac[:, :7]
            data.qpos[:7] += arm.T @ np.linalg.solve(arm @ arm.T + 1e-4 * np.eye(6), error)
            data.qpos[:7] = np.clip(data.qpos[:7], low, high)
        assert np.linalg.norm(error) < 1e-4, corner


def test_gravity_is_compensated_at_rest(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    data.qpos[:] = PANDA.home_qpos
    mujoco.mj_forward(model, data)
    assert np.abs(data.qfrc_bias).max() > 5.0  # there is a weight to carry
    np.testing.assert_allclose(data.qfrc_gravcomp, data.qfrc_bias, atol=1e-9)


@pytest.mark.parametrize("step", (0.05, 0.3))
def test_servo_settles_without_chatter(model: mujoco.MjModel, step: float) -> None:
    data = mujoco.MjData(model)
    data.qpos[:] = PANDA.home_qpos
    data.ctrl[:] = PANDA.home_ctrl
    target = np.array(PANDA.home_qpos[:7]) + step * np.array([1, 1, 1, 1, 1, -1, 1])
    data.ctrl[:7] = target
    forces, angles = [], []
    for _ in range(round(1.0 / model.opt.timestep)):
        mujoco.mj_step(model, data)
        forces.append(data.actuator_force[:7].copy())
        angles.append(data.qpos[:7].copy())
    np.testing.assert_allclose(angles[-1], target, atol=0.01 * step)
    # A chattering servo flips its force on most of the 200 steps; a damped one rings a few times.
    assert (np.diff(np.sign(forces), axis=0) != 0).sum(axis=0).max() <= 20
    moved = (np.array(angles) - PANDA.home_qpos[:7]) * np.sign(target - PANDA.home_qpos[:7])
    assert moved.max() <= 1.2 * step  # overshoot: 13 % measured in joint 3


def test_spec_names_exist_in_actuator_order(model: mujoco.MjModel) -> None:
    ids = [model.actuator(n).id for n in (*PANDA.arm.actuators, PANDA.arm.gripper_actuator)]
    assert ids == list(range(model.nu))
    ids = [model.joint(n).qposadr[0] for n in (*PANDA.arm.joints, *PANDA.arm.gripper_joints)]
    assert ids == list(range(model.nq))
    for name in PANDA.arm.finger_touch_sensors:
        assert model.sensor(name).dim[0] == 1


def test_registry_returns_and_suggests() -> None:
    assert robots.get("panda") is PANDA
    with pytest.raises(ValueError, match="did you mean 'panda'") as error:
        robots.get("pandda")
    assert "\n" not in str(error.value)

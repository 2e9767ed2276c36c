"""The SO101 against its URDF, which states the rotations otherwise, and what only it has."""

import mujoco
import numpy as np
import pytest

from mjxsim import robots
from mjxsim.robots.so101 import constants as c
from mjxsim.robots.so101.constants import SO101, SO101_UNITS

# Joint origins xyz [m] and rpy [rad] of TheRobotStudio/SO-ARM100,
# Simulation/SO101/so101_new_calib.urdf; every axis is z. Our table comes from the MJCF beside it.
URDF = (
    ((0.0388353, 0, 0.0624), (3.14159, 0, -3.14159)),
    ((-0.0303992, -0.0182778, -0.0542), (-1.5708, -1.5708, 0)),
    ((-0.11257, -0.028, 0), (0, 0, 1.5708)),
    ((-0.1349, 0.0052, 0), (0, 0, -1.5708)),
    ((0, -0.0611, 0.0181), (1.5708, 0.0486795, 3.14159)),
    ((0.0202, 0.0188, -0.0234), (1.5708, 0, 0)),
)
# The URDF's fixed `gripper_frame_link` in the frame of the gripper: on the fixed jaw's face.
URDF_GRIPPER_FRAME = (-0.0079, -0.000218121, -0.0981274)


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return SO101.load().compile()


def _turn(axis: tuple[float, ...], angle: float) -> np.ndarray:
    quat, out = np.empty(4), np.empty(9)
    mujoco.mju_axisAngle2Quat(quat, np.array(axis, float), angle)
    mujoco.mju_quat2Mat(out, quat)
    return out.reshape(3, 3)


@pytest.mark.parametrize(
    "q", ((0, 0, 0, 0, 0, 0), (0.3, -0.9, 1.1, 0.4, -0.7, 0.5), (-1.1, 0.4, -0.9, -1.2, 2.0, 1.5))
)
def test_forward_kinematics_is_the_urdfs(model: mujoco.MjModel, q: tuple[float, ...]) -> None:
    data = mujoco.MjData(model)
    data.qpos[:] = q
    mujoco.mj_kinematics(model, data)
    position, rotation = np.array([0, 0, c.FEET]), np.eye(3)
    for i, ((xyz, rpy), angle) in enumerate(zip(URDF, q, strict=True)):
        position = position + rotation @ np.array(xyz)
        roll, pitch, yaw = rpy
        rotation = rotation @ _turn((0, 0, 1), yaw) @ _turn((0, 1, 0), pitch)
        rotation = rotation @ _turn((1, 0, 0), roll) @ _turn((0, 0, 1), angle)
        # 1e-5: the URDF's angles have 5 decimals, over 0.5 m.
        np.testing.assert_allclose(data.xanchor[i], position, atol=1e-5)
        np.testing.assert_allclose(data.xaxis[i], rotation[:, 2], atol=3e-5)


def test_base_matches_table(model: mujoco.MjModel) -> None:
    base = model.body("base")
    np.testing.assert_array_equal(base.pos, 0.0)
    assert base.mass == c.BASE_MASS
    np.testing.assert_allclose(base.ipos, c.BASE_COM, atol=1e-9)
    axes = np.empty(9)
    mujoco.mju_quat2Mat(axes, base.iquat)
    axes = axes.reshape(3, 3)
    xx, yy, zz, xy, xz, yz = c.BASE_INERTIA
    expected = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    np.testing.assert_allclose(axes @ np.diag(base.inertia) @ axes.T, expected, atol=1e-12)


def test_nothing_of_the_base_is_below_the_table(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    boxes = np.flatnonzero(
        (model.geom_bodyid == model.body("base").id)
        & (model.geom_type == mujoco.mjtGeom.mjGEOM_BOX)
    )
    reach = np.abs(data.geom_xmat[boxes].reshape(-1, 3, 3)[:, 2]) * model.geom_size[boxes]
    lowest = (data.geom_xpos[boxes, 2] - reach.sum(axis=1)).min()
    assert lowest == pytest.approx(0.0, abs=1e-6)


def test_tcp_and_lerobots_gripper_frame_are_at_the_same_place_of_the_jaw() -> None:
    """Ours is in the middle of the gap and theirs on the fixed jaw, 0.3 mm apart along the jaw."""
    model = SO101.load().compile()
    tcp = model.site("tcp").pos
    assert tcp[2] == pytest.approx(URDF_GRIPPER_FRAME[2], abs=5e-4)
    assert tcp[0] - URDF_GRIPPER_FRAME[0] == pytest.approx(c.TCP_WIDTH / 2, abs=1e-9)
    assert URDF_GRIPPER_FRAME[0] == c.FIXED_FACE_X


def test_lerobots_degrees_are_the_models(model: mujoco.MjModel) -> None:
    degrees = np.array([10.0, -20.0, 30.0, -40.0, 50.0, 0.0])
    np.testing.assert_allclose(SO101_UNITS.to_radians(degrees)[:5], np.radians(degrees[:5]))
    low, high = model.jnt_range[:5].T
    # The middle of every range, up to the roll's 2.79 degrees.
    np.testing.assert_allclose(np.degrees(low + high) / 2, (0, 0, 0, 0, 2.79), atol=0.01)


def test_registry_returns_it() -> None:
    assert robots.get("so101") is SO101

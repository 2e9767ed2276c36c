"""The compiled ALOHA against its table of constants and Trossen's kinematics, and its grasp."""

import copy
import functools
import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mjxsim
from mjxsim import robots
from mjxsim.control import Chain, IkConfig
from mjxsim.control.ik import solve
from mjxsim.control.kinematics import forward
from mjxsim.robots.aloha import constants as c
from mjxsim.robots.aloha.constants import ALOHA
from mjxsim.scenes import ObjectSpec, build

# The table has at most 9 significant digits and quaternions 16; anything above this is a typo.
EXACT = 1e-9

# Product of exponentials of the ViperX-300 6DOF, copied from the page cited in constants.py:
# pose of the end effector at zero angles, and the joints' screws (axis, then -axis x point).
EE_HOME = np.array([0.536494, 0.0, 0.42705])  # [m], rotation is the identity
SCREWS = np.array(
    [
        [0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, -0.12705, 0.0, 0.0],
        [0.0, 1.0, 0.0, -0.42705, 0.0, 0.05955],
        [1.0, 0.0, 0.0, 0.0, 0.42705, 0.0],
        [0.0, 1.0, 0.0, -0.42705, 0.0, 0.35955],
        [1.0, 0.0, 0.0, 0.0, 0.42705, 0.0],
    ]
)
SIDES = (0, 1)
DOWN = math.radians(65)  # of the approach below the horizontal, at home
HALF = ALOHA.area.half_size
CUBE = ObjectSpec(name="cube", half_size=(HALF,) * 3, pos=(-0.1, 0.05))  # 0.1 kg


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return ALOHA.load().compile()


def _prefix(side: int) -> str:
    return ("left_", "right_")[side]


def _matrix(quat: np.ndarray | tuple[float, ...]) -> np.ndarray:
    out, quat = np.empty(9), np.array(quat, float)
    mujoco.mju_quat2Mat(out, quat / np.linalg.norm(quat))
    return out.reshape(3, 3)


def _tensor(moments: np.ndarray | c.Vec3, quat: np.ndarray | c.Quat) -> np.ndarray:
    """Inertia in body axes [kg m^2]; the compiler may reorder the principal axes."""
    return _matrix(quat) @ np.diag(moments) @ _matrix(quat).T


def _check_mass(
    model: mujoco.MjModel, body: str, mass: float, com: c.Vec3, quat: c.Quat, inertia: c.Vec3
) -> None:
    compiled = model.body(body)
    np.testing.assert_allclose(compiled.mass, mass, atol=EXACT)
    np.testing.assert_allclose(compiled.ipos, com, atol=EXACT)
    np.testing.assert_allclose(
        _tensor(compiled.inertia, compiled.iquat), _tensor(inertia, quat), atol=1e-12
    )
    assert model.body_gravcomp[compiled.id] == 1.0


def _tilted(angle: float, yaw: float = 0.0, side: int = 0) -> np.ndarray:
    """TCP axes (3, 3) in the world: approach `angle` [rad] below the level, pads left and right."""
    z = np.array([math.cos(angle), 0.0, -math.sin(angle)])
    y = np.array([0.0, -1.0, 0.0])
    turn = yaw + side * math.pi
    about_z = np.array(
        [[math.cos(turn), -math.sin(turn), 0], [math.sin(turn), math.cos(turn), 0], [0, 0, 1]]
    )
    return about_z @ np.stack([np.cross(y, z), y, z], axis=1)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("index", range(6))
def test_link_joint_and_servo_match_table(model: mujoco.MjModel, side: int, index: int) -> None:
    link, arm = c.LINKS[index], ALOHA.arms[side]
    body = model.body(_prefix(side) + link.name)
    np.testing.assert_allclose(body.pos, link.pos, atol=EXACT)
    np.testing.assert_array_equal(body.quat, (1, 0, 0, 0))
    _check_mass(model, body.name, link.mass, link.com, link.inertia_quat, link.inertia)
    joint = model.joint(arm.joints[index])
    assert joint.bodyid[0] == body.id
    np.testing.assert_array_equal(joint.axis, link.axis)
    np.testing.assert_array_equal(joint.range, link.joint_range)
    assert joint.armature == link.armature
    assert joint.damping == link.damping
    assert joint.frictionloss == 0.0
    servo = model.actuator(arm.actuators[index])
    assert servo.trnid[0] == joint.id
    assert servo.gainprm[0] == link.kp
    np.testing.assert_array_equal(servo.biasprm[:3], (0, -link.kp, 0))
    np.testing.assert_array_equal(servo.forcerange, (-link.force_limit, link.force_limit))
    np.testing.assert_allclose(servo.ctrlrange, link.joint_range, atol=EXACT)


@pytest.mark.parametrize("side", SIDES)
def test_base_and_hand_match_table(model: mujoco.MjModel, side: int) -> None:
    base = model.body(_prefix(side) + "base_link")
    mirror = (1 - 2 * side, 1 - 2 * side, 1)
    np.testing.assert_allclose(base.pos, np.multiply(c.BASE_POS, mirror), atol=EXACT)
    np.testing.assert_array_equal(base.quat, c.BASE_QUATS[side])
    arm = ALOHA.arms[side]
    hand = model.body(arm.hand_body)
    np.testing.assert_allclose(hand.pos, c.HAND_POS, atol=EXACT)
    np.testing.assert_allclose(hand.quat, c.HAND_QUAT, atol=EXACT)
    _check_mass(model, hand.name, c.HAND_MASS, c.HAND_COM, c.HAND_INERTIA_QUAT, c.HAND_INERTIA)
    tcp = model.site(arm.tcp_site)
    assert tcp.bodyid[0] == hand.id
    np.testing.assert_allclose(tcp.pos, c.TCP_POS, atol=EXACT)
    np.testing.assert_allclose(tcp.quat, c.TCP_QUAT, atol=EXACT)
    capsule = model.geom(arm.other_collision_geoms[0])
    np.testing.assert_allclose(capsule.pos, c.HAND_CAPSULE_POS, atol=EXACT)
    np.testing.assert_allclose(
        capsule.size[:2], (c.HAND_CAPSULE_RADIUS, c.HAND_CAPSULE_HALF_LENGTH), atol=EXACT
    )
    np.testing.assert_allclose(np.abs(_matrix(capsule.quat)[:, 2]), (1, 0, 0), atol=EXACT)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("finger", (0, 1))
def test_finger_and_pad_match_table(model: mujoco.MjModel, side: int, finger: int) -> None:
    arm = ALOHA.arms[side]
    joint = model.joint(arm.gripper_joints[finger])
    body = model.body(joint.bodyid[0])
    np.testing.assert_allclose(body.pos, c.FINGER_POS[finger], atol=EXACT)
    np.testing.assert_allclose(body.quat, c.FINGER_QUATS[finger], atol=EXACT)
    _check_mass(
        model,
        body.name,
        c.FINGER_MASSES[finger],
        c.FINGER_COMS[finger],
        c.FINGER_INERTIA_QUATS[finger],
        c.FINGER_INERTIAS[finger],
    )
    np.testing.assert_array_equal(joint.axis, (0, 0, -1))
    np.testing.assert_array_equal(joint.range, c.FINGER_RANGE)
    assert joint.armature == c.FINGER_ARMATURE
    assert joint.damping == c.FINGER_DAMPING

    mirror = 1 - 2 * finger
    low = np.subtract(c.PAD_CENTRE, c.PAD_HALF_SIZE)
    high = np.add(c.PAD_CENTRE, c.PAD_HALF_SIZE)
    positions = set()
    for name in arm.finger_pad_geoms[finger]:
        geom = model.geom(name)
        assert geom.bodyid[0] == body.id
        assert geom.type == mujoco.mjtGeom.mjGEOM_SPHERE
        assert geom.size[0] == c.PAD_RADIUS
        place = geom.pos[:2] * (1, mirror)
        gap = np.minimum(place - low, high - place) - c.PAD_RADIUS
        np.testing.assert_allclose(gap, 0.0, atol=EXACT)  # tangent to two edges
        np.testing.assert_allclose(geom.pos[2], c.PAD_FACE - c.PAD_RADIUS, atol=EXACT)
        positions.add(tuple(place))
    assert len(positions) == 4
    further = min(y for _, y in positions)  # along -y the finger gets longer
    tips = {n for n in arm.finger_pad_geoms[finger] if model.geom(n).pos[1] * mirror == further}
    assert tips == set(arm.finger_tip_geoms) & set(arm.finger_pad_geoms[finger])


@pytest.mark.parametrize("side", SIDES)
def test_gripper_servo_matches_table(model: mujoco.MjModel, side: int) -> None:
    servo = model.actuator(ALOHA.arms[side].gripper_actuator)
    assert servo.gainprm[0] == c.GRIPPER_KP
    np.testing.assert_array_equal(servo.biasprm[:3], (0, -c.GRIPPER_KP, 0))
    np.testing.assert_array_equal(servo.ctrlrange, c.GRIPPER_CTRL_RANGE)
    np.testing.assert_array_equal(servo.forcerange, (-c.GRIPPER_FORCE_LIMIT, c.GRIPPER_FORCE_LIMIT))


def test_only_primitives_and_no_implicit_contacts(model: mujoco.MjModel) -> None:
    assert model.nmesh == 0
    assert not model.geom_contype.any()
    assert not model.geom_conaffinity.any()
    assert set(model.geom_group) == {2, 3}
    named: set[str] = set()
    for arm in ALOHA.arms:
        named |= {*itertools.chain(*arm.finger_pad_geoms), *arm.other_collision_geoms}
    assert {model.geom(i).name for i in np.flatnonzero(model.geom_group == 3)} == named


def test_geoms_add_no_mass(model: mujoco.MjModel) -> None:
    one_arm = sum(link.mass for link in c.LINKS) + c.HAND_MASS + sum(c.FINGER_MASSES)
    np.testing.assert_allclose(model.body_mass.sum(), 2 * one_arm, atol=EXACT)


def test_spec_names_are_in_the_order_of_the_model(model: mujoco.MjModel) -> None:
    actuators = [n for arm in ALOHA.arms for n in (*arm.actuators, arm.gripper_actuator)]
    assert [model.actuator(n).id for n in actuators] == list(range(model.nu))
    joints = [n for arm in ALOHA.arms for n in (*arm.joints, *arm.gripper_joints)]
    assert [model.joint(n).qposadr[0] for n in joints] == list(range(model.nq))
    for arm in ALOHA.arms:
        for name in arm.finger_touch_sensors:
            assert model.sensor(name).dim[0] == 1
    assert robots.get("aloha") is ALOHA


def _exponential(screw: np.ndarray, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Rotation and translation of a turn by `angle` about a screw of pitch 0."""
    axis, v = screw[:3], screw[3:]
    skew = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    rotation = np.eye(3) + math.sin(angle) * skew + (1 - math.cos(angle)) * skew @ skew
    return rotation, (np.eye(3) - rotation) @ np.cross(axis, v)


@pytest.mark.parametrize(
    "q", ((0.0,) * 6, (0.4, -0.9, 1.1, 0.7, -0.5, 1.3), (-1.2, 0.5, -0.6, -2.0, 1.4, -0.8))
)
def test_forward_kinematics_is_trossens(model: mujoco.MjModel, q: tuple[float, ...]) -> None:
    rotation, position = np.eye(3), EE_HOME
    for screw, angle in reversed(list(zip(SCREWS, q, strict=True))):
        turn, shift = _exponential(screw, angle)
        rotation, position = turn @ rotation, turn @ position + shift
    data = mujoco.MjData(model)
    data.qpos[:6] = data.qpos[8:14] = q
    mujoco.mj_kinematics(model, data)
    for side in SIDES:
        base = data.body(_prefix(side) + "base_link")
        link = data.body(_prefix(side) + "gripper_link")
        to_base = base.xmat.reshape(3, 3).T
        np.testing.assert_allclose(to_base @ link.xmat.reshape(3, 3), rotation, atol=1e-9)
        # Trossen's end effector lies 0.1072 m ahead of the axis' origin on the same axis.
        ahead = EE_HOME[0] - sum(link.pos[0] for link in c.LINKS)
        place = link.xpos + ahead * link.xmat.reshape(3, 3)[:, 0]
        np.testing.assert_allclose(to_base @ (place - base.xpos), position, atol=1e-9)


@pytest.mark.parametrize("side", SIDES)
def test_home_pose(model: mujoco.MjModel, side: int) -> None:
    data = mujoco.MjData(model)
    data.qpos[:] = ALOHA.home_qpos
    mujoco.mj_kinematics(model, data)
    arm = ALOHA.arms[side]
    tcp = data.site(arm.tcp_site)
    np.testing.assert_allclose(tcp.xpos, ((-0.15, 0.15)[side], 0.0, 0.2), atol=1e-6)
    np.testing.assert_allclose(tcp.xmat.reshape(3, 3), _tilted(DOWN, side=side), atol=1e-6)
    for name, value in zip((*arm.joints, *arm.gripper_joints), arm.home_qpos, strict=True):
        low, high = model.joint(name).range
        assert low <= value <= high


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("opening", (c.PAD_REACH, 0.02, 0.037))
def test_tcp_is_midway_between_the_pads(model: mujoco.MjModel, side: int, opening: float) -> None:
    data = mujoco.MjData(model)
    data.qpos[:] = ALOHA.home_qpos
    arm = ALOHA.arms[side]
    for name in arm.gripper_joints:
        data.joint(name).qpos = opening
    mujoco.mj_kinematics(model, data)
    tcp = data.site(arm.tcp_site)
    pads = [np.mean([data.geom(n).xpos for n in names], axis=0) for names in arm.finger_pad_geoms]
    inside = np.stack([tcp.xmat.reshape(3, 3).T @ (p - tcp.xpos) for p in pads])
    np.testing.assert_allclose(inside.mean(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(inside[:, [0, 2]], 0.0, atol=1e-9)  # they face each other along y
    width = np.ptp(inside[:, 1]) - 2 * c.PAD_RADIUS
    np.testing.assert_allclose(width, 2 * (opening - c.PAD_REACH), atol=1e-9)
    if opening == c.GRIPPER_CTRL_RANGE[1]:
        np.testing.assert_allclose(width, arm.gripper_max_width, atol=1e-9)


_BATCH = 256


@functools.cache
def _compiled_ik(side: int) -> Callable[[jax.Array, jax.Array], tuple[jax.Array, ...]]:
    """The library's inverse kinematics from home for `_BATCH` poses; one compilation per arm."""
    arm = ALOHA.arms[side]
    chain = Chain.from_model(ALOHA.load().compile(), arm.joints, arm.tcp_site)
    config = IkConfig(iterations=60, damping=0.005, posture_gain=0.0)
    home = jnp.array(arm.home_qpos[:6], jnp.float32)

    def one(point: jax.Array, mat: jax.Array) -> tuple[jax.Array, ...]:
        q = solve(chain, home, point, mat, config)
        pos, got = forward(chain, q)
        return q, jnp.linalg.norm(pos - point), jnp.linalg.norm(got - mat) / math.sqrt(2)

    return mjxsim.jit(jax.vmap(one))


def _solve(side: int, points: np.ndarray, mats: np.ndarray) -> np.ndarray:
    """Joints (n, 6) [rad] that put the TCP at `points` (n, 3) [m] turned as `mats` (n, 3, 3)."""
    count = len(points)
    rows = np.arange(-(-count // _BATCH) * _BATCH) % count
    parts = [
        _compiled_ik(side)(jnp.asarray(points[r], jnp.float32), jnp.asarray(mats[r], jnp.float32))
        for r in rows.reshape(-1, _BATCH)
    ]
    q, off, turned = (np.concatenate(x)[:count] for x in zip(*parts, strict=True))
    assert off.max() < 1e-4  # [m]
    assert turned.max() < 1e-3  # [rad]
    return q.astype(float)


def _grid(low: tuple[float, ...], high: tuple[float, ...], count: int) -> np.ndarray:
    axes = [np.linspace(a, b, count) for a, b in zip(low, high, strict=True)]
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, len(low))


@pytest.mark.parametrize("side", SIDES)
def test_workspace_is_reachable_at_the_home_orientation(model: mujoco.MjModel, side: int) -> None:
    arm = ALOHA.arms[side]
    base = model.body(_prefix(side) + "base_link")
    points = _grid(*arm.workspace, 6) @ _matrix(base.quat).T + base.pos
    _solve(side, points, np.repeat(_tilted(DOWN, side=side)[None], len(points), axis=0))


def test_both_arms_reach_a_region_in_the_middle() -> None:
    low, high = np.array(ALOHA.arms[0].workspace) + c.BASE_POS
    assert ALOHA.arms[0].workspace == ALOHA.arms[1].workspace
    # The right arm's box is the left one's turned by pi about z: they share |x| < high[0].
    assert high[0] > 0.08
    assert low[2] <= 0.01
    assert high[2] >= 0.25


def test_area_is_reachable_tilted_and_straight_down_at_every_yaw() -> None:
    area = ALOHA.area
    low = (*area.table[0], area.half_size)
    points = np.concatenate([_grid(low, (*area.table[1], 0.1), 3), _grid(*area.air, 3)])
    turns = [(a, yaw) for a in (DOWN, math.pi / 2) for yaw in (-math.pi / 4, 0.0, math.pi / 4)]
    mats = np.stack([_tilted(*turn) for turn in turns])
    _solve(0, np.repeat(points, len(turns), axis=0), np.tile(mats, (len(points), 1, 1)))


def test_cameras_clear_each_other_when_both_hold_a_bar(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    data.qpos[:] = ALOHA.home_qpos
    for side, x in enumerate((-0.06, 0.06)):
        q = _solve(side, np.array([[x, 0.0, 0.2]]), _tilted(DOWN, side=side)[None])[0]
        data.qpos[8 * side : 8 * side + 6] = q
    mujoco.mj_kinematics(model, data)
    cameras = (model.geom("left_camera").id, model.geom("right_camera").id)
    assert mujoco.mj_geomDistance(model, data, *cameras, 1.0, None) > 0.015  # 20 mm computed


def test_gravity_is_compensated_at_rest(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    data.qpos[:] = ALOHA.home_qpos
    mujoco.mj_forward(model, data)
    assert np.abs(data.qfrc_bias).max() > 2.0  # there is a weight to carry
    np.testing.assert_allclose(data.qfrc_gravcomp, data.qfrc_bias, atol=1e-9)


@pytest.mark.parametrize("step", (0.05, 0.3))
def test_servo_settles_without_chatter(model: mujoco.MjModel, step: float) -> None:
    data = mujoco.MjData(model)
    data.qpos[:] = ALOHA.home_qpos
    data.ctrl[:] = ALOHA.home_ctrl
    data.ctrl[:6] += step
    forces, angles = [], []
    for _ in range(round(1.5 / model.opt.timestep)):
        mujoco.mj_step(model, data)
        forces.append(data.actuator_force[:6].copy())
        angles.append(data.qpos[:6] - ALOHA.home_qpos[:6])
    np.testing.assert_allclose(angles[-1], step, atol=0.01 * step)
    # A chattering servo flips its force on most of the 300 steps; a damped one rings a few times.
    assert (np.diff(np.sign(forces), axis=0) != 0).sum(axis=0).max() <= 20
    assert np.max(angles) <= 1.2 * step


# A grasp in C MuJoCo.


@pytest.fixture(scope="module")
def scene() -> mujoco.MjModel:
    return build(ALOHA, (CUBE,)).compile()


def _run(model: mujoco.MjModel, data: mujoco.MjData, seconds: float) -> None:
    mujoco.mj_step(model, data, nstep=round(seconds / model.opt.timestep))
    mujoco.mj_forward(model, data)


def _cube_in_hand(data: mujoco.MjData) -> np.ndarray:
    """Cube centre relative to the left TCP, in the TCP frame (3,) [m]."""
    tcp = data.site(ALOHA.arm.tcp_site)
    return tcp.xmat.reshape(3, 3).T @ (data.body("cube").xpos - tcp.xpos)


@pytest.fixture(scope="module")
def lifted(scene: mujoco.MjModel) -> mujoco.MjData:
    """The left arm closed its fingers on the cube where it lay and lifted it by 0.15 m in 1.2 s."""
    points = np.array([[*CUBE.pos, HALF], [*CUBE.pos, HALF + 0.15]])
    low, high = _solve(0, points, np.repeat(_tilted(DOWN)[None], 2, axis=0))
    data = mujoco.MjData(scene)
    mujoco.mj_resetDataKeyframe(scene, data, 0)
    data.qpos[:6] = data.ctrl[:6] = low
    data.ctrl[6] = ALOHA.arm.gripper_closed_ctrl
    _run(scene, data, 0.3)
    assert data.sensordata[:2].min() > 20.0  # both pads press within 0.3 s
    for part in np.linspace(0.0, 1.0, 60):
        data.ctrl[:6] = low + part * (high - low)
        _run(scene, data, 0.02)
    _run(scene, data, 0.5)
    return data


def test_cube_is_lifted(lifted: mujoco.MjData) -> None:
    # The weight pulls the arm down by 1.2 mm.
    np.testing.assert_allclose(lifted.body("cube").xpos, (*CUBE.pos, HALF + 0.15), atol=3e-3)


def test_touch_is_the_squeezing_force(lifted: mujoco.MjData) -> None:
    # Friction carries the weight, which touch does not count; the other hand touches nothing.
    np.testing.assert_allclose(lifted.sensordata[:2], -lifted.actuator_force[6] / 2, rtol=0.02)
    np.testing.assert_array_equal(lifted.sensordata[2:], 0.0)


def test_grasp_holds_five_times_the_weight(scene: mujoco.MjModel, lifted: mujoco.MjData) -> None:
    data = copy.copy(lifted)
    before = _cube_in_hand(data)
    data.xfrc_applied[scene.body("cube").id, 2] = -4 * CUBE.mass * 9.81
    _run(scene, data, 2.0)
    assert np.linalg.norm(_cube_in_hand(data) - before) < 1e-3  # 0.6 mm measured


def test_grasp_does_not_creep_in_five_seconds(scene: mujoco.MjModel, lifted: mujoco.MjData) -> None:
    data = copy.copy(lifted)
    before = _cube_in_hand(data)
    _run(scene, data, 5.0)
    assert np.linalg.norm(_cube_in_hand(data) - before) < 5e-4  # 0.3 mm measured


def test_grasp_survives_shaking(scene: mujoco.MjModel, lifted: mujoco.MjData) -> None:
    data = copy.copy(lifted)
    before, rest = _cube_in_hand(data), data.ctrl.copy()
    fastest, weakest = 0.0, np.inf
    for step in range(600):  # 3 s, waist, wrist angle and wrist rotation at 2, 3 and 2.5 Hz
        time = step * scene.opt.timestep
        wave = min(time / 0.5, 1.0) * np.sin(2 * np.pi * time * np.array([2.0, 3.0, 2.5]))
        data.ctrl[[0, 4, 5]] = rest[[0, 4, 5]] + wave * (0.1, 0.1, 0.25)
        mujoco.mj_step(scene, data)
        fastest = max(fastest, np.linalg.norm(data.qvel[16:19]))
        weakest = min(weakest, data.sensordata[:2].min())
    data.ctrl[:] = rest
    _run(scene, data, 0.5)
    assert fastest > 0.3  # it was shaken, at up to about 4 m/s^2
    assert weakest > 10.0  # neither pad ever let go
    assert np.linalg.norm(_cube_in_hand(data) - before) < 2e-3  # 0.9 mm measured


def test_closed_empty_gripper_presses_on_nothing(scene: mujoco.MjModel) -> None:
    data = mujoco.MjData(scene)
    mujoco.mj_resetDataKeyframe(scene, data, 0)
    data.ctrl[6] = ALOHA.arm.gripper_closed_ctrl
    _run(scene, data, 1.5)
    # 12 N against the stop of the joint, which gives way a little.
    np.testing.assert_allclose(data.qpos[6:8], c.PAD_REACH, atol=1e-3)
    np.testing.assert_array_equal(data.sensordata, 0.0)

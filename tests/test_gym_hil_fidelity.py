"""gym-hil's own trajectories, recorded, against ours; and its robot's numbers.

tests/data/gym_hil.json was written by `python -m benchmarks.gym_hil_fidelity --write`, which runs
gym-hil itself in an interpreter of its own.
"""

import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mjxsim
from benchmarks.gym_hil_fidelity import PICK_TOLERANCE, TOLERANCE, Ours, compare
from mjxsim.compat import gym_hil
from mjxsim.robots.panda.constants import LINKS
from mjxsim.robots.panda_robotiq import PANDA_ROBOTIQ, constants

RECORDED = json.loads((pathlib.Path(__file__).parent / "data" / "gym_hil.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def ours() -> Ours:
    return Ours("c")


@pytest.mark.parametrize("name", ["free motion", "grasp and lift", "arrange-boxes"])
def test_the_same_actions_give_the_same_trajectory(name: str, ours: Ours) -> None:
    episode = RECORDED["episodes"][name]
    played = ours.play(episode)
    apart = compare(played, episode)
    assert apart["tcp"] < TOLERANCE and apart["block"] < TOLERANCE
    # Joint velocities and the gripper's control too: in float32, a hundredth of what matters.
    a, b = np.asarray(played["rows"]), np.asarray(episode["rows"])
    np.testing.assert_allclose(a[:, 7:14], b[:, 7:14], atol=2e-3)
    np.testing.assert_allclose(a[:, 14], b[:, 14], atol=1e-3)
    assert [e[1:] for e in played["ends"]] == [e[1:] for e in episode["ends"]]
    assert [e[0] for e in played["ends"]] == [e[0] for e in episode["ends"]]


def test_the_scripted_pick_takes_as_many_steps(ours: Ours) -> None:
    episode = RECORDED["episodes"]["scripted pick 2"]
    played = ours.play(episode)
    assert len(played["ends"]) == len(episode["ends"])
    assert played["ends"][-1] == episode["ends"][-1]
    assert max(compare(played, episode)[k] for k in ("tcp", "block")) < PICK_TOLERANCE


def test_a_comparison_can_fail(ours: Ours) -> None:
    """One action less than a millimetre off is seen."""
    episode = json.loads(json.dumps(RECORDED["episodes"]["grasp and lift"]))
    episode["actions"][3][0] += 0.0005
    assert compare(ours.play(episode), RECORDED["episodes"]["grasp and lift"])["tcp"] > TOLERANCE


def test_mjx_does_one_step_as_c(ours: Ours) -> None:
    """One control step of 50 physics steps from rest, compiled once."""
    episode = {**RECORDED["episodes"]["free motion"], "steps": 1}
    action = np.array([0.02, -0.01, 0.02, 0.3], np.float32)
    episode["actions"] = [[*action[:3], 0.0, 0.0, 0.0, action[3]]]
    expected = ours.play(episode)["rows"][-1]
    env = gym_hil.make(
        gym_hil.settings_of("PandaPickCube", {"engine": "mjx"}), step=(1.0, 1.0, 1.0)
    )
    step = mjxsim.jit(lambda key, action: env.advance(env.start(key), action)[1])
    t = step(jax.random.key(0), jnp.asarray(action))
    # float32, and without the iterations of MuJoCo's noslip solver.
    np.testing.assert_allclose(t.next_obs[:7], expected[:7], atol=2e-4)
    np.testing.assert_allclose(t.next_obs[14:], expected[14:], atol=2e-4)
    assert float(t.metrics["diverged"]) == 0.0


def test_an_expert_picks_and_places(ours: Ours) -> None:
    """The tasks' own experts, one cube placed at random and the first of the blocks."""
    del ours
    settings = gym_hil.settings_of("PandaPickCube", {"random_block_position": True})
    env = gym_hil.make(settings)

    def play(key: jax.Array) -> jax.Array:
        def step(state: Any, _: None) -> tuple[Any, jax.Array]:
            state, t = env.step(state, env.expert(state))
            return state, t.metrics["success"]

        return jax.lax.scan(step, env.reset(key), length=60)[1].max()

    found = env.jit(jax.vmap(play))(jax.random.split(jax.random.key(1), 8))
    assert np.asarray(found).mean() >= 0.75


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return PANDA_ROBOTIQ.load().compile()


def test_arm_is_the_panda_with_motors(model: mujoco.MjModel) -> None:
    for i, (link, limit) in enumerate(zip(LINKS, constants.TORQUE_LIMITS, strict=True)):
        body, joint = model.body(link.name), model.joint(f"joint{i + 1}")
        assert body.mass[0] == pytest.approx(link.mass)
        np.testing.assert_allclose(body.ipos, link.com)
        np.testing.assert_allclose(joint.range, link.joint_range)
        assert joint.damping[0] == constants.DAMPING
        assert joint.armature[0] == constants.ARMATURE
        np.testing.assert_allclose(model.actuator(f"actuator{i + 1}").ctrlrange, [-limit, limit])
    assert not model.body_gravcomp.any()


@pytest.mark.parametrize("side", ["right", "left"])
def test_gripper_matches_table(model: mujoco.MjModel, side: str) -> None:
    for link in constants.GRIPPER_LINKS:
        body, joint = model.body(f"{side}_{link.name}"), model.joint(f"{side}_{link.name}_joint")
        assert body.mass[0] == pytest.approx(link.mass)
        np.testing.assert_allclose(body.ipos, link.com, atol=1e-9)
        np.testing.assert_allclose(body.inertia, link.inertia, rtol=1e-6)
        np.testing.assert_allclose(joint.range, link.joint_range)
        assert joint.armature[0] == link.armature and joint.damping[0] == link.damping
    spring = model.joint(f"{side}_spring_link_joint")
    assert spring.stiffness[0] == constants.SPRING_STIFFNESS
    assert spring.qpos_spring[0] == constants.SPRING_REFERENCE
    assert model.body(f"{side}_pad").mass[0] == pytest.approx(constants.PAD_MASS)
    for pad in constants.PAD_FRICTION:
        np.testing.assert_allclose(model.geom(f"{side}_{pad}").size, constants.PAD_HALF_SIZE)


def test_the_rest_of_the_gripper(model: mujoco.MjModel) -> None:
    assert model.body("base").mass[0] == constants.BASE_MASS
    assert model.body("base_mount").mass[0] == pytest.approx(constants.BASE_MOUNT_MASS)
    # What hangs on link 7 in gym-hil's compiled model [kg].
    assert model.body("link7").subtreemass[0] == pytest.approx(1.788130338842739)
    np.testing.assert_allclose(model.site("pinch").pos, constants.TCP_POS)
    drive = model.actuator("fingers_actuator")
    assert drive.gainprm[0] == constants.GRIPPER_GAIN
    limit = constants.GRIPPER_FORCE_LIMIT
    np.testing.assert_allclose(drive.forcerange, [-limit, limit])
    shapes = set(model.geom_type.tolist())
    assert mujoco.mjtGeom.mjGEOM_MESH not in shapes and not model.geom_contype.any()

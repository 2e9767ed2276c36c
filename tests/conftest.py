"""What tests of the engines share, so that each engine is compiled once in a session.

`pick_cube_model` is the compiled model; `worlds("c" | "mjx" | "warp")` is an engine on it with one
physics step per call, jitted for NUM_WORLDS worlds that carry per-world model fields: parity,
overrides and faults all run on the same compiled program. `solve_arm` poses the arm by IK.
"""

import dataclasses
import functools
import os
from collections.abc import Callable

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mjxsim
from mjxsim.physics import Engine, PhysicsState, make_engine
from mjxsim.physics.overrides import field_of
from mjxsim.robots.panda.constants import PANDA
from mjxsim.tasks.pick_cube import PickCube, PickCubeConfig

NUM_WORLDS = 16
MAX_PROCESSES = 8  # of the suite; each takes 2 to 5 GB
# What every call of `Worlds` overrides: parameters, then the constants derived from them.
FIELDS = (
    "body_mass",
    "body_inertia",
    "body_ipos",
    "body_iquat",
    "dof_armature",
    "site_pos",
    "dof_damping",
    "pair_friction",
    "opt.gravity",
    "actuator_gainprm",
    "actuator_biasprm",
    "body_subtreemass",
    "dof_M0",
    "dof_invweight0",
    "body_invweight0",
    "tendon_invweight0",
    "actuator_acc0",
)

Values = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Worlds:
    """An engine with one physics step per call; arrays have a leading axis of NUM_WORLDS."""

    engine: Engine
    nominal: Values  # FIELDS as the model has them, one row per world
    compiled_init: Callable[..., PhysicsState]
    compiled_step: Callable[[Values, PhysicsState, jax.Array], PhysicsState]

    def init(
        self,
        qpos: np.ndarray,
        qvel: np.ndarray | None = None,
        ctrl: np.ndarray | None = None,
        overrides: Values | None = None,
    ) -> PhysicsState:
        """Worlds at rest under the home controls unless told otherwise; rows may be shared."""
        model = self.engine.model
        qvel = np.zeros(model.nv) if qvel is None else qvel
        ctrl = model.key("home").ctrl if ctrl is None else ctrl
        rows = [
            jnp.asarray(np.broadcast_to(x, (NUM_WORLDS, n)), jnp.float32)
            for x, n in ((qpos, model.nq), (qvel, model.nv), (ctrl, model.nu))
        ]
        return self.compiled_init({**self.nominal, **(overrides or {})}, *rows)

    def step(
        self, state: PhysicsState, ctrl: np.ndarray | None = None, overrides: Values | None = None
    ) -> PhysicsState:
        """One physics step, by default under the controls of before."""
        ctrl = state.ctrl if ctrl is None else ctrl
        rows = jnp.asarray(np.broadcast_to(ctrl, state.ctrl.shape), jnp.float32)
        return self.compiled_step({**self.nominal, **(overrides or {})}, state, rows)

    def run(self, state: PhysicsState, steps: int, overrides: Values | None = None) -> PhysicsState:
        """`steps` physics steps under the controls of before."""
        for _ in range(steps):
            state = self.step(state, overrides=overrides)
        return state


def pytest_xdist_auto_num_workers() -> int:
    """One process per core; one in all where an accelerator is, which processes cannot share."""
    if jax.default_backend() != "cpu":
        return 0
    return min(os.cpu_count() or 1, MAX_PROCESSES)


@pytest.hookimpl(tryfirst=True)  # before xdist looks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps tests that share what they compile in one process: a file, or all users of `worlds`."""
    for item in items:
        shared = "worlds" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("worlds" if shared else item.path.stem))


@pytest.fixture(scope="session")
def pick_cube_model() -> mujoco.MjModel:
    """Arm, table, one cube of 0.1 kg; nq 16, nv 15, nu 8."""
    return PickCube.scene(PickCubeConfig().for_robot(PANDA), PANDA).compile()


@pytest.fixture(scope="session")
def worlds(pick_cube_model: mujoco.MjModel) -> Callable[[str], Worlds]:
    """`worlds(engine)`; skips the test where the engine is not installed."""
    model = pick_cube_model
    home = model.key("home")
    mocap = jnp.asarray(home.mpos, jnp.float32).reshape(-1, 3)
    mocap_quat = jnp.asarray(home.mquat, jnp.float32).reshape(-1, 4)

    @functools.cache
    def build(name: str) -> Worlds:
        if name == "warp":
            pytest.importorskip("warp")
        engine = make_engine(name, model, 1, announce=False)

        def init(
            overrides: Values, qpos: jax.Array, qvel: jax.Array, ctrl: jax.Array
        ) -> PhysicsState:
            return engine.init(overrides, qpos, qvel, ctrl, mocap, mocap_quat)

        fields = {f: np.asarray(field_of(model, f), np.float32) for f in FIELDS}
        nominal = {f: np.repeat(x[None], NUM_WORLDS, axis=0) for f, x in fields.items()}
        return Worlds(
            engine, nominal, mjxsim.jit(jax.vmap(init)), mjxsim.jit(jax.vmap(engine.step))
        )

    return build


def solve_arm(model: mujoco.MjModel, target: tuple[float, float, float]) -> np.ndarray:
    """Arm angles (7,) [rad] that put the TCP at `target` [m] with the hand straight down."""
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    jac = np.zeros((6, model.nv))
    site = model.site(PANDA.arm.tcp_site).id
    for _ in range(100):
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        turn = np.diag([1, -1, -1]) @ data.site_xmat[site].reshape(3, 3).T
        skew = (turn - turn.T) / 2
        error = np.r_[np.subtract(target, data.site_xpos[site]), skew[2, 1], skew[0, 2], skew[1, 0]]
        mujoco.mj_jacSite(model, data, jac[:3], jac[3:], site)
        arm = jac[:, :7]
        data.qpos[:7] += arm.T @ np.linalg.solve(arm @ arm.T + 1e-8 * np.eye(6), error)
    assert np.linalg.norm(error) < 1e-6
    return data.qpos[:7].copy()

"""MJX-JAX against a bare vmapped `mjx.step` loop, and what `short_chains` is worth."""

import contextlib
from collections.abc import Callable

import jax
import pytest
from mujoco import mjx

import mjxsim
from benchmarks.bench_c import staggered
from benchmarks.conftest import Record
from benchmarks.measure import Entry, compare, rate
from mjxsim import envs
from mjxsim.envs import State
from mjxsim.physics.chains import short_chains
from mjxsim.physics.compile import cpu_options

FLOOR = 0.85

Data = mjx.Data


def test_engine_and_environment_steps(quick: bool, record: Record) -> None:
    """Engine steps alone, then environment steps, against the same physics steps without either.

    The reference carries the whole `mjx.Data` of every world, is compiled by `mjxsim.jit` with the
    same options, and starts from the same states under the same controls.
    """
    num_envs, length, repeats = (4, 1, 2) if quick else (256, 2, 9)
    env = mjxsim.make("pick_cube", engine="mjx", announce=False)
    engine = env.engine
    start = staggered(env, num_envs)
    ctrl = jax.random.uniform(
        jax.random.key(2), (length, *start.physics.ctrl.shape), minval=-0.05, maxval=0.05
    )
    ctrl = ctrl + start.physics.ctrl
    policy = envs.random_policy(env)

    @mjxsim.jit
    def engine_steps(state: State) -> jax.Array:
        def step(physics: mjxsim.physics.PhysicsState, ctrl: jax.Array) -> tuple:
            return jax.vmap(engine.step)(state.overrides, physics, ctrl), None

        return jax.lax.scan(step, state.physics, ctrl)[0].qpos

    @mjxsim.jit
    def environment_steps(state: State) -> jax.Array:
        state, transitions = envs.rollout(env, policy, state, jax.random.key(3), length)
        return state.obs, transitions.reward

    model = mjx.put_model(engine.model, impl="jax")
    blank = mjx.make_data(model)

    def world(qpos: jax.Array, qvel: jax.Array, mocap_pos: jax.Array) -> Data:
        return blank.replace(qpos=qpos, qvel=qvel, mocap_pos=mocap_pos)

    @mjxsim.jit
    def bare_steps(data: Data) -> jax.Array:
        def substep(data: Data, _: None) -> tuple[Data, None]:
            return jax.vmap(lambda d: mjx.step(model, d))(data), None

        def step(data: Data, ctrl: jax.Array) -> tuple[Data, None]:
            return jax.lax.scan(substep, data.replace(ctrl=ctrl), length=engine.substeps)

        return jax.lax.scan(step, data, ctrl)[0].qpos

    p = start.physics
    data = jax.vmap(world)(p.qpos, p.qvel, p.mocap_pos)

    def bare() -> None:
        jax.block_until_ready(bare_steps(data))

    for name, what, run in (
        ("env", "pick_cube environment steps, random actions", environment_steps),
        ("engine", "engine steps, random controls", engine_steps),
    ):

        def ours(run: Callable[[State], object] = run) -> None:
            jax.block_until_ready(run(start))

        steps, reference, ratio = compare(ours, bare, work=num_envs * length, repeats=repeats)
        record(
            Entry(
                name=f"mjx/{name}/{num_envs}",
                what=f"MJX-JAX: {what}, {num_envs} worlds",
                unit="env steps/s",
                ours=steps,
                reference=reference,
                reference_is="bare mjx.step",
                ratio=ratio,
                floor=FLOOR if name == "engine" else None,
            )
        )


CALLS = {
    "kinematics": lambda model, data: mjx.kinematics(model, data).xpos,
    "step": lambda model, data: mjx.step(model, data).qpos,
}
BOTH, BARRIER, FLAG, NEITHER = (True, True), (True, False), (False, True), (False, False)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="a property of XLA's CPU compiler")
@pytest.mark.parametrize(
    ("call", "num_envs", "ways"),
    [
        ("kinematics", 16, (BOTH, BARRIER, FLAG, NEITHER)),
        ("step", 4, (BOTH, BARRIER, NEITHER)),  # the bare loop above is one with the flag
    ],
)
def test_short_chains(
    call: str, num_envs: int, ways: tuple[tuple[bool, bool], ...], quick: bool, record: Record
) -> None:
    """One MJX call with and without the barrier, with and without the compiler flag.

    At a few worlds, because a call with neither can take seconds.
    """
    model = mjx.put_model(mjxsim.make("pick_cube", engine="c", announce=False).engine.model)
    blank = mjx.make_data(model)
    qpos = blank.qpos + jax.random.uniform(jax.random.key(0), (num_envs, model.nq), maxval=0.1)
    rates = {}
    for barrier, flag in ways:

        def run(qpos: jax.Array) -> jax.Array:
            one = lambda q: CALLS[call](model, blank.replace(qpos=q))  # noqa: E731
            return jax.vmap(one)(qpos)

        options = cpu_options() if flag else None
        with short_chains() if barrier else contextlib.nullcontext():
            compiled = jax.jit(run, compiler_options=options).lower(qpos).compile()

        def once(compiled: Callable[[jax.Array], jax.Array] = compiled) -> None:
            compiled(qpos).block_until_ready()

        repeats = 2 if quick else 5 if (barrier, flag) == NEITHER else 15
        rates[barrier, flag] = rate(once, work=num_envs, repeats=repeats)
    for (barrier, flag), measured in rates.items():
        used = [n for n, on in (("barrier", barrier), ("flag", flag)) if on]
        record(
            Entry(
                name=f"mjx/chains/{call}/{'+'.join(used) or 'neither'}",
                what=f"mjx.{call} on a CPU, {num_envs} worlds: {' and '.join(used) or 'neither'}",
                unit="world calls/s",
                ours=measured,
            )
        )

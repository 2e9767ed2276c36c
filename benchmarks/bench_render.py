"""Pictures per second: ours against MuJoCo's OpenGL renderer, and what pixels and geoms cost.

Bare `jax.jit`, for a program that only draws is faster with XLA's fusion emitters.
"""

import copy

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mjxsim
from benchmarks.conftest import Record
from benchmarks.measure import Entry, Sample, compare, rate
from mjxsim import envs
from mjxsim.physics import Faults, PhysicsState
from mjxsim.rendering import (
    GLRenderer,
    NoRendererError,
    Scene,
    View,
    Visual,
    gl,
    make_renderer,
    render,
)

# Ours over GL in software, by whether there are shadows.
FLOORS = {True: 60.0, False: 20.0}
ON_CPU = jax.default_backend() == "cpu"


def _worlds(num_envs: int) -> tuple[envs.Env, PhysicsState]:
    """pick_cube with the Panda after a few random actions."""
    env = mjxsim.make("pick_cube", engine="c", announce=False)

    def played(key: jax.Array) -> PhysicsState:
        state = envs.reset_batch(env, key, num_envs)
        return envs.rollout(env, envs.random_policy(env), state, key, 10)[0].physics

    return env, jax.block_until_ready(mjxsim.jit(played)(jax.random.key(0)))


@pytest.mark.parametrize("smooth", [True, False], ids=["as-the-model-says", "one-sample"])
@pytest.mark.parametrize("shadows", [True, False], ids=["shadows", "no-shadows"])
@pytest.mark.parametrize("camera", ["front", "wrist"])
def test_against_opengl(
    camera: str, shadows: bool, smooth: bool, quick: bool, record: Record
) -> None:
    """The same worlds, the same 64 x 64 pixels; OpenGL draws a sample of them one by one.

    Ours takes one ray per pixel; models ask OpenGL for four samples (`quality.offsamples`) unless
    they say otherwise, so it is measured with one, too.
    """
    try:
        gl.platform()
    except NoRendererError as error:
        pytest.skip(str(error))
    count, sample, repeats = (8, 2, 2) if quick else (256, 16, 9)
    env, physics = _worlds(count)
    scene = Scene.of(env.engine.model)
    view, visual = View(camera, 64, 64, shadows=shadows), Visual.of(scene)
    draw = jax.jit(jax.vmap(lambda world: render(scene, world, view, visual)))
    poses = [np.asarray(x) for x in (physics.qpos, physics.mocap_pos, physics.mocap_quat)]
    model = copy.copy(env.engine.model)
    if not smooth:
        model.vis.quality.offsamples = 0
    with GLRenderer(model, (64, 64), camera, shadows=shadows) as renderer:

        def ours() -> None:
            jax.block_until_ready(draw(physics))

        def theirs() -> None:
            for i in range(sample):
                renderer.render(*(x[i] for x in poses))

        ours_calls, their_calls, per_call = compare(ours, theirs, work=1.0, repeats=repeats)
    fast, slow = _times(ours_calls, count), _times(their_calls, sample)
    ratio = _times(per_call, count / sample)
    samples = max(1, int(model.vis.quality.offsamples))
    lit = "shadows" if shadows else "no shadows"
    record(
        Entry(
            name=f"render/{camera}/{'shadows' if shadows else 'plain'}{'' if smooth else '/1'}",
            what=f"pictures of 64 x 64, pick_cube, {camera} camera, {lit}, {count} worlds",
            unit="pictures/s",
            ours=fast,
            reference=slow,
            reference_is=f"MuJoCo's OpenGL ({gl.platform()}), {samples} samples per pixel",
            ratio=ratio,
            floor=FLOORS[shadows] if ON_CPU and smooth else None,
        )
    )


@pytest.mark.parametrize("size", [32, 64, 128, 256])
def test_pixels(size: int, quick: bool, record: Record) -> None:
    env, physics = _worlds(4 if quick else 64)
    _alone(f"render/pixels/{size}", "front", size, env.engine.model, physics, quick, record)


@pytest.mark.parametrize("geoms", [10, 50, 100, 200])
def test_geoms(geoms: int, quick: bool, record: Record) -> None:
    """Boxes side by side, all in the picture."""
    side = int(np.ceil(np.sqrt(geoms)))
    boxes = "".join(
        f'<geom type="box" size=".02 .02 .02" pos="{0.1 * (i % side)} {0.1 * (i // side)} 0"/>'
        for i in range(geoms)
    )
    middle = 0.05 * (side - 1)
    model = mujoco.MjModel.from_xml_string(f"""
<mujoco><worldbody><light type="directional" dir=".2 .1 -1"/>
  <camera name="top" pos="{middle} {middle} {0.16 * side + 0.1}"/>{boxes}
  <geom type="plane" size="9 9 1" pos="0 0 -.1"/>
</worldbody></mujoco>""")
    physics = _still(model, 4 if quick else 64)
    _alone(f"render/geoms/{geoms}", "top", 64, model, physics, quick, record)


@pytest.mark.parametrize("name", ["jax", "warp"])
@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("count", [256, 1024, 4096, 16384])
def test_accelerator(name: str, size: int, count: int, quick: bool, record: Record) -> None:
    if ON_CPU:
        pytest.skip("JAX runs on the CPU")
    if name == "warp":
        pytest.importorskip("warp")
    env, physics = _worlds(count // 64 if quick else count)
    key = f"render/{name}/{size}/{count}"
    _alone(key, "front", size, env.engine.model, physics, quick, record, name)


def _alone(
    key: str,
    camera: str,
    size: int,
    model: mujoco.MjModel,
    physics: PhysicsState,
    quick: bool,
    record: Record,
    renderer: str = "jax",
) -> None:
    """Measures one renderer against nothing."""
    scene = Scene.of(model)
    draw = make_renderer(renderer, scene, View(camera, size, size), announce=False)
    visual, count = Visual.of(scene), physics.time.shape[0]
    run = jax.jit(lambda physics: jax.vmap(draw, (0, None))(physics, visual))
    ours = rate(lambda: jax.block_until_ready(run(physics)), work=count, repeats=2 if quick else 9)
    geoms = len(scene.geoms)
    what = f"{renderer}: pictures of {size} x {size} with shadows, {geoms} geoms, {count} worlds"
    record(Entry(name=key, what=what, unit="pictures/s", ours=ours))


def _times(sample: Sample, factor: float) -> Sample:
    return Sample(tuple(factor * x for x in sample.values))


def _still(model: mujoco.MjModel, count: int) -> PhysicsState:
    """Worlds of a model in which nothing moves."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)

    def rows(values: np.ndarray) -> jax.Array:
        return jnp.asarray(np.repeat(values[None], count, axis=0), jnp.float32)

    zero = jnp.zeros(count, jnp.int32)
    names = ("qpos", "qvel", "ctrl", "mocap_pos", "mocap_quat", "xpos", "xquat", "site_xpos")
    return PhysicsState(
        time=jnp.zeros(count),
        site_xmat=rows(data.site_xmat.reshape(-1, 3, 3)),
        sensordata=rows(data.sensordata),
        faults=Faults(zero, zero, zero),
        raw={},
        **{name: rows(getattr(data, name)) for name in names},
    )

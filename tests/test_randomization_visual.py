"""Looks drawn at random: what changes, what must not, where distractors stand, and the errors."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

import mjxsim
from mjxsim.randomization import props
from mjxsim.randomization.parts import Parts
from mjxsim.randomization.post_processing import PostProcessing, draw, process
from mjxsim.randomization.ranges import Range
from mjxsim.randomization.visual import visual_randomizer, visual_scene
from mjxsim.randomization.visual_config import (
    STANDARD_VISUAL,
    Background,
    CameraRandomization,
    Distractors,
    Lighting,
    Surface,
    Textures,
    VisualRandomization,
)
from mjxsim.randomization.visual_dictionary import visual_randomization
from mjxsim.rendering import textures
from mjxsim.rendering.render import View, render
from mjxsim.rendering.scene import Scene
from mjxsim.rendering.visual import Visual
from mjxsim.robots.panda.constants import PANDA
from mjxsim.robots.so101.constants import SO101
from mjxsim.tasks.pick_place import PickPlace, PickPlaceConfig

WORLDS = 64
SIZE = STANDARD_VISUAL.distractors.size.high  # [m] half of a distractor's edge


class Bodies(NamedTuple):
    """What a picture needs of a `PhysicsState`."""

    xpos: jax.Array  # (nbody, 3) [m]
    xquat: jax.Array  # (nbody, 4)


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    """Two cubes, a bin at either side."""
    return PickPlace.scene(PickPlaceConfig().for_robot(PANDA), PANDA).compile()


@pytest.fixture(scope="module")
def scene(pick_cube_model: mujoco.MjModel) -> Scene:
    """One cube and a translucent goal, with room for everything that is standard."""
    return visual_scene(STANDARD_VISUAL, pick_cube_model)


@pytest.fixture(scope="module")
def drawn(scene: Scene) -> Callable[[int, float], Visual]:
    """`drawn(seed, width)`: WORLDS worlds of the standard randomization."""
    randomizer = visual_randomizer(STANDARD_VISUAL, scene, PANDA)
    compiled = mjxsim.jit(jax.vmap(randomizer, in_axes=(0, None)))
    return lambda seed, width: compiled(jax.random.split(jax.random.key(seed), WORLDS), width)


@pytest.fixture(scope="module")
def looks(drawn: Callable[[int, float], Visual]) -> Visual:
    return jax.tree.map(np.asarray, drawn(0, 1.0))


def test_closed_ranges_change_nothing(scene: Scene, drawn: Callable[[int, float], Visual]) -> None:
    """But for where lights and props that are not there would stand."""
    closed, nominal = drawn(0, 0.0), Visual.of(scene)
    spare = len(scene.lights) - 1
    leaves = zip(jax.tree.leaves_with_path(closed), jax.tree.leaves(nominal), strict=True)
    for (path, drawn_leaf), nominal_leaf in leaves:
        name = jax.tree_util.keystr(path)
        got, want = np.asarray(drawn_leaf), np.asarray(nominal_leaf)
        seen = np.ones(want.shape[0], bool)
        if name == ".lights.pos":
            seen[-spare:] = False
        elif name in (".pos", ".quat"):
            seen[scene.props] = False
        assert (got[:, seen] == want[seen]).all(), name


def test_the_key_decides(drawn: Callable[[int, float], Visual], looks: Visual) -> None:
    again, other = drawn(0, 1.0), drawn(1, 1.0)
    jax.tree.map(np.testing.assert_array_equal, again, looks)
    assert (np.asarray(other.camera_pos) != looks.camera_pos).any(axis=(1, 2)).all()
    assert len(np.unique(looks.rgba[:, :, 0], axis=0)) == WORLDS


def test_ranges_do_not_disturb_one_another(scene: Scene, looks: Visual) -> None:
    """Cameras alone draw what they draw among everything else."""
    config = VisualRandomization(camera=STANDARD_VISUAL.camera)
    randomizer = visual_randomizer(config, scene, PANDA)
    alone = mjxsim.jit(jax.vmap(randomizer))(jax.random.split(jax.random.key(0), WORLDS))
    standing = [camera.body == 0 for camera in scene.cameras.values()]
    np.testing.assert_allclose(
        np.asarray(alone.camera_pos)[:, standing], looks.camera_pos[:, standing], atol=1e-7
    )


def test_cameras(scene: Scene, looks: Visual) -> None:
    standing = np.array([camera.body == 0 for camera in scene.cameras.values()])
    assert standing.sum() == 3 and (~standing).sum() == 1
    assert 0.09 < np.abs(looks.camera_pos[:, standing]).max() <= 0.1
    assert np.abs(looks.camera_pos[:, ~standing]).max() <= 0.005
    fov = looks.camera_fovy[:, standing]
    assert 45.0 <= fov.min() < 48.0 and 72.0 < fov.max() <= 75.0
    angle = 2 * np.arccos(np.clip(looks.camera_quat[..., 0], -1, 1))
    assert 0.2 < angle[:, standing].max() <= 0.2 * np.sqrt(3) + 1e-6
    np.testing.assert_allclose(np.linalg.norm(looks.camera_quat, axis=-1), 1.0, atol=1e-6)


def test_lights(scene: Scene, looks: Visual) -> None:
    nominal = Visual.of(scene)
    ratio = looks.lights.diffuse[:, 0] / np.asarray(nominal.lights.diffuse)[0]
    assert ratio.min() >= 0.7 * 0.8 and ratio.max() <= 1.3 * 1.2 + 1e-6
    assert ratio.std(axis=1).min() > 0.0  # channels differ
    head = looks.headlight[:, 1] / np.asarray(nominal.headlight)[1]
    assert np.abs(head - ratio).max() > 0.05  # each light has its own factor
    # The moved light still shines at the point of the table that it did.
    moved = looks.lights.pos[:, 0], looks.lights.dir[:, 0]
    hits = moved[0] - moved[0][:, 2:] / moved[1][:, 2:] * moved[1]
    np.testing.assert_allclose(hits, np.tile([0.4, 0.0, 0.0], (WORLDS, 1)), atol=1e-5)
    added = looks.lights.diffuse[:, 1:].any(axis=-1)
    assert set(added.sum(axis=1)) == {0, 1, 2}
    away = np.linalg.norm(looks.lights.pos[:, 1:] - [0.5, 0.0, 0.0], axis=-1)
    assert away.min() >= 1.0 and away.max() <= 2.0 and looks.lights.pos[:, 1:, 2].min() > 0.49
    assert (looks.lights.specular[:, 1:] <= looks.lights.diffuse[:, 1:]).all()


def test_surfaces(scene: Scene, looks: Visual) -> None:
    """Each kind is dressed; what belongs together is dressed alike; goals are left alone."""
    parts, nominal = Parts.of(scene, PANDA), Visual.of(scene)
    for name in ("objects", "table", "robot", "floor"):
        part = getattr(parts, name)
        assert len(part.geoms) > 0
        texture, rgba = looks.texture[:, part.geoms], looks.rgba[:, part.geoms]
        assert len(np.unique(texture)) > 5
        assert (looks.rgb_low[:, part.geoms] != rgba[..., :3]).any()
        for owner in range(part.owners):
            alike = part.owner == owner
            assert (texture[:, alike] == texture[:, alike][:, :1]).all()
            assert (rgba[:, alike] == rgba[:, alike][:, :1]).all()
    assert len(np.unique(looks.rgba[:, parts.table.geoms[0], :3], axis=0)) > 15
    assert looks.rgba.min() >= 0.0 and looks.rgba.max() <= 1.0
    tiles = 1.0 / looks.texture_scale[:, parts.table.geoms]
    assert tiles.min() >= 0.1 and tiles.max() <= 0.6 + 1e-6
    clear = np.arange(scene.solid, len(scene.geoms))
    assert len(clear) > 0
    for field in ("rgba", "rgb_low", "texture", "specular", "shininess"):
        got, want = getattr(looks, field)[:, clear], np.asarray(getattr(nominal, field))[clear]
        assert (got == want).all(), field
    assert (looks.rgba[..., 3] == np.asarray(nominal.rgba)[:, 3]).all()


def test_things_that_colour_tells_apart_keep_it(model: mujoco.MjModel) -> None:
    """Two cubes by default; one that is not named changes once names are given."""
    config = VisualRandomization(textures=Textures(objects=Surface(8, 24), fixtures=Surface(0, 24)))
    scene = visual_scene(config, model)
    keys = jax.random.split(jax.random.key(0), 16)
    names = [model.body(int(b)).name for b in scene.body[: scene.solid]]
    before = np.asarray(Visual.of(scene).rgba)
    by_default = visual_randomizer(config, scene, PANDA)
    kept = np.asarray(mjxsim.jit(jax.vmap(by_default))(keys).rgba)
    assert (kept == before).all()
    named = visual_randomizer(config, scene, PANDA, keep=["red"])
    changed = (np.asarray(mjxsim.jit(jax.vmap(named))(keys).rgba) != before).any(axis=(0, 2))[
        : scene.solid
    ]
    found = {name for name, change in zip(names, changed, strict=True) if change}
    assert found == {"green", "left_bin", "right_bin"}
    with pytest.raises(ValueError, match=r"unknown body to keep .* 'gren': .*'green'"):
        visual_randomizer(config, scene, PANDA, keep=["gren"])


def test_a_closed_surface_opens_by_chance(scene: Scene) -> None:
    """A width is the probability with which a pattern shows; names open one range alone."""
    config = VisualRandomization(textures=Textures(table=Surface(23), floor=Surface(23)))
    randomizer = visual_randomizer(config, scene, PANDA)
    width = {"textures.table.patterns": 0.25, "textures.floor.patterns": 0.0}
    textured = mjxsim.jit(jax.vmap(lambda key: randomizer(key, width).texture))
    texture = textured(jax.random.split(jax.random.key(0), 400))
    parts = Parts.of(scene, PANDA)
    share = (np.asarray(texture)[:, parts.table.geoms[0]] > 0).mean()
    assert share == pytest.approx(0.25 * 22 / 23, abs=0.07)
    assert (np.asarray(texture)[:, parts.floor.geoms] == 0).all()


def test_distractors_stand_beside_the_work(scene: Scene, looks: Visual) -> None:
    """On the table, apart from one another, away from objects, robot and reach."""
    there = looks.size[:, scene.props].all(axis=-1)
    assert set(there.sum(axis=1)) == set(range(7))
    pos, size = looks.pos[:, scene.props], looks.size[:, scene.props]
    radius = np.hypot(size[..., 0], size[..., 1])
    (x_low, y_low), (x_high, y_high) = PANDA.table
    reach = PANDA.area.reach
    assert reach is not None
    data = mujoco.MjData(scene.model)
    mujoco.mj_resetDataKeyframe(scene.model, data, 0)
    mujoco.mj_forward(scene.model, data)
    cube = data.body("cube").xpos
    for world in range(WORLDS):
        x, y, z = pos[world][there[world]].T
        r = radius[world][there[world]]
        assert (x - r >= x_low).all() and (x + r <= x_high).all()
        assert (y - r >= y_low).all() and (y + r <= y_high).all()
        np.testing.assert_allclose(z, size[world][there[world], 2], atol=1e-7)  # on the table
        beside = np.maximum(np.maximum(reach[0][0] - x, x - reach[1][0]), 0)
        ahead = np.maximum(np.maximum(reach[0][1] - y, y - reach[1][1]), 0)
        assert (np.hypot(beside, ahead) >= r).all()
        assert (np.hypot(x - cube[0], y - cube[1]) > r + 0.02).all()
        apart = np.hypot(x[:, None] - x, y[:, None] - y) + 9 * np.eye(len(x))
        assert (apart >= r[:, None] + r).all()


def test_distractors_are_in_view(scene: Scene, looks: Visual) -> None:
    """Nearly all are seen by the front camera where the model has it."""
    model, data = scene.model, mujoco.MjData(scene.model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    physics = Bodies(jnp.float32(data.xpos), jnp.float32(data.xquat))
    nominal = Visual.of(scene)

    def segmentation(pos: jax.Array, quat: jax.Array, size: jax.Array) -> jax.Array:
        visual = nominal.replace(pos=pos, quat=quat, size=size)
        view = View("front", 96, 96, shadows=False)
        return render(scene, physics, view, visual).segmentation

    some = [jnp.asarray(x[:8]) for x in (looks.pos, looks.quat, looks.size)]
    seen = np.asarray(mjxsim.jit(lambda s: jax.lax.map(lambda x: segmentation(*x), s))(some))
    there = looks.size[:8, scene.props].all(axis=-1)
    found = np.stack([(seen == model.ngeom + p).any(axis=(1, 2)) for p in range(6)], axis=1)
    assert there.sum() > 10
    assert found[there].mean() > 0.9
    assert not found[~there].any()


def test_distractors_fit_or_say_how_many(model: mujoco.MjModel) -> None:
    config = VisualRandomization(distractors=Distractors(Range(0, 60), Range(0.05, 0.06)))
    scene = visual_scene(config, model)
    fit = len(props.cells(scene, PANDA, 0.06)[0])
    with pytest.raises(ValueError, match=f"distractors: {fit} of half-length 0.06 m fit .* 60 are"):
        visual_randomizer(config, scene, PANDA)


def test_a_small_table_has_room_for_the_standard() -> None:
    model = PickPlace.scene(PickPlaceConfig().for_robot(SO101), SO101).compile()
    scene = visual_scene(STANDARD_VISUAL, model)
    assert len(props.cells(scene, SO101, SIZE)[0]) >= STANDARD_VISUAL.props


def test_sky(looks: Visual) -> None:
    ends = looks.sky[:, [0, -1]]
    assert ends.min() < 0.1 and ends.max() > 0.9
    middle = looks.sky[:, looks.sky.shape[1] // 2]
    np.testing.assert_allclose(middle, ends.mean(axis=1), atol=0.01)


def test_scenes_that_lack_something(pick_cube_model: mujoco.MjModel) -> None:
    for config, kwargs, what in (
        (STANDARD_VISUAL, {}, "0 props and the configuration needs 6"),
        (STANDARD_VISUAL, {"props": 6}, "0 spare lights and the configuration needs 2"),
        (
            VisualRandomization(textures=Textures(table=Surface(4))),
            {},
            f"0 patterns and the configuration needs {len(textures.PATTERNS)}",
        ),
    ):
        scene = Scene.of(pick_cube_model, **kwargs)
        with pytest.raises(ValueError, match=f"the scene has {what}; make it with .*visual_scene"):
            visual_randomizer(config, scene, PANDA)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (
            lambda: VisualRandomization(camera=CameraRandomization(position=Range(-0.1, 0.1))),
            "camera.position .*how must be one of add, got 'absolute'",
        ),
        (
            lambda: VisualRandomization(camera=CameraRandomization(fov=Range(0.0, 60.0))),
            "camera.fov .* must keep it above 0",
        ),
        (
            lambda: VisualRandomization(lighting=Lighting(color=Range(0.8, 1.2))),
            "lighting.color .*how must be one of scale",
        ),
        (
            lambda: VisualRandomization(background=Background(Range(0.0, 2.0))),
            "background.sky .* more than 1",
        ),
        (
            lambda: VisualRandomization(textures=Textures(robot=Surface(colors=99))),
            "textures.robot.colors must be a whole number from 0 to 32, got 99",
        ),
        (
            lambda: VisualRandomization(textures=Textures(robot=Surface(tile=Range(0.0, 1.0)))),
            "textures.robot.tile .* must keep it above 0",
        ),
        (lambda: VisualRandomization(frequency=0), "frequency must be .* from 1, got 0"),
        (
            lambda: PostProcessing(jpeg_quality=Range(0, 50)),
            "post_processing.jpeg_quality .* less than 1",
        ),
        (
            lambda: PostProcessing(white_balance=Range(0, 1)),
            "post_processing.white_balance .* must keep it above 0",
        ),
    ],
)
def test_bad_values(make: Callable[[], object], error: str) -> None:
    with pytest.raises(ValueError, match=error) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_post_processing_draws_an_episode_and_each_picture() -> None:
    """What is off changes nothing, not one bit; noise is new for each picture, the rest is not."""
    image = jax.random.randint(jax.random.key(5), (24, 20, 3), 0, 256).astype(jnp.uint8)
    off = PostProcessing()
    assert process(off, jax.random.key(0), image, draw(off, jax.random.key(1))) is image
    config = STANDARD_VISUAL.post_processing
    drawn = jax.jit(lambda width: draw(config, jax.random.key(1), width))
    shut, draws = drawn(0.0), drawn(1.0)
    assert float(shut.noise_std) == 0.0 and float(shut.jpeg_quality) == 100.0
    clean = dataclasses.replace(config, jpeg_quality=None)
    shown = jax.jit(lambda image: process(clean, jax.random.key(0), image, shut))(image)
    np.testing.assert_array_equal(shown, image)
    run = jax.jit(lambda key, image: process(config, key, image, draws))
    first, again, other = (run(jax.random.key(k), image) for k in (0, 0, 1))
    assert first.dtype == jnp.uint8 and first.shape == image.shape
    assert (first == again).all() and (first != other).mean() > 0.3
    exact = run(jax.random.key(0), image.astype(jnp.float32) / 255.0)
    np.testing.assert_allclose(exact, first / 255.0, atol=0.6 / 255.0)


def test_post_processing_has_ranges_of_its_own() -> None:
    config = PostProcessing(
        exposure=Range(-1.0, 1.0),
        white_balance=Range(0.5, 2.0),
        delay=Range(0, 3),
        drop=Range(0, 1),
    )
    keys = jax.random.split(jax.random.key(0), 200)
    draws = jax.jit(jax.vmap(lambda key: draw(config, key)))(keys)
    assert config.longest_delay == 3 and set(np.asarray(draws.delay)) == {0, 1, 2, 3}
    assert 0.9 < np.abs(draws.exposure).max() <= 1.0
    assert (np.asarray(draws.white_balance)[:, 1] == 1.0).all()
    red, blue = np.asarray(draws.white_balance)[:, [0, 2]].T
    assert abs(np.corrcoef(red, blue)[0, 1]) < 0.3
    half = jax.jit(lambda key: draw(config, key, {"post_processing.exposure": 0.0}))(keys[0])
    assert float(half.exposure) == 0.0 and float(half.white_balance[0]) == float(red[0])


WHOLE = {
    "camera_parameters": {
        "random_position": True,
        "position_range": [-0.1, 0.1],
        "random_rotation": True,
        "rotation_range": [-0.2, 0.2],
        "random_fov": True,
        "fov_range": [45, 75],
    },
    "lighting": {
        "random_intensity": True,
        "intensity_range": [0.7, 1.3],
        "random_color": True,
        "color_range": [0.8, 1.2],
    },
    "textures": {
        "random_objects": True,
        "texture_variations": 10,
        "random_colors": True,
        "color_variations": 20,
    },
    "post_processing": {
        "gaussian_noise": {"mean": 0.0, "std": 0.01},
        "motion_blur": {"kernel_size": 5},
        "compression_artifacts": {"quality": [70, 95]},
    },
    "randomization_frequency": "episode",
}


def test_dictionary_says_what_the_types_say(scene: Scene) -> None:
    config = visual_randomization(WHOLE)
    assert config.camera == STANDARD_VISUAL.camera
    assert config.lighting == Lighting(
        intensity=STANDARD_VISUAL.lighting.intensity, color=STANDARD_VISUAL.lighting.color
    )
    assert (config.textures.objects.patterns, config.textures.objects.colors) == (10, 20)
    assert (config.textures.table.patterns, config.textures.robot.colors) == (0, 20)
    assert config.post_processing == PostProcessing(
        noise_mean=Range(0.0, 0.0),
        noise_std=Range(0.01, 0.01),
        motion_blur=Range(5.0, 5.0),
        jpeg_quality=Range(70.0, 95.0),
    )
    assert visual_randomization({}) == VisualRandomization()
    assert visual_randomizer(config, scene, PANDA).ranges == config.entries()


def test_dictionary_switches() -> None:
    """Off is off; on without a range is the standard one; a range alone is on."""

    def position(**camera: object) -> Range | None:
        return visual_randomization({"camera_parameters": camera}).camera.position

    assert position(random_position=False, position_range=[-1, 1]) is None
    assert position(random_position=True) == STANDARD_VISUAL.camera.position
    assert position(position_range=[-0.2, 0.3]) == Range(-0.2, 0.3, "add")
    off = {"random_objects": False, "texture_variations": 5}
    assert visual_randomization({"textures": off}).textures == Textures()
    assert visual_randomization({"randomization_frequency": 7}).frequency == 7


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"camera": {}}, "unknown key of visual_randomization 'camera': .*'camera_parameters'"),
        (
            {"camera_parameters": {"fov": [45, 75]}},
            "unknown key of camera_parameters 'fov': .*'fov_range'",
        ),
        (
            {"camera_parameters": {"fov_range": [75, 45]}},
            "camera_parameters.fov_range .*low must not exceed high",
        ),
        (
            {"camera_parameters": {"fov_range": [1, 200]}},
            "camera_parameters.fov_range .*more than 179",
        ),
        (
            {"camera_parameters": {"position_range": 0.1}},
            r"camera_parameters.position_range must be \[low, high\], got 0.1",
        ),
        ({"lighting": 1.0}, "lighting must be a dictionary with keys random_intensity, .*got 1.0"),
        (
            {"lighting": {"intensity_range": [-1, 1]}},
            "lighting.intensity_range: .*must not be negative",
        ),
        ({"lighting": {"random_color": "yes"}}, "lighting.random_color must be True or False"),
        (
            {"textures": {"texture_variations": 0}},
            "textures.texture_variations must be a whole number from 1 to 23, got 0",
        ),
        (
            {"post_processing": {"gaussian_noise": {"sigma": 1}}},
            "unknown key of post_processing.gaussian_noise 'sigma': .*valid: mean, std",
        ),
        (
            {"post_processing": {"gaussian_noise": {"std": 5}}},
            "post_processing.gaussian_noise.std .*more than 1",
        ),
        (
            {"post_processing": {"compression_artifacts": {"quality": "high"}}},
            r"post_processing.compression_artifacts.quality must be a number or \[low, high\]",
        ),
        (
            {"post_processing": {"motion_blur": {}}},
            "post_processing.motion_blur: needs one of kernel_size",
        ),
        ({"randomization_frequency": "often"}, "randomization_frequency must be 'step', 'episode'"),
    ],
)
def test_dictionary_errors(settings: dict[str, object], error: str) -> None:
    with pytest.raises(ValueError, match=error) as caught:
        visual_randomization(settings)
    assert "\n" not in str(caught.value)

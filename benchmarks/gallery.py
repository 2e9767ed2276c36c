"""`python -m benchmarks.gallery`: every task from every camera by every renderer that is here.

Writes one contact sheet per task and robot into docs/gallery, a row per renderer and a column per
camera, and docs/gallery.md, which shows them. The world is one in which the task's expert has been
at work for a while. Needs the extra `bench`.
"""

import argparse
import importlib.util
import pathlib
from collections.abc import Sequence

import jax
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np

import mjxsim
from mjxsim import envs
from mjxsim.rendering import NoRendererError, Scene, View, Visual, gl, make_renderers
from mjxsim.tasks import TASKS
from mjxsim.tasks.registry import robots_for

ROOT = pathlib.Path(__file__).parents[1]
FOLDER, PAGE = ROOT / "docs" / "gallery", ROOT / "docs" / "gallery.md"
SIZE = 192  # [pixels] of a picture
STEPS = 20  # of the expert
_SAYS = {
    "jax": "ours, rays in JAX",
    "gl": "MuJoCo's OpenGL",
    "warp": "MJX-Warp",
}


def here() -> tuple[str, ...]:
    """The renderers of this machine; Warp's is on its CPU device where there is no NVIDIA GPU."""
    found = ["jax"]
    try:
        gl.platform()
        found.append("gl")
    except NoRendererError as error:
        print(f"no row for 'gl': {error}")
    if importlib.util.find_spec("warp") is not None:
        found.append("warp")
    return tuple(found)


def sheet(task: str, robot: str, renderers: Sequence[str], path: pathlib.Path) -> None:
    """Draws one contact sheet."""
    env = mjxsim.make(task, robot=robot, engine="c", announce=False)

    def played(key: jax.Array) -> envs.State:
        start = envs.reset_batch(env, key, 1)
        return envs.rollout(env, envs.expert_policy(env), start, key, STEPS)[0]

    physics = jax.tree.map(lambda x: x[0], mjxsim.jit(played)(jax.random.key(3)).physics)
    scene = Scene.of(env.engine.model)
    visual, cameras = Visual.of(scene), tuple(scene.cameras)
    shape = (len(renderers), len(cameras))
    inches = (0.3 + shape[1] * 1.95, 0.25 + shape[0] * 1.95)
    figure, axes = plt.subplots(*shape, figsize=inches, squeeze=False, layout="constrained")
    view = View(cameras[0], SIZE, SIZE, samples=2)
    for row, renderer in zip(axes, renderers, strict=True):
        draw = make_renderers(renderer, scene, cameras, view, announce=False)
        drawn = np.asarray(jax.jit(draw)(physics, visual).rgb)
        for axis, picture in zip(row, drawn, strict=True):
            axis.imshow(picture, interpolation="none")
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        row[0].set_ylabel(_SAYS[renderer], fontsize=9)
    for axis, camera in zip(axes[0], cameras, strict=True):
        axis.set_title(camera, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, pil_kwargs={"optimize": True}, metadata={"Software": None})
    plt.close(figure)


def pairs() -> list[tuple[str, str]]:
    """Every task on its first robot, and one task on the others."""
    firsts = [(task, robots_for(task)[0]) for task in TASKS]
    return firsts + [("pick_cube", robot) for robot in robots_for("pick_cube")[1:]]


def main(argv: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gallery", description=__doc__)
    parser.add_argument("--task", choices=sorted(TASKS), help="only this one")
    parser.add_argument("--out", type=pathlib.Path, default=FOLDER, help="the folder")
    asked = parser.parse_args(argv)
    renderers = here()
    lines = [
        "# Gallery",
        "",
        "Every task, and one task on every robot, from every camera: a row per renderer. Drawn by",
        "`python -m benchmarks.gallery`; how they differ is in [rendering.md](rendering.md).",
    ]
    for task, robot in pairs():
        path = asked.out / f"{task}_{robot}.png"
        lines += ["", f"**{task}** on {robot}", "", f"![{task} on {robot}](gallery/{path.name})"]
        if asked.task in (None, task):
            sheet(task, robot, renderers, path)
            print(path, flush=True)
    if asked.out == FOLDER:
        PAGE.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()

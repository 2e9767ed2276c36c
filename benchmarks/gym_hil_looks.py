r"""How much our pictures look like gym-hil's: the same poses, seen by both of its cameras.

    python -m benchmarks.gym_hil_looks --python /path/to/gym_hil/bin/python --write

draws pick-cube at its start, with the arm aside and with the cube lifted; prints by how much the
robot's silhouettes overlap (intersection over union) and how far apart colours are; and, with
--write, stores the pictures side by side in docs/gym_hil_looks.png. gym-hil draws with OpenGL, we
with the renderer that "auto" picks. MJXSIM_GYM_HIL_PYTHON names the interpreter too.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.compat import gym_hil
from mjxsim.compat.gym_hil.scene import CAMERAS
from mjxsim.rendering import Scene, View, Visual, make_renderers
from mjxsim.rendering.gl import platform
from mjxsim.rendering.png import png

PICTURE = pathlib.Path(__file__).parents[1] / "docs" / "gym_hil_looks.png"
SIZE = 256  # [pixels] of a picture, each way

_PROGRAM = """
import sys
import gymnasium, gym_hil, mujoco, numpy as np
size = int(sys.argv[2])
env = gymnasium.make("gym_hil/PandaPickCubeBase-v0")
model = env.unwrapped.model
model.vis.global_.offwidth = model.vis.global_.offheight = size
renderer = mujoco.Renderer(model, size, size)
names = np.array([model.body(b).name for b in model.geom_bodyid])
robot = ~np.isin(names, ["world", "block", "target"])

def seen(data, camera):
    renderer.update_scene(data, camera=camera)
    rgb = renderer.render().copy()
    renderer.enable_segmentation_rendering()
    renderer.update_scene(data, camera=camera)
    ids = renderer.render()[..., 0].copy()
    renderer.disable_segmentation_rendering()
    return rgb, (ids >= 0) & robot[np.maximum(ids, 0)]

grasp = [[0.0016, 0, -0.0095, 0, 0, 0, 0]] * 6 + [[0, 0, 0, 0, 0, 0, 1]] * 6
plays = {"start": [], "aside": [[-0.02, 0.02, 0.025, 0, 0, 0, 0]] * 9,
         "lifted": grasp + [[0, 0, 0.015, 0, 0, 0, 0]] * 8}
found = {}
for name, actions in plays.items():
    env.reset(seed=0)
    for action in actions:
        env.step(np.array(action, np.float32))
    data = env.unwrapped.data
    found[name + ":qpos"] = data.qpos.copy()
    for camera, theirs in (("front", "front"), ("wrist", "handcam_rgb")):
        found[f"{name}:{camera}:rgb"], found[f"{name}:{camera}:robot"] = seen(data, theirs)
np.savez(sys.argv[1], **found)
"""


def original(python: str) -> dict[str, np.ndarray]:
    """gym-hil's joint positions, pictures and silhouettes, by pose and camera."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "seen.npz"
        environment = {**os.environ, "MUJOCO_GL": platform()}
        environment.pop("PYTHONPATH", None)  # it has packages of its own
        subprocess.run([python, "-c", _PROGRAM, str(path), str(SIZE)], check=True, env=environment)
        with np.load(path) as read:
            return dict(read)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=os.environ.get("MJXSIM_GYM_HIL_PYTHON"))
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    if args.python is None:
        parser.error("--python or MJXSIM_GYM_HIL_PYTHON must name an interpreter with gym-hil")
    theirs = original(args.python)
    env = gym_hil.make(gym_hil.settings_of("PandaPickCube", {}))
    model, state = env.engine.model, env.jit(env.reset)(jax.random.key(0))
    names = np.array([model.body(b).name for b in model.geom_bodyid])
    robot = ~np.isin(names, ["world", "block"])
    scene = Scene.of(model)
    view = View(CAMERAS[0], SIZE, SIZE)
    draw = env.jit(make_renderers("auto", scene, CAMERAS, view, announce=False))
    rows = []
    for pose in ("start", "aside", "lifted"):
        p = state.physics
        qpos = jnp.asarray(theirs[f"{pose}:qpos"], jnp.float32)
        p = env.engine.init({}, qpos, p.qvel, p.ctrl, p.mocap_pos, p.mocap_quat)
        image = jax.device_get(draw(p, Visual.of(scene)))
        row = []
        for i, camera in enumerate(CAMERAS):
            rgb, mask = theirs[f"{pose}:{camera}:rgb"], theirs[f"{pose}:{camera}:robot"]
            ids = image.segmentation[i]
            mine = (ids >= 0) & robot[np.maximum(ids, 0)]
            overlap = (mine & mask).sum() / (mine | mask).sum()
            apart = np.abs(image.rgb[i].astype(int) - rgb).mean()
            print(f"{pose}, {camera}: silhouettes {overlap:.3f}, colours {apart:.1f} of 255 apart")
            row += [rgb, image.rgb[i]]
        rows.append(np.concatenate(row, axis=1))
    if args.write:
        PICTURE.write_bytes(png(np.concatenate(rows)))


if __name__ == "__main__":
    main()

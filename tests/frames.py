"""Frames for tests of viewers and devices, without a loop."""

import dataclasses

import mujoco
import numpy as np

from mjxsim.teleop.frame import Frame, Status

STATUS = Status(
    lane=2,
    lanes=8,
    recording=True,
    intervening=True,
    paused=False,
    episode=3,
    episodes=5,
    step=20,
    rate=20.0,
    measured_rate=19.5,
    late=1,
    speed=1.0,
    success=False,
    driver="expert",
    device="browser",
    instruction="pick up the red cube",
    message="episode 2 is saved",
)


def picture(shade: int = 200) -> np.ndarray:
    """A red field with a dark left half, (48, 64, 3)."""
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, 32:] = (shade, 40, 40)
    return pixels


def frame(
    step: int = 20,
    model: mujoco.MjModel | None = None,
    qpos: np.ndarray | None = None,
    images: dict[str, np.ndarray] | None = None,
    **status: object,
) -> Frame:
    """A frame at the model's first keyframe, or at `qpos`; fields of STATUS may be others."""
    nothing = np.zeros(0)
    home = nothing if model is None else model.key_qpos[0]
    return Frame(
        step=step,
        time=step * 0.05,
        images={"front": picture(), "wrist": picture(90)} if images is None else images,
        observation=np.array([0.5, step, -1.0], np.float32),
        observation_names=("tcp_0", "tcp_1", "grasped"),
        action=np.full(4, 0.25, np.float32),
        reward=0.5 * step,
        qpos=home if qpos is None else qpos,
        mocap_pos=nothing if model is None else model.key_mpos[0].reshape(-1, 3),
        mocap_quat=nothing if model is None else model.key_mquat[0].reshape(-1, 4),
        bodies={},
        status=dataclasses.replace(STATUS, **status),
    )

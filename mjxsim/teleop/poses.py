"""Where a model's bodies are, from what a frame holds, for viewers that draw bodies."""

import mujoco
import numpy as np

from mjxsim.teleop.frame import Frame

_FAR = 5.0  # [m] of the point looked at


class Poses:
    """The bodies of one model that have something to be seen; not for several threads.

    Attributes:
      model: the compiled model.
      names: body id -> a name; a body without one is called after its id.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        self.model = model
        self.names = {i: model.body(i).name or f"body{i}" for i in range(model.nbody)}
        self._data = mujoco.MjData(model)

    def home(self) -> mujoco.MjData:
        """The first keyframe, or the reference pose of a model without one; read at once."""
        if self.model.nkey:
            mujoco.mj_resetDataKeyframe(self.model, self._data, 0)
        else:
            mujoco.mj_resetData(self.model, self._data)
        return self._placed()

    def of(self, frame: Frame) -> mujoco.MjData:
        """The poses of a frame: `xpos` (nbody, 3) [m] and `xquat` (nbody, 4); read at once."""
        self._data.qpos[:] = frame.qpos
        self._data.mocap_pos[:] = frame.mocap_pos
        self._data.mocap_quat[:] = frame.mocap_quat
        return self._placed()

    def _placed(self) -> mujoco.MjData:
        mujoco.mj_kinematics(self.model, self._data)
        mujoco.mj_camlight(self.model, self._data)
        return self._data


def viewpoint(placed: mujoco.MjData) -> tuple[np.ndarray, np.ndarray] | None:
    """Where the model's first camera is and the point it looks at, (3,) [m] each; None without one.

    That point is where its axis meets the ground of a scene, z = 0, or a metre away.
    """
    if not len(placed.cam_xpos):
        return None
    eye, forward = placed.cam_xpos[0].copy(), -placed.cam_xmat[0].reshape(3, 3)[:, 2]
    distance = -eye[2] / forward[2] if eye[2] * forward[2] < 0.0 else 1.0
    return eye, eye + min(distance, _FAR) * forward


def changed(old: np.ndarray, new: np.ndarray) -> bool:
    """Whether `new` differs from `old`, which then becomes it."""
    if np.array_equal(old, new):
        return False
    old[:] = new
    return True

"""From where a tool should go to where an SO arm's joints should, as a leader arm would say it."""

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim import control
from mjxsim.compat.lerobot.arm import DegreesArm
from mjxsim.control import ControlConfig
from mjxsim.envs import State

_RATE = 20.0  # [Hz] at which steps of the controllers' default size are meant to be taken


class Guide:
    """An end-effector controller beside an arm that takes joint targets.

    Args:
      arm: the arm, in its environment.
      fps: how often `expert` or `move` is asked in a second.
    """

    def __init__(self, arm: DegreesArm, fps: float) -> None:
        share, default = min(1.0, _RATE / fps), ControlConfig()
        config = ControlConfig(
            mode="ee_delta_pose",
            gripper="continuous",
            max_position_step=default.max_position_step * share,
            max_rotation_step=default.max_rotation_step * share,
        )
        env = arm.env
        model = env.engine.model
        self._controller = control.build(config, env.robot, model)
        self._memory = None

        def expert(memory: object, state: State) -> tuple[object, jax.Array]:
            motion = env.task.expert(state.task, state.physics)
            action = self._controller.toward(memory, motion)
            memory, ctrl = self._controller(memory, state.physics, action)
            return memory, arm.targets(ctrl)

        def move(memory: object, state: State, action: jax.Array) -> tuple[object, jax.Array]:
            memory, ctrl = self._controller(memory, state.physics, action)
            return memory, arm.targets(ctrl)

        self._begin = env.jit(lambda state: self._controller.init(state.physics))
        self._expert = env.jit(expert)
        self._move = env.jit(move)

    def restart(self) -> None:
        """Forgets where the tool was sent; the next target is where it is."""
        self._memory = None

    def expert(self, state: State) -> np.ndarray:
        """Where the task's scripted expert sends the arm now, (6,) [degrees, and 0-100]."""
        self._memory, values = self._expert(self._remembered(state), state)
        return np.asarray(values, float)

    def move(self, state: State, action: np.ndarray) -> np.ndarray:
        """Where a person sends it, (6,).

        Args:
          state: the world.
          action: (7,) in [-1, 1]: along and about the base's axes, and the gripper, -1 closed.
        """
        moved = self._move(self._remembered(state), state, jnp.asarray(action, jnp.float32))
        self._memory, values = moved
        return np.asarray(values, float)

    def _remembered(self, state: State) -> object:
        return self._begin(state) if self._memory is None else self._memory

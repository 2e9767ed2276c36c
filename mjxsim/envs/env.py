"""One environment: task, robot, controller and engine composed; `reset` and `step` are pure."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from mjxsim import physics as engines
from mjxsim.control import Controller
from mjxsim.physics import Engine, PhysicsState
from mjxsim.physics.base import Overrides
from mjxsim.robots.base import RobotSpec
from mjxsim.tasks import AnyTask

# A pure function (key, nominal model) -> per-world values of model fields.
Randomizer = Callable[[jax.Array, "engines.Model"], Overrides]


class State(flax.struct.PyTreeNode):
    """Everything about one running world: save it, restore it, continue bit for bit."""

    physics: PhysicsState
    task: Any  # the task's own frozen pytree
    control: Any  # the controller's own frozen pytree
    overrides: dict[str, jax.Array]  # model fields of this world, constant within an episode
    obs: jax.Array  # (observation_size,) float32
    step_count: jax.Array  # int32 (), control steps since reset
    succeeded: jax.Array  # bool (), whether success has occurred in this episode
    key: jax.Array  # from which the next episode is drawn


class Transition(flax.struct.PyTreeNode):
    """What one control step gave."""

    obs: jax.Array  # (observation_size,) before the step
    action: jax.Array  # (action_size,)
    reward: jax.Array  # float32 ()
    terminated: jax.Array  # bool (), the episode ended by failure, divergence or (if set) success
    truncated: jax.Array  # bool (), the episode ran out of time
    next_obs: jax.Array  # (observation_size,) after the step and before any reset
    metrics: dict[str, jax.Array]  # float32 () each; see `Env.step`


@dataclasses.dataclass(frozen=True, eq=False)
class Env:
    """A task on a robot under a controller in an engine. Build one with `mjxsim.make`."""

    name: str
    task: AnyTask
    robot: RobotSpec
    controller: Controller[Any]
    engine: Engine
    observation_layout: dict[str, slice]  # where each named observation is
    touch: np.ndarray  # addresses in sensordata of the force on every finger
    randomizer: Randomizer | None = None
    repeats: int = 1  # steps of the engine per control step, before each of which ctrl is renewed

    @property
    def observation_size(self) -> int:
        return max(s.stop for s in self.observation_layout.values())

    @property
    def action_size(self) -> int:
        """Actions are in [-1, 1]; what each entry does, the controller says."""
        return self.controller.action_size

    def reset(self, key: jax.Array) -> State:
        """Starts an episode from one key."""
        start_key, overrides_key, next_key = jax.random.split(key, 3)
        start = self.task.reset(start_key)
        overrides = self._overrides(overrides_key)
        physics = self.engine.init(
            overrides, start.qpos, start.qvel, start.ctrl, start.mocap_pos, start.mocap_quat
        )
        return State(
            physics=physics,
            task=start.task,
            control=self.controller.init(physics),
            overrides=overrides,
            obs=self._observe(start.task, physics),
            step_count=jnp.int32(0),
            succeeded=jnp.zeros((), bool),
            key=next_key,
        )

    def step(self, state: State, action: jax.Array) -> tuple[State, Transition]:
        """Applies an action (action_size,) for one control step.

        The metrics, all float32 (): `success`, 1 once the task's condition has been met in this
        episode, 0 if it then breaks; `success_now`, whether it is met at this step;
        `reward/<term>`; `contact_force` [N], the largest on a finger; `diverged`,
        `invalid_action`, `contact_overflow` and
        `constraint_overflow`, 1 when they happened in this step. A step that diverges, or gets an
        action that is not finite, breaks the episode: it terminates as a failure with no reward,
        and its state stays finite.

        Raises:
          ValueError: the action has another shape (when traced).
        """
        if action.shape != (self.action_size,):
            raise ValueError(
                f"{self.name} takes an action of shape ({self.action_size},) per world, got "
                f"{action.shape}; vmap env.step over the worlds"
            )
        action = action.astype(jnp.float32)
        valid = jnp.isfinite(action).all()
        applied = jnp.clip(jnp.where(valid, action, 0.0), -1.0, 1.0)

        control, ctrl = self.controller(state.control, state.physics, applied)
        physics = self._advance(state, control, ctrl)
        task = self.task.update(state.task, physics)
        terms = {k: jnp.float32(v) for k, v in self.task.rewards(task, physics, applied).items()}
        # A step that was discarded is a failure, whatever the kept state looks like.
        broken = (physics.faults.diverged > 0) | ~valid
        terms = {k: jnp.where(broken, 0.0, v) for k, v in terms.items()}
        success = self.task.success(task, physics) & ~broken
        succeeded = (state.succeeded | success) & ~broken

        config = self.task.config
        step_count = state.step_count + 1
        terminated = self.task.failure(task, physics) | broken
        terminated |= success & config.terminate_on_success
        truncated = (step_count >= config.episode_steps) & ~terminated
        reward = success.astype(jnp.float32) if config.sparse_reward else sum(terms.values())
        obs = self._observe(task, physics)

        before = state.physics.faults
        metrics = {
            "success": succeeded,
            "success_now": success,
            "contact_force": self._contact_force(physics),
            "diverged": physics.faults.diverged - before.diverged,
            "invalid_action": ~valid,
            "contact_overflow": physics.faults.contact_overflow - before.contact_overflow,
            "constraint_overflow": physics.faults.constraint_overflow - before.constraint_overflow,
            **{f"reward/{k}": v for k, v in terms.items()},
        }
        # Of `repeats` steps of the engine more than one may have had the same fault.
        for fault in ("diverged", "contact_overflow", "constraint_overflow"):
            metrics[fault] = jnp.minimum(metrics[fault], 1)
        transition = Transition(
            obs=state.obs,
            action=applied,
            reward=jnp.float32(reward),
            terminated=terminated,
            truncated=truncated,
            next_obs=obs,
            metrics={k: v.astype(jnp.float32) for k, v in metrics.items()},
        )
        state = state.replace(
            physics=physics,
            task=task,
            control=control,
            obs=obs,
            step_count=step_count,
            succeeded=succeeded,
        )
        return state, transition

    def expert(self, state: State) -> jax.Array:
        """The action (action_size,) of the task's scripted policy.

        Raises:
          ValueError: the controller does not move the end effector.
        """
        motion = self.task.expert(state.task, state.physics)
        return self.controller.toward(state.control, motion)

    def instruction(self, state: State) -> jax.Array:
        """Which of `task.instructions` this episode asks for; int32 ()."""
        return self.task.instruction(state.task)

    def _advance(self, state: State, control: Any, ctrl: jax.Array) -> PhysicsState:
        """The world after one control step under the controller's new state and ctrl."""
        if self.repeats == 1:
            return self.engine.step(state.overrides, state.physics, ctrl)

        def step(physics: PhysicsState, _: None) -> tuple[PhysicsState, None]:
            renewed = self.controller.feedback(control, physics, ctrl)
            return self.engine.step(state.overrides, physics, renewed), None

        return jax.lax.scan(step, state.physics, length=self.repeats)[0]

    def _observe(self, task_state: Any, physics: PhysicsState) -> jax.Array:
        parts = self.task.observe(task_state, physics)
        return jnp.concatenate([v.astype(jnp.float32) for v in parts.values()])

    def _overrides(self, key: jax.Array) -> dict[str, jax.Array]:
        if self.randomizer is None:
            return {}
        nominal = engines.put_model(self.engine.model)
        return engines.complete(nominal, self.randomizer(key, nominal))

    def _contact_force(self, physics: PhysicsState) -> jax.Array:
        return physics.sensordata[self.touch].max()

"""One environment: task, robot, controller and engine composed; `reset` and `step` are pure."""

import dataclasses
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from mjxsim import physics as engines
from mjxsim.control import Controller
from mjxsim.envs import pixels
from mjxsim.envs.pixels import Eyes, Sight
from mjxsim.physics import Engine, PhysicsState
from mjxsim.physics.base import Overrides
from mjxsim.randomization.actuation import ActuationState, Actuators
from mjxsim.randomization.frequency import Frequency, Keys, renewed
from mjxsim.randomization.pushes import Pushes
from mjxsim.randomization.schedule import Progress, Schedule
from mjxsim.randomization.sensing import SensingState, Sensors
from mjxsim.robots.base import RobotSpec
from mjxsim.tasks import AnyTask

P = ParamSpec("P")
R = TypeVar("R")

# What a policy sees; see `Env.observation`.
Observation = jax.Array | dict[str, jax.Array]

# A pure function (key, nominal model, width) -> per-world values of model fields; the width,
# float32 () in [0, 1], is how wide its ranges are open.
Randomizer = Callable[[jax.Array, "engines.Model", jax.Array], Overrides]

# Folded into an episode's key, for streams of their own beside what a split of it gives (a split
# folds in small numbers).
_SESSION, _EPISODE, _STEPS, _PUSHES = 0x7261_0001, 0x7261_0002, 0x7261_0003, 0x7261_0004
_LOOK = 0x7261_0005


class State(flax.struct.PyTreeNode):
    """Everything about one running world: save it, restore it, continue bit for bit."""

    physics: PhysicsState
    task: Any  # the task's own frozen pytree
    control: Any  # the controller's own frozen pytree
    overrides: dict[str, jax.Array]  # model fields of this world, as in its last control step
    obs: jax.Array  # (observation_size,) float32, as the sensors show it
    step_count: jax.Array  # int32 (), control steps since reset
    succeeded: jax.Array  # bool (), whether success has occurred in this episode
    sight: Sight | None  # what its cameras see; None if it has none
    key: jax.Array  # from which the next episode is drawn
    # Of what is randomized; None where nothing is.
    session: jax.Array | None = None  # a key that stays: from which what is drawn per session is
    progress: Progress | None = None  # of the schedule
    actuation: ActuationState | None = None
    sensing: SensingState | None = None


class Transition(flax.struct.PyTreeNode):
    """What one control step gave."""

    obs: jax.Array  # (observation_size,) before the step
    action: jax.Array  # (action_size,)
    reward: jax.Array  # float32 ()
    terminated: jax.Array  # bool (), the episode ended by failure, divergence or (if set) success
    truncated: jax.Array  # bool (), the episode ran out of time
    next_obs: jax.Array  # (observation_size,) after the step and before any reset
    metrics: dict[str, jax.Array]  # float32 () each; see `Env.step`


_Moving = tuple[PhysicsState, ActuationState | None]  # what an engine call advances


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
    eyes: Eyes | None = None
    repeats: int = 1  # steps of the engine per control step, before each of which ctrl is renewed
    randomizer: Randomizer | None = None
    frequency: Frequency = "episode"  # of the randomizer
    schedule: Schedule | None = None
    actuators: Actuators | None = None
    sensors: Sensors | None = None
    pushes: Pushes | None = None

    @property
    def observation_size(self) -> int:
        return max(s.stop for s in self.observation_layout.values())

    @property
    def action_size(self) -> int:
        """Actions are in [-1, 1]; what each entry does, the controller says."""
        return self.controller.action_size

    @property
    def lasting(self) -> bool:
        """Whether a world keeps more from one episode to the next than its key."""
        return self.schedule is not None or self._has_session

    def jit(self, fun: Callable[P, R], **options: Any) -> Callable[P, R]:
        """`mjxsim.jit` as suits programs of this environment; the options of `jax.jit`."""
        return engines.jit(fun, draws=self.eyes is not None, **options)

    def fully_randomized(self) -> "Env":
        """The same without a schedule: every range as it is written, as to be measured."""
        return dataclasses.replace(self, schedule=None)

    def reset(self, key: jax.Array) -> State:
        """Starts a new world and its first episode from one key."""
        return self.look(self.start(key))

    def restart(self, state: State) -> State:
        """Starts the next episode of a world, from `state.key`.

        Start, goal and what is drawn per episode are new. What is drawn per session stays, and the
        schedule goes on. Without those it is `reset(state.key)`, bit for bit.
        """
        return self.look(self.start_next(state))

    def step(self, state: State, action: jax.Array) -> tuple[State, Transition]:
        """Applies an action (action_size,) for one control step: `advance`, then `look`."""
        state, transition = self.advance(state, action)
        return self.look(state), transition

    def observation(self, state: State) -> Observation:
        """What a policy sees of a world or of a batch of them.

        `state.obs` for an environment without cameras, else a dict: "observation.state", the parts
        of `state.obs` that are not hidden, and "observation.images.<camera>", uint8 (..., height,
        width, 3 * frames).
        """
        if self.eyes is None or state.sight is None:
            return state.obs
        pictures = {f"{pixels.IMAGES}.{k}": v for k, v in state.sight.pixels.items()}
        return {pixels.STATE: state.obs[..., self.eyes.visible], **pictures}

    def look(self, state: State) -> State:
        """The same moment with its cameras' pictures drawn."""
        if self.eyes is None or state.sight is None:
            return state
        count = state.step_count
        key = jax.random.fold_in(jax.random.fold_in(state.key, _LOOK), count)
        sight = self.eyes.look(
            state.sight, state.physics, state.overrides, count, key, _width(state.progress)
        )
        return state.replace(sight=sight)

    def start(self, key: jax.Array) -> State:
        """`reset` without a look."""
        return self._begin(key, None)

    def start_next(self, state: State) -> State:
        """`restart` without a look."""
        return self._begin(state.key, state)

    def _begin(self, key: jax.Array, before: State | None) -> State:
        """An episode from one key, in a new world or the one there was `before`."""
        start_key, overrides_key, next_key = jax.random.split(key, 3)
        session = jax.random.fold_in(key, _SESSION)
        if before and before.session is not None:
            session = before.session
        draws = Keys(jax.random.fold_in(key, _EPISODE), session)
        model_keys, actuation_keys, sensing_keys = draws.split(3)
        model_keys = Keys(overrides_key, model_keys.session)
        sight_keys = Keys(*(jax.random.fold_in(k, _LOOK) for k in draws))
        progress = self._next_progress(before)
        width = _width(progress)
        start = self.task.reset(start_key)
        overrides = self._overrides(model_keys.of(self.frequency), width)
        physics = self.engine.init(
            overrides, start.qpos, start.qvel, start.ctrl, start.mocap_pos, start.mocap_quat
        )
        obs = self._observe(start.task, physics)
        actuation = sensing = None
        if self.actuators:
            actuation = self.actuators.start(actuation_keys, width, physics.ctrl)
        if self.sensors:
            sensing, obs = self.sensors.start(sensing_keys, width, obs)
        return State(
            physics=physics,
            task=start.task,
            control=self.controller.init(physics),
            overrides=overrides,
            obs=obs,
            step_count=jnp.int32(0),
            succeeded=jnp.zeros((), bool),
            sight=self.eyes.begin(sight_keys, width) if self.eyes else None,
            key=next_key,
            session=session if self._has_session else None,
            progress=progress,
            actuation=actuation,
            sensing=sensing,
        )

    def advance(self, state: State, action: jax.Array) -> tuple[State, Transition]:
        """Applies an action (action_size,) for one control step.

        The metrics, all float32 (): `success`, 1 once the task's condition has been met in this
        episode, 0 if it then breaks; `success_now`, whether it is met at this step;
        `reward/<term>`; `contact_force` [N], the largest on a finger; `diverged`,
        `invalid_action`, `contact_overflow` and `constraint_overflow`, 1 when they happened in
        this step; with a schedule `randomization_width`, how wide ranges are open. A step
        that diverges, or gets an action that is not finite, breaks the episode: it terminates as a
        failure with no reward, and its state stays finite.

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

        step_key = jax.random.fold_in(jax.random.fold_in(state.key, _STEPS), state.step_count)
        redraw_key, action_key, noise_key = jax.random.split(step_key, 3)
        state = self._redraw(redraw_key, state)
        carried_out = applied
        if self.actuators and state.actuation:
            carried_out = self.actuators.disturb(action_key, state.actuation, applied)
        control, ctrl = self.controller(state.control, state.physics, carried_out)
        physics, actuation = self._advance(state, control, ctrl)
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
        obs, sensing = self._observe(task, physics), state.sensing
        if self.sensors and sensing:
            sensing, obs = self.sensors.show(noise_key, sensing, obs)

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
        if state.progress:
            metrics["randomization_width"] = state.progress.width
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
            progress=state.progress.after_step() if state.progress else None,
            actuation=actuation,
            sensing=sensing,
        )
        return state, transition

    def observe(self, state: State) -> jax.Array:
        """The true observation (observation_size,), as perfect sensors would show it."""
        return self._observe(state.task, state.physics)

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

    @property
    def _has_session(self) -> bool:
        """Whether anything is drawn once per world."""
        used = [self.frequency] if self.randomizer else []
        used += [self.actuators.config.frequency] if self.actuators else []
        used += [group.frequency for group in self.sensors.groups] if self.sensors else []
        return "session" in used or bool(self.eyes and self.eyes.lasting)

    def _advance(self, state: State, control: Any, ctrl: jax.Array) -> _Moving:
        """The world after one control step under the controller's new state and ctrl."""
        wrench = self._wrench(state)

        def step(moving: _Moving, ctrl: jax.Array, *, poses: bool = True) -> _Moving:
            physics, actuation = moving
            received = ctrl
            if self.actuators and actuation:
                actuation, received = self.actuators.send(actuation, ctrl)
            physics = self.engine.step(state.overrides, physics, received, wrench, poses=poses)
            if actuation and actuation.sent is not None:
                # Controllers and observations know what was sent, not what has arrived.
                physics = physics.replace(ctrl=actuation.sent[0])
            return physics, actuation

        moving = state.physics, state.actuation
        if self.repeats == 1:
            return step(moving, ctrl)

        def again(moving: _Moving, _: None) -> tuple[_Moving, None]:
            renewed = self.controller.feedback(control, moving[0], ctrl)
            return step(moving, renewed, poses=False), None  # a controller looks at none

        physics, actuation = jax.lax.scan(again, moving, length=self.repeats)[0]
        return self.engine.look(state.overrides, physics), actuation

    def _redraw(self, key: jax.Array, state: State) -> State:
        """The state with what is to be drawn anew before this control step."""
        width, count = _width(state.progress), state.step_count
        overrides_key, actuation_key, sensing_key = jax.random.split(key, 3)
        overrides = renewed(
            self.frequency, lambda: self._overrides(overrides_key, width), state.overrides, count
        )
        state = state.replace(overrides=overrides)
        if self.actuators and state.actuation:
            actuation = self.actuators.renew(actuation_key, width, state.actuation, count)
            state = state.replace(actuation=actuation)
        if self.sensors and state.sensing:
            sensing = self.sensors.renew(sensing_key, width, state.sensing, count)
            state = state.replace(sensing=sensing)
        return state

    def _wrench(self, state: State) -> jax.Array | None:
        """Forces and torques from outside (nbody, 6) [N, N m], None without pushes."""
        if not self.pushes:
            return None
        key = jax.random.fold_in(state.key, _PUSHES)
        return self.pushes.wrench(key, _width(state.progress), state.step_count)

    def _next_progress(self, before: State | None) -> Progress | None:
        """The schedule's progress in the episode that starts now."""
        if not self.schedule:
            return None
        if before is None or before.progress is None:
            return self.schedule.begin()
        return self.schedule.next_episode(before.progress, before.succeeded, before.step_count)

    def _observe(self, task_state: Any, physics: PhysicsState) -> jax.Array:
        parts = self.task.observe(task_state, physics)
        return jnp.concatenate([v.astype(jnp.float32) for v in parts.values()])

    def _overrides(self, key: jax.Array, width: jax.Array) -> dict[str, jax.Array]:
        if self.randomizer is None:
            return {}
        nominal = engines.put_model(self.engine.model)
        return engines.complete(nominal, self.randomizer(key, nominal, width))

    def _contact_force(self, physics: PhysicsState) -> jax.Array:
        return physics.sensordata[self.touch].max()


def _width(progress: Progress | None) -> jax.Array:
    """How wide ranges are open, float32 (): fully without a schedule."""
    return jnp.float32(1.0) if progress is None else progress.width

"""The running batch: one compiled step; one lane follows the person, the others a driver."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.envs import Env, State, reset_batch
from mjxsim.envs.autoreset import reset_done
from mjxsim.naming import unknown
from mjxsim.physics import PhysicsState
from mjxsim.physics.base import Overrides
from mjxsim.teleop import mapping
from mjxsim.teleop.mapping import Speeds, Wish

DriverName = Literal["hold", "expert", "policy"]
DRIVERS: tuple[DriverName, ...] = ("hold", "expert", "policy")

# A batch of states -> actions (num_lanes, action_size).
Driver = Callable[[State], jax.Array]

_Array = jax.Array | np.ndarray


class Orders(flax.struct.PyTreeNode):
    """What is to be done in one control step."""

    wish: Wish
    lane: _Array  # int32 (), the person's
    steer: _Array  # bool (), it follows the wish rather than its driver
    keep: _Array  # bool (), it is not restarted when its episode ends
    freeze: _Array  # bool (), it waits as it is while the others move
    restart: _Array  # bool (), instead of a step it begins episode `number`
    number: _Array  # uint32 ()


class Seen(flax.struct.PyTreeNode):
    """The person's lane after a control step."""

    physics: PhysicsState
    overrides: Overrides
    obs: jax.Array  # (observation_size,) float32
    action: jax.Array  # (action_size,) that was applied; it means nothing after a restart
    reward: jax.Array  # float32 ()
    terminated: jax.Array  # bool ()
    truncated: jax.Array  # bool ()
    success: jax.Array  # bool (), the task's condition has been met in this episode
    diverged: jax.Array  # bool (), the simulation broke down in this step
    step_count: jax.Array  # int32 ()
    instruction: jax.Array  # int32 (), which of the task's sentences this episode asks for
    gripper: jax.Array  # (arms,) float32, 0 closed to 1 open, as commanded


@dataclasses.dataclass(frozen=True, eq=False)
class Lanes:
    """A batch of worlds and who drives them. Build one with `Lanes.build`."""

    env: Env
    num: int
    driver: DriverName
    begin: Callable[[], State]
    step: Callable[[State, Orders], tuple[State, Seen]]
    episode_key: Callable[[int], np.ndarray]  # uint32 key data from which episode `number` starts

    @classmethod
    def build(
        cls,
        env: Env,
        num: int,
        *,
        driver: DriverName = "hold",
        policy: Callable[[State], jax.Array] | None = None,
        speeds: Speeds | None = None,
        seed: int = 0,
        first_episode: int = 0,
    ) -> "Lanes":
        """Compiles nothing yet.

        Args:
          env: the environment of all lanes; with cameras only if `policy` looks through them.
          num: how many lanes.
          driver: who steers the lanes that the person does not.
          policy: of driver "policy".
          speeds: of the person's robot; the usual ones if None.
          seed: of every start.
          first_episode: how many episodes were begun from this seed before, whose starts are not
            to come again.

        Raises:
          ValueError: fewer than one lane, an unknown driver, a policy missing, or an expert
            without an end-effector controller.
        """
        if num < 1:
            raise ValueError(f"lanes must be at least 1, got {num}")
        drive, feel = _driver(env, driver, policy), speeds or Speeds()
        starts, others = jax.random.split(jax.random.fold_in(jax.random.key(seed), first_episode))
        moving = env.jit(lambda state, orders: _step(env, drive, feel, starts, state, orders))

        def episode_key(number: int) -> np.ndarray:
            return np.asarray(jax.random.key_data(jax.random.fold_in(starts, number)))

        begin = env.jit(lambda: reset_batch(env, others, num))
        return cls(env, num, driver, begin, moving, episode_key)

    def orders(
        self,
        want: Wish,
        *,
        lane: int = 0,
        steer: bool = True,
        keep: bool = True,
        freeze: bool = False,
        restart: bool = False,
        number: int = 0,
    ) -> Orders:
        """Orders from Python's own numbers."""
        return Orders(
            wish=want,
            lane=np.array(lane, np.int32),
            steer=np.array(steer),
            keep=np.array(keep),
            freeze=np.array(freeze),
            restart=np.array(restart),
            number=np.array(number, np.uint32),
        )


def _driver(env: Env, name: DriverName, policy: Driver | None) -> Driver:
    if name == "policy":
        if policy is None:
            raise ValueError("lanes that follow a policy need one: give --policy runs/<name>")
        return policy
    if name == "expert":
        return jax.vmap(env.expert)
    if name != "hold":
        raise ValueError(unknown("driver of the other lanes", name, DRIVERS))
    return jax.vmap(lambda s: mapping.hold(env.controller, s.control, s.physics))


def _step(
    env: Env, drive: Driver, speeds: Speeds, starts: jax.Array, state: State, orders: Orders
) -> tuple[State, Seen]:
    lane, lanes = orders.lane, jnp.arange(state.step_count.shape[0])
    mine = lanes == lane
    before = jax.tree.map(lambda x: x[lane], state)
    action = jnp.where(
        (mine & orders.steer)[:, None], _person(env, speeds, before, orders.wish), drive(state)
    )
    # What is computed around a step must not change its last bit: a replay has only the step.
    state, action = jax.lax.optimization_barrier((state, action))
    after, transition = jax.vmap(env.advance)(state, action)
    after, transition = jax.lax.optimization_barrier((after, transition))

    still = mine & (orders.freeze | orders.restart)
    after = jax.tree.map(
        lambda old, new: jnp.where(still.reshape((-1,) + (1,) * (new.ndim - 1)), old, new),
        state,
        after,
    )
    ended = (transition.terminated | transition.truncated) & ~still & ~(mine & orders.keep)
    after = reset_done(env, after, ended)

    def restarted(state: State) -> State:
        # All lanes from one key, for vectorized code rounds differently at another width, and a
        # replay starts a batch.
        key = jax.random.fold_in(starts, orders.number)
        fresh = jax.vmap(env.start)(jnp.broadcast_to(key, lanes.shape))
        return jax.tree.map(
            lambda old, new: jnp.where(mine.reshape((-1,) + (1,) * (new.ndim - 1)), new, old),
            state,
            fresh,
        )

    after = jax.lax.cond(orders.restart, restarted, lambda state: state, after)
    after = jax.vmap(env.look)(after)
    return after, _seen(env, after, transition, lane)


def _person(env: Env, speeds: Speeds, state: State, want: Wish) -> jax.Array:
    """The action (action_size,) that the person's wish is in this state."""
    dt = env.task.config.control_dt
    action = mapping.steer(env.controller, state.control, state.physics, want, speeds, dt)
    try:
        expert = env.expert(state)
    except ValueError:  # a joint controller has none; asking for it is refused before
        return action
    return jnp.where(want.expert, expert, action)


def _seen(env: Env, state: State, transition, lane) -> Seen:
    now = jax.tree.map(lambda x: x[lane], state)
    step = jax.tree.map(lambda x: x[lane], transition)
    return Seen(
        physics=now.physics,
        overrides=now.overrides,
        obs=now.obs,
        action=step.action,
        reward=step.reward,
        terminated=step.terminated,
        truncated=step.truncated,
        success=now.succeeded,
        diverged=step.metrics["diverged"] > 0,
        step_count=now.step_count,
        instruction=env.instruction(now),
        gripper=mapping.opening(env.controller, now.physics),
    )

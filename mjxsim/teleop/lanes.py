"""The running batch: one compiled step; one lane follows the person, the others a driver."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from mjxsim import physics as engines
from mjxsim.envs import Env, State, Transition, reset_batch
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
    pause: _Array  # bool (), every lane waits as it is
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
    """A batch of worlds and who drives them. Build one with `Lanes.build`.

    A step is four programs, for what is vectorized and compiled together is rounded together: a
    start and a step of the physics are the very programs of `jit(vmap(env.start))` and
    `jit(vmap(env.advance))` at this width, so that a recording plays again to the last bit.
    """

    env: Env
    num: int
    driver: DriverName
    begin: Callable[[], State]
    _act: Callable[[State, Orders], jax.Array]
    _start: Callable[[jax.Array], State]
    _advance: Callable[[State, jax.Array], tuple[State, Transition]]
    _settle: Callable[[State, State, State, Transition, Orders], tuple[State, Seen]]
    _keys: Callable[[_Array], jax.Array]  # of an episode's number, the same one for every lane

    def step(self, state: State, orders: Orders) -> tuple[State, Seen]:
        """One control step of all lanes. Nothing is waited for."""
        action = self._act(state, orders)
        after, transition = self._advance(state, action)
        fresh = self._start(self._keys(orders.number)) if bool(orders.restart) else after
        return self._settle(state, after, fresh, transition, orders)

    def episode_key(self, number: int) -> np.ndarray:
        """The data of the key that episode `number` starts from, uint32 (n,)."""
        return np.asarray(jax.random.key_data(self._keys(np.array(number, np.uint32))))[0]

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
        physics = jax.vmap(env.start), jax.vmap(env.advance)
        return cls(
            env,
            num,
            driver,
            begin=env.jit(lambda: reset_batch(env, others, num)),
            _act=env.jit(lambda state, orders: _act(env, drive, feel, state, orders)),
            _start=engines.jit(physics[0]),
            _advance=engines.jit(physics[1]),
            _settle=env.jit(lambda *args: _settle(env, *args)),
            _keys=engines.jit(
                lambda number: jnp.broadcast_to(jax.random.fold_in(starts, number), (num,))
            ),
        )

    def orders(
        self,
        want: Wish,
        *,
        lane: int = 0,
        steer: bool = True,
        keep: bool = True,
        freeze: bool = False,
        pause: bool = False,
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
            pause=np.array(pause),
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


def _mine(state: State, orders: Orders) -> jax.Array:
    """Which lane is the person's, bool (num_lanes,)."""
    return jnp.arange(state.step_count.shape[0]) == orders.lane


def _act(env: Env, drive: Driver, speeds: Speeds, state: State, orders: Orders) -> jax.Array:
    """Every lane's action (num_lanes, action_size)."""
    mine = _mine(state, orders)
    own = jax.tree.map(lambda x: x[orders.lane], state)
    return jnp.where(
        (mine & orders.steer)[:, None], _person(env, speeds, own, orders.wish), drive(state)
    )


def _settle(
    env: Env, state: State, after: State, fresh: State, transition: Transition, orders: Orders
) -> tuple[State, Seen]:
    """What each lane does after all: it has stepped, waits, or begins anew."""
    mine = _mine(state, orders)
    still = (mine & (orders.freeze | orders.restart)) | orders.pause
    after = _select(still, state, after)
    ended = (transition.terminated | transition.truncated) & ~still & ~(mine & orders.keep)
    after = reset_done(env, after, ended)
    after = _select(mine & orders.restart, fresh, after)
    after = jax.vmap(env.look)(after)
    return after, _seen(env, after, transition, orders.lane)


def _select(lanes: jax.Array, there: State, here: State) -> State:
    """`there` in the lanes (num_lanes,) that are meant, `here` in the others."""

    def pick(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(lanes.reshape((-1,) + (1,) * (b.ndim - 1)), a, b)

    return jax.tree.map(pick, there, here)


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

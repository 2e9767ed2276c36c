"""Running whole episodes: one world, one episode, from one key, without autoreset."""

from collections.abc import Callable

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.envs import Env, Observation, Policy, State, Transition

# What `Env.observation` gives of a batch -> actions (num_worlds, action_size)
ObservationPolicy = Callable[[Observation], jax.Array]


def from_observations(env: Env, policy: ObservationPolicy) -> Policy:
    """A policy of observations as a policy of states."""
    return lambda key, state: policy(env.observation(state))


class Episodes(flax.struct.PyTreeNode):
    """What happened in each of n episodes, up to and including the step that ended it."""

    success: jax.Array  # bool (n,), the task's condition held for its time, and nothing broke
    success_at_end: jax.Array  # bool (n,), it held at the last step too
    returned: jax.Array  # float32 (n,), sum of rewards, not discounted
    steps: jax.Array  # int32 (n,), control steps
    action_travel: jax.Array  # float32 (n,), sum of |a_t - a_(t-1)| over t >= 1
    peak_force: jax.Array  # float32 (n,) [N], largest force on a finger
    terminated: jax.Array  # bool (n,)
    diverged: jax.Array  # bool (n,), the simulation broke down
    invalid_action: jax.Array  # bool (n,), the policy gave an action that was not finite
    overflowed: jax.Array  # bool (n,), more contacts or constraints than the engine has room for


class Tally(flax.struct.PyTreeNode):
    """Episodes in progress: sums so far, and who is still running."""

    running: jax.Array  # bool (n,)
    last_action: jax.Array  # (n, action_size)
    episodes: Episodes

    @classmethod
    def start(cls, n: int, action_size: int) -> "Tally":
        """All running, nothing summed."""
        no, zero = jnp.zeros(n, bool), jnp.zeros(n, jnp.float32)
        episodes = Episodes(
            success=no,
            success_at_end=no,
            returned=zero,
            steps=jnp.zeros(n, jnp.int32),
            action_travel=zero,
            peak_force=zero,
            terminated=no,
            diverged=no,
            invalid_action=no,
            overflowed=no,
        )
        return cls(jnp.ones(n, bool), jnp.zeros((n, action_size), jnp.float32), episodes)

    def add(self, transition: Transition) -> "Tally":
        """Adds one step of those still running; whatever the others do is ignored."""
        running, e, metrics = self.running, self.episodes, transition.metrics
        travel = jnp.linalg.norm(transition.action - self.last_action, axis=-1)
        travel = jnp.where(e.steps > 0, travel, 0.0)
        diverged, invalid = metrics["diverged"] > 0, metrics["invalid_action"] > 0
        intact = ~(diverged | invalid)
        overflow = (metrics["contact_overflow"] > 0) | (metrics["constraint_overflow"] > 0)
        after = Episodes(
            success=(metrics["success"] > 0) & intact,
            success_at_end=(metrics["success_now"] > 0) & intact,
            returned=e.returned + transition.reward,
            steps=e.steps + 1,
            action_travel=e.action_travel + travel,
            peak_force=jnp.maximum(e.peak_force, metrics["contact_force"]),
            terminated=transition.terminated,
            diverged=diverged,
            invalid_action=invalid,
            overflowed=e.overflowed | overflow,
        )
        return Tally(
            running=running & ~(transition.terminated | transition.truncated),
            last_action=transition.action,
            episodes=jax.tree.map(lambda new, old: jnp.where(running, new, old), after, e),
        )


def episode_keys(seed: int, numbers: np.ndarray) -> tuple[jax.Array, jax.Array]:
    """A key for each of a seed's episodes, by number (n,), and the key that a policy draws from."""
    starts, policy = jax.random.split(jax.random.key(seed))
    fold = jax.vmap(jax.random.fold_in, in_axes=(None, 0))
    return fold(starts, numbers), jax.random.fold_in(policy, numbers[0])


def run_episodes(env: Env, policy: Policy, keys: jax.Array, policy_key: jax.Array) -> Episodes:
    """One fresh episode per key; pure, to be compiled with `mjxsim.jit`.

    Args:
      env: the environment.
      policy: (key, batch of states) -> actions.
      keys: (n,) typed keys; episode i depends on keys[i] alone, if the policy draws nothing.
      policy_key: what the policy draws from.
    """
    n = keys.shape[0]

    def step(carry: tuple[State, Tally], t: jax.Array) -> tuple[tuple[State, Tally], None]:
        state, tally = carry
        action = policy(jax.random.fold_in(policy_key, t), state)
        state, transition = jax.vmap(env.step)(state, action)
        return (state, tally.add(transition)), None

    start = (jax.vmap(env.reset)(keys), Tally.start(n, env.action_size))
    steps = jnp.arange(env.task.config.episode_steps)
    (_, tally), _ = jax.lax.scan(step, start, steps)
    return tally.episodes

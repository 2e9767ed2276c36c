"""Demonstrations from a policy, in all lanes at once."""

import dataclasses
import time
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.datasets.features import ACTION, DONE, REWARD, SUCCESS
from mjxsim.datasets.programs import Programs
from mjxsim.datasets.writer import Writer
from mjxsim.envs import Env, Policy, State

Keep = Literal["success", "all"]
_ROUNDS = 8  # of as many episodes as are wanted, after which it is given up


@dataclasses.dataclass(frozen=True)
class Collected:
    """What a collection did."""

    kept: int  # episodes
    frames: int  # of those
    tried: int  # episodes
    succeeded: int  # of those tried
    seconds: float  # of wall clock, compiling included
    compiling: float  # [s] until the first step of the first round was done


def collect(
    env: Env,
    policy: Policy,
    writer: Writer,
    *,
    episodes: int,
    lanes: int,
    key: jax.Array,
    keep: Keep = "success",
    noise: float = 0.0,
    say: Callable[[str], None] = lambda line: None,
) -> Collected:
    """Plays rounds of `lanes` episodes and records them until `episodes` are kept.

    Frame t holds what was seen before action t, that action, and the reward of its step. Every
    episode starts from a key of its own, so that nothing of the one before matters.

    Args:
      env: the environment.
      policy: (key, batch of states) -> actions (lanes, action_size).
      writer: of a dataset with `features_of(env)`.
      episodes: to be kept.
      lanes: worlds at once.
      key: from which all starts, noise and what the policy draws come.
      keep: only successful episodes, or all.
      noise: standard deviation of normal noise on actions, for every episode drawn from 0 to this,
        so that the data shows how to recover (Laskey et al. 2017).
      say: takes a line after every round.

    Raises:
      ValueError: counts that are not positive.
      DatasetError: recording has stopped.
    """
    if episodes < 1:
        raise ValueError(f"episodes must be at least 1, got {episodes}")
    if noise < 0.0:
        raise ValueError(f"noise must not be negative, got {noise}")
    programs = Programs.of(env, lanes)
    began = time.monotonic()
    act = env.jit(_noisy(env, policy))
    kept = frames = tried = succeeded = 0
    compiling = 0.0
    while kept < episodes and tried < _ROUNDS * max(episodes, lanes):
        key, round_key = jax.random.split(key)
        played = _play(programs, act, round_key, noise)
        compiling = compiling or played.first - began
        tried += lanes
        succeeded += int(played.success.sum())
        wanted = played.success if keep == "success" else np.ones(lanes, bool)
        for lane in np.flatnonzero(wanted)[: episodes - kept].tolist():
            length = int(played.lengths[lane])
            columns = played.episode(lane, length)
            task, start = played.tasks[lane], played.keys[lane]
            writer.add_episode(columns, task, key=start, lane=lane, lanes=lanes)
            kept, frames = kept + 1, frames + length
        say(f"{kept} of {episodes} episodes, {succeeded} of {tried} tried succeeded")
    writer.flush()
    return Collected(kept, frames, tried, succeeded, time.monotonic() - began, compiling)


def round_bytes(env: Env, lanes: int) -> int:
    """What the pictures of a round of `collect` take at most until they are written [bytes]."""
    if env.eyes is None:
        return 0
    cameras = env.eyes.config
    pixels = len(cameras.names) * cameras.height * cameras.width
    return lanes * env.task.config.episode_steps * pixels * 3


@dataclasses.dataclass(frozen=True)
class _Played:
    """A round of episodes."""

    steps: list[dict[str, np.ndarray]]  # (lanes, ...) by feature
    lengths: np.ndarray  # (lanes,)
    success: np.ndarray  # bool (lanes,)
    tasks: list[str]
    keys: np.ndarray  # uint32 (lanes, n)
    first: float  # when the first step was done, by time.monotonic()

    def episode(self, lane: int, length: int) -> dict[str, np.ndarray]:
        """Columns (length, ...) of a lane; one at a time, for pictures of all are large."""
        return {k: np.stack([s[k][lane] for s in self.steps[:length]]) for k in self.steps[0]}


_Act = Callable[[jax.Array, State, jax.Array], jax.Array]


def _noisy(env: Env, policy: Policy) -> _Act:
    def act(key: jax.Array, state: State, scale: jax.Array) -> jax.Array:
        policy_key, noise_key = jax.random.split(key)
        action = policy(policy_key, state)
        action += scale[:, None] * jax.random.normal(noise_key, action.shape)
        # As it is applied, so that what is stored is what was done.
        return jnp.clip(action.astype(jnp.float32), -1.0, 1.0)

    return act


def _play(programs: Programs, act: _Act, key: jax.Array, noise: float) -> _Played:
    env, lanes = programs.env, programs.lanes
    start_key, scale_key, act_key = jax.random.split(key, 3)
    keys = jax.random.split(start_key, lanes)
    scale = noise * jax.random.uniform(scale_key, (lanes,))
    state = programs.reset(keys)
    asked = np.asarray(programs.instruction(state))
    running, success = np.ones(lanes, bool), np.zeros(lanes, bool)
    lengths = np.zeros(lanes, np.int64)
    steps: list[dict[str, np.ndarray]] = []
    first = 0.0
    for step_key in jax.random.split(act_key, env.task.config.episode_steps):
        seen = programs.see(state)
        action = act(step_key, state, scale)
        state, transition = programs.step(state, action)
        t = jax.device_get(transition)
        done = t.terminated | t.truncated
        intact = (t.metrics["diverged"] == 0) & (t.metrics["invalid_action"] == 0)
        lengths += running
        success |= running & done & (t.metrics["success"] > 0) & intact
        of_step = {REWARD: t.reward, DONE: done, SUCCESS: t.metrics["success"] > 0}
        steps.append({**seen, ACTION: t.action, **of_step})
        running &= ~done
        first = first or time.monotonic()
        if not running.any():
            break
    return _Played(
        steps=steps,
        lengths=lengths,
        success=success,
        tasks=[env.task.instructions[i] for i in asked],
        keys=np.asarray(jax.random.key_data(keys)),
        first=first,
    )

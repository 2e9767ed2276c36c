"""Proximal policy optimization (Schulman et al. 2017), one pure update inside one jit.

An update rolls the batch of worlds forward, estimates advantages (GAE, Schulman et al. 2016) and
takes minibatch steps on the clipped objective. A truncated episode is bootstrapped from its true
final observation; a terminated one is not. On several devices each steps and shuffles its own
worlds, and gradients, advantages' scale and statistics are those of all of them.
"""

import dataclasses
import math
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from mjxsim.envs import Env, Observation, State, Transition
from mjxsim.learning.algorithm import Actor, PolicyParams
from mjxsim.learning.collecting import Running, begin, collect
from mjxsim.learning.mesh import BY_WORLD, ON_ALL, ONE_DEVICE, Shards
from mjxsim.learning.networks import ActorCritic, EncoderConfig, Seen
from mjxsim.learning.normalize import Normalizer
from mjxsim.learning.seeing import Senses, shifted


@dataclasses.dataclass(frozen=True)
class PPOConfig:
    """Hyperparameters. Batch size and number of steps belong to the run, not here."""

    unroll_length: int = 16  # control steps per world between updates
    minibatches: int = 8
    epochs: int = 4  # passes over each batch
    learning_rate: float = 1e-3  # falls linearly to 0 over the run if `anneal`
    anneal: bool = True
    discount: float = 0.9  # per control step
    gae_lambda: float = 0.9
    clip: float = 0.2
    value_coefficient: float = 0.5
    entropy_coefficient: float = 0.0
    # Pulls means of actions back that lie beyond [-1, 1] (bounds_loss_coef of rl_games): where they
    # are cut anyway nothing else does, and an entry far outside explores no more. Without it some
    # seeds of pick_cube press a grasped cube on the table for ever.
    bound_coefficient: float = 0.01
    max_grad_norm: float = 0.5
    hidden: tuple[int, ...] = (128, 128)
    initial_log_std: float = -0.5
    encoder: EncoderConfig = EncoderConfig()  # of pictures, where the environment has cameras
    # Of the squared error, in standard deviations, of what the actor tells from its pictures about
    # the parts of the observation that it does not see.
    belief_coefficient: float = 0.5

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for a value out of its range."""
        for name in ("unroll_length", "minibatches", "epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"ppo {name} must be at least 1, got {getattr(self, name)}")
        for name in ("learning_rate", "clip", "max_grad_norm"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"ppo {name} must be positive, got {getattr(self, name)}")
        for name in (
            "value_coefficient",
            "entropy_coefficient",
            "bound_coefficient",
            "belief_coefficient",
        ):
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"ppo {name} must be at least 0, got {getattr(self, name)}")
        for name in ("discount", "gae_lambda"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"ppo {name} must be from 0 to 1, got {getattr(self, name)}")


class TrainState(flax.struct.PyTreeNode):
    """A run between two updates, complete: continuing from a copy gives the same bits."""

    policy: PolicyParams
    opt_state: optax.OptState
    env_state: State  # batched
    episode_return: jax.Array  # (num_envs,) of the episodes in progress
    episode_length: jax.Array  # int32 (num_envs,)
    key: jax.Array
    updates: jax.Array  # int32 ()


class _Sample(flax.struct.PyTreeNode):
    """One decision as the learner needs it; leaves (..., ) with any leading axes."""

    obs: jax.Array  # (..., n), raw
    images: dict[str, jax.Array]  # uint8 (..., height, width, channels)
    action: jax.Array  # (..., m), before clipping to [-1, 1]
    log_prob: jax.Array
    advantage: jax.Array
    target: jax.Array  # of the value function
    value: jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class PPO:
    """The algorithm bound to an environment; `init` and `update` are pure."""

    env: Env
    config: PPOConfig
    num_envs: int
    total_steps: int
    shards: Shards = ONE_DEVICE  # how the worlds are divided among devices

    def __post_init__(self) -> None:
        batch = self.shards.local(self.num_envs) * self.config.unroll_length
        if batch % self.config.minibatches:
            where = " on each device" if self.shards.count > 1 else ""
            raise ValueError(
                f"num_envs x unroll_length = {batch}{where} must be a multiple of minibatches "
                f"({self.config.minibatches})"
            )
        for height, width, _ in self.senses.pictures.values():
            self.config.encoder.check_size(height, width)

    @property
    def steps_per_update(self) -> int:
        """Environment steps in one update."""
        return self.num_envs * self.config.unroll_length

    @property
    def num_updates(self) -> int:
        """Updates in the run; the last one may overshoot `total_steps`."""
        return math.ceil(self.total_steps / self.steps_per_update)

    @property
    def network(self) -> ActorCritic:
        return make_network(self.config, self.env)

    @property
    def actor(self) -> Actor:
        """What acts with the policy's parameters."""
        return make_actor(self.config, self.env)

    @property
    def senses(self) -> Senses:
        return Senses.of(self.env)

    @property
    def optimizer(self) -> optax.GradientTransformation:
        c = self.config
        steps = self.num_updates * c.epochs * c.minibatches
        rate = optax.linear_schedule(c.learning_rate, 0.0, steps) if c.anneal else c.learning_rate
        return optax.chain(optax.clip_by_global_norm(c.max_grad_norm), optax.adam(rate, eps=1e-5))

    @property
    def specs(self) -> TrainState:
        """Which parts of the state are divided by world, each in the place of that part."""
        everywhere: Any = ON_ALL
        by_world: Any = BY_WORLD
        return TrainState(
            policy=everywhere,
            opt_state=everywhere,
            env_state=by_world,
            episode_return=by_world,
            episode_length=by_world,
            key=everywhere,
            updates=everywhere,
        )

    def place(self, state: TrainState) -> TrainState:
        """A state in this process's memory onto the devices."""
        return self.shards.place(state, self.specs)

    def init(self, key: jax.Array) -> TrainState:
        """A fresh run; the same for any number of devices."""
        return self.shards.map(self._init, (ON_ALL,), self.specs)(key)

    def update(self, state: TrainState) -> tuple[TrainState, dict[str, jax.Array]]:
        """One batch of experience and the learning from it; metrics are float32 ()."""
        return self.shards.map(self._update, (self.specs,), (self.specs, ON_ALL))(state)

    # From here on everything runs on each device, with the worlds of that device.

    def _init(self, key: jax.Array) -> TrainState:
        env_key, net_key, stagger_key, key = jax.random.split(key, 4)
        obs = jnp.zeros(self.env.observation_size, jnp.float32)
        params = self.network.init(net_key, self.senses.blank(), obs)
        running = begin(self.env, self.shards, self.num_envs, env_key, stagger_key)
        return TrainState(
            policy=PolicyParams(params, Normalizer.init(self.env.observation_size)),
            opt_state=self.optimizer.init(params),
            **vars(running),
            key=key,
            updates=jnp.int32(0),
        )

    def _update(self, state: TrainState) -> tuple[TrainState, dict[str, jax.Array]]:
        shards = self.shards
        key, rollout_key, learn_key = jax.random.split(state.key, 3)
        policy = state.policy

        def decide(worlds: State, noise: jax.Array) -> tuple[jax.Array, Any]:
            seen = self.senses.take(policy.normalizer, self.env.observation(worlds))
            images = shifted(worlds, seen.images, self.config.encoder.shift)
            seen, obs = Seen(seen.state, images), policy.normalizer(worlds.obs)
            out = self.network.forward(policy.params, seen, obs)
            action = out.policy.at(noise)
            return action, (action, out.policy.log_prob(action), images)

        running = Running(state.env_state, state.episode_return, state.episode_length)
        running, transitions, kept, collected = collect(
            self.env,
            shards,
            running,
            decide,
            rollout_key,
            num_envs=self.num_envs,
            length=self.config.unroll_length,
        )
        normalizer = state.policy.normalizer.update(transitions.obs, shards=shards)
        samples = self._samples(policy, transitions, *kept)
        params, opt_state, losses = self._learn(
            state.policy.params, state.opt_state, state.policy.normalizer, samples, learn_key
        )
        state = state.replace(
            policy=PolicyParams(params, normalizer),
            opt_state=opt_state,
            **vars(running),
            key=key,
            updates=state.updates + 1,
        )
        metrics = {
            **collected,
            **losses,
            "policy_std": jnp.exp(params["params"]["log_std"]).mean(),
        }
        return state, metrics

    def _samples(
        self,
        policy: PolicyParams,
        t: Transition,
        action: jax.Array,
        log_prob: jax.Array,
        images: dict[str, jax.Array],
    ) -> _Sample:
        """Generalized advantage estimates; leaves (unroll_length, num_envs, ...)."""
        c = self.config

        def value_of(obs: jax.Array) -> jax.Array:
            return self.network.value(policy.params, policy.normalizer(obs))

        value, next_value = value_of(t.obs), value_of(t.next_obs)
        future = jnp.where(t.terminated, 0.0, next_value)
        delta = t.reward + c.discount * future - value
        carry_on = c.discount * c.gae_lambda * ~(t.terminated | t.truncated)

        def backwards(
            advantage: jax.Array, x: tuple[jax.Array, jax.Array]
        ) -> tuple[jax.Array, jax.Array]:
            advantage = x[0] + x[1] * advantage
            return advantage, advantage

        zero = jnp.zeros_like(delta[0])
        _, advantage = jax.lax.scan(backwards, zero, (delta, carry_on), reverse=True)
        return _Sample(t.obs, images, action, log_prob, advantage, advantage + value, value)

    def _learn(
        self,
        params: Any,
        opt_state: optax.OptState,
        normalizer: Normalizer,
        samples: _Sample,
        key: jax.Array,
    ) -> tuple[Any, optax.OptState, dict[str, jax.Array]]:
        """Minibatch steps; the losses are means over all of them."""
        c, shards = self.config, self.shards
        size = samples.value.size
        flat = jax.tree.map(lambda x: x.reshape(size, *x.shape[2:]), samples)
        flat = flat.replace(obs=normalizer(flat.obs))

        def minibatch_step(carry: tuple[Any, optax.OptState], batch: _Sample) -> Any:
            params, opt_state = carry
            grads, losses = self._gradient(params, batch)
            updates, opt_state = self.optimizer.update(grads, opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), losses

        def epoch(carry: tuple[Any, optax.OptState], key: jax.Array) -> Any:
            order = jax.random.permutation(key, size).reshape(c.minibatches, -1)
            shuffled = jax.tree.map(lambda x: x[order], flat)
            return jax.lax.scan(minibatch_step, carry, shuffled)

        (params, opt_state), losses = jax.lax.scan(
            epoch, (params, opt_state), jax.random.split(shards.own_key(key), c.epochs)
        )
        return params, opt_state, shards.mean(jax.tree.map(jnp.mean, losses))

    def _gradient(self, params: Any, batch: _Sample) -> tuple[Any, dict[str, jax.Array]]:
        """Of the loss over all devices' parts of a minibatch; the losses of this device's."""
        grads, losses = jax.grad(self._loss, has_aux=True)(params, batch)
        return self.shards.mean(grads), losses

    def _loss(self, params: Any, batch: _Sample) -> tuple[jax.Array, dict[str, jax.Array]]:
        c = self.config
        senses = self.senses
        seen = senses.remember(batch.obs, batch.images)
        out = self.network.forward(params, seen, batch.obs)
        log_ratio = out.policy.log_prob(batch.action) - batch.log_prob
        ratio = jnp.exp(log_ratio)
        centered = batch.advantage - self.shards.mean(batch.advantage.mean())
        variance = self.shards.mean((centered**2).mean())
        advantage = centered / (jnp.sqrt(variance) + 1e-8)
        clipped = jnp.clip(ratio, 1.0 - c.clip, 1.0 + c.clip)
        policy_loss = -jnp.minimum(ratio * advantage, clipped * advantage).mean()
        value_loss = 0.5 * ((out.value - batch.target) ** 2).mean()
        entropy = out.policy.entropy().mean()
        beyond = jnp.maximum(jnp.abs(out.policy.mean) - 1.0, 0.0)
        loss = policy_loss + c.value_coefficient * value_loss - c.entropy_coefficient * entropy
        loss += c.bound_coefficient * (beyond**2).sum(-1).mean()
        wrong = ((out.told - batch.obs[..., senses.unseen]) ** 2).sum(-1).mean()
        loss += c.belief_coefficient * wrong
        losses = {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "entropy": entropy,
            "approx_kl": ((ratio - 1.0) - log_ratio).mean(),  # Schulman, joschu.net/blog/kl-approx
            "clip_fraction": (jnp.abs(ratio - 1.0) > c.clip).mean(),
        }
        if senses.pictures:
            losses["belief_loss"] = wrong / max(1, len(senses.unseen))
        return loss, losses


def make_network(config: PPOConfig, env: Env) -> ActorCritic:
    """The network of a configuration for an environment."""
    senses = Senses.of(env)
    return ActorCritic(
        config.hidden,
        env.action_size,
        config.initial_log_std,
        config.encoder if senses.pictures else None,
        len(senses.unseen),
    )


def make_actor(config: PPOConfig, env: Env) -> Actor:
    """What acts in an environment, without the learner around it."""
    network, senses, size = make_network(config, env), Senses.of(env), env.observation_size

    def init(key: jax.Array) -> Any:
        return network.init(key, senses.blank(), jnp.zeros(size, jnp.float32))

    def act(policy: PolicyParams, observation: Observation) -> jax.Array:
        seen = senses.take(policy.normalizer, observation)
        unknown = jnp.zeros((*seen.state.shape[:-1], size), jnp.float32)  # the critic's; unused
        out = network.forward(policy.params, seen, unknown)
        return jnp.clip(out.policy.mean, -1.0, 1.0)

    return Actor(size, init, act)

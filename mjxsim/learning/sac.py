"""Soft actor-critic (Haarnoja et al. 2018) that learns from demonstrations too, from few steps.

Every transition is remembered and learned from many times. What keeps that from going wrong is of
RLPD (Ball et al. 2023): half of each batch comes from demonstrations, the critics normalize their
layers, and there are several of them, of which a random few speak for the next state. An update
rolls the batch of worlds forward for a few steps and then takes gradient steps, all inside one
jit. A truncated episode is bootstrapped from its true final observation; a terminated one is not.
On several devices each remembers its own worlds and draws its part of every batch from them.
"""

import dataclasses
import math
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from mjxsim.envs import Env, Observation, State
from mjxsim.learning import demonstrations
from mjxsim.learning.algorithm import Actor, PolicyParams
from mjxsim.learning.collecting import Running, begin, collect
from mjxsim.learning.demonstrations import Demonstrations
from mjxsim.learning.mesh import BY_WORLD, ON_ALL, ONE_DEVICE, Shards
from mjxsim.learning.networks import Critics, SquashedActor
from mjxsim.learning.replay import Experience, Replay


@dataclasses.dataclass(frozen=True)
class SACConfig:
    """Hyperparameters. Batch size and number of steps belong to the run, not here."""

    unroll_length: int = 8  # control steps per world between updates
    update_to_data: float = 0.125  # critic steps per environment step
    actor_period: int = 2  # critic steps per step of the actor and the temperature
    batch_size: int = 256  # transitions per gradient step
    buffer_size: int = 100_000  # newest transitions remembered, besides the demonstrations
    demonstrations: int = 50  # successful episodes of the scripted expert; 0 for none
    demonstration_noise: float = 0.3  # on the expert's actions, see `demonstrations.collect`
    demonstration_share: float = 0.5  # of each batch
    learning_rate: float = 1e-3  # of all three: critics, actor, temperature
    discount: float = 0.9  # per control step
    polyak: float = 0.01  # share by which the target critics follow, per critic step
    critics: int = 3
    target_critics: int = 2  # random ones, whose least value is the next state's
    target_entropy: float = -1.0  # [nat] per entry of the action
    initial_temperature: float = 0.1
    backup_entropy: bool = False  # count the next action's entropy in the critics' targets
    reward_scale: float = 0.1  # brings values near one
    hidden: tuple[int, ...] = (128, 128)

    def __post_init__(self) -> None:
        """Raise ValueError, one line, for a value out of its range."""
        for name in ("unroll_length", "actor_period", "batch_size", "buffer_size", "critics"):
            if getattr(self, name) < 1:
                raise ValueError(f"sac {name} must be at least 1, got {getattr(self, name)}")
        for name in ("update_to_data", "learning_rate", "initial_temperature", "reward_scale"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"sac {name} must be positive, got {getattr(self, name)}")
        for name in ("discount", "polyak", "demonstration_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"sac {name} must be from 0 to 1, got {getattr(self, name)}")
        for name in ("demonstrations", "demonstration_noise"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"sac {name} must be at least 0, got {getattr(self, name)}")
        if not 1 <= self.target_critics <= self.critics:
            raise ValueError(
                f"sac target_critics must be from 1 to critics ({self.critics}), got "
                f"{self.target_critics}"
            )


class Learner(flax.struct.PyTreeNode):
    """What learns, besides the actor."""

    critic: Any  # weights of the critics
    target: Any  # their slow copy
    log_temperature: jax.Array  # float32 ()
    actor_opt: optax.OptState
    critic_opt: optax.OptState
    temperature_opt: optax.OptState


class SACState(flax.struct.PyTreeNode):
    """A run between two updates, complete: continuing from a copy gives the same bits."""

    policy: PolicyParams
    learner: Learner
    replay: Replay[Experience]
    demonstrations: Demonstrations | None
    env_state: State  # batched
    episode_return: jax.Array  # (num_envs,) of the episodes in progress
    episode_length: jax.Array  # int32 (num_envs,)
    key: jax.Array
    updates: jax.Array  # int32 ()


@dataclasses.dataclass(frozen=True, eq=False)
class SAC:
    """The algorithm bound to an environment; `init` and `update` are pure."""

    env: Env
    config: SACConfig
    num_envs: int
    total_steps: int
    shards: Shards = ONE_DEVICE  # how the worlds, and what they remember, are divided

    def __post_init__(self) -> None:
        c, batch = self.config, self.steps_per_update
        self.shards.local(self.num_envs)  # raises if they cannot be divided
        if batch > c.buffer_size:
            raise ValueError(
                f"num_envs x unroll_length = {batch} must not exceed buffer_size ({c.buffer_size})"
            )
        if c.batch_size % self.shards.count:
            raise ValueError(
                f"batch_size {c.batch_size} must be a multiple of the {self.shards.count} devices"
            )
        online, shown = self._batch_sizes
        if not online or (c.demonstrations and not shown):
            raise ValueError(
                f"demonstration_share ({c.demonstration_share}) of batch_size ({c.batch_size}) "
                "leaves no transition of one kind: use 0.5, or no demonstrations"
            )

    @property
    def steps_per_update(self) -> int:
        """Environment steps in one update."""
        return self.num_envs * self.config.unroll_length

    @property
    def num_updates(self) -> int:
        """Updates in the run; the last one may overshoot `total_steps`."""
        return math.ceil(self.total_steps / self.steps_per_update)

    @property
    def actor_steps(self) -> int:
        """Gradient steps of the actor in one update; the critics take `actor_period` for each."""
        wanted = self.steps_per_update * self.config.update_to_data / self.config.actor_period
        return max(1, round(wanted))

    @property
    def _batch_sizes(self) -> tuple[int, int]:
        """Transitions of experience and of demonstrations in each device's part of a batch."""
        c = self.config
        whole = c.batch_size // self.shards.count
        shown = round(whole * c.demonstration_share) if c.demonstrations else 0
        return whole - shown, shown

    @property
    def network(self) -> SquashedActor:
        return make_network(self.config, self.env.action_size)

    @property
    def critics(self) -> Critics:
        return Critics(self.config.hidden, self.config.critics)

    @property
    def optimizer(self) -> optax.GradientTransformation:
        return optax.adam(self.config.learning_rate)

    @property
    def specs(self) -> SACState:
        """Which parts of the state are divided by world, each in the place of that part."""
        everywhere: Any = ON_ALL
        by_world: Any = BY_WORLD
        return SACState(
            policy=everywhere,
            learner=everywhere,
            replay=Replay(by_world, everywhere, everywhere),
            demonstrations=everywhere if self.config.demonstrations else None,
            env_state=by_world,
            episode_return=by_world,
            episode_length=by_world,
            key=everywhere,
            updates=everywhere,
        )

    def place(self, state: SACState) -> SACState:
        """A state in this process's memory onto the devices."""
        return self.shards.place(state, self.specs)

    def init(self, key: jax.Array) -> SACState:
        """A fresh run, its demonstrations collected; the same for any number of devices."""
        return self.shards.map(self._init, (ON_ALL,), self.specs)(key)

    def update(self, state: SACState) -> tuple[SACState, dict[str, jax.Array]]:
        """A batch of experience and the learning from all there is; metrics are float32 ()."""
        return self.shards.map(self._update, (self.specs,), (self.specs, ON_ALL))(state)

    # From here on everything runs on each device, with the worlds of that device.

    def _init(self, key: jax.Array) -> SACState:
        c = self.config
        env_key, actor_key, critic_key, demo_key, stagger_key, key = jax.random.split(key, 6)
        policy = make_actor(c, self.env).init(actor_key)
        shown = None
        if c.demonstrations:
            collect_key, sample_key = jax.random.split(demo_key)
            shown = demonstrations.collect(
                self.env, collect_key, c.demonstrations, c.demonstration_noise
            )
            seen = shown.replay.sample(sample_key, shown.replay.slots).obs
            policy = policy.replace(normalizer=policy.normalizer.update(seen))
        row = Experience.blank(self.env)
        critic = self.critics.init(critic_key, row.obs[None], row.action[None])
        log_temperature = jnp.log(jnp.float32(c.initial_temperature))
        running = begin(self.env, self.shards, self.num_envs, env_key, stagger_key)
        worlds = running.episode_length.shape[0]
        return SACState(
            policy=policy,
            learner=Learner(
                critic=critic,
                target=critic,
                log_temperature=log_temperature,
                actor_opt=self.optimizer.init(policy.params),
                critic_opt=self.optimizer.init(critic),
                temperature_opt=self.optimizer.init(log_temperature),
            ),
            replay=Replay.init(row, worlds, c.buffer_size // self.num_envs),
            demonstrations=shown,
            **vars(running),
            key=key,
            updates=jnp.int32(0),
        )

    def _update(self, state: SACState) -> tuple[SACState, dict[str, jax.Array]]:
        shards = self.shards
        key, rollout_key, learn_key = jax.random.split(state.key, 3)
        policy = state.policy

        def decide(worlds: State, noise: jax.Array) -> tuple[jax.Array, None]:
            out = self.network.forward(policy.params, policy.normalizer(worlds.obs))
            return out.at(noise)[0], None

        running = Running(state.env_state, state.episode_return, state.episode_length)
        running, transitions, _, collected = collect(
            self.env,
            shards,
            running,
            decide,
            rollout_key,
            num_envs=self.num_envs,
            length=self.config.unroll_length,
        )
        normalizer = state.policy.normalizer.update(transitions.obs, shards=shards)
        state = state.replace(
            policy=state.policy.replace(normalizer=normalizer),
            replay=state.replay.add(Experience.of(transitions)),
            **vars(running),
        )
        params, learner, losses = self._learn(state, learn_key)
        state = state.replace(
            policy=state.policy.replace(params=params),
            learner=learner,
            key=key,
            updates=state.updates + 1,
        )
        return state, {**collected, **losses}

    def _learn(self, state: SACState, key: jax.Array) -> tuple[Any, Learner, dict[str, jax.Array]]:
        """Gradient steps on what is remembered; the losses are means over all of them."""

        def step(carry: tuple[Any, Learner], key: jax.Array) -> Any:
            params, learner = carry
            critic_key, batch_key, actor_key = jax.random.split(key, 3)

            def critic_step(learner: Learner, key: jax.Array) -> Any:
                batch_key, key = jax.random.split(key)
                return self._critic_step(params, learner, self._batch(state, batch_key), key)

            critic_keys = jax.random.split(critic_key, self.config.actor_period)
            learner, losses = jax.lax.scan(critic_step, learner, critic_keys)
            batch = self._batch(state, batch_key)
            params, learner, more = self._actor_step(params, learner, batch, actor_key)
            return (params, learner), losses | more

        start = (state.policy.params, state.learner)
        keys = jax.random.split(key, self.actor_steps)
        (params, learner), losses = jax.lax.scan(step, start, keys)
        return params, learner, self.shards.mean(jax.tree.map(jnp.mean, losses))

    def _batch(self, state: SACState, key: jax.Array) -> Experience:
        """What one gradient step learns from; leaves (n, ...), batch_size over all devices.

        Observations are remembered raw and normalized here, so that all of the batch is seen as the
        policy sees it now.
        """
        online_key, shown_key = jax.random.split(self.shards.own_key(key))
        online, shown = self._batch_sizes
        rows = state.replay.sample(online_key, online)
        if state.demonstrations is not None:
            more = state.demonstrations.replay.sample(shown_key, shown)
            rows = jax.tree.map(lambda *x: jnp.concatenate(x), rows, more)
        normalizer = state.policy.normalizer
        return rows.replace(obs=normalizer(rows.obs), next_obs=normalizer(rows.next_obs))

    def _critic_step(
        self, params: Any, learner: Learner, batch: Experience, key: jax.Array
    ) -> tuple[Learner, dict[str, jax.Array]]:
        """One step of the critics towards the soft Bellman target, and of the slow copy."""
        target = self._target(params, learner, batch, key)

        def loss(critic: Any) -> tuple[jax.Array, jax.Array]:
            value = self.critics.forward(critic, batch.obs, batch.action)
            return ((value - target) ** 2).mean(1).sum(), value

        (total, value), grads = jax.value_and_grad(loss, has_aux=True)(learner.critic)
        grads = self.shards.mean(grads)
        updates, critic_opt = self.optimizer.update(grads, learner.critic_opt, learner.critic)
        critic = optax.apply_updates(learner.critic, updates)
        learner = learner.replace(
            critic=critic,
            target=optax.incremental_update(critic, learner.target, self.config.polyak),
            critic_opt=critic_opt,
        )
        return learner, {"critic_loss": total / self.config.critics, "value": value.mean()}

    def _target(
        self, params: Any, learner: Learner, batch: Experience, key: jax.Array
    ) -> jax.Array:
        """What the critics should say of each transition; (n,).

        The least of a random few of the slow critics (Chen et al. 2021, REDQ).
        """
        c = self.config
        action_key, subset_key = jax.random.split(key)
        action, log_prob = self._sample(params, batch.next_obs, action_key)
        few = jax.random.permutation(subset_key, c.critics)[: c.target_critics]
        weights = jax.tree.map(lambda x: x[few], learner.target)
        critics = Critics(c.hidden, c.target_critics)
        value = critics.forward(weights, batch.next_obs, action).min(0)
        if c.backup_entropy:
            value -= jnp.exp(learner.log_temperature) * log_prob
        future = jnp.where(batch.terminated, 0.0, value)
        return c.reward_scale * batch.reward + c.discount * future

    def _actor_step(
        self, params: Any, learner: Learner, batch: Experience, key: jax.Array
    ) -> tuple[Any, Learner, dict[str, jax.Array]]:
        """One step of the actor, and one of the temperature towards the target entropy."""
        temperature = jnp.exp(learner.log_temperature)

        def loss(params: Any) -> tuple[jax.Array, jax.Array]:
            action, log_prob = self._sample(params, batch.obs, key)
            value = self.critics.forward(learner.critic, batch.obs, action).mean(0)
            return (temperature * log_prob - value).mean(), -log_prob.mean()

        (actor_loss, entropy), grads = jax.value_and_grad(loss, has_aux=True)(params)
        grads, entropy = self.shards.mean((grads, entropy))
        updates, actor_opt = self.optimizer.update(grads, learner.actor_opt, params)
        excess = entropy - self.config.target_entropy * self.env.action_size
        cooling, temperature_opt = self.optimizer.update(
            temperature * excess, learner.temperature_opt, learner.log_temperature
        )
        learner = learner.replace(
            log_temperature=optax.apply_updates(learner.log_temperature, cooling),
            actor_opt=actor_opt,
            temperature_opt=temperature_opt,
        )
        losses = {"actor_loss": actor_loss, "entropy": entropy, "temperature": temperature}
        return optax.apply_updates(params, updates), learner, losses

    def _sample(self, params: Any, obs: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Actions for normalized observations (n, ...), and their log density (n,)."""
        noise = jax.random.normal(self.shards.own_key(key), (obs.shape[0], self.env.action_size))
        return self.network.forward(params, obs).at(noise)


def make_network(config: SACConfig, action_size: int) -> SquashedActor:
    """The policy's network of a configuration."""
    return SquashedActor(config.hidden, action_size)


def make_actor(config: SACConfig, env: Env) -> Actor:
    """What acts: the squashed mean."""
    network = make_network(config, env.action_size)

    def init(key: jax.Array) -> Any:
        return network.init(key, jnp.zeros(env.observation_size, jnp.float32))

    def act(policy: PolicyParams, observation: Observation) -> jax.Array:
        assert not isinstance(observation, dict)  # refused where the learner is built
        return network.forward(policy.params, policy.normalizer(observation)).mode()

    return Actor(env.observation_size, init, act)


def check_start(config: SACConfig, state: SACState) -> None:
    """Raises ValueError, one line, if the expert failed to show what it was asked for."""
    shown = state.demonstrations
    if shown is not None and int(shown.episodes) < config.demonstrations:
        raise ValueError(
            f"the scripted expert succeeded in only {int(shown.episodes)} of {int(shown.tried)} "
            f"episodes, {config.demonstrations} were to be collected: lower "
            "--sac.demonstration-noise or --sac.demonstrations"
        )

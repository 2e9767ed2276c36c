"""Worlds spread over the devices of a mesh, and what a learner reduces over it.

A learner written with `Shards` is one program for any number of devices. Each device steps its own
worlds and learns from them; gradients and statistics are means and sums over all devices, so the
parameters, which every device holds, stay the same everywhere. On a single device every function
here is the identity and nothing is compiled differently.

    shards = Shards.over(jax.devices())
    step = mjxsim.jit(shards.map(fun, in_specs=(ON_ALL, BY_WORLD), out_specs=BY_WORLD))

Inside `fun` arrays that are divided by world have `shards.local(num_worlds)` of them.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

WORLDS = "worlds"  # the one axis of the mesh
BY_WORLD = PartitionSpec(WORLDS)  # the leading axis is divided among the devices, in order
ON_ALL = PartitionSpec()  # the same on every device

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Shards:
    """How worlds are divided: in equal parts among the devices of `mesh`, or not at all."""

    mesh: Mesh | None = None

    @classmethod
    def over(cls, devices: Sequence[jax.Device]) -> Self:  # pyright: ignore[reportInvalidTypeForm]
        """Shards on these devices, of all hosts; undivided on a single one."""
        return cls() if len(devices) == 1 else cls(Mesh(np.array(devices), (WORLDS,)))

    @property
    def count(self) -> int:
        """Devices."""
        return 1 if self.mesh is None else self.mesh.size

    def local(self, num_worlds: int) -> int:
        """Worlds on each device.

        Raises:
          ValueError: they cannot be divided equally.
        """
        here, left = divmod(num_worlds, self.count)
        if left or not here:
            below, above = here * self.count, (here + 1) * self.count
            near = f"{below} or {above}" if below else f"{above}"
            raise ValueError(
                f"num_envs {num_worlds} must be a multiple of the {self.count} devices: use "
                f"{near}, or fewer devices with --scale.devices"
            )
        return here

    # Outside of a mapped function.

    def map(self, fun: F, in_specs: Any, out_specs: Any) -> F:
        """`fun` run on every device at once, on that device's part of each argument.

        Args:
          fun: a pure function of positional arguments.
          in_specs: a tuple with, for each argument, `BY_WORLD`, `ON_ALL` or a tree of them.
          out_specs: the same for the result.
        """
        if self.mesh is None:
            return fun
        # Without the check of what varies: the loops of physics start from constants, which it
        # would refuse. So `mean` must be taken of gradients by hand.
        return jax.shard_map(
            fun, mesh=self.mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False
        )

    def place(self, tree: T, specs: Any) -> T:
        """A tree in this process's memory, the same in every process, onto the devices."""
        if self.mesh is None:
            return tree
        mesh = self.mesh

        def put(spec: PartitionSpec, x: Any) -> jax.Array:
            if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
                data = put(spec, jax.random.key_data(x))
                return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))
            host = np.asarray(x)
            sharding = NamedSharding(mesh, spec)
            return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

        def put_all(spec: PartitionSpec, part: Any) -> Any:
            return jax.tree.map(lambda x: put(spec, x), part)

        return jax.tree.map(put_all, specs, tree, is_leaf=lambda x: isinstance(x, PartitionSpec))

    def gather(self, tree: T) -> T:
        """The whole of a tree in this process's memory; all processes must call it together.

        Where one process holds all devices the tree is returned as it is: reading it is enough.
        """
        if self.mesh is None or not self.mesh.is_multi_process:
            return tree
        everywhere = NamedSharding(self.mesh, ON_ALL)

        def fetch(x: jax.Array) -> Any:
            if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
                data = fetch(jax.random.key_data(x))
                return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))
            if not x.is_fully_replicated:
                x = jax.jit(lambda x: x, out_shardings=everywhere)(x)
            return np.asarray(x)

        return jax.tree.map(fetch, tree)

    def one_copy(self, tree: T) -> T:
        """Of a tree that every device holds, the copy of this process's first device."""
        if self.mesh is None:
            return tree
        return jax.tree.map(lambda x: jnp.asarray(np.asarray(x.addressable_data(0))), tree)

    # Inside a mapped function.

    def own(self, x: jax.Array) -> jax.Array:
        """This device's part of `x`, whose leading axis counts all worlds.

        What is drawn for all worlds and then cut is the same for any number of devices. It is
        cheap: XLA draws only the numbers that are left.
        """
        if self.mesh is None:
            return x
        size = self.local(x.shape[0])
        return jax.lax.dynamic_slice_in_dim(x, jax.lax.axis_index(WORLDS) * size, size)

    def own_key(self, key: jax.Array) -> jax.Array:
        """A key of this device's own."""
        return key if self.mesh is None else jax.random.fold_in(key, jax.lax.axis_index(WORLDS))

    def mean(self, tree: T) -> T:
        """The mean over the devices, which hold equally much."""
        return tree if self.mesh is None else jax.lax.pmean(tree, WORLDS)

    def sum(self, tree: T) -> T:
        """The sum over the devices."""
        return tree if self.mesh is None else jax.lax.psum(tree, WORLDS)


ONE_DEVICE = Shards()

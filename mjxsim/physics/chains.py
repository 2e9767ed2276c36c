"""Keeps XLA's CPU compiler from recomputing MJX's kinematic chains exponentially.

XLA on CPU fuses the small rotations along a chain of bodies into one another and recomputes each
link's input for every output: a factor of thousands at run time (mujoco issue 2957, jax issue
33761). An optimization barrier on what passes from link to link cuts the fusion, in any jit and
without a compiler flag.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import jax
from mujoco.mjx._src import scan

from mjxsim.physics.patching import patched


def short_chains() -> AbstractContextManager[None]:
    """While MJX is traced inside this context, its body-tree scans carry barriers."""
    return patched(scan, "body_tree", _with_barriers)


def _with_barriers(body_tree: Callable[..., object]) -> Callable[..., object]:
    def barred(
        m: object,
        f: Callable[..., object],
        in_types: str,
        out_types: str,
        *args: object,
        **kwargs: object,
    ) -> object:
        def link(carry: object, *inputs: object) -> object:
            return f(carry if carry is None else jax.lax.optimization_barrier(carry), *inputs)

        return body_tree(m, link, in_types, out_types, *args, **kwargs)

    return barred

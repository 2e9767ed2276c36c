"""mjxsim: JAX-accelerated batched simulation for robot manipulation."""

from mjxsim.physics import compile as _compile

_compile.configure()

from mjxsim.envs import Env, State, Transition, make  # noqa: E402
from mjxsim.envs import gym_hil_ids as _gym_hil_ids  # noqa: E402
from mjxsim.envs import registration as _registration  # noqa: E402
from mjxsim.envs.vector import make_vec  # noqa: E402
from mjxsim.physics import jit  # noqa: E402

_registration.register()
_gym_hil_ids.register()

__version__ = "0.1.0"
__all__ = ["Env", "State", "Transition", "jit", "make", "make_vec"]

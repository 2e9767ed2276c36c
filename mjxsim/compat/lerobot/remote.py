"""What LeRobot 0.4 asks of an asynchronous vector environment and gymnasium's does not have.

LeRobot 0.4.4 reads `.envs[0]` of whatever it evaluates in, which an `AsyncVectorEnv`, whose
environments are in other processes, lacks: with `--eval.use_async_envs=true` every environment ends
in an AttributeError. Here those of mjxsim get it; others are left as they are.
"""

import dataclasses

from gymnasium.vector import AsyncVectorEnv

MARK = "mjxsim"  # in the metadata of a world of ours


@dataclasses.dataclass(frozen=True)
class RemoteWorld:
    """One of the worlds of a vector environment, in its own process."""

    vector: AsyncVectorEnv
    index: int

    @property
    def task(self) -> str:
        """A name from the task registry."""
        return self.vector.call("task")[self.index]

    @property
    def task_description(self) -> str:
        """What a person would say for this episode's goal."""
        return self.vector.call("task_description")[self.index]


def _envs(vector: AsyncVectorEnv) -> tuple[RemoteWorld, ...]:
    if MARK not in vector.metadata:
        raise AttributeError("'AsyncVectorEnv' object has no attribute 'envs'")
    return tuple(RemoteWorld(vector, i) for i in range(vector.num_envs))


def add_envs() -> None:
    """Gives `AsyncVectorEnv` the attribute `envs`, for worlds of mjxsim only."""
    if "envs" not in vars(AsyncVectorEnv):
        AsyncVectorEnv.envs = property(_envs)  # pyright: ignore[reportAttributeAccessIssue]

"""Playing recorded episodes again in their environment, and comparing what is seen."""

import dataclasses
from collections.abc import Iterator, Sequence

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.datasets.dataset import Dataset, Episode
from mjxsim.datasets.errors import wrong
from mjxsim.datasets.features import ACTION
from mjxsim.datasets.info import SOURCE, START
from mjxsim.datasets.programs import Programs
from mjxsim.datasets.source import Source
from mjxsim.envs import Env, State
from mjxsim.envs.pixels import STATE


class Scene(flax.struct.PyTreeNode):
    """What has to be drawn of a moment."""

    qpos: np.ndarray  # (nq,)
    mocap_pos: np.ndarray  # (nmocap, 3)
    mocap_quat: np.ndarray  # (nmocap, 4)
    overrides: dict[str, np.ndarray]  # model fields of this world


@dataclasses.dataclass(frozen=True)
class Replayed:
    """An episode that was played again."""

    episode: Episode
    differs: int | None  # first frame whose observation is not the stored one, to the bit
    largest: float  # difference of an entry of any observation
    success: bool
    scenes: list[Scene]  # (length + 1) if they were asked for


def playable(dataset: Dataset, episode: int) -> Source:
    """How to rebuild an episode's environment.

    Raises:
      IndexError: no such episode.
      DatasetError: its start or source is not stored.
    """
    if not 0 <= episode < len(dataset.episodes):
        raise IndexError(f"no episode {episode}: there are {len(dataset.episodes)}, from 0")
    source, start = dataset.source_of(episode), dataset.episodes[episode].start
    if source is None or start is None:
        text = f"episode {episode} does not say how it began: it cannot be played again"
        raise wrong(dataset.root / "meta" / "episodes", text, START)
    return source


def replay(
    dataset: Dataset, episodes: Sequence[int], *, scenes: bool = False
) -> Iterator[Replayed]:
    """Plays episodes from their stored keys and actions; those of different lanes side by side.

    Args:
      dataset: whose.
      episodes: by number.
      scenes: keep what is needed to draw them.

    Raises:
      IndexError, DatasetError: it cannot be played, or its environment not be built.
    """
    built: dict[tuple[str, int], Programs] = {}
    for batch in _batches(dataset, episodes):
        source, first = playable(dataset, batch[0]), dataset.episodes[batch[0]]
        of = source.to_json(), first.lanes
        if of not in built:
            built[of] = Programs.of(_make(dataset, source), first.lanes, pictures=False)
        yield from _play(built[of], dataset, batch, scenes)


def _make(dataset: Dataset, source: Source) -> Env:
    """The environment; DatasetError if there is none such."""
    try:
        return source.make()
    except ValueError as error:
        raise wrong(dataset.root / "meta" / "episodes", str(error), SOURCE) from error


def _batches(dataset: Dataset, episodes: Sequence[int]) -> Iterator[list[int]]:
    """Episodes of one environment and width, no two of the same lane."""
    batch: list[int] = []
    for number in episodes:
        playable(dataset, number)
        e = dataset.episodes[number]
        others = [dataset.episodes[n] for n in batch]
        fits = all(o.lanes == e.lanes and o.source_text == e.source_text for o in others)
        if batch and (not fits or e.lane in [o.lane for o in others]):
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def _play(
    programs: Programs, dataset: Dataset, batch: Sequence[int], scenes: bool
) -> Iterator[Replayed]:
    episodes = [dataset.episodes[n] for n in batch]
    stored = [dataset.frames(n, (STATE, ACTION)) for n in batch]
    size = (programs.lanes, programs.env.action_size)
    _check_size(dataset, ACTION, stored[0][ACTION].shape[1], size[1])
    _check_keys(dataset, episodes)
    data = np.tile(np.asarray(episodes[0].key), (programs.lanes, 1))
    for e in episodes:
        data[e.lane] = e.key
    state = programs.reset(jax.random.wrap_key_data(jnp.asarray(data)))
    differs: list[int | None] = [None] * len(batch)
    largest, success = np.zeros(len(batch)), np.zeros(len(batch), bool)
    drawn: list[list[Scene]] = [[] for _ in batch]
    _check_size(dataset, STATE, stored[0][STATE].shape[1], programs.see(state)[STATE].shape[1])

    for t in range(max(e.length for e in episodes)):
        seen = programs.see(state)[STATE]
        actions = np.zeros(size, np.float32)
        for i, e in enumerate(episodes):
            if t >= e.length:
                continue
            if scenes:
                drawn[i].append(_scene(state, e.lane))
            there, here = stored[i][STATE][t], seen[e.lane]
            if differs[i] is None and there.tobytes() != here.tobytes():
                differs[i] = t
            largest[i] = max(largest[i], float(np.abs(there - here).max()))
            actions[e.lane] = stored[i][ACTION][t]
        state, transition = programs.step(state, jnp.asarray(actions))
        now = np.asarray(transition.metrics["success"])
        for i, e in enumerate(episodes):
            if t == e.length - 1:
                success[i] = now[e.lane] > 0
                if scenes:
                    drawn[i].append(_scene(state, e.lane))
    for i, e in enumerate(episodes):
        yield Replayed(e, differs[i], float(largest[i]), bool(success[i]), drawn[i])


def _check_size(dataset: Dataset, feature: str, stored: int, played: int) -> None:
    """Raises DatasetError if what is stored is not of the environment that is named."""
    if stored != played:
        text = f"the dataset has {stored} values and the environment of its source {played}"
        raise wrong(dataset.info.path, text, f"features.{feature}")


def _check_keys(dataset: Dataset, episodes: Sequence[Episode]) -> None:
    """Raises DatasetError for a start that is no key of JAX's."""
    size = jax.random.key_data(jax.random.key(0)).size
    for e in episodes:
        if e.key is None or e.key.size != size:
            text = f"episode {e.index}: a key is {size} numbers, got {e.start}"
            raise wrong(dataset.root / "meta" / "episodes", text, START)


def _scene(state: State, lane: int) -> Scene:
    p = state.physics
    now = (p.qpos, p.mocap_pos, p.mocap_quat, state.overrides)
    return Scene(*jax.tree.map(lambda x: np.asarray(x[lane]), now))

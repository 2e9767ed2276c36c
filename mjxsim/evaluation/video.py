"""A policy as an MP4."""

import itertools
import math
import os
import pathlib
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from mjxsim.envs import Env, Policy, State
from mjxsim.envs.painting import Painter, Shot
from mjxsim.evaluation.episodes import ObservationPolicy, episode_keys, from_observations

_BORDER = 4  # [pixels] around an episode's picture, in a colour that says how it stands
_RUNNING, _SUCCESS, _ENDED = (70, 75, 80), (40, 170, 80), (200, 60, 50)
_HOLD = 0.5  # [s] for which the last picture stays


class Moment(flax.struct.PyTreeNode):
    """What has to be drawn of n worlds at one moment; `_play` stacks moments in front."""

    shot: Shot  # (n, ...)
    success: jax.Array  # bool (n,), has succeeded in this episode
    done: jax.Array  # bool (n,), the episode is over


def record_video(
    env: Env,
    policy: ObservationPolicy,
    path: str | os.PathLike[str],
    *,
    episodes: int = 4,
    seed: int = 0,
    camera: str = "front",
    size: tuple[int, int] = (720, 960),
) -> pathlib.Path:
    """Records fresh episodes of a policy as an MP4 (H.264), at the speed of simulated time.

    The episodes run side by side; a frame turns green when an episode succeeds, and red when one
    ends early without success. They are the first episodes of `evaluate` with the same seed.

    Args:
      env: the environment, on any engine.
      policy: observations (n, observation_size) -> actions (n, action_size).
      path: the file; written whole or not at all.
      episodes: how many.
      seed: determines starts, goals and what the policy draws.
      camera: the name of a camera of the scene.
      size: height and width of the whole picture [pixels]; each episode gets an equal share.

    Returns:
      The path.

    Raises:
      NoRendererError: nothing on this machine can draw; raised before anything is run.
      ValueError: an unknown camera, fewer than one episode, or a size too small to share.
    """
    return record_video_from_state(
        env,
        from_observations(env, policy),
        path,
        episodes=episodes,
        seed=seed,
        camera=camera,
        size=size,
    )


def record_video_from_state(
    env: Env,
    policy: Policy,
    path: str | os.PathLike[str],
    *,
    episodes: int = 4,
    seed: int = 0,
    camera: str = "front",
    size: tuple[int, int] = (720, 960),
) -> pathlib.Path:
    """As `record_video`, for a policy (key, batch of states) -> actions."""
    if episodes < 1:
        raise ValueError(f"a video needs at least 1 episode, got {episodes}")
    columns = math.ceil(math.sqrt(episodes))
    rows = math.ceil(episodes / columns)
    # H.264 with 4:2:0 chroma takes even sizes only.
    tile = (size[0] // rows // 2 * 2, size[1] // columns // 2 * 2)
    if min(tile) < 4 * _BORDER:
        raise ValueError(f"{episodes} episodes do not fit into {size[0]} x {size[1]} pixels")
    path = pathlib.Path(path)
    with Painter(env, tile, camera) as painter:
        pictures = _pictures(painter, _play(env, policy, episodes, seed), (rows, columns), tile)
        shape = (rows * tile[0], columns * tile[1])
        _write(path, pictures, shape, 1.0 / env.task.config.control_dt)
    return path


def _play(env: Env, policy: Policy, episodes: int, seed: int) -> Moment:
    """The moments of whole episodes, (episode_steps + 1, episodes, ...)."""

    def step(
        carry: tuple[State, jax.Array], t: jax.Array
    ) -> tuple[tuple[State, jax.Array], Moment]:
        state, done = carry
        action = policy(jax.random.fold_in(policy_key, t), state)
        after, transition = jax.vmap(env.step)(state, action)
        done = done | transition.terminated | transition.truncated
        return (after, done), Moment(Shot.of(after), after.succeeded, done)

    @env.jit
    def play(keys: jax.Array) -> tuple[Moment, Moment]:
        state, done = jax.vmap(env.reset)(keys), jnp.zeros(episodes, bool)
        first = Moment(Shot.of(state), state.succeeded, done)
        _, rest = jax.lax.scan(step, (state, done), jnp.arange(env.task.config.episode_steps))
        return first, rest

    keys, policy_key = episode_keys(seed, np.arange(episodes, dtype=np.uint32))
    first, rest = jax.device_get(play(keys))
    return jax.tree.map(lambda a, b: np.concatenate([a[None], b]), first, rest)


def _pictures(
    painter: Painter, moments: Moment, grid: tuple[int, int], tile: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Pictures of all episodes side by side, uint8 (height, width, 3), one per moment."""
    (rows, columns), (height, width) = grid, tile
    picture = np.zeros((rows * height, columns * width, 3), np.uint8)
    length, episodes = moments.done.shape
    for t in range(length):
        now: Moment = jax.tree.map(lambda x, t=t: x[t], moments)
        # Of an episode that was over before, the last picture stays.
        going = [i for i in range(episodes) if t == 0 or not moments.done[t - 1, i]]
        drawn_now = painter.draw(now.shot, going) if going else ()
        for i, drawn in zip(going, drawn_now, strict=True):
            early = now.done[i] and t < length - 1
            _frame(drawn, bool(now.success[i]), bool(early))
            y, x = i // columns * height, i % columns * width
            picture[y : y + height, x : x + width] = drawn
        yield picture


def _frame(picture: np.ndarray, success: bool, ended: bool) -> None:
    """Draws the border that says how an episode stands, in place."""
    colour = _SUCCESS if success else _ENDED if ended else _RUNNING
    b = _BORDER
    picture[:b], picture[-b:], picture[:, :b], picture[:, -b:] = colour, colour, colour, colour


def write_video(
    path: str | os.PathLike[str], pictures: Iterable[np.ndarray], rate: float
) -> pathlib.Path:
    """Encodes pictures, uint8 (height, width, 3) with even sizes, as an MP4 at `rate` [1/s].

    The last one stays for half a second. The file is written whole or not at all.

    Raises:
      ValueError: there is no picture.
    """
    path, pictures = pathlib.Path(path), iter(pictures)
    first = next(pictures, None)
    if first is None:
        raise ValueError("a video needs at least 1 picture")
    _write(path, itertools.chain([first], pictures), first.shape[:2], rate)
    return path


def _write(
    path: pathlib.Path, pictures: Iterator[np.ndarray], shape: tuple[int, ...], rate: float
) -> None:
    """Encodes `pictures` of `shape` (height, width) at `rate` [1/s], holding the last one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with av.open(str(partial), "w", format="mp4") as container:
            fps = Fraction(rate).limit_denominator(1000)
            stream = container.add_stream("libx264", rate=fps, options={"crf": "20"})
            stream.height, stream.width = shape
            stream.pix_fmt = "yuv420p"
            for picture in _hold_last(pictures, round(_HOLD * rate)):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            container.mux(stream.encode())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _hold_last(pictures: Iterator[np.ndarray], times: int) -> Iterator[np.ndarray]:
    for picture in pictures:
        yield picture
    for _ in range(times):
        yield picture

"""Widths over time: curricula, and automatic domain randomization."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mjxsim.randomization.frequency import check_frequency, renewed
from mjxsim.randomization.schedule import LinearSchedule, Progress, Schedule, SuccessSchedule


def widths(schedule: Schedule, successes: list[bool], length: int = 10) -> list[float]:
    """Of episodes of `length` steps, the first one's before any has ended."""
    progress = schedule.begin()
    seen = [float(progress.width)]
    for success in successes:
        progress = progress.replace(steps=progress.steps + length)
        progress = schedule.next_episode(progress, jnp.bool_(success), jnp.int32(length))
        seen.append(float(progress.width))
    return seen


def test_linear_reaches_both_ends() -> None:
    up = LinearSchedule(start=0.2, end=1.0, start_step=20, end_step=60)
    np.testing.assert_allclose(
        widths(up, [False] * 8), [0.2, 0.2, 0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0], atol=1e-6
    )
    down = LinearSchedule(start=1.0, end=0.5, start_step=0, end_step=20)
    np.testing.assert_allclose(widths(down, [True] * 3), [1.0, 0.75, 0.5, 0.5], atol=1e-6)


def test_success_widens_and_failure_narrows() -> None:
    rule = SuccessSchedule(start=0.5, least=0.2, step=0.25, episodes=2)
    np.testing.assert_allclose(
        widths(rule, [True] * 6), [0.5, 0.5, 0.75, 0.75, 1.0, 1.0, 1.0], atol=1e-6
    )
    np.testing.assert_allclose(widths(rule, [False] * 4), [0.5, 0.5, 0.25, 0.25, 0.2], atol=1e-6)


def test_success_is_judged_over_whole_groups_of_episodes() -> None:
    """Three of four is enough, two of four is neither; and each group starts from nothing."""
    rule = SuccessSchedule(start=0.5, step=0.1, episodes=4, widen_from=0.75, narrow_to=0.25)
    seen = widths(rule, [True, True, False, True, True, True, False, False])
    np.testing.assert_allclose(seen, [0.5] * 4 + [0.6] * 5, atol=1e-6)


def test_an_episode_without_a_step_does_not_count() -> None:
    rule = SuccessSchedule(start=0.5, episodes=1)
    again = rule.next_episode(rule.begin(), jnp.bool_(False), jnp.int32(0))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(a == b), again, rule.begin()))


def test_progress_keeps_its_types() -> None:
    """Or the second step would be traced anew."""
    for schedule in (LinearSchedule(), SuccessSchedule()):
        begin = schedule.begin()
        after = schedule.next_episode(begin.after_step(), jnp.bool_(True), jnp.int32(3))
        assert isinstance(after, Progress)
        for old, new in zip(jax.tree.leaves(begin), jax.tree.leaves(after), strict=True):
            assert (old.dtype, old.weak_type) == (new.dtype, new.weak_type)


@pytest.mark.parametrize(
    ("frequency", "at"),
    [("session", []), ("episode", []), ("step", [1, 2, 3, 4, 5, 6, 7]), (3, [3, 6])],
)
def test_when_a_draw_is_renewed(frequency: str | int, at: list[int]) -> None:
    def one(step: jax.Array) -> jax.Array:
        return renewed(frequency, lambda: jnp.int32(1), jnp.int32(0), step)

    assert np.flatnonzero(jax.vmap(one)(jnp.arange(8))).tolist() == at


@pytest.mark.parametrize("frequency", ["daily", 0, -1, True, 1.5])
def test_unknown_frequency_is_one_line(frequency: object) -> None:
    with pytest.raises(ValueError, match="'step', 'episode', 'session' or a number of control"):
        check_frequency("frequency", frequency)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LinearSchedule(start=1.5), "schedule start is a width from 0 to 1, got 1.5"),
        (lambda: LinearSchedule(start_step=5, end_step=5), "start_step .* less than end_step"),
        (lambda: SuccessSchedule(start=0.1, least=0.2), "least 0.2 must not exceed start 0.1"),
        (lambda: SuccessSchedule(step=0.0), "step must be above 0"),
        (lambda: SuccessSchedule(episodes=0), "episodes must be at least 1"),
        (lambda: SuccessSchedule(widen_from=0.2), "narrow_to < widen_from"),
    ],
)
def test_impossible_schedules_are_one_line(build: object, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        build()  # type: ignore[operator]
    assert "\n" not in str(caught.value)

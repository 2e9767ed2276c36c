"""What is shown during training, and what is said of a batch that does not fit."""

import io
import math

import jax
import numpy as np
import pytest

from mjxsim.runs import memory, progress


def test_plain_progress_is_flushed_line_by_line() -> None:
    class Stream(io.StringIO):
        flushed = 0

        def flush(self) -> None:
            self.flushed = self.getvalue().count("\n")

    stream = Stream()
    shown = progress.display(stream)
    with shown.phase("compiling"):
        assert stream.getvalue() == "compiling ...\n"
        assert stream.flushed == 1
    meter = progress.Meter(0, 1000)
    with shown.training(1000):
        shown.update(meter.update(100, episodes=0, mean_return=0.0, success=0.0))
        shown.update(meter.update(200, episodes=1, mean_return=4.0, success=1.0))
    lines = stream.getvalue().splitlines()
    assert lines[-2].startswith("training: 100/1.00k")
    assert lines[-1].startswith("training: 200/1.00k")  # the last one is never swallowed
    assert "return 4.00  success 1.000" in lines[-1]
    assert stream.flushed == len(lines)


def test_meter_averages_over_recent_episodes() -> None:
    meter = progress.Meter(0, 10_000)
    for step in range(1, 50):
        status = meter.update(step, episodes=50, mean_return=float(step), success=step / 100)
    # Two updates hold a hundred episodes.
    assert status.mean_return == pytest.approx(48.5)
    assert status.success == pytest.approx(0.485)
    assert meter.update(50, 0, 0.0, 0.0).mean_return == pytest.approx(48.5)
    assert math.isfinite(status.seconds_left)


def test_live_progress_shows_phases_and_training() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    shown = progress.display(stream)
    with shown.phase("compiling"):
        pass
    with shown.training(1000):
        shown.update(progress.Meter(0, 1000).update(500, 3, 1.0, 0.5))
        shown.say("a warning [in brackets]")
    text = stream.getvalue()
    assert "compiling: 0.0 s" in text
    assert "500/1.00k" in text
    assert "a warning [in brackets]" in text


@pytest.mark.parametrize(
    ("num_envs", "needed", "available", "fits"),
    [
        (4096, 8 << 30, 4 << 30, 1024),  # 2 MiB each; 0.9 x 4 GiB hold 1843
        (4096, 8 << 30, 64 << 30, 2048),  # it should have fitted and did not: half
        (4096, None, None, 2048),
        (3000, None, None, 1024),
        (1, None, None, 1),
    ],
)
def test_batch_that_would_fit(
    num_envs: int, needed: int | None, available: int | None, fits: int
) -> None:
    assert memory.batch_that_fits(num_envs, needed, available) == fits


def test_bytes_needed_counts_arguments_and_results() -> None:
    compiled = jax.jit(lambda x: (x, x + 1)).lower(np.zeros(1 << 20, np.float32)).compile()
    assert memory.bytes_needed(compiled) >= 3 * (4 << 20)

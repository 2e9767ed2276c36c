"""Options of `pytest benchmarks/`, and what happens to an entry: stored, judged, shown."""

import pathlib
from collections.abc import Callable

import pytest

from benchmarks import report
from benchmarks.measure import Entry
from benchmarks.store import RESULTS, Store

Record = Callable[[Entry], None]

_SHOWN: list[Entry] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("benchmarks")
    group.addoption(
        "--bench-quick", action="store_true", help="tiny sizes, to try the code; stores nothing"
    )
    group.addoption(
        "--bench-results", type=pathlib.Path, default=RESULTS, help="the folder of the results"
    )
    group.addoption(
        "--bench-baseline",
        action="store_true",
        help="fail when slower than what is stored of the same hardware, beyond the band",
    )
    group.addoption(
        "--bench-band",
        type=float,
        default=0.25,
        help="the noise band of --bench-baseline: how much slower passes (default 0.25)",
    )


def pytest_xdist_auto_num_workers() -> int:
    """None: what is measured has the machine for itself."""
    return 0


@pytest.fixture(scope="session")
def quick(request: pytest.FixtureRequest) -> bool:
    """Whether sizes are to be tiny."""
    return request.config.getoption("--bench-quick")


@pytest.fixture(scope="session")
def store(request: pytest.FixtureRequest) -> Store:
    return Store(request.config.getoption("--bench-results"))


@pytest.fixture
def record(request: pytest.FixtureRequest, store: Store, quick: bool) -> Record:
    """Stores an entry, then judges it: its ratio, and on demand its baseline."""
    options = request.config.option

    def take(entry: Entry) -> None:
        _SHOWN.append(entry)
        if quick:
            return
        store.add(entry)
        if entry.ratio is not None and entry.floor is not None:
            assert entry.ratio.median >= entry.floor, (
                f"{entry.name}: {entry.ratio.median:.2f} of {entry.reference_is}, below the floor "
                f"of {entry.floor}"
            )
        before = store.baseline(entry.name)
        if options.bench_baseline and before is not None:
            change = entry.ours.median / before["ours"]["median"]
            slower = change if entry.unit == "s" else 1.0 / change
            assert slower <= 1.0 + options.bench_band, (
                f"{entry.name}: {slower:.2f} times slower than on {before['measured']} on the same "
                f"hardware; the band is {options.bench_band}"
            )

    return take


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _SHOWN:
        terminalreporter.section("measured")
        for entry in _SHOWN:
            terminalreporter.write_line(report.line(entry))

"""Tables of what was measured, in markdown.

Of every machine in benchmarks/results; with `--runs runs/*/result.json` of training runs; with
`--experts` of scripted experts. With `--write` into docs/performance.md and the picture beside it,
README.md, or docs/tasks.md.
"""

import argparse
import json
import pathlib
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.measure import Entry, Sample

ROOT = pathlib.Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PICTURE = ROOT / "docs" / "scaling.svg"

_PER_TASK = ("tasks", "compile", "cached", "memory")
_BUSY = 1.5

Json = dict[str, Any]


def line(entry: Entry) -> str:
    """An entry in one line for a terminal."""
    text = f"{entry.what}: {_number(entry.ours.median)} {entry.unit} {_range(entry.ours)}"
    if entry.ratio is not None:
        text += f"; {entry.ratio.median:.2f} times {entry.reference_is} {_range(entry.ratio)}"
    if entry.floor is not None:
        text += f", floor {entry.floor:g}"
    if entry.limit is not None:
        text += f"; asked for: at most {entry.limit:g} {entry.unit} on two cores"
    return text


def machines(files: Iterable[pathlib.Path]) -> str:
    """One section per machine and set of versions."""
    return "\n".join(_machine(json.loads(f.read_text("utf-8"))) for f in files)


def runs(files: Sequence[pathlib.Path]) -> str:
    """One row per configuration, engine and machine, from the result.json of its seeds.

    Of several seeds the row has the one in the middle by success, and the least and the greatest.
    """
    groups: dict[tuple, list[Json]] = {}
    for file in sorted(files):
        r = json.loads(file.read_text("utf-8"))
        machine = _title(r["hardware"], "" if r["hardware"]["backend"] == "cpu" else r["device"])
        name = f"{r['task']}/{r['robot']}"
        group = (name, _learner(r), r["engine"], machine, f"{r['env_steps'] / 1e6:.2f} M")
        groups.setdefault(group, []).append(r)
    rows = []
    for (name, learner, engine, machine, steps), results in groups.items():
        results.sort(key=lambda r: r["success_rate"])
        r, worst, best = results[(len(results) - 1) // 2], results[0], results[-1]
        low, high = r["success_ci95"]
        seeds = ", ".join(str(seed) for seed in sorted(x["seed"] for x in results))
        if len(results) > 1:
            seeds += f": {worst['success_rate']:.3f} to {best['success_rate']:.3f}"
        rows.append(
            (
                *(name, learner, engine, machine),
                f"{r['success_rate']:.3f} [{low:.3f}, {high:.3f}]",
                str(r["episodes"]),
                steps,
                f"{r['wall_clock_s'] / 60:.1f} min",
                f"{r['compile_s']:.0f} s",
                seeds,
            )
        )
    head = (
        "task", "learner", "engine", "machine", "success, 95 % interval", "episodes", "env steps",
        "wall clock", "of it compiling", "seeds",
    )  # fmt: skip
    return _table(head, rows)


def _learner(result: dict) -> str:
    """The algorithm and what it sees, where that is not the state."""
    algorithm = result.get("algorithm", "ppo")  # results from before there was a choice
    cameras = result.get("cameras")
    return f"{algorithm}, {' and '.join(cameras)} camera" if cameras else algorithm


def held_out(files: Iterable[pathlib.Path]) -> str:
    """One row per policy: its success in each kind of world, from benchmarks/held_out.py."""
    found = {file.stem.split("-")[0]: json.loads(file.read_text("utf-8")) for file in files}
    kinds = list(dict.fromkeys(kind for data in found.values() for kind in data["worlds"]))
    rows = []
    for name, data in found.items():
        cells = []
        for kind in kinds:
            r = data["worlds"][kind]
            cells.append("{:.3f} [{:.3f}, {:.3f}]".format(r["success_rate"], *r["success_ci95"]))
        rows.append((name, f"{data['env_steps'] / 1e6:.2f} M", *cells))
    return _table(("trained in", "env steps", *kinds), rows)


def experts(files: Iterable[pathlib.Path]) -> str:
    """One row per task and robot: how often the scripted expert succeeds, on each engine."""
    parts = []
    for file in files:
        data = json.loads(file.read_text("utf-8"))
        engines = sorted({name.split("/")[0] for name in data})
        pairs = sorted({tuple(name.split("/")[1:]) for name in data})
        rows = []
        for task, robot in pairs:
            cells = []
            for engine in engines:
                r = data.get(f"{engine}/{task}/{robot}")
                interval = r and "{:.3f}, {:.3f}".format(*r["success_ci95"])
                cells.append(
                    f"{r['success_rate']:.3f} [{interval}] of {r['episodes']}" if r else ""
                )
            rows.append((task, robot, *cells))
        machine = _title(next(iter(data.values()))["hardware"], "")
        parts.append(f"{machine}:\n\n{_table(('task', 'robot', *engines), rows)}")
    return "\n".join(parts)


def _machine(data: Json) -> str:
    hardware = data["hardware"]
    accelerator = "" if hardware["accelerator"] == "none" else hardware["accelerator"]
    parts = [f"### {_title(hardware, accelerator)}\n"]
    for record in reversed(data["records"]):
        parts.append(", ".join(f"{k} {v}" for k, v in record["versions"].items()) + "\n")
        entries = record["entries"]
        tasks = {
            k: e for k, e in entries.items() if k.split("/")[0] in _PER_TASK and k.count("/") == 3
        }
        parts.append(_entries([e for k, e in entries.items() if k not in tasks]))
        if tasks:
            parts.append(_tasks(tasks, data["hardware"]["cores"]))
    return "\n".join(parts)


def _tasks(entries: Json, cores: int) -> str:
    """One row per engine, task and robot, of what `bench_tasks.py` measured.

    A star says that the machine had something else to do: its load was above `_BUSY` per core.
    """
    rows = []
    for where in sorted({tuple(name.split("/")[1:]) for name in entries}):
        found = [entries.get("/".join((kind, *where))) for kind in _PER_TASK]
        cells = [f"{_number(e['ours']['median'])} {e['unit']}" if e else "" for e in found]
        if found[0] and found[0]["load_average"] > _BUSY * cores:
            cells[0] += " *"
        rows.append((*where, *cells))
    head = (
        "engine", "task", "robot", "random actions in contact", "to a program", "from the cache",
        "a world",
    )  # fmt: skip
    return _table(head, rows)


def _entries(entries: list[Json]) -> str:
    head = ("what", "median", "half lie in", "against", "ratio", "half lie in", "asked for")
    rows = []
    for e in entries:
        reference, ratio = e.get("reference"), e.get("ratio")
        against, share, spread = "", "", ""
        if ratio is not None:
            of = f" ({_number(reference['median'])})" if reference else ""
            against = f"{e['reference_is']}{of}"
            share = f"{ratio['median']:.2f}"
            spread = f"{ratio['quartiles'][0]:.2f} to {ratio['quartiles'][1]:.2f}"
        asked = ""
        if "floor" in e:
            asked = f"ratio at least {e['floor']:g}"
        elif "limit" in e:
            asked = f"at most {e['limit']:g} {e['unit']} on two cores"
        low, high = e["ours"]["quartiles"]
        rows.append(
            (
                e["what"],
                f"{_number(e['ours']['median'])} {e['unit']}",
                f"{_number(low)} to {_number(high)}",
                against,
                share,
                spread,
                asked,
            )
        )
    return _table(head, rows)


def _title(hardware: Json, accelerator: str) -> str:
    title = f"{hardware['cpu']}, {hardware['cores']} cores"
    return f"{title}, {accelerator}" if accelerator else title


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _number(x: float) -> str:
    return f"{x:,.0f}" if x >= 1000 else f"{x:.3g}"


def _range(sample: Sample) -> str:
    low, high = sample.quartiles
    return f"({_number(low)} to {_number(high)})"


def write(document: pathlib.Path, text: str, marker: str = "results") -> None:
    """Puts `text` between the document's markers of that name.

    Raises:
      SystemExit: the document has no markers.
    """
    old = document.read_text("utf-8")
    pattern = rf"(<!-- {marker} -->\n).*?(<!-- /{marker} -->)"
    new, count = re.subn(pattern, lambda m: f"{m[1]}{text}{m[2]}", old, flags=re.DOTALL)
    if count != 1:
        sys.exit(f"{document} must have one <!-- {marker} --> ... <!-- /{marker} -->, has {count}")
    document.write_text(new, "utf-8")


def main() -> None:
    """Prints tables, or writes them where they belong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("files", nargs="*", type=pathlib.Path, help="results; default all")
    parser.add_argument("--runs", nargs="+", type=pathlib.Path, help="result.json of runs")
    parser.add_argument("--experts", action="store_true", help="success of scripted experts")
    parser.add_argument("--write", action="store_true", help="into the document")
    given = parser.parse_args()
    if given.runs:
        document, text = ROOT / "README.md", runs(given.runs)
    elif given.experts:
        files = given.files or sorted((RESULTS / "experts").glob("*.json"))
        document, text = ROOT / "docs" / "tasks.md", experts(files)
    else:
        files = given.files or sorted(RESULTS.glob("*.json"))
        document, text = ROOT / "docs" / "performance.md", machines(files)
    if given.write:
        write(document, text)
        if document.name == "performance.md":
            from benchmarks import plot  # needs matplotlib, of the extra "bench"

            plot.scaling(given.files or sorted(RESULTS.glob("*.json")), PICTURE)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()

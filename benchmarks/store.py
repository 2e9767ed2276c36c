"""Results on disk: one JSON file per hardware, one record in it per set of versions."""

import dataclasses
import datetime
import json
import os
import pathlib
import re
import tempfile
from typing import Any

import jax

from benchmarks.measure import Entry, Sample
from mjxsim.runs import provenance

RESULTS = pathlib.Path(__file__).parent / "results"
# A result stays comparable when the others change.
_DECISIVE = ("mjxsim", "python", "jax", "mujoco", "mujoco_mjx", "warp_lang")

Json = dict[str, Any]


def hardware() -> dict[str, str | int]:
    """What a speed depends on."""
    device = jax.devices()[0]
    kind = "none" if device.platform == "cpu" else provenance.device()
    found = provenance.hardware()
    return {"cpu": str(found["cpu"]), "cores": int(str(found["cores"])), "accelerator": kind}


def versions() -> dict[str, str]:
    """Of everything that computes."""
    found = provenance.versions()
    return {name: str(found[name]) for name in _DECISIVE if found[name] is not None}


def key(machine: dict[str, str | int]) -> str:
    """A file name for a machine."""
    words = f"{machine['cpu']} {machine['cores']} cores"
    if machine["accelerator"] != "none":
        words += f" {machine['accelerator']}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


class Store:
    """The results of this machine, read once and written whole after every entry."""

    def __init__(self, folder: pathlib.Path = RESULTS) -> None:
        self._hardware = hardware()
        self._versions = versions()
        self.path = folder / f"{key(self._hardware)}.json"
        self.known = self.path.is_file()
        self._data: Json = {"hardware": self._hardware, "records": []}
        if self.known:
            self._data = json.loads(self.path.read_text("utf-8"))
        # As they were before this session: what a new measurement is compared with.
        self._before = {
            name: entry
            for record in self._data["records"]
            for name, entry in record["entries"].items()
        }

    def baseline(self, name: str) -> Json | None:
        """The newest entry of that name from before this session, of any versions."""
        return self._before.get(name)

    def add(self, entry: Entry) -> None:
        """Puts `entry` in place of an older one of the same versions."""
        record = next(
            (r for r in self._data["records"] if r["versions"] == self._versions),
            {"versions": self._versions, "entries": {}},
        )
        others = [r for r in self._data["records"] if r["versions"] != self._versions]
        record["entries"][entry.name] = _encode(entry)
        self._data["records"] = [*others, record]
        _replace(self.path, json.dumps(self._data, indent=1) + "\n")


def _encode(entry: Entry) -> Json:
    def sample(s: Sample | None) -> Json | None:
        if s is None:
            return None
        low, high = s.quartiles
        return {
            "median": _short(s.median),
            "quartiles": [_short(low), _short(high)],
            "repeats": len(s.values),
        }

    plain = {f.name: getattr(entry, f.name) for f in dataclasses.fields(entry)}
    samples = {k: sample(plain[k]) for k in ("ours", "reference", "ratio")}
    now = datetime.datetime.now(datetime.UTC)
    context = {
        "measured": now.isoformat(timespec="seconds"),
        "load_average": round(os.getloadavg()[0], 2),
    }
    return {k: v for k, v in (plain | samples | context).items() if v not in (None, "")}


def _short(x: float) -> float:
    return float(f"{x:.4g}")


def _replace(path: pathlib.Path, text: str) -> None:
    """Writes a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    pathlib.Path(f.name).chmod(0o644)
    pathlib.Path(f.name).replace(path)

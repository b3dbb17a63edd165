"""kill -9 of publishers, publishers side by side, and flipped bits, at each kind of store.

A full run takes hours. Each kill is written down as it happens, in CATALOG_HOME/bench, in a file
named for the adapters' code: run again, it goes on from there, and counts none of other code.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from catalog.settings import load_settings
from tests.adapters.crash_loop import KINDS, flips, kills, race, running_place
from tests.adapters.crash_points import POINTS

SEED = 0
_BLOCK = 100  # kills of one kind, then comes the next kind: an early look has seen all
_CODE = Path(__file__).parent.parent / "adapters"
Row = dict[str, Any]


def figures(quick: bool) -> Row:
    """Sums over the kinds of store, and `stores`: the figures of each kind."""
    if not quick:
        place = load_settings().home / "bench"
        place.mkdir(parents=True, exist_ok=True)
        return measure(place / f"store-kills-{_code()}.jsonl", 1000, 1000, (32, 50))
    with tempfile.TemporaryDirectory() as temp:
        return measure(Path(temp) / "store-kills.jsonl", 100, 100, (8, 10))


def measure(log: Path, count: int, bits: int, crowd: tuple[int, int]) -> Row:
    """Do what the log does not hold yet: kills, flipped bits, and `crowd` = (processes, each)."""
    for stop in [*range(_BLOCK, count, _BLOCK), count]:
        for kind in KINDS:
            done = len(_rows(log, kind, "kill"))
            if done < stop:
                with (
                    tempfile.TemporaryDirectory() as temp,
                    running_place(kind, Path(temp)) as place,
                ):
                    _write(log, kind, kills(place, stop, str(SEED), done))
    for kind in KINDS:
        with tempfile.TemporaryDirectory() as temp, running_place(kind, Path(temp)) as place:
            if not _rows(log, kind, "flips"):
                _write(log, kind, [flips(place, bits)])
            if not _rows(log, kind, "publishers"):
                _write(log, kind, [race(place, "crowd", *crowd)])
    return summary(log)


def summary(log: Path) -> Row:
    """The figures of what the log holds, however far it got."""
    stores = {kind: _summary(log, kind) for kind in KINDS}
    sums = ("kills", "torn", "lost", "flips", "flips_found", "publishes")
    total: Row = {name: sum(row.get(name, 0) for row in stores.values()) for name in sums}
    total["publishers"] = max(row.get("publishers", 0) for row in stores.values())
    total["versions_dense"] = all(row["versions_dense"] for row in stores.values())
    return total | {"stores": stores}


def _summary(log: Path, kind: str) -> Row:
    rows = _rows(log, kind, "kill")
    told: Row = {
        "kills": len(rows),
        "at_named_points": sum(isinstance(row["how"], str) for row in rows),
        "points": len({row["how"] for row in rows if isinstance(row["how"], str)}),
        "points_there_are": len(POINTS[kind]),
        "torn": sum(row["torn"] for row in rows),
        "lost": sum(row["lost"] for row in rows),
        "not_rerun": sum(not row["again"] for row in rows),
        "failed": sum(len(row["failed"]) for row in rows),
        "versions_dense": all(row["dense"] for row in rows),
    }
    for row in _rows(log, kind, "flips"):
        told |= {"flips": row["flips"], "flips_found": min(row["verify"], row["pull"])}
    for row in _rows(log, kind, "publishers"):
        told |= {key: row[key] for key in ("publishers", "publishes", "retried")}
        told["publishing_s"] = row["seconds"]
        told["publishers_failed"] = len(row["failed"])
        told["torn"] += row["torn"]
        told["lost"] += row["lost"]
        told["versions_dense"] &= row["dense"]
    return told


def _rows(log: Path, kind: str, what: str) -> list[Row]:
    """What the log holds of one kind of store; a line that was cut by a crash does not count."""
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True) if log.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("\n")]
    return [row for row in rows if row["store"] == kind and what in row]


def _write(log: Path, kind: str, rows: Iterable[Row]) -> None:
    for row in rows:
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"store": kind} | row) + "\n")


def _code() -> str:
    sha = hashlib.sha256()
    for path in sorted(_CODE.rglob("*.py")):
        sha.update(path.read_bytes())
    return sha.hexdigest()[:12]

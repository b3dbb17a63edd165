"""The adaptation log: one line of JSON per recorded run, only ever appended.

It is the evidence that recommendations learn from, so it lies beside the index, not in it: the
index can be rebuilt, the log cannot.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from catalog.errors import StoreError

_FILE = "adaptations.jsonl"


@dataclass(frozen=True)
class Adaptation:
    """One recorded run.

    `model` is the digest of the parent ("" for a scratch run); `zero_shot` and `reached` are
    w1_geomean before and after, on showers the run had not seen; `floor` is full simulation
    against full simulation at the same n.
    """

    family: str
    strategy: str
    model: str
    model_ref: str
    target: str
    target_digest: str
    pdg: int
    showers: int
    steps: int
    seed: int
    zero_shot: float | None
    reached: float
    floor: float
    seconds: float
    device: str
    date: str

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two records the same experiment."""
        return (
            self.family, self.strategy, self.model, self.target_digest, self.showers,
            self.steps, self.seed,
        )  # fmt: skip


def read_log(home: Path) -> list[Adaptation]:
    """All recorded runs, oldest first; the last record of a repeated experiment counts.

    A line cut off by a crash is skipped.
    """
    path = home / _FILE
    if not path.is_file():
        return []
    latest: dict[tuple[object, ...], Adaptation] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = Adaptation(**json.loads(line))
        except (ValueError, TypeError):
            continue
        latest[record.key] = record
    return list(latest.values())


def append_log(home: Path, records: Iterable[Adaptation]) -> None:
    """Append runs, each in one write, so that two processes never mix their lines."""
    path = home / _FILE
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            for record in records:
                os.write(handle, (json.dumps(asdict(record), sort_keys=True) + "\n").encode())
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as exc:
        raise StoreError(
            f"cannot write the adaptation log {path}: {exc.strerror}",
            "free some space or set CATALOG_HOME to a folder you can write",
        ) from exc

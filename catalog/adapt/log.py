"""The adaptation log: one line of JSON per recorded run, only ever appended.

It is the evidence that recommendations learn from, so it lies beside the index, not in it: the
index can be rebuilt, the log cannot.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PositiveInt, TypeAdapter, ValidationError

from catalog.errors import BadFile, StoreError

_FILE = "adaptations.jsonl"
_Distance = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


@dataclass(frozen=True)
class Adaptation:
    """One recorded run.

    `model` is the digest of the parent ("" for a scratch run). `zero_shot` is w1_geomean of the
    parent against the showers adapted on, as `recommend` computes it; `reached` is w1_geomean after
    the run, on showers it had not seen, and `floor` full simulation against full simulation there.
    `curve` are (step, w1_geomean) as judged during training, on the showers that choose the step;
    `trained_share` is the share of the parameters that trained; `energy_kwh` is None where the
    machine has no counters. `target_fingerprint` is the digest of the fingerprint of the showers
    adapted on, `target_vector` its short vector; `scores` are the parent's before training, by name
    (`catalog.scoring.probe`); `detector` describes the calorimeter of the target (name, type,
    stack), by which runs on one are known whatever it was called; `where` is the place it was
    launched on and `usd` what that took there, where a rate is known. Records of before these were
    kept have none.
    """

    family: str
    strategy: str
    model: str
    model_ref: str
    target: str
    target_digest: str
    pdg: int
    showers: PositiveInt
    steps: PositiveInt
    seed: int
    zero_shot: _Distance | None
    reached: _Distance
    floor: _Distance
    seconds: _Distance
    device: str
    date: str
    recipe: str = ""
    curve: tuple[tuple[int, _Distance], ...] = ()
    trained_share: Annotated[float, Field(ge=0)] | None = None
    energy_kwh: _Distance | None = None
    target_fingerprint: str = ""
    target_vector: tuple[_Finite, ...] = ()
    scores: dict[str, _Finite] = field(default_factory=dict)
    detector: dict[str, Any] = field(default_factory=dict)
    where: str = ""
    usd: _Distance | None = None

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two records the same experiment."""
        return (
            self.family, self.strategy, self.model, self.target_digest, self.showers,
            self.steps, self.seed, self.recipe or self.strategy,
        )  # fmt: skip


_RECORD = TypeAdapter(Adaptation)


def read_log(home: Path) -> list[Adaptation]:
    """All recorded runs of this machine, oldest first."""
    path = home / _FILE
    return read_records(path) if path.is_file() else []


def read_records(path: Path) -> list[Adaptation]:
    """Runs of one file; the last record of a repeated experiment counts.

    A line that is no record, such as one cut off by a crash, is skipped.
    """
    latest: dict[tuple[object, ...], Adaptation] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = _RECORD.validate_json(line)
        except ValidationError:
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


def merge_log(home: Path, other: Path) -> int:
    """Append the records of another log that are not in ours; returns how many.

    Raises
    ------
    BadFile
        There is no record in it.
    """
    if not other.is_file() or not (theirs := read_records(other)):
        raise BadFile(f"{other}: holds no adaptation records")
    ours = {record.key for record in read_log(home)}
    new = [record for record in theirs if record.key not in ours]
    append_log(home, new)
    return len(new)

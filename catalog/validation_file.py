"""`validation.json`: a validation kept with the version it is of.

It may come from a stranger, so it is read in bounds, and believed only where it agrees with the
card and with the model beside it.
"""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from catalog.card import FULL, Card, DigestText, GateResult, Physics, Reference
from catalog.errors import BadFile
from catalog.manifest import hash_stream
from catalog.testvectors import MODEL_FILE
from catalog.validation import explain

VALIDATION_FILE = "validation.json"
MAX_VALIDATION = 1_000_000  # bytes
_MAX_METRICS = 100
_HINT = "make it again: catalog validate FOLDER/ --data FILE --record"


class _Outside(BaseModel):
    """What is read of a document; later versions may add keys."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class _Gate(_Outside):
    name: str = Field(min_length=1, max_length=100)
    value: float
    limit: float
    passed: bool


class Document(_Outside):
    """The part of `catalog validate --json` that a card repeats.

    intact : whether it is as it was written; None if it was written without a checksum
    """

    dataset: str = Field(max_length=1000)
    detector: str = Field(max_length=100)
    model: DigestText | None = None
    n: PositiveInt
    metrics: dict[str, float] = Field(max_length=_MAX_METRICS)
    floor: dict[str, float] = Field(max_length=_MAX_METRICS)
    gates: tuple[_Gate, ...] = Field(max_length=1000)
    passed: bool
    reference: Reference = FULL
    intact: bool | None = None

    def problems(self) -> list[str]:
        """Where the document contradicts itself: no run of the catalog writes such a one."""
        wrong = [gate.name for gate in self.gates if gate.passed != (abs(gate.value) <= gate.limit)]
        found = [f"its gate {name} is not judged by its own value and limit" for name in wrong]
        if self.passed != all(gate.passed for gate in self.gates):
            found.append("its verdict is not that of its gates")
        if self.intact is False:
            found.append("it was edited after it was written")
        return found

    def physics(self) -> Physics:
        """The entry of the card: the same numbers, in four digits."""
        gates = [
            GateResult(name=g.name, value=_short(g.value), limit=_short(g.limit), passed=g.passed)
            for g in self.gates
        ]
        return Physics(
            dataset=self.dataset,
            n=self.n,
            metrics={name: _short(value) for name, value in self.metrics.items()},
            floor={name: _short(value) for name, value in self.floor.items()},
            passed=self.passed,
            detector=self.detector,
            gates=tuple(gates),
            reference=self.reference,
        )


def sealed(document: dict[str, Any]) -> dict[str, Any]:
    """The document with the SHA-256 of all the rest of it, so that an edit by hand shows."""
    return {**document, "checksum": _checksum(document)}


def _checksum(document: dict[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, allow_nan=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def to_bytes(document: dict[str, Any]) -> bytes:
    """The file's bytes: the same document gives the same bytes."""
    return (json.dumps(document, indent=2, allow_nan=False) + "\n").encode()


def read_validation(path: Path) -> Document:
    """Read a validation.

    Raises
    ------
    BadFile
        Not a plain file of a sensible size, not JSON, or not a validation.
    """
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode) or found.st_size > MAX_VALIDATION:
        raise BadFile(f"{path}: not a plain file of at most {MAX_VALIDATION:,} bytes", _HINT)
    with path.open("rb") as file:
        return parse_validation(file.read(MAX_VALIDATION + 1), str(path))


def parse_validation(data: bytes, where: str) -> Document:
    """The document of a file's bytes.

    Raises
    ------
    BadFile
        Not JSON, or not a validation.
    """
    try:
        raw = json.loads(data, parse_constant=_refuse)
        if isinstance(raw, dict):
            given = raw.pop("checksum", None)
            raw = {**raw, "intact": None if given is None else given == _checksum(raw)}
        return Document.model_validate(raw)
    except ValidationError as exc:
        problems = "; ".join(explain(exc)[:5])
        raise BadFile(f"{where}: not a validation: {problems}", _HINT) from exc
    except (ValueError, RecursionError) as exc:
        raise BadFile(f"{where}: not JSON: {str(exc)[:200]}", _HINT) from exc


def check_validation(folder: Path, card: Card) -> list[str]:
    """What is wrong with the validation in a version folder; nothing if there is none."""
    path = folder / VALIDATION_FILE
    if not path.exists():
        return []
    try:
        document = read_validation(path)
    except BadFile as exc:
        return [f"{exc.message.removeprefix(f'{folder}/')}; {exc.hint}"]
    problems = [f"{VALIDATION_FILE}: {problem}; {_HINT}" for problem in document.problems()]
    if document.model != model_digest(folder):
        problems.append(f"{VALIDATION_FILE}: is of another {MODEL_FILE}; {_HINT}")
    if document.physics() not in card.physics:
        problems.append(f"{VALIDATION_FILE}: is not what the card's `physics` says; {_HINT}")
    return problems


def model_digest(folder: Path) -> str:
    """SHA-256 of the model of a version folder."""
    with (folder / MODEL_FILE).open("rb") as file:
        return hash_stream(file)[0]


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")

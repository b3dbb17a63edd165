"""The card: everything the catalog knows about one model version. Stored as `card.yaml`."""

from __future__ import annotations

import math
import os
import stat
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
)

from catalog.domain import Domain, TensorSpec
from catalog.domain.base import Frozen
from catalog.errors import CheckFailed
from catalog.strict_yaml import load_yaml
from catalog.validation import explain

CARD_FILE = "card.yaml"
MAX_CARD = 1_000_000  # bytes
_MAX_DEPTH = 4  # of a recipe

ModelName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
DigestText = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]

# What a model does. The list grows with the field; the catalog only reads "shower-generation".
Task = Literal[
    "shower-generation",
    "energy-regression",
    "particle-identification",
    "jet-tagging",
    "detector-response",
    "track-reconstruction",
    "anomaly-detection",
    "other",
]


def _plain(value: Any, depth: int = 0) -> Any:
    """Refuse what JSON, and every reader of it, cannot hold."""
    if depth > _MAX_DEPTH:
        raise ValueError(f"nested more than {_MAX_DEPTH} deep")
    if isinstance(value, dict):
        for key, item in value.items():
            _plain(key, depth)
            _plain(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _plain(item, depth + 1)
    elif isinstance(value, str):
        value.encode()  # UnicodeEncodeError, a ValueError: half of a surrogate pair
    elif isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ValueError("a whole number beyond 64 bits")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("numbers must be finite")
    elif value is not None:
        raise ValueError(f"text, numbers, true/false, lists and maps only, not {type(value)}")
    return value


# What a validation was held against: parametrised showers prove that a model learnt them, no more.
Reference = Literal["full simulation", "parametrised simulation"]
FULL: Reference = "full simulation"
PARAMETRISED: Reference = "parametrised simulation"

Recipe = Annotated[dict[str, Any], Field(max_length=1000), AfterValidator(_plain)]


class Training(Frozen):
    """How the weights were made, and what that cost."""

    dataset: str = ""
    dataset_digest: DigestText | None = None
    showers: PositiveInt | None = None
    steps: PositiveInt | None = None
    seed: int | None = None
    recipe: Recipe = Field(default_factory=dict)
    device: str = ""
    seconds: NonNegativeFloat | None = None
    energy_kwh: NonNegativeFloat | None = None


class Lineage(Frozen):
    """The version this one was adapted from."""

    parent: DigestText
    parent_ref: str
    recipe: str


class GateResult(Frozen):
    """What one physics requirement found: |value| beside its limit."""

    name: str = Field(min_length=1, max_length=100)
    value: float
    limit: float
    passed: bool


class Physics(Frozen):
    """Results of `catalog validate`, with the floor two sets of full simulation reach.

    detector : whose full simulation it was; the name in the card's own domain if it is the same
    gates : empty in cards written before gates were kept
    reference : what the showers were that it was held against
    """

    dataset: str
    n: PositiveInt
    metrics: dict[str, float]
    floor: dict[str, float]
    passed: bool
    detector: str = Field(default="", max_length=100)
    gates: tuple[GateResult, ...] = Field(default=(), max_length=1000)
    reference: Reference = FULL


class Tolerance(Frozen):
    """How far a re-computed test vector may be from the stored one."""

    rtol: PositiveFloat = 1e-3
    atol: PositiveFloat = 1e-4


class Card(Frozen):
    """Everything the catalog knows about one model version."""

    schema_version: Literal[1] = 1
    name: ModelName
    summary: str = Field(min_length=1, max_length=200)
    description: str = Field("", max_length=20_000)
    task: Task
    family: str | None = Field(None, pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")
    licence: str = Field(pattern=r"^[A-Za-z0-9.+-]{1,64}$", description="SPDX identifier")
    authors: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    domain: Domain
    inputs: tuple[TensorSpec, ...] = Field(min_length=1)
    outputs: tuple[TensorSpec, ...] = Field(min_length=1)
    tolerance: Tolerance = Tolerance()
    training: Training | None = None
    lineage: Lineage | None = None
    physics: tuple[Physics, ...] = ()


def parse_card(text: str, where: str) -> Card:
    """Parse a card; all problems at once.

    Raises
    ------
    CheckFailed
        With one line per problem, each naming the field.
    """
    if len(text) > MAX_CARD:
        raise CheckFailed(where, [f"larger than {MAX_CARD} characters"])
    try:
        document = load_yaml(text)
    except ValueError as exc:
        raise CheckFailed(where, [str(exc)]) from exc
    if not isinstance(document, dict):
        raise CheckFailed(where, ["not a card: expected `key: value` lines"])
    try:
        return Card.model_validate(document)
    except ValidationError as exc:
        raise CheckFailed(where, explain(exc)) from exc


def read_card(folder: Path) -> Card:
    """Read `card.yaml` of a version folder."""
    return read_card_file(folder / CARD_FILE)


def read_card_file(path: Path) -> Card:
    """Read a card from a file of any name.

    Raises
    ------
    CheckFailed
    """
    try:
        text = _read_bounded(path).decode("utf-8")
    except FileNotFoundError as exc:
        raise CheckFailed(str(path.parent), [f"{path.name} is missing"]) from exc
    except UnicodeDecodeError as exc:
        raise CheckFailed(str(path), ["not UTF-8 text"]) from exc
    except OSError as exc:
        raise CheckFailed(str(path), [f"cannot be read: {exc.strerror or exc}"]) from exc
    return parse_card(text, str(path))


def _read_bounded(path: Path) -> bytes:
    """The bytes of a plain file of a card's size; a pipe is not even opened."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe, a socket or a device"
        raise CheckFailed(str(path), [f"is {kind}, not a file"])
    if found.st_size > MAX_CARD:
        raise CheckFailed(str(path), [f"{found.st_size:,} bytes; a card has at most {MAX_CARD:,}"])
    with path.open("rb") as file:
        return file.read(MAX_CARD + 1)


def card_yaml(card: Card) -> str:
    """The canonical text of a card: the same card gives the same bytes."""
    plain = card.model_dump(mode="json", exclude_defaults=True)
    plain = {"schema_version": card.schema_version, **plain}
    text: str = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
    return text


def write_card(folder: Path, card: Card) -> None:
    """Write `card.yaml` in one step."""
    temp = folder / f".{CARD_FILE}.{os.getpid()}"
    try:
        temp.write_text(card_yaml(card), encoding="utf-8")
        temp.replace(folder / CARD_FILE)
    finally:
        temp.unlink(missing_ok=True)

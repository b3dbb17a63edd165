"""The card: everything the catalog knows about one model version. Stored as `card.yaml`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError

from catalog.domain import Domain, TensorSpec
from catalog.domain.base import Frozen
from catalog.errors import CheckFailed
from catalog.validation import explain

CARD_FILE = "card.yaml"
MAX_CARD = 1_000_000  # bytes

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


class Training(Frozen):
    """How the weights were made, and what that cost."""

    dataset: str = ""
    dataset_digest: DigestText | None = None
    showers: PositiveInt | None = None
    steps: PositiveInt | None = None
    seed: int | None = None
    recipe: dict[str, Any] = Field(default_factory=dict)
    device: str = ""
    seconds: NonNegativeFloat | None = None
    energy_kwh: NonNegativeFloat | None = None


class Lineage(Frozen):
    """The version this one was adapted from."""

    parent: DigestText
    parent_ref: str
    recipe: str


class Physics(Frozen):
    """Results of `catalog validate`, with the floor two sets of full simulation reach."""

    dataset: str
    n: PositiveInt
    metrics: dict[str, float]
    floor: dict[str, float]
    passed: bool


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
        document = yaml.load(text, Loader=_NoAliases)  # noqa: S506  it is a SafeLoader
    except (yaml.YAMLError, RecursionError) as exc:
        raise CheckFailed(where, [f"not valid YAML: {exc}"]) from exc
    if not isinstance(document, dict):
        raise CheckFailed(where, ["not a card: expected `key: value` lines"])
    try:
        return Card.model_validate(document)
    except ValidationError as exc:
        raise CheckFailed(where, explain(exc)) from exc


def read_card(folder: Path) -> Card:
    """Read `card.yaml` of a version folder."""
    path = folder / CARD_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise CheckFailed(str(folder), [f"{CARD_FILE} is missing"]) from exc
    except UnicodeDecodeError as exc:
        raise CheckFailed(str(path), ["not UTF-8 text"]) from exc
    return parse_card(text, str(path))


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


class _NoAliases(yaml.SafeLoader):
    """YAML without aliases: a page of text must not expand to gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse `*alias`."""
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed in a card")
        return super().compose_node(parent, index)

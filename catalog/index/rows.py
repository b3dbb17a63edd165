"""From what a store holds to a row of the index."""

from __future__ import annotations

import json
from collections.abc import Iterable

from catalog.card import Card
from catalog.domain import TensorSpec
from catalog.fingerprint.file import Kept
from catalog.index.row import Row
from catalog.stores.protocol import Committed, Foreign

_MAX_SUMMARY = 200  # characters, as of a card
_MAX_TOLD = 20_000  # characters of a stranger's description
_MAX_TAGS = 100


def row_of(store: str, version: Committed, card: Card, kept: Kept | None = None) -> Row:
    """The row of a documented version; `kept` is its fingerprint."""
    domain = card.domain
    low, high = domain.energy_gev or (None, None)
    return Row(
        store=store,
        name=version.name,
        version=version.version,
        digest=version.digest,
        task=card.task,
        family=card.family,
        detector=domain.detector.name,
        detector_type=domain.detector.type,
        e_low=low,
        e_high=high,
        licence=card.licence,
        validated=any(result.passed for result in card.physics),
        parent=card.lineage.parent if card.lineage else None,
        summary=card.summary,
        card=card.model_dump_json(exclude_defaults=True),
        particles=domain.particles,
        materials=domain.detector.materials,
        vector=kept.vector if kept else b"",
    )


def foreign_row(store: str, version: Committed, foreign: Foreign) -> Row:
    """The row of a version without a card: what the store tells, shown and found as text."""
    description = _text(foreign.description)
    framework = _text(foreign.framework)
    tags = {_text(k): _text(v)[:500] for k, v in sorted(foreign.tags.items())[:_MAX_TAGS]}
    told = {
        "framework": framework,
        "description": description,
        "inputs": _specs(foreign.inputs),
        "outputs": _specs(foreign.outputs),
        "tags": tags,
    }
    names = [_text(spec.name) for spec in (*foreign.inputs, *foreign.outputs)]
    first = next(iter(description.strip().splitlines()), "")
    return Row(
        store=store,
        name=version.name,
        version=version.version,
        digest=version.digest,
        summary=first[:_MAX_SUMMARY],
        told=json.dumps(told),
        words=" ".join([framework, description, *names, *tags.values()]),
    )


def _specs(specs: Iterable[TensorSpec]) -> list[dict[str, object]]:
    return [{"name": s.name, "dtype": s.dtype, "shape": list(s.shape)} for s in specs]


def _text(text: str) -> str:
    """A stranger's words as SQLite and JSON can hold them."""
    return text[:_MAX_TOLD].encode("utf-8", "backslashreplace").decode()

"""From a card to a row of the index."""

from __future__ import annotations

from catalog.card import Card
from catalog.fingerprint.file import Kept
from catalog.index.sqlite import Row
from catalog.stores.protocol import Committed


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

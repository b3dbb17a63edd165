"""FAIR4ML 0.1.0 (https://w3id.org/fair4ml) with schema.org, as JSON-LD.

The context is written into the document, so that it expands without a network. What the vocabulary
has no word for (tensors, detector geometry) stays in the card, whose digest is among the files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalog.card import Card
from catalog.interchange.folder import Version, write_json
from catalog.interchange.words import keywords, named_digest

_FILE = "fair4ml.jsonld"
_CONTEXT = {"fair4ml": "https://w3id.org/fair4ml#", "schema": "http://schema.org/"}


def write(version: Version, out: Path) -> None:
    """Write fair4ml.jsonld."""
    write_json(out / _FILE, {"@context": _CONTEXT, **_model(version)})


def _model(version: Version) -> dict[str, Any]:
    card = version.card
    model = {
        "@id": named_digest(version.digest),
        "@type": "fair4ml:MLModel",
        "schema:name": card.name,
        "schema:version": version.ref.partition("@")[2],
        "schema:identifier": version.digest,
        "schema:abstract": card.summary,
        "schema:description": card.description,
        "schema:license": {"@id": f"https://spdx.org/licenses/{card.licence}"},
        "schema:author": [{"schema:name": name} for name in card.authors],
        "schema:citation": list(card.references),
        "schema:keywords": keywords(card),
        "schema:url": version.uri,
        "schema:distribution": [
            {
                "@type": "schema:MediaObject",
                "schema:name": entry.path,
                "schema:contentSize": str(entry.size),
                "schema:sha256": entry.digest.removeprefix("sha256:"),
            }
            for entry in version.manifest.entries
        ],
        "fair4ml:mlTask": card.task,
        "fair4ml:modelCategory": card.family or "",
        "fair4ml:intendedUse": _use(card),
        "fair4ml:trainedOn": _trained_on(card),
        "fair4ml:fineTunedFrom": _parent(card),
        "fair4ml:hasEvaluation": [_evaluation(card, number) for number in range(len(card.physics))],
    }
    return {key: value for key, value in model.items() if value}


def _use(card: Card) -> str:
    low, high = card.domain.energy_gev or (None, None)
    energies = "" if low is None else f", {low:g} to {high:g} GeV"
    detector = card.domain.detector
    return f"{card.task} for {detector.name} ({detector.type}){energies}"


def _trained_on(card: Card) -> dict[str, Any]:
    training = card.training
    if training is None or not training.dataset:
        return {}
    found = {"@type": "schema:Dataset", "schema:name": training.dataset}
    digest = training.dataset_digest
    return found | ({"@id": named_digest(digest)} if digest else {})


def _parent(card: Card) -> dict[str, Any]:
    if card.lineage is None:
        return {}
    return {
        "@id": named_digest(card.lineage.parent),
        "@type": "fair4ml:MLModel",
        "schema:name": card.lineage.parent_ref,
    }


def _evaluation(card: Card, number: int) -> dict[str, Any]:
    found = card.physics[number]
    return {
        "@type": "fair4ml:MLModelEvaluation",
        "schema:name": f"{found.n} showers of {found.reference}",
        "fair4ml:evaluationDataset": {"@type": "schema:Dataset", "schema:name": found.dataset},
        "fair4ml:evaluationMetrics": sorted(found.metrics),
        "fair4ml:evaluationResults": [
            {"@type": "schema:PropertyValue", "schema:name": name, "schema:value": value}
            for name, value in sorted(found.metrics.items())
        ],
    }

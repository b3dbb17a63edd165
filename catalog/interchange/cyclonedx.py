"""A bill of materials of the model: CycloneDX 1.6, ML-BOM (ECMA-424).

The energy of training is in kWh, as measured or estimated when the card was written. Where it came
from, and its CO2, no card says: the source is told as unknown, and no CO2 is made up.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from catalog.card import Card
from catalog.interchange.folder import Version, write_json
from catalog.interchange.words import keywords, results

_FILE = "bom.cdx.json"


def write(version: Version, out: Path) -> None:
    """Write bom.cdx.json; the same version gives the same bytes, so it has no time stamp."""
    serial = uuid.uuid5(uuid.NAMESPACE_URL, version.digest)
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": _component(version)},
        "components": [_file(e.path, e.digest) for e in version.manifest.entries],
    }
    write_json(out / _FILE, document)


def _component(version: Version) -> dict[str, Any]:
    card = version.card
    parent = card.lineage
    component = {
        "type": "machine-learning-model",
        "bom-ref": version.digest,
        "name": card.name,
        "version": version.ref.partition("@")[2],
        "description": card.summary,
        "authors": [{"name": name} for name in card.authors],
        "licenses": [_licence(card.licence)],
        "tags": keywords(card),
        "externalReferences": [{"type": "distribution", "url": version.uri}] if version.uri else [],
        "pedigree": {"ancestors": [_ancestor(parent.parent_ref, parent.parent)]} if parent else {},
        "modelCard": _model_card(card),
    }
    return {key: value for key, value in component.items() if value}


def _licence(name: str) -> dict[str, Any]:
    # Only ids of their own list may stand as `id`; an SPDX identifier is always an expression.
    return {"expression": name}


def _ancestor(ref: str, digest: str) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": f"parent {digest}",
        "name": ref.partition("@")[0],
        "version": ref.partition("@")[2],
        "properties": [{"name": "hep:digest", "value": digest}],
    }


def _file(path: str, digest: str) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": f"file {path}",
        "name": path,
        "hashes": [{"alg": "SHA-256", "content": digest.removeprefix("sha256:")}],
    }


def _model_card(card: Card) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "task": card.task,
        "architectureFamily": card.family or "",
        "datasets": _datasets(card),
        "inputs": [{"format": f"{s.name} {s.dtype}{list(s.shape)}"} for s in card.inputs],
        "outputs": [{"format": f"{s.name} {s.dtype}{list(s.shape)}"} for s in card.outputs],
    }
    model: dict[str, Any] = {
        "modelParameters": {key: value for key, value in parameters.items() if value},
        "properties": _properties(card),
    }
    metrics = [
        {"type": name, "value": f"{value:.6g}", "slice": f"{result.dataset} ({result.reference})"}
        for result, name, value in results(card)
    ]
    if metrics:
        model["quantitativeAnalysis"] = {"performanceMetrics": metrics}
    consumption = _energy(card)
    if consumption:
        model["considerations"] = {
            "environmentalConsiderations": {"energyConsumptions": [consumption]}
        }
    return model


def _datasets(card: Card) -> list[dict[str, Any]]:
    if card.training is None or not card.training.dataset:
        return []
    digest = card.training.dataset_digest
    found = {"type": "dataset", "name": card.training.dataset}
    return [found | ({"description": digest} if digest else {})]


def _properties(card: Card) -> list[dict[str, str]]:
    domain = card.domain
    values = {
        "hep:detector": domain.detector.name,
        "hep:detector_type": domain.detector.type,
        "hep:particles": " ".join(str(pdg) for pdg in domain.particles),
        "hep:energy_gev": "{:g}..{:g}".format(*domain.energy_gev) if domain.energy_gev else "",
    }
    return [{"name": name, "value": value} for name, value in values.items() if value]


def _energy(card: Card) -> dict[str, Any]:
    training = card.training
    if training is None or training.energy_kwh is None:
        return {}
    measure = {"value": training.energy_kwh, "unit": "kWh"}
    provider = {
        "organization": {"name": "unknown"},
        "energySource": "unknown",
        "energyProvided": measure,
    }
    return {
        "activity": "fine-tuning" if card.lineage else "training",
        "energyProviders": [provider],
        "activityEnergyCost": measure,
    }

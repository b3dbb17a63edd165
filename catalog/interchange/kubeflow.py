"""A source of Kubeflow's model catalog (kubeflow/model-registry, provider type `yaml`).

`catalog.yaml` is the source; `sources.yaml` is the entry by which their server finds it. Both are
read strictly there: a key that the API does not know fails the whole source.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from catalog.card import Card, Physics
from catalog.interchange.folder import Version
from catalog.interchange.words import page

_SOURCE = "hep-model-catalog"


def write(version: Version, out: Path) -> None:
    """Write catalog.yaml and sources.yaml."""
    source = {"source": _SOURCE, "models": [_model(version)]}
    entry = {
        "id": _SOURCE,
        "name": "hep-model-catalog",
        "type": "yaml",
        "enabled": True,
        "properties": {"yamlCatalogPath": "catalog.yaml"},
    }
    _dump(out / "catalog.yaml", source)
    _dump(out / "sources.yaml", {"catalogs": [entry]})


def _model(version: Version) -> dict[str, Any]:
    card = version.card
    return {
        "name": card.name,
        "provider": ", ".join(card.authors) or _SOURCE,
        "description": card.summary,
        "readme": f"# {card.name}\n\n{page(version)}",
        "license": card.licence.lower(),
        "licenseLink": f"https://spdx.org/licenses/{card.licence}.html",
        "libraryName": "onnx",
        "tasks": [card.task],
        "customProperties": _properties(version),
        "artifacts": [
            {
                "artifactType": "model-artifact",
                "uri": version.uri or f"{_SOURCE}:{card.name}@{version.digest}",
                "customProperties": {"digest": _value(version.digest), "format": _value("onnx")},
            },
            *(_metrics(result) for result in card.physics),
        ],
    }


def _properties(version: Version) -> dict[str, Any]:
    """What one filters by: ranges as doubles, so that `energy_low_gev <= 50` can be asked."""
    card: Card = version.card
    domain = card.domain
    low, high = domain.energy_gev or (None, None)
    values = {
        "digest": version.digest,
        "ref": version.ref,
        "model_type": "generative" if card.task == "shower-generation" else "predictive",
        "family": card.family,
        "detector": domain.detector.name,
        "detector_type": domain.detector.type,
        "particles": " ".join(str(pdg) for pdg in domain.particles),
        "energy_low_gev": low,
        "energy_high_gev": high,
        "validated": any(result.passed for result in card.physics),
        "parent": card.lineage.parent if card.lineage else None,
        "training_energy_kwh": card.training.energy_kwh if card.training else None,
    }
    return {key: _value(value) for key, value in values.items() if value not in (None, "")}


def _metrics(result: Physics) -> dict[str, Any]:
    values: dict[str, Any] = {"dataset": result.dataset, "reference": result.reference}
    values["showers"] = float(result.n)
    values |= dict(result.metrics)
    values |= {f"floor_{name}": value for name, value in result.floor.items()}
    return {
        "artifactType": "metrics-artifact",
        "metricsType": "accuracy-metrics",
        "customProperties": {key: _value(value) for key, value in values.items()},
    }


def _value(value: str | float | bool) -> dict[str, Any]:
    """A typed value, as their API wants it."""
    if isinstance(value, bool):
        return {"metadataType": "MetadataBoolValue", "bool_value": value}
    if isinstance(value, str):
        return {"metadataType": "MetadataStringValue", "string_value": value}
    return {"metadataType": "MetadataDoubleValue", "double_value": float(value)}


def _dump(path: Path, value: Any) -> None:
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
    path.write_text(text, encoding="utf-8")

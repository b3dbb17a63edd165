"""A Hugging Face model repository: the files of a version, and README.md with its metadata.

Our card.yaml and manifest.json lie beside, so that such a folder comes back with its digest. A
README.md that the version has itself is kept as README.version.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from catalog.card import CARD_FILE, Card
from catalog.errors import BadFile, CatalogError, UsageError
from catalog.interchange.folder import (
    Version,
    check_size,
    open_plain,
    put,
    read_small,
    take,
)
from catalog.interchange.words import keywords, page
from catalog.manifest import MANIFEST_FILE, Entry, hash_stream, parse_manifest
from catalog.onnx_file import read_onnx
from catalog.testvectors import MODEL_FILE

_README = "README.md"
_OWN_README = "README.version.md"
# The identifiers that the hub knows, of those a model of ours is likely to have; else "other".
_LICENCES = frozenset(
    (
        *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "gpl-2.0", "gpl-3.0", "lgpl-3.0"),
        *("agpl-3.0", "mpl-2.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0"),
    )
)  # fmt: skip


def write(version: Version, out: Path) -> None:
    """Write the repository."""
    paths = {entry.path for entry in version.manifest.entries}
    if _OWN_README in paths:
        raise UsageError(f"{version.ref} holds a file {_OWN_README}", "rename it and publish again")
    for entry in version.manifest.entries:
        put(version, entry, out / (_OWN_README if entry.path == _README else entry.path))
    (out / MANIFEST_FILE).write_bytes(version.manifest.to_bytes())
    front = yaml.safe_dump(_front(version), sort_keys=False, allow_unicode=True, width=100)
    text = (
        f"---\n{front}---\n\n# {version.card.name}\n\n{page(version)}\n{_USE.format(version.ref)}"
    )
    (out / _README).write_text(text, encoding="utf-8")


_USE = """## Use

Exported from hep-model-catalog as `{}`. To take it into another catalog, with the same digest:

    catalog import huggingface THIS_FOLDER --out my-model
    catalog publish my-model
"""


def read(folder: Path, out: Path) -> None:
    """Take the files of a version; of a foreign repository the ONNX model with its weights.

    Raises
    ------
    BadFile, DigestMismatch
    """
    if (folder / MANIFEST_FILE).exists() and (folder / CARD_FILE).exists():
        _read_ours(folder, out)
    else:
        _read_foreign(folder, out)


def _read_ours(folder: Path, out: Path) -> None:
    manifest = parse_manifest(read_small(folder, MANIFEST_FILE), str(folder / MANIFEST_FILE))
    check_size(manifest, str(folder))
    for entry in manifest.entries:
        take(folder, _OWN_README if entry.path == _README else entry.path, entry, out)


def _read_foreign(folder: Path, out: Path) -> None:
    models = sorted(path.relative_to(folder) for path in folder.rglob("*.onnx"))
    if len(models) != 1:
        found = ", ".join(str(path) for path in models[:10]) or "none"
        raise BadFile(
            f"{folder}: holds {len(models)} ONNX models ({found}); exactly one can be imported",
            "export it to ONNX first, or leave the one that you want in a folder of its own",
        )
    (model,) = models
    open_plain(folder, model.as_posix()).close()
    weights = read_onnx(folder / model).external
    _take_as(folder, model.as_posix(), MODEL_FILE, out)
    for name in sorted(weights):
        _take_as(folder, (model.parent / name).as_posix(), name, out)
    try:
        _take_as(folder, _README, _README, out)
    except CatalogError:
        return


def _take_as(folder: Path, path: str, name: str, out: Path) -> None:
    """Copy a file that nobody promised a digest for; what is copied is what was hashed."""
    with open_plain(folder, path) as file:
        digest, size = hash_stream(file)
    take(folder, path, Entry(name, size, digest), out)


def _front(version: Version) -> dict[str, Any]:
    """The metadata block. `pipeline_tag` is left out: the hub has none for detector simulation."""
    card = version.card
    licence = card.licence.lower()
    front: dict[str, Any] = {
        "license": licence if licence in _LICENCES else "other",
        "library_name": "onnx",
        "tags": [*keywords(card), "onnx", "hep-model-catalog"],
        "hep": _hep(version),
    }
    if front["license"] == "other":
        front["license_name"] = card.licence
    if card.physics:
        front["model-index"] = [{"name": card.name, "results": _results(card)}]
    return front


def _hep(version: Version) -> dict[str, Any]:
    domain, training = version.card.domain, version.card.training
    lineage = version.card.lineage
    values = {
        "ref": version.ref,
        "digest": version.digest,
        "detector": domain.detector.name,
        "detector_type": domain.detector.type,
        "particles": list(domain.particles),
        "energy_gev": list(domain.energy_gev or ()),
        "parent": lineage.parent if lineage else "",
        "training_energy_kwh": training.energy_kwh if training else None,
    }
    return {key: value for key, value in values.items() if value not in (None, "", [])}


def _results(card: Card) -> list[dict[str, Any]]:
    return [
        {
            "task": {"type": card.task},
            "dataset": {"type": result.reference.replace(" ", "-"), "name": result.dataset},
            "metrics": [{"type": name, "value": value} for name, value in result.metrics.items()],
        }
        for result in card.physics
        if result.metrics
    ]

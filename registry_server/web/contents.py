"""What is in the files of a version: read once, because a digest's bytes never change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from catalog.errors import CatalogError
from catalog.fingerprint import FINGERPRINT_FILE, Kept
from catalog.manifest import Entry
from catalog.pull import read_manifest
from catalog.signed import SIGNATURE_FILE
from catalog.stores import Committed
from catalog.sync import fetch_file, fetch_kept
from catalog.validation_file import MAX_VALIDATION, VALIDATION_FILE, Document, parse_validation
from registry_server.api.registry import Registry

ROLES = {
    "model.onnx": "inference", "critic.onnx": "scorer", "likelihood.onnx": "scorer",
    "checkpoint.safetensors": "adaptable", "card.yaml": "card", FINGERPRINT_FILE: "fingerprint",
    "test_inputs.npz": "test vectors", "test_outputs.npz": "test vectors",
    VALIDATION_FILE: "validation", SIGNATURE_FILE: "signature",
    "seen.npz": "digests of showers seen",
}  # fmt: skip


@dataclass(frozen=True)
class Contents:
    """The manifest, and what of the files a page shows; `problems` are of files that are broken."""

    entries: tuple[Entry, ...]
    kept: Kept | None = None
    validation: Document | None = None
    problems: tuple[str, ...] = ()

    @property
    def signed(self) -> bool:
        """Whether there is a signature; nothing is verified."""
        return any(entry.path == SIGNATURE_FILE for entry in self.entries)


@lru_cache(maxsize=512)
def read_contents(registry: Registry, store: str, version: Committed) -> Contents:
    """Read what is shown of a version's files from its store.

    Raises
    ------
    CatalogError
        The store does not give the manifest.
    """
    opened = registry.open_store(store)
    manifest = read_manifest(opened, version)
    names, problems = {entry.path for entry in manifest.entries}, []
    kept = validation = None
    try:
        kept = fetch_kept(opened, version, manifest)
    except CatalogError as exc:
        problems.append(exc.message)
    try:
        if VALIDATION_FILE in names:
            data = fetch_file(opened, version, VALIDATION_FILE, MAX_VALIDATION, manifest)
            validation = parse_validation(data, VALIDATION_FILE)
            problems += [f"{VALIDATION_FILE}: {each}" for each in validation.problems()]
    except CatalogError as exc:
        problems.append(exc.message)
    return Contents(manifest.entries, kept, validation, tuple(problems))

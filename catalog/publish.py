"""Publish a version folder: gate, hash, upload what is missing, commit once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from catalog.card import CARD_FILE, Card, read_card
from catalog.errors import CatalogError, CheckFailed
from catalog.fingerprint.file import FINGERPRINT_FILE, read_kept
from catalog.gate import Checked, check_folder, check_onnx
from catalog.index import Index
from catalog.index.rows import row_of
from catalog.manifest import Entry, Manifest, hash_stream
from catalog.stores import Committed, Store
from catalog.testvectors import INPUTS_FILE, MODEL_FILE, OUTPUTS_FILE, write_test_vectors

Say = Callable[[str], None]


@dataclass(frozen=True)
class Published:
    """What `publish` did; `new` is False when this very version was already there."""

    version: Committed
    card: Card
    new: bool


def check(folder: Path, say: Say) -> Checked:
    """The gate, after test vectors were added to a folder that has none.

    Raises
    ------
    CheckFailed
    """
    add_test_vectors(folder, say)
    say(f"checking {folder}")
    return check_folder(folder)


def publish(
    folder: Path,
    store: Store,
    store_name: str,
    index: Index,
    say: Say,
    gate: Callable[[Path, Say], Checked] = check,
) -> Published:
    """Publish a version folder to a store and index it.

    Nothing is sent before every check passed, and nothing is visible before the one commit.
    Killed anywhere, it can be run again and resumes; files that the store lost are uploaded
    again. Test vectors are added to the folder if it has none.

    Raises
    ------
    CheckFailed, StoreError, NotAuthorised
    BadSignature
        The store's entry in stores.yaml requires a signature that the folder does not have.
    """
    from catalog.signing import demand_to_publish  # which adds test vectors, too

    checked = gate(folder, say)
    name, manifest = checked.card.name, checked.manifest
    demand_to_publish(folder, manifest, name, store_name)
    # Before anything is sent: a version that cannot be listed must not become visible.
    taken = folder / FINGERPRINT_FILE
    kept = read_kept(taken) if taken.is_file() else None
    row = row_of(store_name, Committed(name, 0, manifest.digest), checked.card, kept)
    before = {version.digest for version in store.versions(name)}
    for entry in store.missing(name, manifest):  # also what the store lost since
        say(f"uploading {entry.path} ({entry.size:,} bytes)")
        _upload(folder, entry, store, name, manifest)
    version = store.commit(name, manifest, checked.card.summary, tags_of(checked.card))
    index.put(replace(row, version=version.version))
    return Published(version, checked.card, manifest.digest not in before)


def _upload(folder: Path, entry: Entry, store: Store, name: str, manifest: Manifest) -> None:
    """Upload one file; if that fails, see first whether it is still what passed the gate."""
    path = folder / entry.path
    try:
        with path.open("rb") as source:
            store.upload(name, manifest, entry, source)
    except (CatalogError, OSError) as exc:
        if _same(path, entry):
            raise
        changed = f"{entry.path} changed while it was being published"
        raise CheckFailed(str(folder), [changed], f"catalog publish {folder}, again") from exc


def _same(path: Path, entry: Entry) -> bool:
    try:
        with path.open("rb") as source:
            return hash_stream(source) == (entry.digest, entry.size)
    except OSError:
        return False


def add_test_vectors(folder: Path, say: Say) -> None:
    """Write test vectors into a folder that has a readable card and model but none of them."""
    vectors = [folder / name for name in (INPUTS_FILE, OUTPUTS_FILE)]
    present = [path.exists() or path.is_symlink() for path in vectors]
    if any(present) or not (folder / MODEL_FILE).is_file() or not (folder / CARD_FILE).is_file():
        return
    try:
        card = read_card(folder)
        if check_onnx(folder / MODEL_FILE, card):
            return  # the gate will say why
    except CheckFailed:
        return
    say(f"writing test vectors into {folder}")
    write_test_vectors(folder, card)


def tags_of(card: Card) -> dict[str, str]:
    """Short strings for people who look with the store's own tools."""
    domain = card.domain
    tags = {
        "task": card.task,
        "family": card.family or "",
        "detector": domain.detector.name,
        "detector_type": domain.detector.type,
        "particles": " ".join(str(pdg) for pdg in domain.particles),
        "licence": card.licence,
    }
    if domain.energy_gev:
        tags["energy_gev"] = f"{domain.energy_gev[0]:g}..{domain.energy_gev[1]:g}"
    if card.lineage:
        tags["parent"] = card.lineage.parent_ref
    return {key: value for key, value in tags.items() if value}

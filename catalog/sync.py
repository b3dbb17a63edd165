"""Rebuild the index from a store: the store is the truth, the index only a cache."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

from catalog.card import CARD_FILE, MAX_CARD, Card, parse_card
from catalog.errors import BadFile, CatalogError
from catalog.fingerprint.file import FINGERPRINT_FILE, MAX_FINGERPRINT, Kept, parse_kept
from catalog.index import Index, Row
from catalog.index.rows import row_of
from catalog.manifest import Manifest, copy_verified
from catalog.pull import read_manifest
from catalog.stores import Committed, Store


def sync(store: Store, store_name: str, index: Index, say: Callable[[str], None]) -> int:
    """Make the index hold what the store holds; returns the number of versions.

    A version without a manifest of ours is listed as undocumented; one whose card cannot be read
    is reported and listed the same way, never dropped.
    """
    rows = []
    for version in store.versions():
        row = Row(store_name, version.name, version.version, version.digest)
        if version.digest:
            try:
                manifest = read_manifest(store, version)
                row = row_of(store_name, version, fetch_card(store, version, manifest))
                if kept := fetch_kept(store, version, manifest):
                    row = replace(row, vector=kept.vector)
            except CatalogError as exc:
                say(f"{version.name}@{version.version}: {exc.message}")
            except Exception as exc:  # noqa: BLE001  one card must not stop the others
                say(f"{version.name}@{version.version}: {type(exc).__name__}: {exc}")
        rows.append(row)
    index.replace_store(store_name, rows, store.aliases())
    return len(rows)


def fetch_card(store: Store, version: Committed, manifest: Manifest | None = None) -> Card:
    """The card of one version, read from the store and checked against the manifest."""
    data = fetch_file(store, version, CARD_FILE, MAX_CARD, manifest)
    return parse_card(data.decode("utf-8", "replace"), f"{version.name}@{version.version}")


def fetch_kept(store: Store, version: Committed, manifest: Manifest | None = None) -> Kept | None:
    """The fingerprint of one version; None if it keeps none.

    Raises
    ------
    BadFile
    """
    manifest = manifest or read_manifest(store, version)
    if FINGERPRINT_FILE not in (entry.path for entry in manifest.entries):
        return None
    data = fetch_file(store, version, FINGERPRINT_FILE, MAX_FINGERPRINT, manifest)
    return parse_kept(data, f"{version.name}@{version.version}: {FINGERPRINT_FILE}")


def fetch_file(
    store: Store, version: Committed, path: str, limit: int, manifest: Manifest | None = None
) -> bytes:
    """One small file of a version, read from the store and checked against the manifest.

    The manifest is read first, unless it is given.

    Raises
    ------
    BadFile
        The version has no such file, or it is larger than `limit` bytes.
    """
    manifest = manifest or read_manifest(store, version)
    entries = {entry.path: entry for entry in manifest.entries}
    entry = entries.get(path)
    if entry is None or entry.size > limit:
        raise BadFile(f"{version.name}@{version.version}: has no {path} of a sensible size")
    buffer = io.BytesIO()
    with store.open_file(version, entry) as source:
        copy_verified(source, buffer, entry)
    return buffer.getvalue()

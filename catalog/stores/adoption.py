"""What every store checks before it gives somebody else's version a card."""

from __future__ import annotations

from collections.abc import Iterable

from catalog.card import CARD_FILE
from catalog.errors import StoreError
from catalog.manifest import MANIFEST_FILE, Manifest, hash_bytes
from catalog.stores.protocol import Committed


def check_adoption(
    version: Committed, manifest: Manifest, card: bytes, files: Iterable[tuple[str, int]]
) -> None:
    """Refuse a manifest that is not this card and these files, no more and no less.

    Raises
    ------
    StoreError
    """
    ref = f"{version.name}@{version.version}"
    told = {entry.path: entry for entry in manifest.entries}
    entry = told.pop(CARD_FILE, None)
    if entry is None or (entry.digest, entry.size) != (hash_bytes(card), len(card)):
        raise StoreError(f"{ref}: the manifest does not list this card")
    there = {path: size for path, size in files if path not in (CARD_FILE, MANIFEST_FILE)}
    if there != {path: entry.size for path, entry in told.items()}:
        raise StoreError(
            f"{ref}: its files are not those of the manifest",
            f"they changed meanwhile? try again: catalog annotate {ref} CARD.yaml",
        )

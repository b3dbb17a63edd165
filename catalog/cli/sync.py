"""catalog sync."""

from __future__ import annotations

from catalog.cli import out
from catalog.index import open_index
from catalog.settings import load_settings
from catalog.stores import open_store
from catalog.sync import sync


def run(as_json: bool = out.JSON) -> None:
    """Rebuild the index from the store, which is the source of truth."""
    settings = load_settings()
    with open_index(settings.home) as index:
        count = sync(open_store(settings.store), settings.store, index, out.say)
    out.emit({"store": settings.store, "versions": count}, as_json, lambda: f"{count} versions")

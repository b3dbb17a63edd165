"""Find a store by its URI: `mlflow`, `mlflow+https://server`, `memory:` ..."""

from __future__ import annotations

from catalog.plugins import load_plugin
from catalog.stores.protocol import Store


def open_store(uri: str) -> Store:
    """Open the store that `uri` names; its first word is the adapter, the rest is the adapter's.

    Raises
    ------
    NotFound
        No adapter of that name is installed.
    MissingExtra
        The adapter's own libraries are not installed.
    """
    kind = uri.split(":", 1)[0].split("+", 1)[0]
    hint = "set CATALOG_STORE to one of them, e.g. mlflow+https://mlflow.example.org"
    opener = load_plugin("stores", kind, what="store", extra=kind, hint=hint)
    store: Store = opener(uri)
    return store

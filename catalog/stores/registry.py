"""Find a store by its URI: `mlflow`, `mlflow+https://server`, `memory:` ..."""

from __future__ import annotations

from importlib.metadata import entry_points

from catalog.errors import MissingExtra, NotFound
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
    found = {entry.name: entry for entry in entry_points(group="catalog.stores")}
    if kind not in found:
        raise NotFound(
            f"no store adapter {kind!r} (from {uri!r}); installed: {', '.join(sorted(found))}",
            "set CATALOG_STORE to one of them, e.g. mlflow+https://mlflow.example.org",
        )
    try:
        opener = found[kind].load()
    except ImportError as exc:
        raise MissingExtra(kind, f"the store {uri!r}") from exc
    store: Store = opener(uri)
    return store

"""Stores: where the bytes of versions live. Found by name through `catalog.stores`."""

from catalog.stores.named import open_named
from catalog.stores.protocol import Alias, Changes, Committed, Foreign, Store
from catalog.stores.registry import open_store
from catalog.stores.secret import Secret

__all__ = [
    "Alias",
    "Changes",
    "Committed",
    "Foreign",
    "Secret",
    "Store",
    "open_named",
    "open_store",
]

"""Stores: where the bytes of versions live. Found by name through `catalog.stores`."""

from catalog.stores.protocol import Alias, Changes, Committed, Foreign, Store
from catalog.stores.registry import open_store

__all__ = ["Alias", "Changes", "Committed", "Foreign", "Store", "open_store"]

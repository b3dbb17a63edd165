"""Stores: where the bytes of versions live. Found by name through `catalog.stores`."""

from catalog.stores.protocol import Alias, Committed, Store
from catalog.stores.registry import open_store

__all__ = ["Alias", "Committed", "Store", "open_store"]

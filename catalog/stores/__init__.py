"""Stores: where the bytes of versions live. Found by name through `catalog.stores`."""

from catalog.stores.protocol import Committed, Store
from catalog.stores.registry import open_store

__all__ = ["Committed", "Store", "open_store"]

"""The index: what search reads. A cache of the stores, in SQLite or PostgreSQL."""

from catalog.index.index import Index
from catalog.index.open import open_index
from catalog.index.query import Query
from catalog.index.row import Row

__all__ = ["Index", "Query", "Row", "open_index"]

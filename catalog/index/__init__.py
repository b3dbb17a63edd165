"""The index: what search reads. A cache of the stores, in SQLite."""

from catalog.index.query import Query
from catalog.index.sqlite import Index, Row, open_index

__all__ = ["Index", "Query", "Row", "open_index"]

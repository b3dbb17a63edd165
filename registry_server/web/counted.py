"""Counts of a large catalog, kept for half a minute: to count 100,000 versions takes a second."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict

from catalog.index import Index, Query
from catalog.index.facets import Facets

_FRESH = 30.0  # seconds
_SLOW = 0.05  # seconds; what is counted faster is counted every time, and so is never old
_MOST = 256

_Key = tuple[Query, str]


class Counted:
    """Facets by question. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, tuple[float, Facets]] = OrderedDict()

    def facets(self, index: Index, query: Query, technology: str) -> Facets:
        """What every filter would leave, not older than half a minute."""
        key, began = (query, technology), time.monotonic()
        with self._lock:
            then, found = self._kept.get(key, (float("-inf"), None))
        if found is not None and began - then < _FRESH:
            return found
        found = index.facets(query, technology)
        with self._lock:
            self._kept.pop(key, None)
            if time.monotonic() - began > _SLOW:
                self._kept[key] = began, found
            if len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return found

from __future__ import annotations

import pytest

from catalog.stores.memory import MemoryStore
from tests.conformance.store_suite import StoreConformance


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

from __future__ import annotations

import pytest

from catalog.manifest import Entry
from catalog.stores.memory import MemoryStore
from catalog.stores.protocol import Committed
from tests.conformance.store_suite import StoreConformance
from tests.conformance.store_tools import TOLD, flipped


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    def damage(self, store: MemoryStore, version: Committed, entry: Entry) -> None:  # type: ignore[override]
        store._blobs[entry.digest] = flipped(store._blobs[entry.digest])

    def put_foreign(self, store: MemoryStore, name: str, files: dict[str, bytes]) -> Committed:  # type: ignore[override]
        return store.register(name, files, TOLD)

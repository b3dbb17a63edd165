"""MLflow passes everything that the store in memory passes: embedded, and behind a server."""

from __future__ import annotations

import itertools

import pytest

from catalog.manifest import Entry
from catalog.stores.protocol import Committed, Store
from tests.adapters.mlflow_foreign import register
from tests.conformance.store_suite import StoreConformance
from tests.conformance.store_tools import flipped

_serial = itertools.count()


class MlflowConformance(StoreConformance):
    @pytest.fixture
    def name(self) -> str:
        """A new name each time: one registry serves the whole run, opening one is slow."""
        return f"shower{next(_serial)}"

    def put_foreign(self, store: Store, name: str, files: dict[str, bytes]) -> Committed:
        return register(store, name, files)


class TestEmbeddedMlflow(MlflowConformance):
    @pytest.fixture
    def store(self, embedded: Store) -> Store:
        return embedded

    def damage(self, store: Store, version: Committed, entry: Entry) -> None:
        path = store._folder(version)._root / entry.path
        path.write_bytes(flipped(path.read_bytes()))


class TestServedMlflow(MlflowConformance):
    pytestmark = pytest.mark.slow

    @pytest.fixture
    def store(self, served: Store) -> Store:
        return served

    def damage(self, store: Store, version: Committed, entry: Entry) -> None:
        pytest.skip("a server is asked for sizes only; flipped bytes are found when pulled")

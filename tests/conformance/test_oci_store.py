"""The OCI store passes everything that the store in memory passes, through the OCI double."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.manifest import Entry
from catalog.stores.protocol import Committed
from tests.conformance.store_suite import StoreConformance
from tests.conformance.store_tools import TOLD

pytest.importorskip("oci")
from catalog_oci import OciStore
from tests.adapters.oci_double import Double
from tests.adapters.oci_double.place import BUCKET, configured_double, put_model, store_of

_serial = itertools.count()


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Double]:
    with (
        pytest.MonkeyPatch.context() as patch,
        configured_double(tmp_path_factory.mktemp("oci")) as double,
    ):
        # What is tested is not how long a busy machine may think.
        patch.setattr("catalog_oci._client._QUICK", (10, 120))
        yield double


class TestOci(StoreConformance):
    @pytest.fixture
    def name(self) -> str:
        return f"shower{next(_serial)}"

    @pytest.fixture
    def store(self, double: Double, tmp_path: Path) -> OciStore:
        return store_of(double, tmp_path)

    def damage(self, store: OciStore, version: Committed, entry: Entry) -> None:  # type: ignore[override]
        pytest.skip("an artifact never changes; damage is found when it is read")

    def put_foreign(self, store: OciStore, name: str, files: dict[str, bytes]) -> Committed:  # type: ignore[override]
        put_model(
            store._clients.science, name, files,
            description=TOLD.description, freeform_tags=dict(TOLD.tags),
        )  # fmt: skip
        return [it for it in store.versions(name) if not it.digest][-1]


class TestOciThroughABucket(TestOci):
    """Artifacts that are too large for one request."""

    @pytest.fixture
    def store(self, double: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OciStore:
        monkeypatch.setattr("catalog_oci._large.LIMIT", 1000)
        monkeypatch.setattr("catalog_oci._large._PART", 100_000)
        return store_of(double, tmp_path, bucket=BUCKET)

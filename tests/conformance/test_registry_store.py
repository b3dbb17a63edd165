"""A registry passes what the store behind it passes, over real HTTP; the gate has its own tests."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.errors import UsageError
from catalog.index import Row
from catalog.manifest import Entry
from catalog.remote.store import RegistryStore, open_store
from catalog.stores.protocol import Committed
from catalog.sync import sync
from registry_server.api.registry import Bounds
from registry_server.background import running
from tests.conformance.store_suite import StoreConformance
from tests.conformance.store_tools import CARD, FILES, TOLD, WEIGHTS, manifest_of, publish
from tests.registry_server.house import House, build

_serial = itertools.count()


def ungated(registry: Any, upload: Any, folder: Path, caller: Any) -> dict[str, Any]:
    """Publish bytes that no gate would let through."""
    where, name, manifest = registry.settings.store, upload.model, upload.manifest
    store = registry.open_store(where)
    for entry in store.missing(name, manifest):
        with (folder / entry.path).open("rb") as source:
            store.upload(name, manifest, entry, source)
    done = store.commit(name, manifest, "", {})
    with registry.index() as index:
        index.put(Row(where, name, done.version, done.digest))
    return {"ref": f"{name}@{done.version}", "name": name, "version": done.version,
            "digest": done.digest, "store": where, "new": True}  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = build(tmp_path_factory.mktemp("house"), Bounds(uploads=10_000), nobody="admin")
    object.__setattr__(house.registry.settings, "protected", frozenset())
    return house


@pytest.fixture(scope="module")
def url(house: House) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch, running(house.app) as url:
        patch.setattr("registry_server.api.commit._publish", ungated)
        yield url


class _WithTheStoreBehind(RegistryStore):
    """Nothing is deleted through a registry: it is done behind it, and noticed by a sync."""

    house: House

    def delete(self, version: Committed) -> None:
        self.house.store.delete(version)
        synced(self.house)


def synced(house: House) -> None:
    with house.registry.index() as index:
        sync(house.store, house.registry.settings.store, index, lambda _: None)


class TestRegistry(StoreConformance):
    @pytest.fixture
    def name(self) -> str:
        return f"shower{next(_serial)}"

    @pytest.fixture
    def store(self, house: House, url: str) -> RegistryStore:
        _WithTheStoreBehind.house = house
        return _WithTheStoreBehind(open_store(f"registry+{url}")._client)

    def damage(self, store: RegistryStore, version: Committed, entry: Entry) -> None:  # type: ignore[override]
        pytest.skip("its gate wants all files again: see test_publishing_again_mends")

    def put_foreign(self, store: Any, name: str, files: dict[str, bytes]) -> Committed:
        version = store.house.store.register(name, files, TOLD)
        synced(store.house)
        return version

    def test_the_store_tells_what_it_knows_of_a_foreign_version(
        self, store: Any, name: str
    ) -> None:
        told = store.foreign(self.put_foreign(store, name, WEIGHTS))
        assert told.description == TOLD.description
        assert told.tags.items() >= TOLD.tags.items()

    def test_files_of_a_foreign_version_are_listed_and_read(self, store: Any, name: str) -> None:
        with pytest.raises(UsageError, match="keeps the files of"):
            store.files(self.put_foreign(store, name, WEIGHTS))

    def test_an_adopted_version_is_a_version_like_any_other(self, store: Any, name: str) -> None:
        foreign = self.put_foreign(store, name, WEIGHTS)
        with pytest.raises(UsageError, match="keeps the files of"):
            store.adopt(foreign, manifest_of(WEIGHTS | {"card.yaml": CARD}), CARD)

    test_adopting_again_replaces_the_card = None
    test_a_manifest_that_does_not_fit_is_not_adopted = None
    test_what_was_published_with_a_card_is_not_adopted = None
    test_syncing_by_tokens_ends_where_a_first_look_begins = None

    def test_nothing_is_deleted_through_it(self, store: Any, url: str, name: str) -> None:
        version = publish(store, name, FILES)
        with pytest.raises(UsageError, match="deletes nothing"):
            open_store(f"registry+{url}").delete(version)
        assert list(store.versions(name)) == [version]

    def test_publishing_again_mends_a_store_that_lost_bytes(self, store: Any, name: str) -> None:
        version = publish(store, name, FILES)
        entry = next(e for e in manifest_of(FILES).entries if e.path == "model.onnx")
        store.house.store._blobs[entry.digest] = b"x" * entry.size
        assert store.missing(name, manifest_of(FILES)) == list(manifest_of(FILES).entries)
        assert publish(store, name, FILES) == version
        assert store.house.store._blobs[entry.digest] == FILES["model.onnx"]

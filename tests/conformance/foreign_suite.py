"""What every store promises of changes, of deleting, and of what others put into it."""

from __future__ import annotations

import pytest

from catalog.errors import NotFound, StoreError
from catalog.manifest import parse_manifest
from catalog.stores.protocol import Alias, Committed, Store
from tests.conformance.store_tools import (
    CARD,
    FILES,
    TOLD,
    WEIGHTS,
    adopted_by,
    manifest_of,
    numbered,
    of_names,
    open_path,
    publish,
    read_file,
)


class ForeignConformance:
    """Part of StoreConformance."""

    keeps_numbers = True  # a deleted number is never given again

    def put_foreign(self, store: Store, name: str, files: dict[str, bytes]) -> Committed:
        """Register a version with the store's own tools, described as TOLD is."""
        raise NotImplementedError

    def test_a_first_look_tells_everything(self, store: Store, name: str) -> None:
        published = [publish(store, name, numbered(number)) for number in range(2)]
        store.point(name, "champion", 2)
        found = store.changes("")
        assert found.complete
        assert of_names(found, name) == published
        assert name in found.names
        assert Alias(name, "champion", 2) in found.aliases
        assert set(found.versions) == set(store.versions())

    def test_a_token_of_nobody_asks_for_everything(self, store: Store, name: str) -> None:
        version = publish(store, name, FILES)
        for token in ("nonsense", "9", "{}", '{"time": "x"}', "é" * 100):
            found = store.changes(token)
            assert found.complete
            assert version in found.versions

    def test_what_was_published_since_is_told(self, store: Store, name: str) -> None:
        first = publish(store, name, numbered(1))
        token = store.changes("").token
        second = publish(store, name, numbered(2))
        new = publish(store, f"{name}-new", FILES)
        found = store.changes(token)
        assert of_names(found, name, f"{name}-new") == [first, second, new]
        assert {name, f"{name}-new"} <= set(found.names)

    def test_an_alias_that_moved_is_told_with_its_model(self, store: Store, name: str) -> None:
        for number in range(2):
            publish(store, name, numbered(number))
        store.point(name, "champion", 1)
        store.point(name, "old", 1)
        token = store.changes("").token
        store.point(name, "champion", 2)
        store.point(name, "old", None)
        found = store.changes(token)
        assert name in found.names
        assert [it for it in found.aliases if it.name == name] == [Alias(name, "champion", 2)]
        assert len(of_names(found, name)) == 2

    def test_what_was_deleted_since_is_told(self, store: Store, name: str) -> None:
        other = f"{name}-other"
        versions = [publish(store, name, numbered(number)) for number in range(2)]
        lonely = publish(store, other, FILES)
        token = store.changes("").token
        store.delete(versions[0])
        store.delete(lonely)
        found = store.changes(token)
        assert found.complete or {name, other} <= set(found.names)
        assert of_names(found, name, other) == versions[1:]

    def test_syncing_by_tokens_ends_where_a_first_look_begins(
        self, store: Store, name: str
    ) -> None:
        """Whatever happens in between, what is known by steps is what is there."""
        known = {it for it in store.changes("").versions if it.name.startswith(name)}
        token = store.changes("").token
        steps: list = [
            lambda: publish(store, name, numbered(1)),
            lambda: publish(store, f"{name}-2", numbered(1)),
            lambda: None,
            lambda: self.put_foreign(store, name, WEIGHTS),
            lambda: store.adopt(theirs(), adopted_by(theirs(), store, CARD), CARD),
            lambda: store.delete(publish(store, name, numbered(1))),
            lambda: publish(store, name, numbered(5)),
        ]

        def theirs() -> Committed:
            return next(it for it in store.versions(name) if it.version == 2)

        for step in steps:
            step()
            found = store.changes(token)
            token = found.token
            known = {it for it in known if not found.complete and it.name not in found.names}
            known |= {it for it in found.versions if it.name.startswith(name)}
            there = {it for it in store.versions() if it.name.startswith(name)}
            assert known == there

    def test_what_somebody_else_put_there_has_no_digest(self, store: Store, name: str) -> None:
        version = self.put_foreign(store, name, WEIGHTS)
        assert version == Committed(name, 1, "")
        assert list(store.versions(name)) == [version]
        with pytest.raises(NotFound):
            store.manifest(version)

    def test_the_store_tells_what_it_knows_of_a_foreign_version(
        self, store: Store, name: str
    ) -> None:
        told = store.foreign(self.put_foreign(store, name, WEIGHTS))
        assert told.description == TOLD.description
        assert told.tags.items() >= TOLD.tags.items()
        for ask in (store.foreign, store.files):
            with pytest.raises(NotFound):
                ask(Committed(name, 2, ""))

    def test_files_of_a_foreign_version_are_listed_and_read(self, store: Store, name: str) -> None:
        version = self.put_foreign(store, name, WEIGHTS)
        assert store.files(version) == [(p, len(data)) for p, data in sorted(WEIGHTS.items())]
        assert {path: open_path(store, version, path) for path in WEIGHTS} == WEIGHTS
        with pytest.raises(NotFound):
            open_path(store, version, "data/ghost.bin")

    def test_an_adopted_version_is_a_version_like_any_other(self, store: Store, name: str) -> None:
        foreign = self.put_foreign(store, name, WEIGHTS)
        manifest = adopted_by(foreign, store, CARD)
        version = store.adopt(foreign, manifest, CARD)
        assert version == Committed(name, 1, manifest.digest)
        assert list(store.versions(name)) == [version]
        assert parse_manifest(store.manifest(version), "store") == manifest
        read = {entry.path: read_file(store, version, entry) for entry in manifest.entries}
        assert read == WEIGHTS | {"card.yaml": CARD}

    def test_adopting_again_replaces_the_card(self, store: Store, name: str) -> None:
        foreign = self.put_foreign(store, name, WEIGHTS)
        first = store.adopt(foreign, adopted_by(foreign, store, CARD), CARD)
        shorter = b"name: shower\n"
        manifest = adopted_by(first, store, shorter)
        second = store.adopt(first, manifest, shorter)
        assert list(store.versions(name)) == [second]
        assert second.digest != first.digest
        assert open_path(store, second, "card.yaml") == shorter
        assert store.manifest(second) == manifest.to_bytes()
        assert store.adopt(second, manifest, shorter) == second

    def test_a_manifest_that_does_not_fit_is_not_adopted(self, store: Store, name: str) -> None:
        foreign = self.put_foreign(store, name, WEIGHTS)
        right = WEIGHTS | {"card.yaml": CARD}
        wrong = (
            WEIGHTS,
            {"card.yaml": CARD},
            right | {"ghost.bin": b"x"},
            right | {"model.pkl": b"longer than it is"},
            right | {"card.yaml": b"another card"},
        )
        for files in wrong:
            with pytest.raises(StoreError):
                store.adopt(foreign, manifest_of(files), CARD)
        assert list(store.versions(name)) == [foreign]
        with pytest.raises(NotFound):
            store.adopt(Committed(name, 2, ""), manifest_of(right), CARD)

    def test_what_was_published_with_a_card_is_not_adopted(self, store: Store, name: str) -> None:
        version = publish(store, name, FILES)
        with pytest.raises(StoreError):
            store.adopt(version, manifest_of(FILES | {"card.yaml": CARD}), CARD)
        assert list(store.versions(name)) == [version]

    def test_a_deleted_version_is_gone_with_its_aliases(self, store: Store, name: str) -> None:
        first, second = (publish(store, name, numbered(number)) for number in range(2))
        store.point(name, "champion", 1)
        store.point(name, "challenger", 2)
        store.delete(first)
        assert list(store.versions(name)) == [second]
        assert list(store.aliases(name)) == [Alias(name, "challenger", 2)]
        with pytest.raises(NotFound):
            store.manifest(first)
        with pytest.raises(NotFound):
            store.point(name, "champion", 1)
        for ghost in (first, Committed(name, 9, ""), Committed(f"{name}-ghost", 1, "")):
            with pytest.raises(NotFound):
                store.delete(ghost)

    def test_a_deleted_number_is_not_given_again(self, store: Store, name: str) -> None:
        publish(store, name, numbered(1))
        store.delete(publish(store, name, numbered(2)))
        if not self.keeps_numbers:
            pytest.skip("this store cannot remember a deleted number")
        assert publish(store, name, numbered(3)).version == 3

    def test_a_deleted_version_can_be_published_again(self, store: Store, name: str) -> None:
        store.delete(publish(store, name, FILES))
        version = publish(store, name, FILES)
        assert list(store.versions(name)) == [version]
        entries = manifest_of(FILES).entries
        assert {entry.path: read_file(store, version, entry) for entry in entries} == FILES

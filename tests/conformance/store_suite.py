"""What every store promises. A store passes by inheriting StoreConformance with a `store`."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.errors import CatalogError, DigestMismatch, NotFound, StoreError
from catalog.manifest import Entry, build_manifest, parse_manifest
from catalog.pull import materialise
from catalog.stores.protocol import Alias, Committed, Store
from tests.conformance.foreign_suite import ForeignConformance
from tests.conformance.store_tools import (
    FILES,
    LARGE,
    DyingSource,
    KilledError,
    SippedFile,
    in_threads,
    manifest_of,
    numbered,
    publish,
    read_file,
    sparse_folder,
    upload_all,
)


class StoreConformance(ForeignConformance):
    """Inherit, and give a fixture `store` (empty, or with other models in it) and `name`."""

    @pytest.fixture
    def store(self) -> Iterator[Store]:
        raise NotImplementedError

    @pytest.fixture
    def name(self) -> str:
        return "shower"

    def damage(self, store: Store, version: Committed, entry: Entry) -> None:
        """Flip one byte of a committed file where the store keeps it; skip if it cannot tell."""
        raise NotImplementedError

    def test_an_empty_store_has_no_versions(self, store: Store, name: str) -> None:
        assert list(store.versions(name)) == []

    def test_what_was_published_is_what_is_read(self, store: Store, name: str) -> None:
        version = publish(store, name, FILES)
        manifest = parse_manifest(store.manifest(version), "store")
        assert manifest == manifest_of(FILES)
        assert version == Committed(name, 1, manifest.digest)
        assert {e.path: read_file(store, version, e) for e in manifest.entries} == FILES

    def test_a_file_can_be_read_in_pieces(self, store: Store, name: str) -> None:
        version = publish(store, name, FILES)
        entry = next(e for e in manifest_of(FILES).entries if e.path == "model.onnx")
        with store.open_file(version, entry) as file:
            pieces = iter(lambda: file.read(70_001), b"")
            assert b"".join(pieces) == FILES["model.onnx"]

    @pytest.mark.slow
    def test_a_large_file_is_a_stream_both_ways(
        self, store: Store, name: str, tmp_path: Path
    ) -> None:
        """3 GB take minutes in some stores: those are in `catalog bench stores`."""
        if shutil.disk_usage(tmp_path).free < 6 * LARGE:
            pytest.skip("too little room on the disk for some copies of a large file")
        folder = tmp_path / "large"
        sparse_folder(folder, LARGE)
        manifest = build_manifest(folder)
        for entry in manifest.entries:
            with SippedFile(folder / entry.path) as source:
                store.upload(name, manifest, entry, source)
        version = store.commit(name, manifest, "a large file", {})
        cache = tmp_path / "cache"
        materialise(manifest, store, version, cache, cache / "versions" / "v")
        assert build_manifest(cache / "versions" / "v") == manifest

    def test_a_version_is_invisible_until_commit(self, store: Store, name: str) -> None:
        manifest = upload_all(store, name, FILES)
        assert list(store.versions(name)) == []
        assert all(version.name != name for version in store.versions())
        with pytest.raises(NotFound):
            store.manifest(Committed(name, 1, manifest.digest))
        store.commit(name, manifest, "summary", {})
        assert [version.version for version in store.versions(name)] == [1]

    def test_same_manifest_twice_is_one_version(self, store: Store, name: str) -> None:
        first = publish(store, name, FILES)
        publish(store, name, numbered(2))
        assert publish(store, name, FILES) == first
        assert [version.version for version in store.versions(name)] == [1, 2]

    def test_same_manifest_under_two_names_is_two_versions(self, store: Store, name: str) -> None:
        other = f"{name}-other"
        assert publish(store, name, FILES).version == 1
        assert publish(store, other, FILES).version == 1
        assert [v.name for v in store.versions() if v.name in (name, other)] == [name, other]

    def test_versions_are_dense_and_in_order(self, store: Store, name: str) -> None:
        published = [publish(store, name, numbered(number)) for number in range(11)]
        assert [version.version for version in published] == list(range(1, 12))
        assert list(store.versions(name)) == published

    def test_nothing_is_missing_after_upload(self, store: Store, name: str) -> None:
        manifest = manifest_of(FILES)
        assert store.missing(name, manifest) == list(manifest.entries)
        upload_all(store, name, FILES)
        assert store.missing(name, manifest) == []

    def test_killed_upload_resumes_and_is_never_visible(self, store: Store, name: str) -> None:
        manifest = manifest_of(FILES)
        for entry in manifest.entries:
            if entry.path != "model.onnx":
                store.upload(name, manifest, entry, io.BytesIO(FILES[entry.path]))
        torn = next(e for e in manifest.entries if e.path == "model.onnx")
        with pytest.raises((KilledError, CatalogError)):
            store.upload(name, manifest, torn, DyingSource(FILES[torn.path]))  # type: ignore[arg-type]
        assert list(store.versions(name)) == []
        assert torn in store.missing(name, manifest)
        version = publish(store, name, FILES)
        assert read_file(store, version, torn) == FILES[torn.path]

    @pytest.mark.parametrize(
        "damage",
        [lambda d: b"x" + d[1:], lambda d: d[:-1], lambda d: d + b"x", lambda d: d[:0]],
        ids=["flipped", "short", "long", "empty"],
    )
    def test_wrong_bytes_are_refused(self, store: Store, name: str, damage) -> None:
        manifest = manifest_of(FILES)
        entry = next(e for e in manifest.entries if e.path == "model.onnx")
        with pytest.raises(DigestMismatch):
            store.upload(name, manifest, entry, io.BytesIO(damage(FILES[entry.path])))
        assert entry in store.missing(name, manifest)

    def test_wrong_bytes_do_not_harm_what_is_committed(self, store: Store, name: str) -> None:
        version = publish(store, name, FILES)
        manifest = manifest_of(FILES)
        entry = next(e for e in manifest.entries if e.path == "model.onnx")
        for wrong in (b"x" * entry.size, b"short"):
            with pytest.raises(DigestMismatch):
                store.upload(name, manifest, entry, io.BytesIO(wrong))
        assert read_file(store, version, entry) == FILES[entry.path]

    @pytest.mark.parametrize("path", ["model.onnx", "plots/response.txt"])
    def test_publishing_again_mends_flipped_bytes(self, store: Store, name: str, path: str) -> None:
        version = publish(store, name, FILES)
        entry = next(e for e in manifest_of(FILES).entries if e.path == path)
        self.damage(store, version, entry)
        assert read_file(store, version, entry) != FILES[path]
        assert store.missing(name, manifest_of(FILES)) == [entry]
        assert publish(store, name, FILES) == version
        assert read_file(store, version, entry) == FILES[path]

    def test_an_upload_may_be_repeated(self, store: Store, name: str) -> None:
        manifest = upload_all(store, name, FILES)
        for _ in range(2):
            for entry in manifest.entries:
                store.upload(name, manifest, entry, io.BytesIO(FILES[entry.path]))
            version = store.commit(name, manifest, "", {})
        assert version.version == 1

    def test_commit_without_all_files_is_refused(self, store: Store, name: str) -> None:
        manifest = manifest_of(FILES)
        store.upload(name, manifest, manifest.entries[0], io.BytesIO(FILES["card.yaml"]))
        with pytest.raises(StoreError, match=r"empty\.bin"):
            store.commit(name, manifest, "", {})
        assert list(store.versions(name)) == []

    def test_long_summaries_and_tags_do_not_stop_a_commit(self, store: Store, name: str) -> None:
        manifest = upload_all(store, name, FILES)
        version = store.commit(name, manifest, "é" * 20_000, {"long": "ü" * 20_000})
        assert version.version == 1

    def test_an_unknown_version_is_not_found(self, store: Store, name: str) -> None:
        publish(store, name, FILES)
        entry = manifest_of(FILES).entries[0]
        for ghost in (Committed(name, 2, ""), Committed(f"{name}-ghost", 1, "sha256:" + "0" * 64)):
            with pytest.raises(NotFound):
                store.manifest(ghost)
            with pytest.raises(NotFound), store.open_file(ghost, entry):
                pass

    def test_a_file_that_is_not_there_is_not_found(self, store: Store, name: str) -> None:
        version = publish(store, name, FILES)
        ghost = Entry("ghost.bin", 3, "sha256:" + "0" * 64)
        with pytest.raises(NotFound), store.open_file(version, ghost):
            pass

    def test_two_threads_publishing_the_same_make_one_version(
        self, store: Store, name: str
    ) -> None:
        found = in_threads([lambda: publish(store, name, FILES)] * 3)
        assert found == [Committed(name, 1, manifest_of(FILES).digest)] * 3
        assert len(list(store.versions(name))) == 1

    def test_threads_publishing_different_models_are_dense(self, store: Store, name: str) -> None:
        jobs = [lambda n=n: publish(store, name, numbered(n)) for n in range(4)]
        found = in_threads(jobs)
        assert sorted(version.version for version in found) == [1, 2, 3, 4]
        digests = {manifest_of(numbered(number)).digest for number in range(4)}
        assert {version.digest for version in store.versions(name)} == digests

    def test_a_new_model_has_no_aliases(self, store: Store, name: str) -> None:
        assert list(store.aliases(name)) == []
        publish(store, name, FILES)
        assert list(store.aliases(name)) == []

    def test_an_alias_means_the_version_it_was_given(self, store: Store, name: str) -> None:
        publish(store, name, FILES)
        store.point(name, "champion", 1)
        assert list(store.aliases(name)) == [Alias(name, "champion", 1)]
        assert Alias(name, "champion", 1) in store.aliases()

    def test_moving_an_alias_leaves_one(self, store: Store, name: str) -> None:
        for number in range(3):
            publish(store, name, numbered(number))
        for version in (1, 3, 3, 2):
            store.point(name, "champion", version)
            assert list(store.aliases(name)) == [Alias(name, "champion", version)]

    def test_aliases_and_models_do_not_disturb_each_other(self, store: Store, name: str) -> None:
        other = f"{name}-other"
        for model in (name, other):
            publish(store, model, numbered(1))
            publish(store, model, numbered(2))
        store.point(name, "champion", 1)
        store.point(name, "a-challenger", 2)
        store.point(other, "champion", 2)
        store.point(name, "champion", 2)
        store.point(name, "a-challenger", None)
        assert list(store.aliases(name)) == [Alias(name, "champion", 2)]
        assert list(store.aliases(other)) == [Alias(other, "champion", 2)]
        assert [v.version for v in store.versions(name)] == [1, 2]

    def test_publishing_moves_no_alias(self, store: Store, name: str) -> None:
        publish(store, name, numbered(1))
        store.point(name, "champion", 1)
        publish(store, name, numbered(2))
        publish(store, name, numbered(1))
        assert list(store.aliases(name)) == [Alias(name, "champion", 1)]

    def test_an_alias_of_nothing_is_refused_and_changes_nothing(
        self, store: Store, name: str
    ) -> None:
        with pytest.raises(NotFound):
            store.point(name, "champion", 1)
        publish(store, name, FILES)
        store.point(name, "champion", 1)
        with pytest.raises(NotFound):
            store.point(name, "champion", 2)
        with pytest.raises(NotFound):
            store.point(name, "challenger", None)
        assert list(store.aliases(name)) == [Alias(name, "champion", 1)]

    def test_a_removed_alias_is_gone_and_can_come_back(self, store: Store, name: str) -> None:
        publish(store, name, FILES)
        store.point(name, "champion", 1)
        store.point(name, "champion", None)
        assert list(store.aliases(name)) == []
        with pytest.raises(NotFound):
            store.point(name, "champion", None)
        store.point(name, "champion", 1)
        assert len(list(store.aliases(name))) == 1

    def test_of_two_movers_one_wins_and_no_reader_sees_none(self, store: Store, name: str) -> None:
        for number in range(2):
            publish(store, name, numbered(number))
        store.point(name, "champion", 1)

        def move(version: int) -> None:
            for _ in range(4):
                store.point(name, "champion", version)

        def look() -> list[int]:
            return [alias.version for _ in range(8) for alias in store.aliases(name)]

        *moved, seen = in_threads([lambda: move(1), lambda: move(2), look])
        assert moved == [None, None]
        assert len(seen) == 8 and set(seen) <= {1, 2}
        assert len(list(store.aliases(name))) == 1

    def test_two_first_ones_at_once_leave_one(self, store: Store, name: str) -> None:
        for number in range(2):
            publish(store, name, numbered(number))
        jobs = [lambda v=v: store.point(name, "champion", v) for v in (1, 2, 1, 2)]
        assert in_threads(jobs) == [None] * 4
        assert len(list(store.aliases(name))) == 1

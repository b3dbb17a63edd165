"""A version in another store is the same version: its digest, its bytes, its lineage."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from catalog.card import Lineage
from catalog.errors import CheckFailed, DigestMismatch
from catalog.index import Index, open_index
from catalog.manifest import Entry, parse_manifest
from catalog.publish import publish
from catalog.replicate import Side, choose, copy_aliases, find_there, replicate
from catalog.replicate_report import as_dict, human, planned
from catalog.settings import Settings
from catalog.stores import Committed, Store
from catalog.stores.memory import MemoryStore
from catalog.stores.protocol import Foreign
from catalog.verify import verify_version
from tests.catalog.shelf import Shelf, put_on_shelf, silent
from tests.conformance.store_tools import manifest_of
from tests.toys import generator_folder

_serial = itertools.count()


@dataclass
class Counting:
    """A store that counts what is read of it and sent to it; a stand-in for watching a network."""

    store: Any
    read: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def manifest(self, version: Committed) -> bytes:
        self.read.append("manifest.json")
        return self.store.manifest(version)

    def open_file(self, version: Committed, entry: Entry) -> AbstractContextManager[BinaryIO]:
        self.read.append(entry.path)
        return self.store.open_file(version, entry)

    def upload(self, name: str, manifest: Any, entry: Entry, source: BinaryIO) -> None:
        self.sent.append(entry.path)
        self.store.upload(name, manifest, entry, source)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache", store="here")


@pytest.fixture
def index(settings: Settings) -> Iterator[Index]:
    with open_index(settings.home) as opened:
        yield opened


@pytest.fixture(params=["memory", "mlflow"])
def there(request: pytest.FixtureRequest) -> Side:
    store = request.getfixturevalue("embedded") if request.param == "mlflow" else MemoryStore()
    return Side(Counting(store), "there")


def put(folder: Path, store: Store, index: Index, **how: Any) -> Committed:
    return publish(generator_folder(folder, **how), store, "here", index, silent).version


def files_of(store: Store, version: Committed) -> dict[str, bytes]:
    found = {}
    for entry in parse_manifest(store.manifest(version), "store").entries:
        with store.open_file(version, entry) as file:
            found[entry.path] = file.read()
    return found


def test_the_same_digest_and_bytes_are_on_both_sides(
    tmp_path: Path, there: Side, index: Index
) -> None:
    here = Side(MemoryStore(), "here")
    version = put(tmp_path / "1", here.store, index, name=f"copied{next(_serial)}")
    told: list[tuple[int, int]] = []
    done = replicate(version, here, there, index, silent, lambda *it: told.append(it))
    assert done.there.digest == version.digest
    assert done.there.version == version.version, "its number was free"
    assert files_of(there.store, done.there) == files_of(here.store, version)
    assert done.new
    assert told[-1][0] == told[-1][1] == sum(entry.size for entry in done.sent)
    rows = index.by_digest(version.digest)
    assert sorted((row.store, row.ref) for row in rows) == [
        ("here", f"{version.name}@1"), ("there", f"{version.name}@1")
    ]  # fmt: skip


def test_again_costs_nothing(tmp_path: Path, there: Side, index: Index) -> None:
    counting = Counting(MemoryStore())
    here = Side(counting, "here")
    version = put(tmp_path / "1", counting.store, index, name=f"copied{next(_serial)}")
    first = replicate(version, here, there, index, silent, silent)
    counting.read.clear()
    there.store.sent.clear()  # type: ignore[attr-defined]
    there.store.read.clear()  # type: ignore[attr-defined]
    again = replicate(version, here, there, index, silent, silent)
    assert (again.there, again.sent, again.new) == (first.there, (), False)
    assert counting.read == []
    assert there.store.sent == there.store.read == []  # type: ignore[attr-defined]


def test_what_was_sent_before_a_break_is_not_sent_again(
    tmp_path: Path, there: Side, index: Index
) -> None:
    store = MemoryStore()
    version = put(tmp_path / "1", store, index, name=f"copied{next(_serial)}")
    manifest = parse_manifest(store.manifest(version), "store")
    half = manifest.entries[: len(manifest.entries) // 2]
    for entry in half:
        with store.open_file(version, entry) as file:
            there.store.upload(version.name, manifest, entry, file)
    assert find_there(there.store, version) is None
    done = replicate(version, Side(store, "here"), there, index, silent, silent)
    assert set(done.sent) == set(manifest.entries) - set(half)
    assert files_of(there.store, done.there) == files_of(store, version)


def test_a_number_that_is_taken_gives_way_and_is_told(
    tmp_path: Path, there: Side, index: Index
) -> None:
    name, here = f"copied{next(_serial)}", Side(MemoryStore(), "here")
    version = put(tmp_path / "1", here.store, index, name=name)
    taken = put(tmp_path / "2", there.store, index, name=name, depth=5.0)
    done = replicate(version, here, there, index, silent, silent)
    assert (version.version, taken.version, done.there.version) == (1, 1, 2)
    assert as_dict(done, [])["there"] == f"{name}@2"


def test_a_damaged_source_makes_nothing_visible(
    tmp_path: Path, there: Side, index: Index, settings: Settings
) -> None:
    folder = generator_folder(tmp_path / "1", name=f"copied{next(_serial)}")
    shelf = put_on_shelf(folder, MemoryStore(), "here", settings)
    before = shelf.flip("model.onnx", 100, 3)
    with pytest.raises(DigestMismatch, match="in here: model.onnx"):
        replicate(shelf.version, Side(shelf.store, "here"), there, index, silent, silent)
    assert list(there.store.versions(shelf.version.name)) == []
    shelf.write("model.onnx", before)
    done = replicate(shelf.version, Side(shelf.store, "here"), there, index, silent, silent)
    assert verify_version(there.store, done.there, silent).sound


def test_mending_sends_only_what_is_damaged(
    tmp_path: Path, index: Index, settings: Settings, embedded: Store
) -> None:
    folder = generator_folder(tmp_path / "1", name=f"copied{next(_serial)}")
    version = publish(folder, MemoryStore(), "here", index, silent).version
    store = MemoryStore()
    publish(folder, store, "here", index, silent)
    for other in (MemoryStore(), embedded):
        shelf: Shelf = put_on_shelf(folder, other, "there", settings)
        shelf.flip("model.onnx", 7, 1)
        shelf.write("test_inputs.npz", None)
        target = Side(other, "there")
        untouched = replicate(version, Side(store, "here"), target, index, silent, silent)
        assert untouched.sent == ()
        mended = replicate(version, Side(store, "here"), target, index, silent, silent, mend=True)
        assert [entry.path for entry in mended.sent] == ["model.onnx", "test_inputs.npz"]
        assert (mended.there, mended.new) == (shelf.version, False)
        assert verify_version(other, shelf.version, silent).sound


def test_lineage_is_kept_and_a_parent_that_is_not_there_is_named(
    tmp_path: Path, there: Side, index: Index
) -> None:
    here, number = Side(MemoryStore(), "here"), next(_serial)
    parent = put(tmp_path / "1", here.store, index, name=f"parent{number}")
    lineage = Lineage(parent=parent.digest, parent_ref=f"{parent.name}@1", recipe="full")
    child = put(tmp_path / "2", here.store, index, name=f"child{number}", lineage=lineage)
    said: list[str] = []
    replicate(child, here, there, index, said.append, silent)
    assert f"its parent {parent.name}@1 is not in there" in said[0]
    replicate(parent, here, there, index, said.append, silent)
    children = index.children(parent.digest)
    assert {row.store for row in children} == {"here", "there"}
    assert len(said) == 1


def test_aliases_come_along_but_a_protected_one_must_be_earned(
    tmp_path: Path, there: Side, index: Index
) -> None:
    here = Side(MemoryStore(), "here")
    version = put(tmp_path / "1", here.store, index, name=f"copied{next(_serial)}")
    for alias in ("production", "champion"):
        here.store.point(version.name, alias, 1)
    done = replicate(version, here, there, index, silent, silent)
    assert list(there.store.aliases(version.name)) == []
    said: list[str] = []
    given = copy_aliases(done, here, there, index, {"champion"}, said.append)
    assert given == ["production"]
    assert [it.alias for it in there.store.aliases(version.name)] == ["production"]
    assert "champion is not set in there" in said[0]


def test_a_version_without_a_manifest_is_refused_and_not_chosen(
    tmp_path: Path, index: Index
) -> None:
    here, there = Side(MemoryStore(), "here"), Side(MemoryStore(), "there")
    put(tmp_path / "1", here.store, index, name="ours")
    with pytest.raises(CheckFailed, match="no manifest to keep"):
        replicate(Committed("theirs", 1, ""), here, there, index, silent, silent)
    assert [it.name for it in choose(here.store, "*")] == ["ours"]


def test_a_pattern_chooses_models_by_name_in_the_order_of_numbers(
    tmp_path: Path, index: Index
) -> None:
    store = MemoryStore()
    for number, (name, depth) in enumerate([("vae-a", 4.0), ("gan", 5.0), ("vae-a", 6.0)]):
        put(tmp_path / str(number), store, index, name=name, depth=depth)
    chosen = [(it.name, it.version) for it in choose(store, "vae-*")]
    assert chosen == [("vae-a", 1), ("vae-a", 2)]


def test_a_dry_run_writes_nothing_and_says_what_would_be_sent(
    tmp_path: Path, there: Side, index: Index
) -> None:
    here = Side(MemoryStore(), "here")
    version = put(tmp_path / "1", here.store, index, name=f"copied{next(_serial)}")
    plan = planned(version, here, there)
    assert list(there.store.versions(version.name)) == []
    done = as_dict(replicate(version, here, there, index, silent, silent), [])
    assert (plan["files"], plan["bytes"], plan["new"]) == (done["files"], done["bytes"], True)
    assert version.name in human([plan, done])
    assert planned(version, here, there)["files"] == 0


def test_bytes_of_an_adopted_version_replicate_as_they_lie(
    tmp_path: Path, there: Side, index: Index
) -> None:
    """What somebody else put into a store has a digest as soon as it has a card."""
    store, name = MemoryStore(), f"adopted{next(_serial)}"
    card = (generator_folder(tmp_path / "1") / "card.yaml").read_bytes()
    files = {"weights.bin": b"\x80\x04 bytes that nobody loads"}
    foreign = store.register(name, files, Foreign())
    version = store.adopt(foreign, manifest_of(files | {"card.yaml": card}), card)
    done = replicate(version, Side(store, "here"), there, index, silent, silent)
    assert done.there.digest == version.digest
    assert files_of(there.store, done.there) == files | {"card.yaml": card}

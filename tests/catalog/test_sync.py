"""Whatever happens in the stores, the index ends up telling it, and nothing is lost or merged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from catalog.cli import sync as sync_verb
from catalog.domain import TensorSpec
from catalog.errors import NotFound, StoreError
from catalog.index import Index, Query, open_index
from catalog.index.present import as_dict, human
from catalog.publish import publish
from catalog.pull import resolve
from catalog.showcase import describe, page
from catalog.store_check import let_go
from catalog.stores import Changes, Committed, Foreign
from catalog.stores.memory import MemoryStore
from catalog.sync import Synced, sync
from tests.toys import generator_folder

TOLD = Foreign(
    framework="pytorch",
    description="Fast showers of a spaghetti calorimeter\nby somebody",
    inputs=(TensorSpec(name="latent", dtype="float32", shape=(-1, 200), role="features"),),
    outputs=(TensorSpec(name="", dtype="float32", shape=(-1, 25, 25, 25), role="prediction"),),
    tags={"owner": "the lab"},
)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with open_index(tmp_path / "home") as opened:
        yield opened


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    place = tmp_path_factory.mktemp("folders")
    return [generator_folder(place / str(n), depth=4.0 + n) for n in range(3)]


class Reading(MemoryStore):
    """Counts the versions whose files are read; fails where told to."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []
        self.asked: list[str] = []
        self.down = False
        self.broken: set[int] = set()

    def changes(self, since: str) -> Changes:
        if self.down:
            raise StoreError("the server does not answer")
        self.asked.append(since)
        return super().changes(since)

    def manifest(self, version: Committed) -> bytes:
        if version.version in self.broken:
            raise StoreError("the connection broke off")
        self.read.append(f"{version.name}@{version.version}")
        return super().manifest(version)


def put(store: MemoryStore, folder: Path, place: Path) -> Committed:
    """Publish as another machine does: this index does not hear of it."""
    with open_index(place / "elsewhere") as other:
        return publish(folder, store, "theirs", other, lambda _: None).version


def run(store: MemoryStore, index: Index, name: str = "lab", **how: Any) -> Synced:
    return sync(store, name, index, lambda _: None, **how)


def refs(index: Index, prefer: str = "lab", **query: object) -> list[str]:
    return [row.ref for row in index.search(Query(**query), prefer)[1]]  # type: ignore[arg-type]


def test_only_what_changed_is_read_again(tmp_path: Path, index: Index, folders: list[Path]) -> None:
    store = Reading()
    put(store, folders[0], tmp_path)
    assert run(store, index).read == 1
    assert run(store, index).read == 0
    put(store, folders[1], tmp_path)
    store.read.clear()
    done = run(store, index)
    assert (done.versions, done.read, done.complete) == (2, 1, False)
    assert set(store.read) == {"toy@2"}
    assert refs(index) == ["toy@1", "toy@2"]


def test_a_full_sync_reads_all_and_changes_nothing(
    tmp_path: Path, index: Index, folders: list[Path]
) -> None:
    store = Reading()
    for folder in folders:
        put(store, folder, tmp_path)
    run(store, index)
    before = index.search(Query())
    assert run(store, index, full=True).read == 3
    assert index.search(Query()) == before


def test_what_was_deleted_is_marked_hidden_and_kept(
    tmp_path: Path, index: Index, folders: list[Path]
) -> None:
    store = MemoryStore()
    first, second = (put(store, folder, tmp_path) for folder in folders[:2])
    run(store, index)
    store.delete(first)
    assert run(store, index).gone == 1
    assert run(store, index).gone == 0
    assert refs(index) == ["toy@2"]
    assert refs(index, gone=True) == ["toy@1"]
    assert resolve("toy", index, "lab") == second
    with pytest.raises(NotFound, match="was deleted in the store 'lab'"):
        resolve("toy@1", index, "lab")
    value = describe(resolve("toy@1", index, "lab", gone=True), index, "lab", "lab")
    assert value["gone"] and value["card"]
    assert f"noticed on {value['gone']}" in page(value)


def test_a_version_that_comes_back_is_there_again(
    tmp_path: Path, index: Index, folders: list[Path]
) -> None:
    store = MemoryStore()
    version = put(store, folders[0], tmp_path)
    run(store, index)
    kept = store._models["toy"].versions[1]
    store.delete(version)
    run(store, index)
    store._models["toy"].versions[1] = kept
    store._log.append("toy")
    done = run(store, index)
    assert (done.read, refs(index), refs(index, gone=True)) == (0, ["toy@1"], [])


def test_a_store_that_is_down_leaves_its_rows_as_they_are(
    tmp_path: Path, index: Index, folders: list[Path]
) -> None:
    store = Reading()
    put(store, folders[0], tmp_path)
    run(store, index)
    before = index.search(Query())
    store.down = True
    for full in (False, True):
        with pytest.raises(StoreError):
            run(store, index, full=full)
    assert index.search(Query()) == before


def test_what_the_store_did_not_give_is_asked_for_again(
    tmp_path: Path, index: Index, folders: list[Path]
) -> None:
    store = Reading()
    for folder in folders:
        put(store, folder, tmp_path)
    store.broken = {2}
    assert run(store, index).unread == 1
    assert [row.task is None for row in index.search(Query())[1]] == [False, True, False]
    store.broken = set()
    done = run(store, index)
    assert (done.unread, done.read) == (0, 1)
    assert not any(row.task is None for row in index.search(Query())[1])


def test_a_known_version_that_cannot_be_read_now_keeps_its_card(
    tmp_path: Path, index: Index, folders: list[Path]
) -> None:
    store = Reading()
    put(store, folders[0], tmp_path)
    run(store, index)
    store.broken = {1}
    assert run(store, index, full=True).unread == 1
    assert index.search(Query())[1][0].task == "shower-generation"


def test_one_version_in_two_stores_is_one_line(
    tmp_path: Path, index: Index, folders: list[Path]
) -> None:
    lab, cloud = MemoryStore(), MemoryStore()
    for store, name in ((lab, "lab"), (cloud, "cloud")):
        put(store, folders[0], tmp_path)
        run(store, index, name)
    put(cloud, folders[1], tmp_path)
    run(cloud, index, "cloud")
    for prefer, wanted in (
        ("lab", ["toy@1", "cloud:toy@2"]),
        ("cloud", ["toy@1", "toy@2"]),
        ("mlflow", ["lab:toy@1", "cloud:toy@2"]),
    ):
        total, rows = index.search(Query(), prefer)
        assert (total, [row.ref for row in rows]) == (2, wanted)
        assert index.places(rows[0]).stores == ("cloud", "lab")
    shown = as_dict(rows[0], index.places(rows[0]))
    assert (shown["stores"], shown["store"]) == (["cloud", "lab"], "lab")
    assert refs(index, prefer="cloud", store="lab") == ["lab:toy@1"]


def test_of_two_places_the_one_that_is_left_stays(
    tmp_path: Path, index: Index, folders: list[Path]
) -> None:
    lab, cloud = MemoryStore(), MemoryStore()
    for store, name in ((lab, "lab"), (cloud, "cloud")):
        version = put(store, folders[0], tmp_path)
        run(store, index, name)
    for store, name, left in ((lab, "lab", ["cloud:toy@1"]), (cloud, "cloud", [])):
        store.delete(version)
        run(store, index, name)
        assert refs(index, prefer="mlflow") == left


def test_two_digests_under_one_number_are_a_conflict_and_stay_two(
    tmp_path: Path, index: Index, folders: list[Path]
) -> None:
    versions = []
    for folder, name in zip(folders, ("lab", "cloud"), strict=False):
        store = MemoryStore()
        versions.append(put(store, folder, tmp_path))
        run(store, index, name)
    total, rows = index.search(Query(), "lab")
    assert (total, sorted(row.ref for row in rows)) == (2, ["cloud:toy@1", "toy@1"])
    ours = next(row for row in rows if row.ref == "toy@1")
    assert index.places(ours).conflicts == (("cloud", versions[1].digest),)
    assert "CONFLICT" in human([(row, index.places(row)) for row in rows])
    value = describe(resolve("toy@1", index, "lab"), index, "lab", "lab")
    assert value["conflicts"] == [{"store": "cloud", "digest": versions[1].digest}]
    assert value["stores"] == ["lab"]
    assert "CONFLICT: cloud has another toy@1" in page(value)
    assert resolve("cloud:toy@1", index, "lab") == versions[1]


def test_a_foreign_model_is_found_by_what_its_store_tells(index: Index) -> None:
    store = MemoryStore()
    version = store.register("Spaghetti GAN", {"model.pkl": b"\x80\x04N."}, TOLD)
    run(store, index)
    for text in ("spaghetti", "pytorch", "latent", "lab"):
        assert refs(index, text=text) == ["Spaghetti GAN@1"]
    assert refs(index, text="unheard") == refs(index, task="shower-generation") == []
    value = describe(version, index, "lab", "mlflow")
    assert (value["documented"], value["card"]) == (False, None)
    assert value["told"]["inputs"] == [{"name": "latent", "dtype": "float32", "shape": [-1, 200]}]
    words = page(value)
    for word in (
        "latent float32[-1, 200]",
        "(no name)",
        "owner = the lab",
        "catalog annotate lab:",
    ):
        assert word in words


@pytest.mark.parametrize(
    "told",
    [
        Foreign(description="\x1b[31m" + "x" * 1_000_000, tags={"\ud800": "\udc00" * 99}),
        Foreign(framework="'; DROP TABLE versions; --", tags={str(n): "x" for n in range(9999)}),
        replace(TOLD, inputs=TOLD.inputs * 5000),
    ],
)
def test_hostile_words_of_strangers_are_data(index: Index, told: Foreign) -> None:
    store = MemoryStore()
    version = store.register("theirs", {}, told)
    run(store, index)
    value = describe(version, index, "lab", "lab")
    json.dumps(value).encode()
    page(value).encode()


def test_a_store_known_by_its_uri_keeps_its_rows_under_its_name(
    tmp_path: Path, index: Index, folders: list[Path]
) -> None:
    store, uri = MemoryStore(), "mlflow+https://mlflow.example.org"
    put(store, folders[0], tmp_path)
    store.point("toy", "best", 1)
    run(store, index, uri)
    index.rename_store(uri, "lab")
    assert (index.count(uri), index.count("lab")) == (0, 1)
    assert index.search(Query())[1][0].aliases == ("best",)
    assert run(store, index).read == 0


def test_a_store_named_twice_over_loses_no_model(
    tmp_path: Path, index: Index, folders: list[Path]
) -> None:
    store = MemoryStore()
    put(store, folders[0], tmp_path)
    for name in ("lab", "mlflow"):
        run(store, index, name)
    index.rename_store("mlflow", "lab")
    assert index.search(Query())[0] == 1
    assert index.search(Query(text="toy"))[0] == 1
    index.rename_store("mlflow", "lab")  # of nothing
    assert index.count("lab") == 1


@pytest.mark.parametrize(("uri", "kept"), [("mlflow+https://a.org", []), ("mlflow", ["mlflow"])])
def test_a_name_that_means_another_store_brings_nothing_along(
    tmp_path: Path, index: Index, folders: list[Path], uri: str, kept: list[str]
) -> None:
    store, other = MemoryStore(), MemoryStore()
    put(store, folders[0], tmp_path)
    put(other, folders[1], tmp_path)
    run(store, index)
    let_go(index, "lab", uri, "mlflow")
    assert index.token("lab") == ("", "")
    assert [row.store for row in index.search(Query())[1]] == kept
    assert run(other, index).read == 1
    assert index.count("lab") == 1


def test_a_name_that_moved_by_hand_asks_nobody_with_the_token_of_another(
    tmp_path: Path, index: Index, folders: list[Path]
) -> None:
    here, there = Reading(), Reading()
    put(here, folders[0], tmp_path)
    put(here, folders[1], tmp_path)
    put(there, folders[2], tmp_path)
    for _ in range(2):
        run(here, index, address="mlflow+https://a.org")
    assert here.asked == ["", index.token("lab")[0]]
    there.down = True
    with pytest.raises(StoreError):
        run(there, index, address="mlflow+https://b.org")
    assert refs(index) == ["toy@1", "toy@2"]
    there.down = False
    for _ in range(2):
        done = run(there, index, address="mlflow+https://b.org")
        assert (done.versions, done.gone) == (1, 0)
    assert there.asked == ["", index.token("lab")[0]]
    assert refs(index) == ["toy@1"]
    assert refs(index, gone=True) == []


def test_a_name_that_moved_reads_what_was_not_given_again(
    tmp_path: Path, index: Index, folders: list[Path]
) -> None:
    here, there = Reading(), Reading()
    put(here, folders[0], tmp_path)
    put(there, folders[1], tmp_path)
    run(here, index, address="mlflow+https://a.org")
    there.broken = {1}
    assert run(there, index, address="mlflow+https://b.org").unread == 1
    there.broken = set()
    done = run(there, index, address="mlflow+https://b.org")
    assert (done.read, done.unread, there.asked) == (1, 0, ["", ""])


def test_the_command_gives_each_store_its_address(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = tmp_path / "stores.yaml"
    monkeypatch.setenv("CATALOG_CONFIG", str(names))
    monkeypatch.setenv("CATALOG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("catalog.cli.sync.open_named", lambda *_: MemoryStore())
    for uri, wanted in (("memory:a", "memory:a"), ("memory:B/", "memory:b")):
        names.write_text(f"stores: {{lab: {{uri: '{uri}'}}}}\n")
        sync_verb.run(stores=["lab"], full=False, as_json=False)
        assert index.address("lab") == wanted


class Meanwhile(MemoryStore):
    """Somebody does something between the store's answer and the end of the sync."""

    def __init__(self) -> None:
        super().__init__()
        self.then: list[Callable[[], object]] = []

    def changes(self, since: str) -> Changes:
        told = super().changes(since)
        while self.then:
            self.then.pop()()
        return told


@pytest.mark.parametrize("full", [False, True])
def test_what_is_published_during_a_sync_is_not_gone(
    tmp_path: Path, index: Index, folders: list[Path], full: bool
) -> None:
    store = Meanwhile()
    put(store, folders[0], tmp_path)
    run(store, index)
    put(store, folders[1], tmp_path)
    store.then = [lambda: publish(folders[2], store, "lab", index, lambda _: None)]
    assert run(store, index, full=full).gone == 0
    assert refs(index) == ["toy@1", "toy@2", "toy@3"]


def test_what_was_deleted_while_two_syncs_ran_is_noticed_by_the_next(
    tmp_path: Path, index: Index, folders: list[Path]
) -> None:
    store = Meanwhile()
    first = put(store, folders[0], tmp_path)
    put(store, folders[1], tmp_path)

    def deleted_and_synced() -> None:
        store.delete(first)
        run(store, index)

    store.then = [deleted_and_synced]
    run(store, index)
    run(store, index)
    assert refs(index) == ["toy@2"]

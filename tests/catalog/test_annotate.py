"""Somebody else's version gets a card; its bytes are hashed, never loaded, and stay as they are."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.annotate import Annotated, annotate
from catalog.card import card_yaml
from catalog.domain import TensorSpec
from catalog.errors import CheckFailed, StoreError
from catalog.fingerprint import FINGERPRINT_FILE, Kept, fingerprint, write_kept
from catalog.index import Index, Query, open_index
from catalog.manifest import Entry
from catalog.pull import fetch
from catalog.settings import Settings
from catalog.showcase import describe, page
from catalog.stores import Committed, Foreign
from catalog.stores.memory import MemoryStore
from catalog.sync import sync
from tests.toys import generator_card, generator_onnx, shower_set

CARD = generator_card("toy", "clic-siw")
ONNX = generator_onnx(CARD.domain.detector.sampling_fraction or 1.0).SerializeToString()


class Canary:
    """Unpickled, it creates a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self):
        return (os.mkdir, (str(self._path),))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with open_index(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache", store="lab")


def give(
    store: MemoryStore, version: Committed, index: Index, place: Path, **changes: object
) -> Annotated:
    path = place / "my-card.yaml"
    path.write_text(card_yaml(CARD.model_copy(update=changes)), encoding="utf-8")
    return annotate(version, path, store, "lab", index, lambda *_: None)


def test_an_annotated_onnx_model_is_pulled_like_a_published_one(
    tmp_path: Path, index: Index, settings: Settings
) -> None:
    store = MemoryStore()
    files = {"model.onnx": ONNX, "MLmodel": b"flavors: {}", "code/__init__.py": b"import os"}
    version = store.register("toy", files, Foreign())
    sync(store, "lab", index, lambda _: None)
    done = give(store, version, index, tmp_path)
    assert done.compared == "model.onnx"
    (row,) = index.search(Query(task="shower-generation"))[1]
    assert (row.digest, row.told) == (done.version.digest, "")
    pulled = fetch(done.version, settings, store)
    assert pulled.card == CARD
    assert {path: (pulled.folder / path).read_bytes() for path in files} == files
    done_again = sync(store, "lab", index, lambda _: None)
    assert (done_again.read, index.search(Query())[1]) == (0, [row])


def test_nothing_of_a_pickle_is_ever_unpickled(
    tmp_path: Path, index: Index, settings: Settings
) -> None:
    canary = tmp_path / "canary"
    data = pickle.dumps(Canary(canary))
    names = ("model.pkl", "data/model.pth", "python_model.pkl", "checkpoint.safetensors", "x.npz")
    store = MemoryStore()
    version = store.register("toy", dict.fromkeys(names, data), Foreign(framework="pytorch"))
    assert list(store.versions()) == [version]
    sync(store, "lab", index, lambda _: None)
    page(describe(version, index, "lab", "lab"))
    done = give(store, version, index, tmp_path)
    assert done.compared == ""
    with pytest.raises(CheckFailed, match=r"no model\.onnx") as caught:
        fetch(done.version, settings, store)
    assert "--as-bytes" in caught.value.hint
    pulled = fetch(done.version, settings, store, as_bytes=True)
    assert (pulled.folder / "model.pkl").read_bytes() == data
    sync(store, "lab", index, lambda _: None, full=True)
    page(describe(done.version, index, "lab", "lab"))
    assert not canary.exists()
    pickle.loads(data)
    assert canary.exists(), "the canary itself does not sing"


def test_a_pickle_posing_as_the_model_is_refused(tmp_path: Path, index: Index) -> None:
    store = MemoryStore()
    version = store.register("toy", {"model.onnx": pickle.dumps({"a": 1})}, Foreign())
    with pytest.raises(CheckFailed, match="not a valid ONNX model"):
        give(store, version, index, tmp_path)
    assert list(store.versions()) == [version]


def test_a_card_is_held_against_the_header_of_the_model(tmp_path: Path, index: Index) -> None:
    store = MemoryStore()
    version = store.register("toy", {"model.onnx": ONNX}, Foreign())
    wrong = (CARD.outputs[0].model_copy(update={"name": "hits"}),)
    with pytest.raises(CheckFailed, match="'hits' is not in the model"):
        give(store, version, index, tmp_path, outputs=wrong)
    assert list(store.versions()) == [version]
    assert index.search(Query())[0] == 0


def test_a_card_is_held_against_what_the_store_tells(tmp_path: Path, index: Index) -> None:
    told = Foreign(
        inputs=tuple(spec.model_copy(update={"role": "features"}) for spec in CARD.inputs),
        outputs=(TensorSpec(name="", dtype="float32", shape=(-1, 7), role="prediction"),),
    )
    store = MemoryStore()
    version = store.register("toy", {"data/weights.bin": b"x" * 99}, told)
    with pytest.raises(CheckFailed, match=r"'showers' has shape .* \[-1, 7\] in the model"):
        give(store, version, index, tmp_path)
    right = replace(told, outputs=(CARD.outputs[0].model_copy(update={"name": ""}),))
    version = store.register("toy", {"data/weights.bin": b"x" * 99}, right)
    assert give(store, version, index, tmp_path).compared == "the store's records"


def test_all_that_is_wrong_is_told_before_a_byte_is_read(tmp_path: Path, index: Index) -> None:
    class Unread(MemoryStore):
        def open_file(self, version: Committed, entry: Entry):
            raise AssertionError("read")

    store = Unread()
    version = store.register("toy", {"../up": b"x", "A.bin": b"", "a.bin": b""}, Foreign())
    with pytest.raises(CheckFailed) as caught:
        give(store, version, index, tmp_path, name="other")
    words = " ".join(caught.value.problems)
    for part in ("name is 'other'", "'../up'", "differ only in case"):
        assert part in words


def test_a_model_whose_name_no_card_can_have_takes_any(tmp_path: Path, index: Index) -> None:
    store = MemoryStore()
    version = store.register("Their Model", {"weights.bin": b"x"}, Foreign())
    assert give(store, version, index, tmp_path).version.name == "Their Model"


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path, index: Index) -> None:
    class Growing(MemoryStore):
        def files(self, version: Committed) -> list[tuple[str, int]]:
            return [(path, size - 1) for path, size in super().files(version)]

    store = Growing()
    version = store.register("toy", {"weights.bin": b"xyz"}, Foreign())
    with pytest.raises(StoreError, match="the store lists 2"):
        give(store, version, index, tmp_path)
    assert list(store.versions()) == [version]


def test_hashing_is_told_byte_by_byte_and_holds_little(tmp_path: Path, index: Index) -> None:
    store, told = MemoryStore(), []
    version = store.register("toy", {"a.bin": bytes(5_000_000), "b.bin": b"x"}, Foreign())
    path = tmp_path / "card.yaml"
    path.write_text(card_yaml(CARD), encoding="utf-8")
    annotate(version, path, store, "lab", index, lambda *how: told.append(how))
    assert told[-1] == (5_000_001, 5_000_001)
    assert len(told) >= 5
    assert told == sorted(told)


def test_annotating_again_replaces_the_card(tmp_path: Path, index: Index) -> None:
    store = MemoryStore()
    version = store.register("toy", {"model.onnx": ONNX}, Foreign())
    first = give(store, version, index, tmp_path)
    second = give(store, first.version, index, tmp_path, summary="better words")
    assert second.version.digest != first.version.digest
    assert [row.summary for row in index.search(Query())[1]] == ["better words"]


def test_a_fingerprint_among_the_files_counts_at_once_and_after_any_sync(
    tmp_path: Path, index: Index
) -> None:
    write_kept(tmp_path / "kept.npz", Kept(data=fingerprint(shower_set(tmp_path / "f.h5", n=100))))
    files = {"model.onnx": ONNX, FINGERPRINT_FILE: (tmp_path / "kept.npz").read_bytes()}
    store = MemoryStore()
    version = store.register("toy", files, Foreign())
    with open_index(tmp_path / "another machine") as other:
        for where in (index, other):
            sync(store, "lab", where, lambda _: None)
        done = give(store, version, index, tmp_path)
        assert done.unread == ""
        assert list(index.vectors()) == [done.version.digest]
        sync(store, "lab", other, lambda _: None)
        assert other.vectors() == index.vectors()


def test_a_file_that_is_no_fingerprint_does_not_keep_a_card_away(
    tmp_path: Path, index: Index
) -> None:
    store = MemoryStore()
    files = {"model.onnx": ONNX, FINGERPRINT_FILE: b"PK no archive"}
    done = give(store, store.register("toy", files, Foreign()), index, tmp_path)
    assert "not a fingerprint" in done.unread
    assert index.vectors() == {}
    assert index.search(Query(task="shower-generation"))[0] == 1

"""Publish, pull and sync over the shipped memory store."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml

from catalog.errors import BadFile, CatalogError, CheckFailed, DigestMismatch, NotFound, UsageError
from catalog.gate import check_folder
from catalog.index import Query, Row, open_index
from catalog.manifest import Entry, Manifest, build_manifest, parse_manifest
from catalog.publish import Published, publish
from catalog.pull import copy_out, fetch, find, pull, resolve
from catalog.settings import Settings
from catalog.stores import Committed
from catalog.stores.memory import MemoryStore
from catalog.sync import sync
from tests.toys import generator_folder


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache", store="memory")


def put(folder: Path, store: MemoryStore, settings: Settings) -> Published:
    with open_index(settings.home) as index:
        return publish(folder, store, settings.store, index, lambda _: None)


def test_publish_then_pull_gives_the_same_bytes(tmp_path: Path, settings: Settings) -> None:
    folder, store = generator_folder(tmp_path / "toy"), MemoryStore()
    done = put(folder, store, settings)
    pulled = fetch(done.version, settings, store)
    assert pulled.digest == build_manifest(folder).digest == done.version.digest
    for path in folder.iterdir():
        assert (pulled.folder / path.name).read_bytes() == path.read_bytes()


def test_the_same_folder_twice_is_one_version(tmp_path: Path, settings: Settings) -> None:
    folder, store = generator_folder(tmp_path / "toy"), MemoryStore()
    first, second = put(folder, store, settings), put(folder, store, settings)
    assert first.version == second.version
    assert (first.new, second.new) == (True, False)
    with open_index(settings.home) as index:
        assert index.search(Query())[0] == 1


def test_test_vectors_are_added_to_a_folder_without_them(
    tmp_path: Path, settings: Settings
) -> None:
    folder = generator_folder(tmp_path / "toy")
    (folder / "test_inputs.npz").unlink()
    (folder / "test_outputs.npz").unlink()
    put(folder, MemoryStore(), settings)
    assert (folder / "test_outputs.npz").is_file()


def break_pickle(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(pickle.dumps({"weights": 1}))


def break_external(folder: Path) -> None:
    secret = folder.parent / "secret.bin"
    secret.write_bytes(b"\0" * 4000)
    model = onnx.load(folder / "model.onnx")
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "../secret.bin"), ("length", "4000")):
        tensor.external_data.add(key=key, value=value)
    (folder / "model.onnx").write_bytes(model.SerializeToString())


def break_unit(folder: Path) -> None:
    text = (folder / "card.yaml").read_text().replace("unit: GeV", "unit: furlong", 1)
    (folder / "card.yaml").write_text(text)


def break_outputs(folder: Path) -> None:
    stored = dict(np.load(folder / "test_outputs.npz"))
    np.savez(folder / "test_outputs.npz", showers=stored["showers"] * 1.01)


def break_objects(folder: Path) -> None:
    np.savez(folder / "test_inputs.npz", noise=np.array([{}], object), allow_pickle=True)


def break_link(folder: Path) -> None:
    (folder / "notes.txt").symlink_to("/etc/hostname")


def change_card(**changes: object):
    def apply(folder: Path) -> None:
        card = yaml.safe_load((folder / "card.yaml").read_text())
        (folder / "card.yaml").write_text(yaml.safe_dump({**card, **changes}))

    return apply


BROKEN = {
    "a pickle posing as ONNX": (break_pickle, "is a Python pickle"),
    "external data outside the folder": (break_external, "not a valid ONNX model"),
    "an unknown unit": (break_unit, "unknown unit 'furlong'"),
    "outputs that the model does not give": (break_outputs, "differs from the stored output"),
    "object arrays": (break_objects, "not a readable .npz of plain arrays"),
    "a symbolic link": (break_link, "symbolic link"),
    "no model": (lambda f: (f / "model.onnx").unlink(), "model.onnx is missing"),
    "no card": (lambda f: (f / "card.yaml").unlink(), "card.yaml is missing"),
    "an empty model": (lambda f: (f / "model.onnx").write_bytes(b""), "model.onnx: is empty"),
    "a truncated model": (
        lambda f: (f / "model.onnx").write_bytes((f / "model.onnx").read_bytes()[:300]),
        "not a valid ONNX model",
    ),
    "a program": (lambda f: (f / "run.py").write_text("import os"), "kind that is not published"),
    "a zip as weights": (
        lambda f: (f / "w.safetensors").write_bytes(b"PK\x03\x04" + b"0" * 99),
        "not an adaptable checkpoint",
    ),
    "a card of nonsense": (lambda f: (f / "card.yaml").write_text("[1, 2"), "not valid YAML"),
    "a YAML alias bomb": (
        lambda f: (f / "card.yaml").write_text("a: &a [x]\nb: [*a, *a]\n"),
        "aliases",
    ),
    "an unknown field": (change_card(colour="blue"), "colour"),
    "a wrong licence": (change_card(licence="do what you want"), "licence"),
    "a path as name": (change_card(name="../evil"), "name"),
    "an unknown detector": (change_card(domain={"detector": "atlas-9"}), "unknown detector"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_folder_is_refused_with_its_reason_and_nothing_is_visible(
    tmp_path: Path, settings: Settings, what: str
) -> None:
    folder, store = generator_folder(tmp_path / "toy"), MemoryStore()
    spoil, words = BROKEN[what]
    spoil(folder)
    with pytest.raises(CheckFailed, match=words):
        put(folder, store, settings)
    assert list(store.versions()) == []


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    folder = generator_folder(tmp_path / "toy")
    break_pickle(folder)
    break_link(folder)
    break_unit(folder)
    with pytest.raises(CheckFailed) as caught:
        check_folder(folder)
    assert len(caught.value.problems) >= 3


def test_tensors_that_the_card_describes_wrongly_are_named(tmp_path: Path) -> None:
    folder = generator_folder(tmp_path / "toy")
    text = (folder / "card.yaml").read_text()
    (folder / "card.yaml").write_text(text.replace("name: showers", "name: hits"))
    with pytest.raises(CheckFailed, match="'hits' is not in the model .it has showers."):
        check_folder(folder)


def test_bytes_changed_in_the_store_are_noticed_and_leave_nothing(
    tmp_path: Path, settings: Settings
) -> None:
    folder, store = generator_folder(tmp_path / "toy"), MemoryStore()
    version = put(folder, store, settings).version
    digest = next(e.digest for e in build_manifest(folder).entries if e.path == "model.onnx")
    data = bytearray(store._blobs[digest])
    data[len(data) // 2] ^= 1
    store._blobs[digest] = bytes(data)
    with pytest.raises(DigestMismatch, match=r"model\.onnx"):
        fetch(version, settings, store)
    assert list((settings.cache / "versions").iterdir()) == []
    assert not list(settings.cache.rglob(".part-*"))
    assert put(folder, store, settings).version == version  # as the error's hint says
    assert fetch(version, settings, store).digest == version.digest


class Editing(MemoryStore):
    """The author touches a file between the gate and the upload."""

    def __init__(self, edit: Callable[[], object]) -> None:
        super().__init__()
        self.edit = edit

    def missing(self, name: str, manifest: Manifest) -> list[Entry]:
        self.edit()
        return super().missing(name, manifest)


@pytest.mark.parametrize("way", ["shrunk", "removed"])
def test_a_file_that_changes_while_it_is_published_is_named(
    tmp_path: Path, settings: Settings, way: str
) -> None:
    folder = generator_folder(tmp_path / "toy")
    path = folder / "test_outputs.npz"
    store = Editing(lambda: path.write_bytes(b"x") if way == "shrunk" else path.unlink())
    said = r"test_outputs\.npz changed while it was being published"
    with pytest.raises(CheckFailed, match=said) as caught:
        put(folder, store, settings)
    assert caught.value.hint.startswith("catalog publish ")
    assert not list(store.versions())


@pytest.mark.parametrize("where", ["versions", "blobs"])
def test_a_rotten_cache_is_fetched_again(tmp_path: Path, settings: Settings, where: str) -> None:
    folder, store = generator_folder(tmp_path / "toy"), MemoryStore()
    version = put(folder, store, settings).version
    pulled = fetch(version, settings, store)
    for path in (settings.cache / where).rglob("*"):
        if path.is_file():
            data = bytearray(path.read_bytes())
            data[-1] ^= 1
            path.write_bytes(bytes(data))
    if where == "blobs":
        (pulled.folder / "model.onnx").unlink()
    again = fetch(version, settings, store)
    assert build_manifest(again.folder).digest == version.digest


@pytest.mark.parametrize("what", ["folder", "link", "pipe"])
def test_what_is_no_file_in_the_cache_is_fetched_again(
    tmp_path: Path, settings: Settings, what: str
) -> None:
    folder, store = generator_folder(tmp_path / "toy"), MemoryStore()
    version = put(folder, store, settings).version
    shutil.rmtree(fetch(version, settings, store).folder)
    for path in [it for it in (settings.cache / "blobs").rglob("*") if it.is_file()]:
        kept = path.rename(tmp_path / path.name)
        if what == "folder":
            (path / "inside").mkdir(parents=True)
        elif what == "link":
            path.symlink_to(kept)
        else:
            os.mkfifo(path)
    assert fetch(version, settings, store).digest == version.digest
    blobs = list((settings.cache / "blobs").glob("*/*"))
    assert blobs and all(it.is_file() and not it.is_symlink() for it in blobs)


def test_an_intact_copy_needs_no_store(tmp_path: Path, settings: Settings) -> None:
    folder, store = generator_folder(tmp_path / "toy"), MemoryStore()
    version = put(folder, store, settings).version
    fetch(version, settings, store)
    assert fetch(version, settings, MemoryStore()).digest == version.digest


def test_pull_resolves_names_numbers_and_digests(tmp_path: Path, settings: Settings) -> None:
    store = MemoryStore()
    first = put(generator_folder(tmp_path / "1"), store, settings).version
    second = put(generator_folder(tmp_path / "2", depth=5.0), store, settings).version
    with open_index(settings.home) as index:
        assert resolve("toy", index, "memory") == second
        assert resolve("toy@1", index, "memory") == first
        assert resolve(f"toy@{first.digest[:20]}", index, "memory") == first
        with pytest.raises(NotFound, match="has no version '7'"):
            resolve("toy@7", index, "memory")
        with pytest.raises(NotFound, match="close: toy"):
            resolve("toyy", index, "memory")
        with pytest.raises(NotFound, match="not in the store 'lab'") as caught:
            resolve("toy", index, "lab")
    assert caught.value.hint.endswith("catalog show memory:toy")
    fetch(second, settings, store)
    assert pull("toy", settings).version == 2


def test_copying_out_never_overwrites(tmp_path: Path, settings: Settings) -> None:
    folder, store = generator_folder(tmp_path / "toy"), MemoryStore()
    pulled = fetch(put(folder, store, settings).version, settings, store)
    out = tmp_path / "deep" / "out"
    assert copy_out(pulled, out) == copy_out(pulled, out) == out
    (out / "mine.txt").write_text("my notes")
    with pytest.raises(CheckFailed, match="is not this version"):
        copy_out(pulled, out)
    assert (out / "mine.txt").read_text() == "my notes"


def test_sync_rebuilds_a_lost_index(tmp_path: Path, settings: Settings) -> None:
    store = MemoryStore()
    put(generator_folder(tmp_path / "1"), store, settings)
    put(generator_folder(tmp_path / "2", name="other", detector="pbwo4-block"), store, settings)
    with open_index(settings.home) as index:
        before = index.search(Query())
    (settings.home / "index.db").unlink()
    with open_index(settings.home) as index:
        assert sync(store, "memory", index, lambda _: None).versions == 2
        assert index.search(Query()) == before


def test_a_card_that_cannot_be_read_is_listed_as_undocumented(
    tmp_path: Path, settings: Settings
) -> None:
    store = MemoryStore()
    put(generator_folder(tmp_path / "1"), store, settings)
    store._blobs = dict.fromkeys(store._blobs, b"rotten")
    said: list[str] = []
    with open_index(settings.home) as index:
        sync(store, "memory", index, said.append, full=True)
        row = index.search(Query())[1][0]
    assert row.task is None
    assert "toy@1" in said[0]


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "a/../b", ".hidden", "a//b", "a\\b", "a\0b", "C:x", "a" * 300]
)
def test_a_manifest_with_an_unsafe_path_is_refused(path: str) -> None:
    import json

    files = [{"path": path, "size": 1, "digest": "sha256:" + "0" * 64}]
    data = json.dumps({"schema_version": 1, "files": files}, sort_keys=True, separators=(",", ":"))
    with pytest.raises(BadFile):
        parse_manifest(data.encode(), "test")


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 100_000, b'{"files": 3}', b"\xff\xfe"])
def test_a_malformed_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(BadFile):
        parse_manifest(data, "test")


def test_the_digest_does_not_depend_on_the_place_or_the_clock(tmp_path: Path) -> None:
    one = build_manifest(generator_folder(tmp_path / "1")).digest
    two = build_manifest(generator_folder(tmp_path / "deep" / "2")).digest
    assert one == two


def test_publishing_what_is_not_a_folder_is_an_error_of_the_catalog(
    tmp_path: Path, settings: Settings
) -> None:
    with pytest.raises(CatalogError, match="no such folder"):
        put(tmp_path / "nowhere", MemoryStore(), settings)


def test_a_version_of_somebody_else_does_not_hide_ours(tmp_path: Path, settings: Settings) -> None:
    store = MemoryStore()
    ours = put(generator_folder(tmp_path / "1"), store, settings).version
    with open_index(settings.home) as index:
        index.put(Row("memory", "toy", 9, "sha256:junk"))
        index.put(Row("memory", "Their Model", 1, ""))
        assert resolve("toy", index, "memory") == ours
        assert resolve("toy@9", index, "memory").version == 9
        assert resolve("Their Model@1", index, "memory").digest == ""


def test_a_model_of_another_store_is_said_to_be_elsewhere(
    tmp_path: Path, settings: Settings
) -> None:
    put(generator_folder(tmp_path / "1"), MemoryStore(), settings)
    with (
        open_index(settings.home) as index,
        pytest.raises(NotFound, match="not in the store 'lab'"),
    ):
        resolve("lab:toy", index, "memory")


def test_a_folder_of_the_same_name_does_not_stand_in_for_a_model(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    version = put(generator_folder(tmp_path / "published"), store, settings).version
    fetch(version, settings, store)
    generator_folder(tmp_path / "toy", depth=3.0)
    monkeypatch.chdir(tmp_path)
    assert find("toy", settings).digest == version.digest
    assert find("./toy", settings).digest != version.digest


def test_a_file_in_the_way_of_a_copy_is_named(tmp_path: Path, settings: Settings) -> None:
    folder, store = generator_folder(tmp_path / "toy"), MemoryStore()
    pulled = fetch(put(folder, store, settings).version, settings, store)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        copy_out(pulled, tmp_path / "file")


def test_advice_on_a_version_without_a_card_names_its_store(settings: Settings) -> None:
    with pytest.raises(CheckFailed) as caught:
        fetch(Committed("theirs", 1, ""), replace(settings, store="lab"), MemoryStore())
    assert "catalog annotate lab:theirs@1 CARD.yaml" in caught.value.hint

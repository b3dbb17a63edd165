"""The embedded registry: what MLflow's own tools see, and what is refused."""

from __future__ import annotations

import io
import os
import shutil
import time
import tracemalloc
from contextlib import nullcontext
from pathlib import Path

import pytest

from catalog.errors import DigestMismatch, MissingExtra, NotFound, StoreError, UsageError
from catalog.manifest import hash_stream
from catalog.stores import Committed, Store, open_store
from catalog_mlflow import MlflowStore, _registry, _store
from catalog_mlflow._edge import Edge
from catalog_mlflow._folder import BucketFolder
from catalog_mlflow._place import parse_place
from tests.conformance.store_tools import (
    FILES,
    manifest_of,
    numbered,
    publish,
    read_file,
    upload_all,
)


def mlflow_client(home: Path):
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{home}/mlflow/mlflow.db"
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def foreign_version(client, name: str, tags: dict[str, str] | None = None) -> str:
    """What somebody registers with plain MLflow."""
    run = client.create_run(client.get_experiment_by_name("hep-model-catalog").experiment_id)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    source = f"{run.info.artifact_uri}/model"
    version = client.create_model_version(
        name, source, run.info.run_id, tags=tags, await_creation_for=0
    )
    return version.version


def test_mlflow_clients_see_model_version_tags_and_files(
    embedded: Store, embedded_home: Path
) -> None:
    publish(embedded, "seen", FILES)
    client = mlflow_client(embedded_home)
    version = client.get_model_version("seen", "1")
    assert version.description == "a fast shower model"
    assert version.tags["task"] == "shower"
    assert version.tags["catalog.manifest"] == manifest_of(FILES).digest
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    names = {info.path for info in client.list_artifacts(version.run_id, "version")}
    assert names == {f"version/{path.split('/')[0]}" for path in [*FILES, "manifest.json"]}
    assert version.source == f"{run.info.artifact_uri}/version"


def test_what_others_registered_is_listed_without_digest_and_left_alone(
    embedded: Store, embedded_home: Path
) -> None:
    list(embedded.versions("theirs"))
    client = mlflow_client(embedded_home)
    foreign_version(client, "theirs")
    foreign_version(client, "theirs", {"catalog.manifest": "sha256:nonsense"})
    before = [dict(client.get_model_version("theirs", number)) for number in "12"]
    ours = publish(embedded, "theirs", FILES)
    # One version more than was asked for was seen there once, on a busy machine.
    found = list(embedded.versions("theirs"))
    assert found == [*(Committed("theirs", n, "") for n in range(1, len(found))), ours]
    assert len(found) >= 3
    after = [dict(client.get_model_version("theirs", number)) for number in "12"]
    assert after == before
    with pytest.raises(NotFound, match="other means"):
        embedded.manifest(Committed("theirs", 1, ""))


def test_a_lost_race_is_taken_back(embedded: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = publish(embedded, "raced", FILES)
    monkeypatch.setattr(_store, "tidy_lock", nullcontext)
    answers = iter([None, None, None])  # as seen a moment before the other process committed
    monkeypatch.setattr(
        _registry, "find_version", lambda *args: next(answers, Committed(*args[2:3], 1, args[3]))
    )
    upload_all(embedded, "raced", FILES)
    assert embedded.commit("raced", manifest_of(FILES), "", {}) == first
    assert list(embedded.versions("raced")) == [first]


def fail_create(store: Store, monkeypatch: pytest.MonkeyPatch, times: int, first: bool) -> None:
    """Let MLflow's create_model_version fail some times; having created it, if `first`."""
    from mlflow.exceptions import MlflowException

    client = store._client
    create, left = client.create_model_version, iter(range(times))

    def failing(*args, **kwargs):
        if first:
            create(*args, **kwargs)
        if next(left, None) is not None:
            raise MlflowException("Model Version creation error. Giving up after 3 attempts.")
        return create(*args, **kwargs)

    monkeypatch.setattr(client, "create_model_version", failing)


def test_a_creation_whose_answer_was_lost_is_one_version(
    embedded: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_create(embedded, monkeypatch, times=1, first=True)
    version = publish(embedded, "unheard", FILES)
    assert list(embedded.versions("unheard")) == [version]


def test_a_creation_that_lost_every_race_of_mlflow_is_tried_again(
    embedded: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_create(embedded, monkeypatch, times=4, first=False)
    assert publish(embedded, "crowded", FILES).version == 1


def test_a_creation_that_always_fails_leaves_nothing_visible(
    embedded: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_registry, "_ATTEMPTS", 2)
    fail_create(embedded, monkeypatch, times=99, first=False)
    with pytest.raises(StoreError, match="Giving up"):
        publish(embedded, "never", FILES)
    monkeypatch.undo()
    assert list(embedded.versions("never")) == []
    assert embedded.missing("never", manifest_of(FILES)) == []


def test_a_duplicate_of_a_killed_process_is_hidden(embedded: Store, embedded_home: Path) -> None:
    first = publish(embedded, "twice", FILES)
    foreign_version(mlflow_client(embedded_home), "twice", {"catalog.manifest": first.digest})
    third = publish(embedded, "twice", numbered(3))
    assert third.version == 3
    assert list(embedded.versions("twice")) == [first, third]
    assert publish(embedded, "twice", FILES) == first


def test_a_committed_file_that_vanished_is_missing_and_can_be_repaired(
    embedded: Store, embedded_home: Path
) -> None:
    version = publish(embedded, "repaired", FILES)
    run = mlflow_client(embedded_home).get_model_version("repaired", "1").run_id
    model = embedded_home / "mlflow" / "artifacts" / run / "artifacts" / "version" / "model.onnx"
    model.write_bytes(b"torn")
    manifest = manifest_of(FILES)
    (missing,) = embedded.missing("repaired", manifest)
    embedded.upload("repaired", manifest, missing, io.BytesIO(FILES["model.onnx"]))
    assert read_file(embedded, version, missing) == FILES["model.onnx"]


def test_publishing_again_mends_a_damaged_manifest(embedded: Store, embedded_home: Path) -> None:
    version = publish(embedded, "unlisted", FILES)
    run = mlflow_client(embedded_home).get_model_version("unlisted", "1").run_id
    folder = embedded_home / "mlflow" / "artifacts" / run / "artifacts" / "version"
    (folder / "manifest.json").write_bytes(b"torn")
    assert publish(embedded, "unlisted", FILES) == version
    assert embedded.manifest(version) == manifest_of(FILES).to_bytes()
    (folder / "manifest.json").unlink()
    publish(embedded, "unlisted", FILES)
    assert embedded.manifest(version) == manifest_of(FILES).to_bytes()


def test_a_version_that_mlflow_copied_to_another_name_reads_the_same(
    embedded: Store, embedded_home: Path
) -> None:
    version = publish(embedded, "original", FILES)
    mlflow_client(embedded_home).copy_model_version("models:/original/1", "promoted")
    (copied,) = embedded.versions("promoted")
    assert copied == Committed("promoted", 1, version.digest)
    assert embedded.manifest(copied) == manifest_of(FILES).to_bytes()


def test_files_are_streamed_never_held_whole(embedded: Store) -> None:
    assert_streams(embedded)


@pytest.mark.slow
def test_files_are_streamed_to_and_from_a_server(served: Store) -> None:
    assert_streams(served)


def assert_streams(store: Store) -> None:
    size = 48_000_000
    files = {"big.bin": bytes(size)}
    manifest = manifest_of(files)
    tracemalloc.start()
    try:
        with io.BytesIO(files["big.bin"]) as source:  # shares the bytes: no copy
            store.upload("big", manifest, manifest.entries[0], source)
        version = store.commit("big", manifest, "", {})
        with store.open_file(version, manifest.entries[0]) as file:
            assert hash_stream(file) == (manifest.entries[0].digest, size)
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()


def test_a_folder_in_object_storage_keeps_the_same_promises(tmp_path: Path) -> None:
    """MLflow's repository for local files stands in for the one of a bucket."""
    folder = BucketFolder(tmp_path.as_uri(), Edge("the server", ""))
    entries = manifest_of(FILES).entries
    for entry in entries:
        folder.put(entry, io.BytesIO(FILES[entry.path]))
    assert folder.sizes([*FILES, "ghost.bin"]) == {path: len(FILES[path]) for path in FILES}
    for entry in entries:
        with folder.open(entry.path) as file:
            assert file.read() == FILES[entry.path]
    with pytest.raises(DigestMismatch):
        folder.put(entries[0], io.BytesIO(b"wrong"))
    with folder.open(entries[0].path) as file:
        assert file.read() == FILES[entries[0].path]


def test_a_link_out_of_the_version_is_refused(embedded: Store, embedded_home: Path) -> None:
    version = publish(embedded, "linked", FILES)
    run = mlflow_client(embedded_home).get_model_version("linked", "1").run_id
    card = embedded_home / "mlflow" / "artifacts" / run / "artifacts" / "version" / "card.yaml"
    card.unlink()
    card.symlink_to("/etc/hostname")
    entry = manifest_of(FILES).entries[0]
    with pytest.raises(NotFound, match="leads out"), embedded.open_file(version, entry):
        pass


def test_a_registry_can_be_moved(embedded: Store, embedded_home: Path, tmp_path: Path) -> None:
    version = publish(embedded, "moved", FILES)
    shutil.copytree(embedded_home, tmp_path / "new home")
    moved = MlflowStore(parse_place("mlflow", tmp_path / "new home"))
    assert version in list(moved.versions())
    assert read_file(moved, version, manifest_of(FILES).entries[0]) == FILES["card.yaml"]


def test_opening_contacts_nothing_and_needs_no_mlflow_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOG_HOME", str(tmp_path / "home"))
    for uri in ("mlflow", "mlflow:", "mlflow+https://mlflow.example.org/prefix/"):
        assert isinstance(open_store(uri), MlflowStore)
    assert not (tmp_path / "home").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = MlflowStore(parse_place("mlflow", tmp_path / "file"))
    with pytest.raises(StoreError, match=str(tmp_path / "file")):
        list(store.versions())


def test_a_broken_database_is_said_at_once(tmp_path: Path) -> None:
    store = MlflowStore(parse_place("mlflow", tmp_path))
    (tmp_path / "mlflow").mkdir()
    (tmp_path / "mlflow" / "mlflow.db").write_text("not a database" * 1000)
    began = time.monotonic()
    with pytest.raises(StoreError, match=r"mlflow\.db: file is not a database"):
        list(store.versions())
    assert time.monotonic() - began < 5


def test_a_full_disk_is_named(embedded: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    manifest = manifest_of(FILES)
    entry = manifest.entries[0]
    with pytest.raises(StoreError, match="No space left") as caught:
        embedded.upload("full", manifest, entry, io.BytesIO(FILES[entry.path]))
    assert "artifacts" in caught.value.message
    assert "df" in caught.value.hint


@pytest.mark.parametrize(
    "uri",
    [
        "mlflow+https://user:sesame@mlflow.example.org",
        "mlflow+ftp://mlflow.example.org",
        "mlflow+https://",
        "mlflow+https://host:port",
        "mlflow:sqlite:///x.db",
        "mlflow+https://host/?token=sesame",
    ],
)
def test_bad_addresses_are_refused_without_repeating_a_password(uri: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_place(uri, Path("/nowhere"))
    if "user:" in uri:
        assert "sesame" not in str(caught.value)


def test_without_mlflow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib
    import sys

    for module in [name for name in sys.modules if name.partition(".")[0] == "catalog_mlflow"]:
        monkeypatch.delitem(sys.modules, module)
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "mlflow" else real(name, *a)
    )
    with pytest.raises(MissingExtra, match="mlflow"):
        open_store("mlflow")

"""A service that fails: what is retried, what is said, and that nothing is torn or doubled."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("oci")
from catalog.errors import BadFile, DigestMismatch, NotAuthorised, NotFound, StoreError
from catalog.manifest import Entry
from catalog.stores.protocol import Committed
from catalog.verify import Problem, verify_version
from catalog_oci import OciStore, _artifact, _client, _publish
from tests.adapters.mlflow_server import free_port
from tests.adapters.oci_double import Double, Identity, running_double
from tests.adapters.oci_double.place import BUCKET, put_model, store_of
from tests.catalog.shelf import silent
from tests.conformance.store_tools import (
    FILES,
    WEIGHTS,
    flipped,
    manifest_of,
    numbered,
    publish,
    read_file,
    upload_all,
)

NOISE = bytes((7 * n * n + n // 251) % 256 for n in range(900_000))
LARGE = FILES | {"model.onnx": NOISE}


@pytest.fixture(scope="module")
def identity() -> Identity:
    return Identity.new()


@pytest.fixture
def double(tmp_path: Path, identity: Identity, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    monkeypatch.setenv("OCI_CONFIG_FILE", str(identity.write_config(tmp_path / "dot-oci")))
    with running_double(tmp_path / "cloud", identity) as double:
        yield double


@pytest.fixture
def store(double: Double, tmp_path: Path) -> OciStore:
    return store_of(double, tmp_path)


def live(double: Double) -> list[dict[str, Any]]:
    return [row for row in double.models if row["lifecycleState"] == "ACTIVE"]


@pytest.mark.parametrize(
    ("status", "code"), [(500, "InternalServerError"), (409, "IncorrectState"), (503, "Busy")]
)
def test_a_failure_that_stays_ends_in_a_sentence(
    double: Double, store: OciStore, status: int, code: str
) -> None:
    double.fail("GET .*/models", status=status, code=code, times=1000)
    with pytest.raises(StoreError, match=str(status)) as caught:
        list(store.versions())
    assert caught.value.hint
    assert 2 <= len(double.requests) <= _client._ATTEMPTS


def test_a_failure_that_passes_is_not_noticed(double: Double, store: OciStore) -> None:
    version = publish(store, "m", FILES)
    for status, code in ((429, "TooManyRequests"), (500, "Oops"), (409, "LockConflict"), (0, "")):
        double.fail("GET .*/models", status=status, code=code)
        assert list(store.versions()) == [version]


def test_a_machine_that_is_not_there_is_said(double: Double, tmp_path: Path) -> None:
    store = store_of(double, tmp_path, endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StoreError, match="connection refused") as caught:
        list(store.versions())
    assert "online" in caught.value.hint


def test_waiting_for_a_machine_that_is_silent_has_bounds(
    double: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _client._PATIENCE + sum(_client._QUICK) < 30
    assert (_client._ATTEMPTS - 1) * _client._QUICK[0] < 15
    monkeypatch.setattr(_client, "_QUICK", (0.2, 0.2))
    monkeypatch.setattr(_client, "_PATIENCE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(StoreError, match="too long"):
            list(store_of(double, tmp_path, endpoint=url).versions())


def test_a_refused_key_is_said_once(double: Double, store: OciStore) -> None:
    double.identities.clear()
    with pytest.raises(NotAuthorised) as caught:
        list(store.versions())
    assert "~/.oci/config" in caught.value.hint
    assert len(double.requests) == 1


def test_a_profile_that_is_not_there_is_said(double: Double, tmp_path: Path) -> None:
    from catalog_oci._place import parse_place
    from tests.adapters.oci_double.place import uri_of

    absent = OciStore(parse_place(uri_of(double).replace("DEFAULT", "ABSENT")), tmp_path)
    with pytest.raises(NotAuthorised, match="ABSENT"):
        list(absent.versions())
    assert double.requests == []


LOST = (
    "POST .*/models$", "POST .*/artifact", "PUT .*/modelVersionSets/", "PUT .*/models/",
    "POST .*/modelVersionSets$", "HEAD .*/content",
)  # fmt: skip


@pytest.mark.parametrize("where", LOST)
def test_an_answer_that_is_lost_makes_no_second_version(
    double: Double, store: OciStore, where: str
) -> None:
    """The work is done, the connection breaks before the answer."""
    double.fail(where, after=True)
    version = publish(store, "m", FILES)
    assert list(store.versions()) == [version] == [Committed("m", 1, manifest_of(FILES).digest)]
    assert len(live(double)) == 1
    assert {e.path: read_file(store, version, e) for e in manifest_of(FILES).entries} == FILES


def test_an_upload_that_is_refused_leaves_nothing_to_see_and_resumes(
    double: Double, store: OciStore
) -> None:
    double.fail("POST .*/artifact", status=500, times=1000)
    with pytest.raises(StoreError):
        publish(store, "m", FILES)
    assert list(store.versions()) == []
    double.faults.clear()
    assert store.missing("m", manifest_of(FILES)) == []
    assert publish(store, "m", FILES).version == 1


def test_what_failed_an_hour_ago_is_swept_and_what_is_young_is_not(
    double: Double, store: OciStore
) -> None:
    for number in (1, 2):
        double.fail("POST .*/artifact", status=500, times=_artifact._ATTEMPTS)
        with pytest.raises(StoreError):
            publish(store, "m", numbered(number))
    old, young = live(double)
    double.models.put(old | {"timeCreated": "2020-01-01T00:00:00+00:00"})
    publish(store, "m", numbered(3))
    assert young["id"] in {row["id"] for row in live(double)}
    assert old["id"] not in {row["id"] for row in live(double)}


def test_what_another_publisher_left_is_not_swept(double: Double, store: OciStore) -> None:
    double.fail("POST .*/artifact", status=500, times=_artifact._ATTEMPTS)
    with pytest.raises(StoreError):
        publish(store, "m", numbered(1))
    (left,) = live(double)
    changed = {"timeCreated": "2020-01-01T00:00:00+00:00", "createdBy": "ocid1.user.oc1..other"}
    double.models.put(left | changed)
    publish(store, "m", numbered(2))
    assert left["id"] in {row["id"] for row in live(double)}


def test_a_version_that_came_to_be_meanwhile_is_not_discarded(
    double: Double, store: OciStore
) -> None:
    publish(store, "m", FILES)
    (row,) = live(double)
    store._publisher.discard(row["id"])
    assert live(double) == [row]


def test_a_download_that_breaks_off_is_taken_up_where_it_broke(
    double: Double, store: OciStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_artifact, "_TAIL", 2000)
    version = publish(store, "m", LARGE)
    entry = next(e for e in manifest_of(LARGE).entries if e.path == "model.onnx")
    store.manifest(version)
    double.fail("GET .*/content", cut_at=400_000)
    assert read_file(store, version, entry) == NOISE
    asked = [line for line in double.requests if line.startswith("GET") and "/content" in line]
    assert len(asked) == 3, "the end, the beginning, and the rest"


def test_a_small_file_brings_no_large_one_along(
    double: Double, store: OciStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Card and manifest of a version are two requests together, whatever else it holds."""
    monkeypatch.setattr(_artifact, "_TAIL", 10_000)
    publish(store, "m", LARGE)
    reader = store_of(double, tmp_path / "other")
    (version,) = reader.versions("m")
    count = len(double.requests)
    card = next(e for e in manifest_of(LARGE).entries if e.path == "card.yaml")
    assert reader.manifest(version) and read_file(reader, version, card) == LARGE["card.yaml"]
    assert len(double.requests) - count == 2


def test_a_service_without_ranges_is_refused(
    double: Double, store: OciStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.adapters.oci_double import science
    from tests.adapters.oci_double.wire import Reply

    version = publish(store, "m", FILES)
    monkeypatch.setattr(
        science, "ranged", lambda _, path, headers: Reply(200, None, headers, (path, 0, 100))
    )
    with pytest.raises(StoreError, match="whole"):
        store.manifest(version)


def test_flipped_bytes_in_an_artifact_are_found(double: Double, store: OciStore) -> None:
    version = publish(store, "m", LARGE)
    path = double.artifact(live(double)[0]["id"])
    path.write_bytes(flipped(path.read_bytes()))
    entry = next(e for e in manifest_of(LARGE).entries if e.path == "model.onnx")
    with pytest.raises(DigestMismatch):
        read_file(store, version, entry)
    found = verify_version(store, version, silent)
    assert found.problems == (Problem("model.onnx", "differs"),)


def test_an_artifact_that_was_lost_is_sent_again(double: Double, store: OciStore) -> None:
    version = publish(store, "m", FILES)
    double.artifact(live(double)[0]["id"]).unlink()
    assert store.missing("m", manifest_of(FILES)) == list(manifest_of(FILES).entries)
    assert publish(store, "m", FILES) == version
    entry = manifest_of(FILES).entries[0]
    assert read_file(store, version, entry) == FILES[entry.path]


def test_an_artifact_that_is_no_zip_is_refused(double: Double, store: OciStore) -> None:
    ident = put_model(store._clients.science, "theirs", WEIGHTS)
    double.artifact(ident).write_bytes(b"no zip at all" * 100)
    with pytest.raises(BadFile):
        store.files(Committed("theirs", 1, ""))


def test_an_artifact_above_the_limit_needs_a_bucket(
    double: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And then goes through it, both ways, also for a reader whose bucket has no copy."""
    monkeypatch.setattr("catalog_oci._large.LIMIT", 500_000)
    monkeypatch.setattr("catalog_oci._large._PART", 200_000)
    double.small_limit = 500_000
    with pytest.raises(StoreError, match="bucket") as caught:
        publish(store_of(double, tmp_path), "m", LARGE)
    assert "bucket=NAME@NAMESPACE" in caught.value.hint
    version = publish(store_of(double, tmp_path, bucket=BUCKET), "m", LARGE)
    reader = store_of(double, tmp_path, bucket="others@doublespace")
    entry = next(e for e in manifest_of(LARGE).entries if e.path == "model.onnx")
    assert read_file(reader, version, entry) == NOISE
    assert any("importArtifact" in line for line in double.requests)
    reader.delete(version)
    with pytest.raises(NotFound):
        reader.manifest(version)


def test_one_set_of_two_made_at_once_is_everybodys(
    double: Double, tmp_path: Path, store: OciStore
) -> None:
    """Should the service allow two version sets of one name, the older one is the ledger."""
    double.unique_sets = False
    first = publish(store, "m", numbered(1))
    store._publisher.ledgers._create("m")
    assert len([row for row in double.sets if row["name"] == "m"]) == 2
    assert publish(store_of(double, tmp_path / "b"), "m", numbered(2)).version == 2
    store.point("m", "champion", 2)
    assert [it.version for it in store.aliases("m")] == [2]
    assert next(store.versions("m")) == first


def test_a_label_that_somebody_took_does_not_stop_a_commit(double: Double, store: OciStore) -> None:
    publish(store, "m", numbered(1))
    set_id = next(iter(double.sets))["id"]
    put_model(store._clients.science, "theirs", {}, model_version_set_id=set_id, version_label="3")
    assert publish(store, "m", numbered(2)).version == 3
    assert [it.digest == "" for it in store.versions("m")] == [False, True, False]


def test_a_card_that_metadata_cannot_hold_is_refused(double: Double, store: OciStore) -> None:
    import random

    put_model(store._clients.science, "theirs", WEIGHTS)
    (version,) = store.versions("theirs")
    card = random.Random(1).randbytes(40_000)
    with pytest.raises(StoreError, match="metadata"):
        store.adopt(version, manifest_of(WEIGHTS | {"card.yaml": card}), card)
    assert list(store.versions("theirs")) == [version]


def test_more_aliases_than_tags_can_hold_are_refused(store: OciStore) -> None:
    publish(store, "m", FILES)
    with pytest.raises(StoreError, match="aliases"):
        for number in range(20):
            store.point("m", f"{'a' * 200}{number}", 1)
    assert len(list(store.aliases("m"))) == 6


def test_a_publisher_that_stops_between_ledger_and_version_is_finished_by_the_next(
    double: Double, store: OciStore, tmp_path: Path
) -> None:
    double.fail("PUT .*/models/", status=500, times=1000)
    with pytest.raises(StoreError):
        publish(store, "m", numbered(1))
    assert list(store.versions("m")) == []
    double.faults.clear()
    assert publish(store_of(double, tmp_path / "b"), "m", numbered(2)).version == 2
    assert [it.version for it in store.versions("m")] == [1, 2]


def test_copies_that_were_given_up_are_swept(
    double: Double, store: OciStore, tmp_path: Path
) -> None:
    import os

    manifest = upload_all(store, "given-up", FILES)
    (folder,) = (tmp_path / "spool").iterdir()
    torn = tmp_path / "spool" / ".x.part"
    torn.touch()
    for path in (folder, torn):
        os.utime(path, (time.time() - 30 * 86_400,) * 2)
    store.upload("young", manifest, manifest.entries[0], io.BytesIO(FILES["card.yaml"]))
    publish(store, "m", FILES)
    assert not folder.exists() and not torn.exists()
    assert len(list((tmp_path / "spool").iterdir())) == 1
    assert store.missing("young", manifest) == list(manifest.entries[1:])


def test_nothing_is_asked_before_the_store_is_used(double: Double, store: OciStore) -> None:
    assert double.requests == []
    assert _publish._SUMMARY < 1000
    with pytest.raises(NotFound), store.open_file(Committed("m", 1, ""), Entry("a", 1, "")):
        pass


def test_memory_stays_flat_whatever_the_size(store: OciStore) -> None:
    """48 MB there and back in chunks; the double keeps its part on disk, too."""
    import tracemalloc

    size = 48_000_000
    files = {"card.yaml": b"name: m\n", "model.onnx": bytes(size)}
    manifest = manifest_of(files)
    list(store.versions())
    tracemalloc.start()
    try:
        for entry in manifest.entries:
            store.upload("m", manifest, entry, io.BytesIO(files[entry.path]))
        version = store.commit("m", manifest, "", {})
        with store.open_file(version, manifest.entries[1]) as file:
            read = sum(len(chunk) for chunk in iter(lambda: file.read(1 << 20), b""))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert read == size
    assert peak < size / 3

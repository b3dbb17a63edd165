"""Bytes of a version by digest: all of them, some of them, and none that belong to no version."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from house import House, build


@pytest.fixture(scope="module")
def house(either: None, tmp_path_factory: pytest.TempPathFactory) -> House:
    house = build(tmp_path_factory.mktemp("house"))
    house.source = house.publish("toy")
    return house


@pytest.fixture(scope="module")
def model(house: House) -> dict[str, Any]:
    """What is told of model.onnx, and its bytes."""
    answer = house.ask("reader", "GET", "/models/toy/versions/1/files").json()
    found = next(it for it in answer["files"] if it["path"] == "model.onnx")
    return {**found, "bytes": (house.source / "model.onnx").read_bytes()}


def blob(house: House, digest: str, **headers: str) -> Any:
    return house.ask("reader", "GET", f"/blobs/{digest}", headers=headers)


def test_every_file_of_a_version_is_what_was_published(house: House) -> None:
    listed = house.ask("reader", "GET", "/models/toy/versions/1/files").json()
    assert {it["path"] for it in listed["files"]} == {it.name for it in house.source.iterdir()}
    for it in listed["files"]:
        answer = house.client.get(it["url"], headers=house.headers["reader"])
        assert answer.content == (house.source / it["path"]).read_bytes()
        assert f"sha256:{hashlib.sha256(answer.content).hexdigest()}" == it["digest"]
        assert answer.headers["etag"] == f'"{it["digest"]}"'


@pytest.mark.parametrize(
    ("asked", "low", "high"),
    [("bytes=0-0", 0, 1), ("bytes=100-199", 100, 200), ("bytes=4000-", 4000, None),
     ("bytes=-10", -10, None), ("bytes=0-99999999", 0, None)],
)  # fmt: skip
def test_a_range_gives_those_bytes(house: House, model, asked: str, low: int, high: Any) -> None:
    answer = blob(house, model["digest"], range=asked)
    wanted = model["bytes"][low:high]
    assert (answer.status_code, answer.content) == (206, wanted)
    start = low if low >= 0 else model["size"] + low
    told = f"bytes {start}-{start + len(wanted) - 1}/{model['size']}"
    assert answer.headers["content-range"] == told


@pytest.mark.parametrize(
    "asked",
    ["bytes=5-1", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=", "bytes=-", "0-1",
     "bytes=" + ",".join("0-" for _ in range(10_000))],
)  # fmt: skip
def test_a_range_that_is_none_or_many_gives_the_whole(house: House, model, asked: str) -> None:
    answer = blob(house, model["digest"], range=asked)
    assert (answer.status_code, answer.content) == (200, model["bytes"])


@pytest.mark.parametrize("asked", ["bytes=4372-", "bytes=9999999-", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused_in_the_one_shape(house: House, model, asked) -> None:
    answer = blob(house, model["digest"], range=asked)
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{model['size']}"
    assert answer.json()["error"]["code"] == "range_not_satisfiable"


def test_a_download_goes_on_only_if_the_bytes_are_the_same(house: House, model) -> None:
    etag = f'"{model["digest"]}"'
    same = blob(house, model["digest"], range="bytes=10-", **{"if-range": etag})
    assert same.status_code == 206
    other = blob(house, model["digest"], range="bytes=10-", **{"if-range": '"other"'})
    assert (other.status_code, other.content) == (200, model["bytes"])
    assert blob(house, model["digest"], **{"if-none-match": etag}).status_code == 304


def test_bytes_that_rot_in_the_cache_are_fetched_again(house: House, model) -> None:
    hex_digest = model["digest"].removeprefix("sha256:")
    kept = house.registry.settings.cache / "blobs" / hex_digest[:2] / hex_digest
    assert blob(house, model["digest"]).content == model["bytes"]
    kept.write_bytes(bytes(model["size"]))
    assert blob(house, model["digest"]).content == model["bytes"]


def test_digests_of_no_listed_version_are_unknown(house: House, model, tmp_path: Path) -> None:
    digest = f"sha256:{hashlib.sha256(b'private').hexdigest()}"
    house.store._blobs[digest] = b"private"
    kept = house.registry.settings.cache / "blobs" / digest[7:9] / digest[7:]
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(b"private")
    assert blob(house, digest).status_code == 404


def test_bytes_of_a_version_that_was_deleted_are_gone(tmp_path: Path) -> None:
    from catalog.sync import sync

    house = build(tmp_path)
    house.publish("toy")
    listed = house.ask("reader", "GET", "/models/toy/versions/1/files").json()
    house.store.delete(next(house.store.versions("toy")))
    with house.registry.index() as index:
        sync(house.store, "memory:", index, lambda _: None)
    assert blob(house, listed["files"][0]["digest"]).status_code == 404
    assert house.ask("reader", "GET", "/models/toy/versions/1/files").status_code == 404
    assert house.ask("reader", "GET", "/models/toy/versions/1").json()["gone"]

"""Publishing over HTTP: broken off and resumed, too large, damaged, by two at once."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from house import House, build

from catalog.manifest import build_manifest
from registry_server.api import uploads as uploads_module
from registry_server.api.publishing import uploads_of
from registry_server.api.registry import Bounds
from registry_server.background import running
from tests.toys import generator_folder

pytestmark = pytest.mark.usefixtures("either")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return build(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A version with a file large enough to be broken off."""
    folder = generator_folder(tmp_path / "new", "new")
    noise = np.random.default_rng(1).random(200_000)
    np.savez(folder / "extra.npz", noise=noise)
    return folder


def files_of(folder: Path) -> list[dict[str, Any]]:
    entries = build_manifest(folder).entries
    return [{"path": e.path, "size": e.size, "digest": e.digest} for e in entries]


def begin(house: House, folder: Path, name: str = "new", who: str = "owner") -> Any:
    return house.ask(who, "POST", "/uploads", json={"name": name, "files": files_of(folder)})


def send(house: House, upload: str, folder: Path, who: str = "owner") -> None:
    for it in files_of(folder):
        data = (folder / it["path"]).read_bytes()
        answer = house.ask(who, "PUT", f"/uploads/{upload}/files/{it['digest']}", content=data)
        assert answer.json()["complete"], answer.text


def visible(house: House) -> list[tuple[str, int]]:
    return [(it.name, it.version) for it in house.store.versions()]


def error(answer: Any, status: int) -> dict[str, str]:
    assert answer.status_code == status, answer.text
    found: dict[str, str] = answer.json()["error"]
    assert set(found) == {"code", "message", "hint", "request_id"}
    assert str(Path("/tmp")) + "/" not in answer.text
    return found


def test_a_version_is_visible_from_the_commit_on_and_not_before(house, folder) -> None:
    upload = begin(house, folder).json()
    send(house, upload["id"], folder)
    assert visible(house) == []
    assert house.ask("reader", "GET", "/models").json()["total"] == 0
    done = house.ask("owner", "POST", f"/uploads/{upload['id']}/commit")
    assert done.status_code == 200, done.text
    assert done.json() == {
        "ref": "new@1", "name": "new", "version": 1, "store": "memory:", "new": True,
        "digest": build_manifest(folder).digest,
    }  # fmt: skip
    assert visible(house) == [("new", 1)]
    assert house.ask("reader", "GET", "/models/new").json()["owner"] == "token:owner"
    listed = house.ask("reader", "GET", "/models/new/versions/1/files").json()["files"]
    for it in listed:
        got = house.ask("reader", "GET", f"/blobs/{it['digest']}").content
        assert got == (folder / it["path"]).read_bytes()


def test_a_commit_asked_for_again_gives_the_same_answer(house, folder) -> None:
    upload = begin(house, folder).json()["id"]
    send(house, upload, folder)
    with ThreadPoolExecutor(4) as pool:
        answers = list(
            pool.map(lambda _: house.ask("owner", "POST", f"/uploads/{upload}/commit"), range(4))
        )
    assert {it.status_code for it in answers} == {200}
    assert {it.json()["ref"] for it in answers} == {"new@1"}
    again = house.ask("owner", "POST", f"/uploads/{upload}/commit")
    assert again.json()["ref"] == "new@1"
    assert house.ask("owner", "GET", f"/uploads/{upload}").json()["published"]["version"] == 1
    assert visible(house) == [("new", 1)]
    assert not any((house.registry.settings.home / "uploads").iterdir())


def test_the_same_version_uploaded_twice_is_one_version(house, folder) -> None:
    for new in (True, False):
        upload = begin(house, folder).json()["id"]
        send(house, upload, folder)
        answer = house.ask("owner", "POST", f"/uploads/{upload}/commit").json()
        assert (answer["ref"], answer["new"]) == ("new@1", new)


@pytest.mark.parametrize("kept", [0, 1, 70_000, 1_500_000])
def test_an_upload_that_is_cut_off_goes_on_where_it_was(house, folder, kept: int) -> None:
    """Over a real connection, which ends in the middle of a body."""
    upload = begin(house, folder).json()["id"]
    it = next(it for it in files_of(folder) if it["path"] == "extra.npz")
    data = (folder / "extra.npz").read_bytes()
    path = f"/api/v1/uploads/{upload}/files/{it['digest']}"
    with running(house.app) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        token = house.headers["owner"]["authorization"]
        with socket.create_connection((host, int(port))) as line:
            head = (
                f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {token}\r\n"
                f"Content-Length: {len(data)}\r\n\r\n"
            )
            line.sendall(head.encode() + data[:kept])
            until(lambda: part(house, upload, it["digest"])["offset"] >= kept >> 20 << 20)
        here = part(house, upload, it["digest"])["offset"]
        assert kept >> 20 << 20 <= here <= kept  # no more than a piece is sent again
        link = http.client.HTTPConnection(host, int(port))
        link.request("PUT", f"{path}?offset={here}", data[here:], house.headers["owner"])
        answer = json.loads(link.getresponse().read())
        link.close()
    assert (answer["offset"], answer["complete"]) == (len(data), True)
    send(house, upload, folder)
    assert house.ask("owner", "POST", f"/uploads/{upload}/commit").json()["new"]


def part(house: House, upload: str, digest: str) -> dict[str, Any]:
    found: dict[str, Any] = house.ask("owner", "GET", f"/uploads/{upload}").json()
    return next(it for it in found["files"] if it["digest"] == digest)


def until(true: Any) -> None:
    deadline = time.monotonic() + 20
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert true()


def test_bytes_beyond_what_was_told_are_refused_while_they_arrive(house, folder) -> None:
    """The client says no length, and never stops: the server does."""
    upload = begin(house, folder).json()["id"]
    it = next(it for it in files_of(folder) if it["path"] == "card.yaml")
    path = f"/uploads/{upload}/files/{it['digest']}"
    sent = 0

    def endless() -> Any:
        nonlocal sent
        for _ in range(10_000):
            sent += 65_536
            yield bytes(65_536)

    with running(house.app) as url:
        link = http.client.HTTPConnection(url.removeprefix("http://"))
        headers = {**house.headers["owner"], "transfer-encoding": "chunked"}
        try:
            link.request("PUT", f"/api/v1{path}", endless(), headers, encode_chunked=True)
            answer = link.getresponse()
            assert answer.status == 413
        except (BrokenPipeError, ConnectionResetError):
            pass  # it closed while we were sending
        link.close()
    assert sent < 640_000_000
    assert part(house, upload, it["digest"])["offset"] <= it["size"]
    error(house.ask("owner", "PUT", path, content=bytes(it["size"] + 1)), 413)
    error(house.ask("owner", "PUT", f"{path}?offset={it['size'] + 5}", content=b"a"), 413)
    error(house.ask("owner", "PUT", f"{path}?offset=5000000000000", content=b"a"), 422)


def test_bytes_cannot_leave_a_hole(house, folder) -> None:
    upload = begin(house, folder).json()["id"]
    it = next(it for it in files_of(folder) if it["path"] == "extra.npz")
    path = f"/uploads/{upload}/files/{it['digest']}"
    told = error(house.ask("owner", "PUT", f"{path}?offset=10", content=b"abc"), 416)
    assert told["hint"] == "go on at offset=0"


def test_wrong_bytes_are_dropped_and_can_be_sent_again(house, folder) -> None:
    upload = begin(house, folder).json()["id"]
    it = files_of(folder)[0]
    path = f"/uploads/{upload}/files/{it['digest']}"
    error(house.ask("owner", "PUT", path, content=bytes(it["size"])), 422)
    assert part(house, upload, it["digest"])["offset"] == 0
    send(house, upload, folder)
    assert house.ask("owner", "POST", f"/uploads/{upload}/commit").json()["ref"] == "new@1"


def test_bytes_that_rot_on_disk_are_not_published(house, folder) -> None:
    upload = begin(house, folder).json()["id"]
    send(house, upload, folder)
    it = next(it for it in files_of(folder) if it["path"] == "model.onnx")
    kept = house.registry.settings.home / "uploads" / upload / it["digest"].removeprefix("sha256:")
    kept.write_bytes(bytes(it["size"]))
    error(house.ask("owner", "POST", f"/uploads/{upload}/commit"), 409)
    assert visible(house) == []
    send(house, upload, folder)
    assert house.ask("owner", "POST", f"/uploads/{upload}/commit").status_code == 200


def test_the_gate_says_everything_at_once_and_nothing_is_left(house, folder) -> None:
    (folder / "evil.npz").write_bytes(b"\x80\x04\x95 pickle")
    card = (folder / "card.yaml").read_text().replace("polar", "round")
    (folder / "card.yaml").write_text(card)
    upload = begin(house, folder).json()["id"]
    send(house, upload, folder)
    told = error(house.ask("owner", "POST", f"/uploads/{upload}/commit"), 422)["message"]
    assert "card.yaml" in told
    assert visible(house) == []
    (folder / "card.yaml").write_text(card.replace("round", "polar"))
    upload = begin(house, folder).json()["id"]
    send(house, upload, folder)
    told = error(house.ask("owner", "POST", f"/uploads/{upload}/commit"), 422)["message"]
    assert "evil.npz: is a Python pickle" in told
    assert house.registry.owners.of("memory:", "new") is None  # the name is not taken by a failure


def test_a_card_of_another_name_does_not_slip_past_the_owner(house, folder) -> None:
    house.publish("toy")
    house.registry.owners.give("memory:", "toy", "token:other")
    shutil.copy(next(house.folder.glob("toy-*")) / "card.yaml", folder / "card.yaml")
    upload = begin(house, folder, "mine").json()["id"]
    send(house, upload, folder)
    assert (
        "the name is 'toy'"
        in error(house.ask("owner", "POST", f"/uploads/{upload}/commit"), 422)["message"]
    )
    assert visible(house) == [("toy", 1)]


def test_a_model_of_the_store_that_nobody_owns_is_an_admins(house, folder) -> None:
    house.publish("toy")
    error(begin(house, folder, "toy"), 403)
    assert begin(house, folder, "toy", "admin").status_code == 201
    owner = {"owner": "token:owner"}
    assert house.ask("admin", "PUT", "/models/toy/owner", json=owner).status_code == 200
    assert begin(house, folder, "toy").status_code == 201


def test_of_two_who_publish_one_new_name_one_gets_it(house, tmp_path) -> None:
    folders = {
        who: generator_folder(tmp_path / who, "race", depth=5.0 + i)
        for i, who in enumerate(("owner", "other"))
    }
    ids = {who: begin(house, it, "race", who).json()["id"] for who, it in folders.items()}
    for who, it in folders.items():
        send(house, ids[who], it, who)
    start = threading.Barrier(2)

    def commit(who: str) -> int:
        start.wait()
        return int(house.ask(who, "POST", f"/uploads/{ids[who]}/commit").status_code)

    with ThreadPoolExecutor(2) as pool:
        statuses = dict(zip(ids, pool.map(commit, ids), strict=True))
    assert sorted(statuses.values()) == [200, 403]
    winner = next(who for who, status in statuses.items() if status == 200)
    assert visible(house) == [("race", 1)]
    assert house.registry.owners.of("memory:", "race") == f"token:{winner}"


@pytest.mark.parametrize(
    "path",
    ["../x", "/etc/passwd", "a/../../x", "a\\b", ".hidden", "a//b", "nul\x00", "C:\\x", "é",
     "a" * 300],
)  # fmt: skip
def test_no_client_names_a_path_outside(house, folder, path: str) -> None:
    files = [*files_of(folder), {"path": path, "size": 1, "digest": "sha256:" + "1" * 64}]
    answer = house.ask("owner", "POST", "/uploads", json={"name": "new", "files": files})
    assert answer.status_code in (400, 422)
    error(answer, answer.status_code)


def test_what_cannot_be_a_version_is_refused_at_once(house, folder) -> None:
    files = files_of(folder)
    for wrong in (
        [], files[1:], [*files, files[0]], [{**files[0], "size": -1}],
        [*files, {"path": "again", "size": 5, "digest": files[0]["digest"]}],
    ):  # fmt: skip
        answer = house.ask("owner", "POST", "/uploads", json={"name": "new", "files": wrong})
        assert answer.status_code in (400, 422), wrong
    for name in ("", "../x", "a@1", "a:b", "x\x00", "-rf"):
        answer = house.ask("owner", "POST", "/uploads", json={"name": name, "files": files})
        assert answer.status_code in (400, 422), name


def test_what_one_caller_has_open_is_bounded(tmp_path, folder) -> None:
    house = build(tmp_path, Bounds(uploads=2, version=5_000_000, staged=8_000_000))
    assert [begin(house, folder).status_code for _ in range(3)] == [201, 201, 429]
    assert begin(house, folder, "other", "other").status_code == 201
    huge = [*files_of(folder), {"path": "w.data", "size": 10**7, "digest": "sha256:" + "1" * 64}]
    answer = house.ask("admin", "POST", "/uploads", json={"name": "huge", "files": huge})
    error(answer, 413)
    assert begin(house, folder, "third", "admin").status_code == 201
    error(begin(house, folder, "fourth", "admin"), 503)  # all of them together


def test_an_upload_left_is_gone_and_one_forgotten_is_swept(house, folder) -> None:
    root = house.registry.settings.home / "uploads"
    left, forgotten, young = (begin(house, folder).json()["id"] for _ in range(3))
    assert house.ask("owner", "DELETE", f"/uploads/{left}").status_code == 204
    error(house.ask("owner", "GET", f"/uploads/{left}"), 404)
    house.registry.database.run("UPDATE uploads SET touched = 0 WHERE id = ?", forgotten)
    import os

    for name in (forgotten, "leftover of a killed server"):
        (root / name).mkdir(exist_ok=True)
        os.utime(root / name, (0, 0))
    uploads_of(house.registry).sweep()
    assert [it.name for it in root.iterdir()] == [young]


def test_many_uploads_begun_at_once_are_bounded_like_one_after_the_other(house, folder) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: begin(house, folder), range(20)))
    found = [it.status_code for it in answers]
    assert found.count(201) == Bounds().uploads and set(found) == {201, 429}


def test_nobody_can_hold_all_the_room_that_there_is(tmp_path: Path, folder: Path) -> None:
    size = sum(it["size"] for it in files_of(folder))
    house = build(tmp_path, Bounds(version=2 * size, staged=3 * size))
    assert begin(house, folder).status_code == 201
    assert "half" in error(begin(house, folder), 429)["message"]
    assert begin(house, folder, name="another", who="admin").status_code == 201


def test_a_file_below_a_file_is_refused_at_once(house: House, folder: Path) -> None:
    files = [*files_of(folder), {**files_of(folder)[0], "path": "card.yaml/x"}]
    answer = house.ask("owner", "POST", "/uploads", json={"name": "new", "files": files})
    assert "card.yaml/x" in error(answer, 400)["message"]


@pytest.mark.parametrize("meanwhile", ["ends the file", "ends the upload", "leaves it"])
def test_two_who_send_one_file_at_once_both_learn_that_it_is_here(
    house: House, folder: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    """One ends what the other is just about to end."""
    upload = begin(house, folder).json()["id"]
    uploads, hashed = uploads_of(house.registry), uploads_module.hash_stream

    def hash_while_another_ends_it(file: Any) -> tuple[str, int]:
        found = hashed(file)
        monkeypatch.undo()
        if meanwhile == "ends the file":
            (part,) = (uploads.root / upload).glob("*.part")
            part.replace(part.with_suffix(""))
        elif meanwhile == "ends the upload":
            send(house, upload, folder)
            house.ask("owner", "POST", f"/uploads/{upload}/commit")
        else:
            house.ask("owner", "DELETE", f"/uploads/{upload}")
        return found

    monkeypatch.setattr(uploads_module, "hash_stream", hash_while_another_ends_it)
    it = files_of(folder)[0]
    data = (folder / it["path"]).read_bytes()
    answer = house.ask("owner", "PUT", f"/uploads/{upload}/files/{it['digest']}", content=data)
    if meanwhile == "leaves it":
        error(answer, 404)
    else:
        assert answer.json()["complete"], answer.text


@pytest.mark.parametrize(("meanwhile", "status"), [("POST", 409), ("DELETE", 404)])
def test_who_begins_to_send_a_file_as_the_upload_ends_learns_how_it_ended(
    house: House, folder: Path, monkeypatch: pytest.MonkeyPatch, meanwhile: str, status: int
) -> None:
    upload = begin(house, folder).json()["id"]
    touch = uploads_module.Uploads.touch

    def end_it_first(self: Any, *args: Any) -> None:
        monkeypatch.setattr(uploads_module.Uploads, "touch", touch)
        if meanwhile == "POST":
            send(house, upload, folder)
            house.ask("owner", "POST", f"/uploads/{upload}/commit")
        else:
            house.ask("owner", "DELETE", f"/uploads/{upload}")

    monkeypatch.setattr(uploads_module.Uploads, "touch", end_it_first)
    it = files_of(folder)[0]
    data = (folder / it["path"]).read_bytes()
    answer = house.ask("owner", "PUT", f"/uploads/{upload}/files/{it['digest']}", content=data)
    error(answer, status)

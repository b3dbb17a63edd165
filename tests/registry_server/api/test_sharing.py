"""Several servers on one PostgreSQL: what one was told, all know. It may go away for a while."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from house import House, Places, build
from starlette.testclient import TestClient

from catalog.manifest import build_manifest
from registry_server.api.jobs import SILENT, jobs_of
from registry_server.api.registry import Bounds
from registry_server.api.setup import add_registry
from registry_server.api.workers import working
from registry_server.app import create_app
from registry_server.auth.audit import Audit
from registry_server.auth.caller import Caller
from registry_server.auth.door import Access
from registry_server.auth.tokens import KnownTokens, create_token, revoke_token
from registry_server.database import postgres as in_postgres
from registry_server.engine import MemorySource
from tests.postgres_server import ABSENT, Server, programs, running_postgres
from tests.toys import generator_folder

MARIA = Caller("token:maria", "reader")


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    if not programs():
        pytest.skip(ABSENT)
    pytest.importorskip("psycopg")
    with running_postgres("fsync=off") as server:
        Places.server = server
        yield server
        Places.close()
        Places.server = None


@pytest.fixture
def house(mortal: Server, tmp_path: Path) -> House:
    return build(tmp_path)


def twin(house: House, home: str) -> House:
    """Another server on the same database and store, with a home of its own or the same."""
    settings = replace(house.registry.settings, home=house.folder / home)
    database = Places.database(settings)
    registry = replace(house.registry, settings=settings, database=database)
    tokens, audit = KnownTokens(database), Audit(settings.home, database)
    Places.opened += [tokens, audit]
    app = create_app(MemorySource([]), [], any_model=True, allow_hosts=["testserver"])
    add_registry(app, registry, Access(tokens, audit, per_second=1e6, burst=1e6))
    return replace(
        house, registry=registry, app=app, client=TestClient(app, raise_server_exceptions=False)
    )


def until(true: Callable[[], Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert true()


def status(house: House, who: str, path: str = "/models") -> int:
    return int(house.ask(who, "GET", path).status_code)


def test_a_token_of_one_server_holds_at_the_other_until_it_is_revoked(house: House) -> None:
    other = twin(house, "other")
    assert status(other, "reader") == 200
    secret, _ = create_token(house.registry.database, "late", "reader", 1)
    other.headers["late"] = {"authorization": f"Bearer {secret}"}
    until(lambda: status(other, "late") == 200)
    revoke_token(house.registry.database, "late")
    until(lambda: status(other, "late") == 401)


def test_an_owner_that_one_server_gave_is_the_owner_at_the_other(house: House) -> None:
    house.publish("toy")
    other = twin(house, "other")
    house.ask("admin", "PUT", "/models/toy/owner", json={"owner": "token:owner"})
    assert other.ask("reader", "GET", "/models/toy/owner").json()["owner"] == "token:owner"


def begun(house: House, folder: Path) -> tuple[str, list[dict[str, Any]]]:
    files = [
        {"path": it.path, "size": it.size, "digest": it.digest}
        for it in build_manifest(folder).entries
    ]
    answer = house.ask("owner", "POST", "/uploads", json={"name": "new", "files": files})
    return answer.json()["id"], files


def sent(house: House, upload: str, folder: Path, files: list[dict[str, Any]]) -> int:
    answers = [
        house.ask(
            "owner", "PUT", f"/uploads/{upload}/files/{it['digest']}",
            content=(folder / it["path"]).read_bytes(),
        ).status_code
        for it in files
    ]  # fmt: skip
    return max(answers)


def test_an_upload_goes_on_at_a_server_that_shares_the_home(house: House, tmp_path: Path) -> None:
    folder = generator_folder(tmp_path / "new", "new")
    upload, files = begun(house, folder)
    other = twin(house, "home")
    assert sent(house, upload, folder, files[:2]) == 200
    assert sent(other, upload, folder, files[2:]) == 200
    done = other.ask("owner", "POST", f"/uploads/{upload}/commit").json()
    assert house.ask("owner", "POST", f"/uploads/{upload}/commit").json() == done
    assert done["ref"] == "new@1"


def test_an_upload_whose_bytes_are_elsewhere_is_refused_with_a_sentence(
    house: House, tmp_path: Path
) -> None:
    folder = generator_folder(tmp_path / "new", "new")
    upload, files = begun(house, folder)
    other = twin(house, "other")
    answer = other.ask("owner", "GET", f"/uploads/{upload}")
    assert answer.status_code == 409
    assert "another server" in answer.json()["error"]["message"]
    assert sent(other, upload, folder, files) == 409
    assert sent(house, upload, folder, files) == 200
    house.ask("owner", "POST", f"/uploads/{upload}/commit")
    told = other.ask("owner", "GET", f"/uploads/{upload}")  # what came of it, all can tell
    assert told.json()["published"]["ref"] == "new@1"


def test_a_job_is_done_by_whoever_takes_it_and_followed_from_anywhere(house: House) -> None:
    other = twin(house, "other")
    job = house.ask("admin", "POST", "/sync", json={"store": "memory:"}).json()["id"]
    with working(other.registry):
        told = house.ask("admin", "GET", f"/jobs/{job}/events").text
    last = json.loads(told.strip().splitlines()[-1].removeprefix("data: "))
    assert (last["state"], last["error"]) == ("done", None)


def test_a_job_with_a_file_is_left_to_who_has_the_file(house: House) -> None:
    other = twin(house, "other")
    job = house.ask("reader", "POST", "/recommend", content=b"x").json()["id"]
    assert jobs_of(other.registry).take() is None
    taken = jobs_of(house.registry).take()
    assert taken and taken.id == job


def test_the_job_of_a_server_that_died_goes_on_at_another(house: House) -> None:
    ours, theirs = jobs_of(house.registry), jobs_of(twin(house, "other").registry)
    name = ours.add(MARIA, "sync", {})
    dead = ours.take()
    assert dead and theirs.take() is None
    house.registry.database.run("UPDATE jobs SET alive = alive - ?", SILENT + 1)
    assert theirs.take(bury=False) is None  # who was blind itself buries nobody
    again = theirs.take()
    assert again and (again.id, again.attempt) == (name, 2)
    ours.end(dead, "done", "late")
    theirs.end(again, "done", "in time")
    assert ours.get(MARIA, name)["result"] == "in time"


def test_the_audit_log_of_all_is_in_one_table(house: House) -> None:
    house.publish("toy")
    other = twin(house, "other")
    for it in (house, other):
        it.ask("admin", "PUT", "/models/toy/owner", json={"owner": "token:owner"})
    rows = "SELECT who, what, outcome FROM audit"
    until(lambda: len(house.registry.database.rows(rows)) == 2)
    for row in house.registry.database.rows(rows):
        assert row["who"] == "token:admin" and row["what"].startswith("PUT ")
    assert len(house.audited()) == len(other.audited()) == 1


def test_while_the_database_is_away_answers_are_503_and_then_all_is_there(
    house: House, mortal: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house.publish("toy")
    owner = {"owner": "token:owner"}
    assert house.ask("admin", "PUT", "/models/toy/owner", json=owner).status_code == 200
    time.sleep(1)  # until it listens; what changed before that is read once more
    assert status(house, "reader") == 200
    mortal.stop()
    try:
        for method, path, more in (
            ("GET", "/models", {}), ("GET", "/jobs", {}), ("POST", "/sync", {"json": {}}),
            ("PUT", "/models/toy/owner", {"json": {"owner": "token:other"}}),
        ):  # fmt: skip
            answer = house.ask("admin", method, path, **more)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), path
            assert "127.0.0.1" not in answer.text
        # Inference asks for nothing but the token, and nobody can have revoked it.
        asked = {"headers": house.headers["reader"]}
        assert house.client.get("/v2", **asked).status_code == 200
        monkeypatch.setattr(in_postgres, "_BELIEVED", 0.0)  # a minute later
        time.sleep(0.01)
        answer = house.client.get("/v2", **asked)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    finally:
        mortal.start()
    monkeypatch.undo()
    until(lambda: status(house, "reader") == 200)
    assert house.ask("reader", "GET", "/models/toy/owner").json()["owner"] == "token:owner"
    assert "Traceback" not in caplog.text


def test_workers_wait_for_a_database_that_restarts(house: House, mortal: Server) -> None:
    with working(replace(house.registry, bounds=Bounds(workers=1))):
        mortal.stop()
        time.sleep(1.5)  # they look, and find nothing
        mortal.start()
        job = house.ask("admin", "POST", "/sync", json={"store": "memory:"}).json()["id"]
        until(lambda: house.ask("admin", "GET", f"/jobs/{job}").json()["state"] == "done", 60)

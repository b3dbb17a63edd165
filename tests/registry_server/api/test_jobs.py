"""Jobs: done once by somebody, never lost, never overwritten by who was given up."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from house import House, Places, build

from registry_server.api import long, work, workers
from registry_server.api import open as open_
from registry_server.api.app import PLACE
from registry_server.api.errors import TooMany
from registry_server.api.jobs import ATTEMPTS, SILENT, Jobs
from registry_server.api.registry import Bounds
from registry_server.api.workers import working
from registry_server.auth.caller import Caller
from registry_server.auth.tokens import revoke_token
from tests.toys import shower_file

MARIA, ADMIN = Caller("token:maria", "reader"), Caller("token:admin", "admin")


pytestmark = pytest.mark.usefixtures("either")


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(Places.database(Places.settings(tmp_path)), Bounds())


def age(jobs: Jobs, seconds: float) -> None:
    """Let everything that runs have been silent for so long."""
    jobs._database.run("UPDATE jobs SET alive = alive - ?", seconds)


def test_of_many_that_look_for_work_one_gets_a_job(jobs: Jobs) -> None:
    name = jobs.add(MARIA, "sync", {"full": True})
    with ThreadPoolExecutor(16) as pool:
        taken = [it for it in pool.map(lambda _: jobs.take(), range(16)) if it]
    assert [(it.id, it.attempt, it.asked) for it in taken] == [(name, 1, {"full": True})]


def test_jobs_are_taken_in_the_order_in_which_they_came(jobs: Jobs) -> None:
    names = [jobs.add(MARIA, "sync", {}) for _ in range(3)]
    assert [jobs.take().id for _ in names] == names
    assert jobs.take() is None


def test_a_job_whose_server_died_is_taken_again_and_then_given_up(jobs: Jobs) -> None:
    name = jobs.add(MARIA, "sync", {})
    for attempt in range(1, ATTEMPTS + 1):
        assert jobs.take().attempt == attempt
        assert jobs.take() is None
        age(jobs, SILENT + 1)
    assert jobs.take() is None
    it = jobs.get(MARIA, name)
    assert (it["state"], it["error"]["message"]) == ("failed", "its server died 5 times")


def test_who_was_given_up_cannot_overwrite_the_next(jobs: Jobs) -> None:
    name = jobs.add(MARIA, "sync", {})
    first = jobs.take()
    age(jobs, SILENT + 1)
    second = jobs.take()
    assert not jobs.alive(first)
    jobs.tell(first, "late", 1, 2)
    jobs.end(first, "done", {"by": "first"})
    assert jobs.get(MARIA, name)["state"] == "running"
    assert jobs.get(MARIA, name)["progress"]["message"] == ""
    jobs.end(second, "done", {"by": "second"})
    jobs.end(first, "failed", error={"message": "late", "hint": ""})
    assert jobs.get(MARIA, name)["result"] == {"by": "second"}


def test_a_job_that_is_alive_is_left_alone_however_long_it_takes(jobs: Jobs) -> None:
    jobs.add(MARIA, "sync", {})
    it = jobs.take()
    for _ in range(3):
        age(jobs, SILENT - 1)
        assert jobs.alive(it)
        assert jobs.take() is None


def test_a_stopping_server_gives_its_job_back_without_costing_an_attempt(jobs: Jobs) -> None:
    name = jobs.add(MARIA, "sync", {})
    for _ in range(5):
        jobs.give_back(jobs.take())
    assert (jobs.take().id, jobs.get(MARIA, name)["state"]) == (name, "running")


def test_a_cancelled_job_ends_and_is_not_taken_again(jobs: Jobs) -> None:
    waiting, running = jobs.add(MARIA, "sync", {}), jobs.add(MARIA, "sync", {})
    jobs.cancel(waiting)
    it = jobs.take()
    assert it.id == running
    jobs.cancel(running)
    assert not jobs.alive(it)
    age(jobs, SILENT + 1)  # and its server died, too
    assert jobs.take() is None
    assert {jobs.get(MARIA, name)["state"] for name in (waiting, running)} == {"cancelled"}


def test_each_sees_the_own_jobs_and_an_admin_all(jobs: Jobs) -> None:
    mine = jobs.add(MARIA, "sync", {})
    jobs.add(ADMIN, "sync", {})
    assert [it["id"] for it in jobs.some(MARIA, 0, 9)] == [mine]
    assert len(jobs.some(ADMIN, 0, 9)) == 2
    assert jobs.get(ADMIN, mine)["caller"] == MARIA.name


def wait(house: House, name: str, who: str = "admin") -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        it: dict[str, Any] = house.ask(who, "GET", f"/jobs/{name}").json()
        if it["state"] not in ("queued", "running"):
            return it
        time.sleep(0.05)
    raise AssertionError(it)


def test_a_sync_is_done_by_a_process_of_its_own(tmp_path: Path) -> None:
    house = build(tmp_path)
    started = house.ask("admin", "POST", "/sync", json={"store": "memory:"})
    assert started.status_code == 202
    name = started.json()["id"]
    assert started.headers["location"] == f"/api/v1/jobs/{name}"
    with working(house.registry):
        it = wait(house, name)
    assert (it["state"], it["error"]) == ("done", None)
    assert it["result"]["stores"][0]["store"] == "memory:"
    told = house.ask("admin", "GET", f"/jobs/{name}/events")
    assert told.headers["content-type"].startswith("text/event-stream")
    event, data, *_ = told.text.splitlines()
    assert (event, json.loads(data.removeprefix("data: "))["state"]) == ("event: job", "done")


def test_showers_are_deleted_when_their_recommendation_is_over(tmp_path: Path) -> None:
    house = build(tmp_path)
    data = shower_file(tmp_path / "toy.h5", 40).read_bytes()
    good = house.ask("reader", "POST", "/recommend?showers=40&models=1", content=data).json()["id"]
    bad = house.ask("reader", "POST", "/recommend", content=b"\x89HDF\r\n\x1a\n" * 9).json()["id"]
    folder = house.registry.settings.home / "jobs"
    assert len(list(folder.iterdir())) == 2
    with working(house.registry):
        found, refused = wait(house, good, "reader"), wait(house, bad, "reader")
        deadline = time.monotonic() + 20
        while list(folder.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert list(folder.iterdir()) == []
    assert found["state"] == "done", found
    assert found["result"]["verdict"] in ("scratch", "nothing-fits")  # there is no model
    assert found["result"]["target"]["detector"] == "clic-siw"
    assert refused["state"] == "failed"
    assert str(tmp_path) not in json.dumps([found, refused])


def test_showers_above_the_limit_are_refused_and_not_kept(tmp_path: Path) -> None:
    house = build(tmp_path, Bounds(showers=1000))
    answer = house.ask("reader", "POST", "/recommend", content=bytes(1001))
    assert answer.status_code == 413
    pieces = house.ask("reader", "POST", "/recommend", content=(bytes(100) for _ in range(99)))
    assert pieces.status_code == 413
    assert pieces.json()["error"]["code"] == "too_large"
    assert list((house.registry.settings.home / "jobs").glob("*")) == []


def test_what_one_caller_has_queued_is_bounded(tmp_path: Path) -> None:
    house = build(tmp_path, Bounds(jobs=2))
    asked = [house.ask("reader", "POST", "/recommend", content=b"x").status_code for _ in range(3)]
    assert asked == [202, 202, 429]
    assert len(list((house.registry.settings.home / "jobs").iterdir())) == 2


def test_bodies_on_their_way_count_as_jobs(tmp_path: Path) -> None:
    house = build(tmp_path, Bounds(jobs=1))
    (api,) = [it.app for it in house.app.routes if getattr(it, "path", "") == PLACE]
    bodies = api.state.bodies
    with bodies.one("token:reader", 1, TooMany("no")):
        assert house.ask("reader", "POST", "/recommend", content=b"x").status_code == 429
        assert house.ask("other", "POST", "/recommend", content=b"x").status_code == 202
    assert house.ask("reader", "POST", "/recommend", content=b"x").status_code == 202
    assert bodies.bytes == 0


@pytest.mark.parametrize("full", ["before", "while"])
def test_a_full_disk_is_a_503_and_nothing_is_kept(tmp_path: Path, monkeypatch, full: str) -> None:
    house = build(tmp_path)

    async def fail(_: Any) -> Any:
        yield b"x"
        raise OSError(errno.ENOSPC, "no space left on device")

    if full == "before":
        monkeypatch.setattr(open_, "_SPARE", 1 << 62)
    else:
        monkeypatch.setattr(long, "pieces", fail)
    answer = house.ask("reader", "POST", "/recommend", content=b"x")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "busy")
    assert list((house.registry.settings.home / "jobs").iterdir()) == []


def test_a_caller_follows_a_bounded_number_of_jobs_and_no_other_is_kept_out(
    tmp_path: Path, monkeypatch
) -> None:
    house = build(tmp_path)
    monkeypatch.setattr(long, "_FOLLOWED", 0)
    name = house.ask("reader", "POST", "/recommend", content=b"x").json()["id"]
    path = f"/jobs/{name}/events"
    assert house.ask("reader", "GET", path).status_code == 429
    monkeypatch.setattr(long, "_FOLLOWED", 1)
    house.ask("reader", "POST", f"/jobs/{name}/cancel")
    for who in ("reader", "admin", "reader"):  # what has ended does not count
        assert house.ask(who, "GET", path).status_code == 200


def test_the_events_end_when_the_token_is_revoked(tmp_path: Path, monkeypatch) -> None:
    house = build(tmp_path)
    monkeypatch.setattr(long, "_LOOK", 0.01)
    name = house.ask("reader", "POST", "/recommend", content=b"x").json()["id"]
    timer = threading.Timer(0.2, revoke_token, (house.registry.database, "reader"))
    timer.start()
    told = house.ask("reader", "GET", f"/jobs/{name}/events")  # ends, though the job does not
    timer.join()
    assert told.text.count("queued") == 1
    assert house.ask("reader", "GET", f"/jobs/{name}").status_code == 401


@pytest.fixture
def slow(monkeypatch) -> list[int]:
    """Workers that never end; their process ids."""
    found: list[int] = []
    start = workers._start

    def started(*arguments: Any) -> Any:
        child = start(*arguments)
        found.append(child.pid)
        return child

    monkeypatch.setattr(workers, "_WORK", ("/bin/sh", "-c", "read line; exec sleep 600"))
    monkeypatch.setattr(workers, "_start", started)
    return found


def until(true: Any) -> None:
    deadline = time.monotonic() + 30
    while not true() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert true()


def test_cancelling_a_running_job_ends_its_process(tmp_path: Path, slow: list[int]) -> None:
    house = build(tmp_path)
    name = house.ask("admin", "POST", "/sync", json={}).json()["id"]
    with working(house.registry):
        until(lambda: slow)
        house.ask("admin", "POST", f"/jobs/{name}/cancel")
        assert wait(house, name)["state"] == "cancelled"
    with pytest.raises(ProcessLookupError):
        os.kill(slow[0], 0)


def test_a_worker_that_dies_fails_its_job_and_no_other(tmp_path: Path, slow: list[int]) -> None:
    house = build(tmp_path)
    first, second = (house.ask("admin", "POST", "/sync", json={}).json()["id"] for _ in range(2))
    with working(house.registry):
        until(lambda: slow)
        os.kill(slow[0], signal.SIGKILL)
        assert wait(house, first)["error"]["message"] == "its worker died"
        until(lambda: len(slow) == 2)
    assert house.ask("admin", "GET", f"/jobs/{second}").json()["state"] == "queued"


def test_the_messages_of_a_worker_name_no_place_of_this_machine(tmp_path: Path) -> None:
    settings = build(tmp_path).registry.settings
    text = f"{settings.home}/jobs/1.h5: {settings.cache}/blobs/x: broken"
    assert work._without_paths(text, settings) == "1.h5: blobs/x: broken"

"""A clock that is wrong is told, also where it keeps us from signing in."""

from __future__ import annotations

import time
from email.utils import formatdate
from pathlib import Path

import pytest

from catalog.errors import NotAuthorised
from catalog.store_check import check_all, exit_code, human_checks
from catalog.stores.clock import skew
from catalog.stores.memory import MemoryStore
from tests.adapters.test_mlflow_http import FakeServer, free_port, server

__all__ = ["server"]


def set_clock(server: FakeServer, monkeypatch: pytest.MonkeyPatch, date: str) -> None:
    handler = server.httpd.RequestHandlerClass
    monkeypatch.setattr(handler, "date_time_string", lambda *_: date)


@pytest.mark.parametrize("ahead", [-86_400, -90, 0, 400])
def test_how_far_a_clock_is_off_is_measured(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    set_clock(server, monkeypatch, formatdate(time.time() - ahead, usegmt=True))
    found = skew(server.url)
    assert found is not None
    assert abs(found - ahead) < 30  # the machine may be busy
    assert all("Authorization" not in headers for _, _, headers in server.requests)


def test_a_server_that_does_not_tell_is_not_guessed_at(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(server, monkeypatch, "at tea time")
    assert skew(server.url) is None
    assert skew(f"http://127.0.0.1:{free_port()}") is None
    assert skew("") is skew("file:///etc/hostname") is None


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize(("ahead", "warned"), [(0, False), (400, True), (-400, True)])
def test_a_check_warns_of_a_wrong_clock(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, ahead: int, warned: bool, refused: bool
) -> None:
    class Served(MemoryStore):
        address = server.url

        def versions(self, name: str | None = None):
            if refused:
                raise NotAuthorised("the date is stale")
            return super().versions(name)

    monkeypatch.setattr("catalog.store_check.open_named", lambda *_: Served())
    set_clock(server, monkeypatch, formatdate(time.time() - ahead, usegmt=True))
    checks = check_all(["memory:"])
    assert abs(checks[0]["clock_ahead_s"] - ahead) < 30
    assert ("clock" in human_checks(checks)) is warned
    assert exit_code(checks) == (4 if refused else 0)


def test_a_store_without_a_server_has_no_clock() -> None:
    (told,) = check_all(["memory:"])
    assert told["clock_ahead_s"] is None
    assert "clock" not in human_checks([told])


def test_an_oci_catalog_is_asked_where_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("oci")
    from tests.adapters.oci_double.place import configured_double, store_of

    with configured_double(tmp_path / "oci") as double:
        found = skew(store_of(double, tmp_path).address)
    assert found is not None
    assert abs(found) < 30


def test_an_mlflow_server_is_asked_where_it_answers(server: FakeServer) -> None:
    mlflow = pytest.importorskip("catalog_mlflow")
    assert mlflow.open_store(f"mlflow+{server.url}/path/").address == f"{server.url}/path"
    assert mlflow.open_store("mlflow").address == ""

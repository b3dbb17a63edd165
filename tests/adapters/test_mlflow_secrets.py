"""Two servers, two credentials, in one process; none is ever repeated."""

from __future__ import annotations

import base64

import pytest

from catalog.errors import NotAuthorised, StoreError
from catalog.manifest import Entry
from catalog.stores import Secret
from catalog.stores.protocol import Committed
from catalog_mlflow import open_store
from tests.adapters.test_mlflow_http import FakeServer, server

__all__ = ["server"]


def sent(server: FakeServer) -> set[str | None]:
    return {headers.get("Authorization") for _, _, headers in server.requests}


def test_each_store_signs_in_as_its_own_even_at_one_address(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "for-all-others")
    uri = f"mlflow+{server.url}"
    secrets = {
        "Bearer one": Secret("one"),
        "Bearer two": Secret("two"),
        "Basic " + base64.b64encode(b"ada:sesame").decode(): Secret("", "ada", "sesame"),
        "Bearer for-all-others": None,
    }
    stores = {want: open_store(uri, secret) for want, secret in secrets.items()}
    for _ in range(2):  # taking turns
        for want, store in stores.items():
            server.requests.clear()
            server.say(200, {})
            assert list(store.versions()) == list(store.aliases()) == []
            assert sent(server) == {want}


def test_files_are_asked_for_with_the_same_credential(server: FakeServer) -> None:
    store = open_store(f"mlflow+{server.url}", Secret("one"))
    row = {"name": "m", "version": "1", "source": "mlflow-artifacts:/1/x", "run_id": "x"}
    server.say(200, {"model_version": row, "artifact_uri": "mlflow-artifacts:/1/x"})
    with store.open_file(Committed("m", 1, ""), Entry("a", 1, "")) as file:
        file.read()
    assert sent(server) == {"Bearer one"}


def test_a_refusal_names_where_the_credential_came_from_not_what_it_is(server: FakeServer) -> None:
    store = open_store(f"mlflow+{server.url}", Secret("sesame", source="LAB_TOKEN"))
    server.say(403, {"error_code": "PERMISSION_DENIED", "message": "no sesame for you"})
    with pytest.raises(NotAuthorised) as caught:
        list(store.versions())
    assert "LAB_TOKEN" in caught.value.hint
    server.say(400, {"error_code": "BAD_REQUEST", "message": "no sesame for you"})
    with pytest.raises(StoreError) as broken:
        list(store.versions())
    assert "sesame" not in broken.value.message
    assert "***" in broken.value.message

"""Servers that are down, slow, hostile or closed to us."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from catalog.errors import DigestMismatch, NotAuthorised, NotFound, StoreError
from catalog.stores import Committed
from catalog_mlflow import MlflowStore, _client, open_store
from catalog_mlflow._edge import Edge
from catalog_mlflow._http_folder import HttpFolder, proxied_path
from tests.adapters.mlflow_server import free_port
from tests.conformance.store_tools import FILES, DyingSource, KilledError, manifest_of

MODEL = next(e for e in manifest_of(FILES).entries if e.path == "model.onnx")


class FakeServer:
    """Answers every request with `answer`: a status, a body, the Content-Length it claims."""

    def __init__(self) -> None:
        self.answer = (200, b"{}", 2)
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.bodies: list[bytes] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def reply(self) -> None:
                outer.requests.append((self.command, self.path, dict(self.headers)))
                length = int(self.headers.get("Content-Length", 0))
                outer.bodies.append(self.rfile.read(length))
                status, body, announced = outer.answer
                self.send_response(status)
                self.send_header("Content-Length", str(announced))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = reply  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                """A client that breaks off is what some tests are about."""

        self.httpd = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.httpd.server_port}"
        self.thread = threading.Thread(target=self.httpd.serve_forever, args=(0.01,))
        self.thread.start()

    def say(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.answer = (status, body, len(body))


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()
    yield fake
    fake.httpd.shutdown()
    fake.httpd.server_close()
    fake.thread.join()


@pytest.fixture
def store(server: FakeServer) -> MlflowStore:
    return open_store(f"mlflow+{server.url}")


@pytest.fixture
def folder(server: FakeServer) -> HttpFolder:
    return HttpFolder(server.url, "1/run/artifacts/version", Edge("the server", server.url))


def refused_within(seconds: float, url: str) -> StoreError:
    began = time.monotonic()
    with pytest.raises(StoreError) as caught:
        list(open_store(f"mlflow+{url}").versions())
    assert time.monotonic() - began < seconds
    return caught.value


def test_a_server_that_is_down_is_said_at_once() -> None:
    error = refused_within(5, f"http://127.0.0.1:{free_port()}")
    assert "does not answer" in error.message
    assert "is the server running" in error.hint


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(_client._PROBE_SECONDS) < 15
    monkeypatch.setattr(_client, "_PROBE_SECONDS", (0.5, 0.5))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = refused_within(10, f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert "took too long" in error.message


def test_a_server_that_fails_is_given_up(server: FakeServer, store: MlflowStore) -> None:
    server.say(500, {"error_code": "INTERNAL_ERROR", "message": "boom"})
    began = time.monotonic()
    with pytest.raises(StoreError, match="127"):
        list(store.versions())
    assert time.monotonic() - began < 15
    assert 3 <= len(server.requests) <= 5


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [{"error_code": "PERMISSION_DENIED", "message": "no"}, "no"])
def test_a_refusal_names_what_to_set_and_never_the_token(
    server: FakeServer, store: MlflowStore, monkeypatch: pytest.MonkeyPatch, status: int, body
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "sesame")
    server.say(status, body)
    with pytest.raises(NotAuthorised) as caught:
        list(store.versions())
    assert server.requests[-1][2]["Authorization"] == "Bearer sesame"
    assert "MLFLOW_TRACKING_TOKEN" in caught.value.hint
    assert "sesame" not in caught.value.message + caught.value.hint


def test_a_server_that_repeats_the_token_does_not_get_it_printed(
    server: FakeServer, store: MlflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "sesame")
    server.say(400, {"error_code": "BAD_REQUEST", "message": "you sent sesame"})
    with pytest.raises(StoreError, match=r"you sent \*\*\*"):
        list(store.versions())


def test_an_answer_that_is_not_mlflow_is_a_store_error(
    server: FakeServer, store: MlflowStore
) -> None:
    server.answer = (200, b"<html>It works!</html>", 22)
    with pytest.raises(StoreError):
        list(store.versions())


@pytest.mark.parametrize(
    "source",
    [
        "mlflow-artifacts://evil.example.org/1/run/artifacts/version",
        "https://evil.example.org/api/2.0/mlflow-artifacts/artifacts/1",
        "mlflow-artifacts:/1/../../secret",
        "http://evil.example.org/else",
        "file:///etc",
        "/etc",
        "ftp://evil.example.org/x",
    ],
)
def test_an_artifact_address_of_a_hostile_server_is_refused(
    server: FakeServer, store: MlflowStore, source: str
) -> None:
    version = {
        "model_version": {"name": "m", "version": "1", "run_id": "r"},
        "artifact_uri": source,
    }
    server.say(200, version)
    with pytest.raises(StoreError), store.open_file(Committed("m", 1, "sha256:0"), MODEL):
        pass


def test_addresses_behind_the_proxy_are_understood() -> None:
    server = "https://host/prefix"
    assert proxied_path(server, "mlflow-artifacts:/1/r/artifacts/version") == (
        "1/r/artifacts/version"
    )
    full = "https://host/prefix/api/2.0/mlflow-artifacts/artifacts/1/r"
    assert proxied_path(server, full) == "1/r"
    assert proxied_path(server, "s3://bucket/1") is None


def test_wrong_bytes_never_complete_a_request(server: FakeServer, folder: HttpFolder) -> None:
    wrong = FILES["model.onnx"][:-1] + b"x"
    with pytest.raises(DigestMismatch):
        folder.put(MODEL, io.BytesIO(wrong))
    assert all(len(body) < MODEL.size for body in server.bodies)


def test_a_source_that_fails_is_not_mistaken_for_the_server(folder: HttpFolder) -> None:
    with pytest.raises(KilledError):
        folder.put(MODEL, DyingSource(FILES["model.onnx"]))  # type: ignore[arg-type]


def test_an_upload_is_streamed_with_its_length(server: FakeServer, folder: HttpFolder) -> None:
    folder.put(MODEL, io.BytesIO(FILES["model.onnx"]))
    assert server.bodies == [FILES["model.onnx"]]
    (method, path, headers) = server.requests[0]
    assert (method, path) == (
        "PUT",
        "/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts/version/model.onnx",
    )
    assert headers["Content-Length"] == str(MODEL.size)


def test_a_download_that_breaks_off_is_a_store_error(
    server: FakeServer, folder: HttpFolder
) -> None:
    server.answer = (200, b"half", MODEL.size)
    with pytest.raises(StoreError), folder.open("model.onnx") as file:
        file.read()


def test_a_file_the_server_does_not_have_is_not_found(
    server: FakeServer, folder: HttpFolder
) -> None:
    server.say(404, {})
    with pytest.raises(NotFound), folder.open("model.onnx"):
        pass

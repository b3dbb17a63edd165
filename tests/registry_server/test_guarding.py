"""What surrounds every request: limits that span requests, host names, ids, last-resort errors."""

from __future__ import annotations

import http.client
import json
import logging
import socket
import time
from datetime import datetime

import pytest
from asking import GOOD, INFER

import registry_server.inference
from registry_server.background import serving
from registry_server.engine import MemorySource
from registry_server.guard import Hosts
from registry_server.tensors import Limits

Answer = tuple[int, str, http.client.HTTPMessage]


def post(url: str, body: bytes = GOOD, path: str = INFER) -> Answer:
    link = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    try:
        link.request("POST", path, body)
        answer = link.getresponse()
        return answer.status, answer.read().decode(), answer.headers
    finally:
        link.close()


def started(url: str, length: int, data: bytes) -> socket.socket:
    """A request whose body stops after `data`."""
    host, _, port = url.removeprefix("http://").partition(":")
    line = socket.create_connection((host, int(port)), timeout=20)
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
    line.sendall(head.encode() + data)
    return line


def test_a_body_that_does_not_arrive_is_given_up(versions) -> None:
    limits = Limits(body_seconds=0.2)
    with (
        serving(MemorySource(versions.values()), ["affine@1"], limits=limits) as url,
        started(url, 100, b"{") as line,
    ):
        answer = b""
        while piece := line.recv(65536):
            answer += piece
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'{"error": "the body did not arrive within 0.2 s"}' in answer
        assert post(url)[0] == 200


def test_waiting_bytes_are_bounded_and_freed_when_a_client_leaves(versions) -> None:
    limits = Limits(body=1000, waiting=1000)
    with serving(MemorySource(versions.values()), ["affine@1"], limits=limits) as url:
        with started(url, 1000, b" " * 950):
            status, text, headers = until(url, 503)
            assert status == 503
            assert json.loads(text)["error"].endswith("try again")
            assert headers["retry-after"] == "1"
        assert until(url, 200)[0] == 200


def until(url: str, wanted: int) -> Answer:
    """Ask until the answer is the wanted one: the server sees a line open or close a bit later."""
    deadline = time.monotonic() + 10
    while True:
        answer = post(url)
        if answer[0] == wanted or time.monotonic() > deadline:
            return answer
        time.sleep(0.01)


def test_an_unforeseen_failure_shows_an_id_and_logs_the_rest(url, monkeypatch, caplog) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret of /home/someone")

    monkeypatch.setattr(registry_server.inference, "decode", fail)
    status, text, headers = post(url)
    identity = headers["x-request-id"]
    assert status == 500
    assert json.loads(text) == {
        "error": f"internal error, request {identity}; the server's log has the details"
    }
    assert f"request {identity}" in caplog.text
    assert "secret of /home/someone" in caplog.text


def logged(caplog, identity: str) -> list[str]:
    """The log lines of one request; the last is written just after the answer has left."""
    deadline = time.monotonic() + 10
    while True:
        lines = [r.getMessage() for r in caplog.records if identity in r.getMessage()]
        if lines or time.monotonic() > deadline:
            return lines
        time.sleep(0.01)


def test_every_request_is_one_line_of_the_log_with_its_id(url, caplog) -> None:
    with caplog.at_level(logging.INFO, "registry_server.requests"):
        identity = post(url)[2]["x-request-id"]
        lines = logged(caplog, identity)
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line.pop("ms") > 0
    assert line == {"request_id": identity, "method": "POST", "path": INFER, "status": 200}


def test_why_a_model_failed_is_in_the_log_under_the_id_of_the_request(url, caplog) -> None:
    inputs = [
        {"name": "x", "datatype": "FP64", "shape": [1], "data": [1]},
        {"name": "k", "datatype": "INT64", "shape": [1], "data": [99]},
    ]
    body = json.dumps({"inputs": inputs}).encode()
    status, text, headers = post(url, body, INFER.replace("affine", "gather"))
    assert status == 422
    assert "Gather" not in text
    lines = logged(caplog, headers["x-request-id"])
    assert "out of data bounds" in lines[0]


def test_a_path_cannot_fake_a_line_of_the_log(url, caplog) -> None:
    link = http.client.HTTPConnection(url.removeprefix("http://"))
    with caplog.at_level(logging.INFO, "registry_server.requests"):
        link.request("GET", "/a%0d%0aINFO%20all%20is%20well")
        answer = link.getresponse()
        answer.read()
        lines = logged(caplog, answer.headers["x-request-id"])
    link.close()
    assert json.loads(lines[0])["path"] == "/a\r\nINFO all is well"
    assert "\n" not in lines[0]


@pytest.mark.parametrize(
    ("listen", "also", "host", "allowed"),
    [
        ("127.0.0.1", [], "localhost:8000", True),
        ("127.0.0.1", [], "192.168.0.7:8000", False),
        ("127.0.0.1", [], "evil.example", False),
        ("127.0.0.1", ["models.cern.ch"], "Models.CERN.ch:8000", True),
        ("gpu7", [], "gpu7:8000", True),
        ("gpu7", [], "gpu8:8000", False),
        ("0.0.0.0", [], "192.168.0.7:8000", True),
        ("::", [], "[fe80::1]:8000", True),
        ("0.0.0.0", [], "evil.example", False),
        ("0.0.0.0", [], "192.168.0.7.evil.example", False),
        ("0.0.0.0", [], socket.gethostname(), True),
    ],
)
def test_a_host_name_is_allowed_only_if_it_cannot_be_rebinding(listen, also, host, allowed) -> None:
    assert Hosts(listen, also).allows(host) is allowed

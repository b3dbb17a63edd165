"""Connections that say nothing or read nothing: given up, and never in the way of others."""

from __future__ import annotations

import http.client
import json
import socket
import struct
import time
from contextlib import ExitStack

import pytest
from asking import GOOD, INFER

from registry_server import connection
from registry_server.background import serving
from registry_server.engine import MemorySource
from registry_server.tensors import Limits


def opened(url: str, data: bytes = b"") -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    line = socket.create_connection((host, int(port)), timeout=20)
    line.sendall(data)
    return line


@pytest.fixture
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(connection, "_PATIENCE", 0.2)
    monkeypatch.setattr(connection, "_LOOK", 0.05)


LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("data", [b"", LIVE[:20], LIVE + LIVE[:20]])
def test_who_does_not_finish_a_header_is_given_up(url: str, impatient, data: bytes) -> None:
    with opened(url, data) as line:
        answer = b""
        while piece := line.recv(65536):  # a connection that stays open is a TimeoutError
            answer += piece
    assert answer.count(b"HTTP/1.1 200") == data.count(LIVE)


def test_idle_connections_never_keep_others_out(url: str, monkeypatch) -> None:
    monkeypatch.setattr(connection, "most_connections", lambda: 4)
    with ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(opened(url, LIVE[:20]))
        with opened(url, LIVE) as line:
            assert line.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_where_all_are_busy_one_more_is_a_503(url: str, monkeypatch) -> None:
    monkeypatch.setattr(connection, "most_connections", lambda: 2)
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(GOOD)}\r\n"
    ask = (head + "Expect: 100-continue\r\n\r\n").encode()
    with opened(url, ask) as one, opened(url, ask) as two:
        for busy in (one, two):
            assert busy.recv(65536).startswith(b"HTTP/1.1 100")
        with opened(url, LIVE) as line:
            answer = http.client.HTTPResponse(line)
            answer.begin()
            assert (answer.status, answer.getheader("connection")) == (503, "close")
            assert b'"error"' in answer.read()
        one.sendall(GOOD)
        assert one.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_an_answer_that_nobody_reads_counts_until_its_client_has_gone(versions) -> None:
    # 64 rows are answered with 15 MB; the server may hold 20.
    data = {"name": "x", "datatype": "FP32", "shape": [64, 1], "data": [1.0] * 64}
    body = json.dumps({"inputs": [data], "parameters": {"binary_data_output": True}}).encode()
    head = "POST /v2/models/wide/infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
    asked = f"{head}{len(body)}\r\n\r\n".encode() + body
    limits = Limits(body=1 << 20, waiting=20 << 20, rows=64, elements=1 << 22)
    with serving(MemorySource([versions["wide@1"]]), ["wide"], limits=limits) as url:
        with opened(url, asked) as lazy:
            assert lazy.recv(12) == b"HTTP/1.1 200"
            assert status(url, asked) == 503
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        until = time.monotonic() + 20
        while (found := status(url, asked)) == 503 and time.monotonic() < until:
            time.sleep(0.05)
        assert found == 200


def status(url: str, asked: bytes) -> int:
    """Of a request whose answer is read to its end."""
    with opened(url, asked) as line:
        answer = http.client.HTTPResponse(line)
        answer.begin()
        answer.read()
        return answer.status

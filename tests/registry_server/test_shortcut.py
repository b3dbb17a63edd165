"""The short way and the long way of a request for inference: the same answers to any bytes."""

from __future__ import annotations

import json
import random
import re
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from asking import GOOD, INFER, LENGTH

from registry_server import shortcut
from registry_server.app import create_app
from registry_server.background import running
from registry_server.engine import MemorySource
from registry_server.tensors import Limits

LIMITS = Limits(body=1 << 16, json=1 << 15, waiting=1 << 22, rows=64, elements=1 << 18)
ROW = np.arange(4, dtype=np.float32).tobytes()
RAW = json.dumps(
    {
        "inputs": [
            {
                "name": "x",
                "datatype": "FP32",
                "shape": [1, 4],
                "parameters": {"binary_data_size": 16},
            }
        ],
        "parameters": {"binary_data_output": True},
    }
).encode()


def request(body: bytes = GOOD, *lines: str, path: str = INFER, end: str = "\r\n") -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *lines]
    return end.join([*head, "", ""]).encode("latin-1") + body


BINARY = request(RAW + ROW, f"{LENGTH}: {len(RAW)}")


@contextmanager
def served(versions, short: bool) -> Iterator[tuple[str, list[bool]]]:
    """A server; with which requests went the short way."""
    refs = ["affine@1", "gather@1", "identity@7"]
    app = create_app(MemorySource([versions[ref] for ref in refs]), refs, limits=LIMITS, threads=2)
    taken: list[bool] = []
    if short:
        look = app.state.shortcut.look

        def counted(url, headers):
            found = look(url, headers)
            taken.append(found is not None)
            return found

        app.state.shortcut.look = counted
    else:
        app.state.shortcut.look = lambda *_: None
    with running(app) as url:
        yield url, taken


@pytest.fixture(scope="module")
def both(versions):
    with served(versions, True) as one, served(versions, False) as other:
        yield one, other


def open_line(url: str) -> socket.socket:
    host, _, port = url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


# After a request that swallows what follows it, enough for it to end; the last one ends the line.
TAIL = request() * 10 + request(GOOD, "Connection: close")
ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r]*\r\n(.*?)\r\n\r\n", re.DOTALL)
OWN = re.compile(rb"(?m)^(?:date|x-request-id): .*\r\n?")


def answers(url: str, *pieces: bytes, tail: bytes = TAIL) -> list[tuple[int, list[bytes], bytes]]:
    """Status, headers and body of all that comes back for these bytes and those of the tail."""
    *first, last = pieces
    with open_line(url) as line:
        for piece in first:
            line.sendall(piece)
            time.sleep(0.02)  # so that they are read one by one
        line.sendall(last + tail)  # at once: an answer is lost if more comes after it was sent
        data = b""
        while piece := line.recv(1 << 16):
            data += piece
    found = []
    while answer := ANSWER.match(data):
        told = OWN.sub(b"", answer[2] + b"\r\n").lower().split(b"\r\n")
        size = next(int(it.split(b":")[1]) for it in told if it.startswith(b"content-length"))
        found.append((int(answer[1]), sorted(told), data[answer.end() : answer.end() + size]))
        data = data[answer.end() + size :]
    assert not data, data
    return found


def known(url: str) -> None:
    """Let the server know its caller for a second."""
    assert answers(url, request(GOOD, "Connection: close"), tail=b"")[0][0] == 200


def mutations(number: int) -> Iterator[bytes]:
    """Requests with something changed, each of two good ones: bytes, lines, lengths, numbers."""
    rng = random.Random(11)
    wrong = [
        "Content-Length: 3", "Content-Length: -1", "Content-Length : 5", "Host: evil.example",
        "Transfer-Encoding: chunked", "Transfer-Encoding : chunked", "Transfer-Encoding: identity",
        f"{LENGTH}: 1", f"{LENGTH}: x", "Expect: 100-continue", "Content-Encoding: gzip",
        "Origin: http://evil.example", "Authorization: Bearer hepcat_x", "Cookie: a=b",
        "Upgrade: h2c", "Connection: upgrade", "A : b", "No colon", " folded", "X: \0",
    ]  # fmt: skip
    for i in range(number):
        base = bytearray(BINARY if i % 2 else request())
        end = base.index(b"\r\n\r\n")
        kind = i % 7
        if kind == 0:
            base[rng.randrange(len(base))] = rng.randrange(256)
        elif kind == 1:
            base[end:end] = b"\r\n" + rng.choice(wrong).encode("latin-1")
        elif kind == 2:
            at = rng.randrange(end + 4, len(base))
            base[at : at + rng.randrange(1, 9)] = rng.randbytes(rng.randrange(9))
        elif kind == 3:
            del base[rng.randrange(len(base)) :]
        elif kind == 4:
            base[:] = base.replace(b"\r\n", b"\n", rng.randrange(1, 5))
        elif kind == 5:
            digits = [m.span() for m in re.finditer(rb"\d+", base)]
            first, last = rng.choice(digits)
            base[first:last] = str(rng.choice([0, -1, 2, 5, 64, 65, 10**6, 2**63])).encode()
        else:
            words = [b"FP32", b'"x"', b"affine", b"inputs", b"POST", b"shape", b"1.1", b"binary"]
            base[:] = base.replace(
                rng.choice(words), rng.choice([b"FP64", b"y", b"", b"\xff", b"GET"])
            )
        yield bytes(base)


def test_mutated_requests_are_answered_alike_on_both_ways(both) -> None:
    (url, taken), (other, _) = both
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for i, data in enumerate(mutations(600)):
        if i % 20 == 0:
            known(url)
        found, expected = answers(url, data), answers(other, data)
        assert found == expected, data[:2000]
        assert all(status < 500 for status, _, _ in found), data[:2000]
    assert sum(taken) > 100
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB


def test_good_requests_take_the_short_way_once_their_caller_is_known(both) -> None:
    (url, taken), (other, _) = both
    known(url)
    taken.clear()
    assert answers(url, BINARY) == answers(other, BINARY)
    assert taken[0]


@pytest.mark.parametrize("cut", [1, 40, len(BINARY) - 300, len(BINARY) - 1])
def test_a_request_in_pieces_is_answered_alike(both, cut: int) -> None:
    (url, _), (other, _) = both
    known(url)
    assert answers(url, BINARY[:cut], BINARY[cut:]) == answers(other, BINARY)


def test_requests_ahead_are_answered_in_order(both) -> None:
    (url, _), _ = both
    known(url)
    bodies = [GOOD.replace(b"[1, 2, 3, 4]", b"[%d, 0, 0, 0]" % i) for i in range(20)]
    found = answers(url, b"".join(map(request, bodies)))
    sums = [json.loads(body)["outputs"][1]["data"] for _, _, body in found[:20]]
    assert sums == [[float(i)] for i in range(20)]


def test_a_good_request_before_rubbish_has_its_answer(both) -> None:
    (url, _), (other, _) = both
    known(url)
    found = answers(url, BINARY + b"rubbish\r\n\r\n", tail=b"")
    assert [status for status, _, _ in found] == [200, 400]
    assert found == answers(other, BINARY + b"rubbish\r\n\r\n", tail=b"")


def test_what_was_held_is_released(both) -> None:
    (url, _), _ = both
    known(url)
    with open_line(url) as line:
        line.sendall(BINARY[:-4])  # and then it leaves
    for _ in range(200):
        known(url)


def test_who_the_application_did_not_let_in_is_not_known() -> None:
    it = shortcut.Shortcut(_Engine(), None, _Everybody())
    headers = [(b"host", b"x"), (b"content-length", b"1"), (b"authorization", b"Bearer one")]
    assert it.look(INFER.encode(), headers) is None
    it.let_in(headers)
    assert it.look(INFER.encode(), headers) is not None
    assert it.look(INFER.encode(), headers[:2]) is None
    assert it.look(INFER.encode(), [*headers[:2], (b"authorization", b"Bearer two")]) is None


def test_a_caller_is_known_for_a_second_and_not_by_its_cookies(monkeypatch) -> None:
    it = shortcut.Shortcut(_Engine(), None, _Everybody())
    headers = [(b"host", b"x"), (b"content-length", b"1")]
    it.let_in([*headers, (b"cookie", b"a=b")])
    assert it.look(INFER.encode(), headers) is None
    it.let_in(headers)
    now = shortcut.time.monotonic()
    monkeypatch.setattr(shortcut.time, "monotonic", lambda: now + 1.1)
    assert it.look(INFER.encode(), headers) is None


class _Engine:
    limits = LIMITS


class _Everybody:
    def allows(self, host: str) -> bool:
        return True

"""Wrong addresses, methods, HTTP: a 4xx in the one error shape, and the server goes on."""

from __future__ import annotations

import socket
from contextlib import suppress

import pytest
from asking import GOOD, INFER, LENGTH, ask, check_alive, check_refused, talk


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", 404),
        ("GET", "/docs", 404),
        ("GET", "/redoc", 404),
        ("GET", "/openapi.json", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/v2/models/", 404),
        ("GET", "/v2/models/nope", 404),
        ("GET", "/v2/models/affine/versions/0", 404),
        ("GET", "/v2/models/affine/versions/01", 404),
        ("GET", "/v2/models/affine/versions/-1", 404),
        ("GET", "/v2/models/affine/versions/champion", 404),
        ("GET", "/v2/models/affine/versions/%D9%A1", 404),
        ("GET", "/v2/models/affine/versions/" + "1" * 5000, 404),
        ("GET", "/v2/models/..%2f..%2fetc%2fpasswd", 404),
        ("GET", "/v2/models/%2e%2e/ready", 404),
        ("GET", "/v2/models/a%00b", 404),
        ("GET", "/v2/models/a%0d%0aX-Bad:%201", 404),
        ("GET", "/v2/models/%ff%fe", 404),
        ("GET", "/v2/health/live/", 404),
        ("GET", INFER, 405),
        ("PUT", INFER, 405),
        ("DELETE", "/v2", 405),
        ("POST", "/v2/health/ready", 405),
    ],
)
def test_a_wrong_address_is_refused_in_the_same_shape(link, method, path, expected) -> None:
    status, body, headers = ask(link, path, method=method)
    assert status == expected
    check_refused(status, body)
    assert headers["x-request-id"]
    assert "X-Bad" not in headers


NOT_INDEX = [b"x", b"[]", b'{"ready": 1}', b'{"ready": null}', b"\xff", b" " * 5000]


@pytest.mark.parametrize("body", NOT_INDEX)
def test_a_malformed_index_request_is_refused(link, body: bytes) -> None:
    status, answer, _ = ask(link, "/v2/repository/index", body)
    assert status == (413 if len(body) > 4096 else 400)
    check_refused(status, answer)


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:80", "[::2]", "", "localhost\t.x",
     "[::1", "[::1]x", "[localhost]", "[localhost]x", "localhost:x", "localhost:1:1"],
)  # fmt: skip
def test_a_foreign_host_name_is_refused(link, host: str) -> None:
    status, body, _ = ask(link, "/v2/health/live", method="GET", Host=host)
    assert status == 400
    assert "host name" in check_refused(status, body)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8000"])
def test_every_name_of_the_loopback_is_accepted(link, host: str) -> None:
    assert ask(link, "/v2/health/live", method="GET", Host=host)[0] == 200


def test_a_chunked_body_is_read_like_any_other(link) -> None:
    pieces = iter([GOOD[:7], GOOD[7:]])
    status, body, _ = ask(link, INFER, pieces)
    assert status == 200, body


def test_an_endless_chunked_body_is_cut_off(link) -> None:
    endless = (b"x" * 65536 for _ in range(1000))
    with suppress(OSError):  # the server may hang up while we are still sending
        check_refused(*ask(link, INFER, endless)[:2])
    link.close()
    assert next(endless, None) is not None
    check_alive(link)


def test_a_declared_length_of_ten_gigabytes_is_refused_unread(url: str, link) -> None:
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10**10}\r\n\r\n"
    assert b" 413 " in talk(url, head.encode())
    check_alive(link)


NOT_HTTP = {
    "rubbish": b"\x16\x03\x01rubbish\r\n\r\n",
    "no host": b"GET /v2 HTTP/1.1\r\n\r\n",
    "bad length": b"POST /v2 HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"POST /v2 HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "bad chunk": f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\n".encode()
    + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "header length twice": f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\n{LENGTH}: 1\r\n".encode()
    + f"{LENGTH}: 2\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode(),
}


@pytest.mark.parametrize("case", NOT_HTTP)
def test_broken_http_is_refused_in_the_same_shape(url: str, link, case: str) -> None:
    answer = talk(url, NOT_HTTP[case])
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    check_refused(400, body)
    check_alive(link)


def test_a_header_without_end_is_cut_off(url: str, link) -> None:
    with suppress(OSError):  # closing with bytes unread resets the line
        talk(url, b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 10_000_000)
    check_alive(link)


def test_a_client_that_leaves_in_the_middle_harms_nobody(url: str, link) -> None:
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{{"
    host, _, port = url.removeprefix("http://").partition(":")
    for _ in range(5):
        with socket.create_connection((host, int(port))) as line:
            line.sendall(head.encode())
    check_alive(link)

"""The issuer's keys: from one place, kept, and asked for no more often than needed."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from house import KEY, OTHER_KEY, key_set

from registry_server.auth.caller import Unknown
from registry_server.auth.keys import Keys, _parse, fetch


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_text(key_set(k1=KEY))
    return path


def test_keys_are_kept_and_looked_for_again_only_now_and_then(source: Path, monkeypatch) -> None:
    clock, reads = Clock(), []
    keys = Keys(str(source), clock)
    read = keys._read
    monkeypatch.setattr(keys, "_read", lambda: reads.append(1) or read())
    for _ in range(50):
        keys.find("k1")
    for number in range(1000):  # a stranger who makes up keys
        clock.now += 0.01
        with pytest.raises(Unknown):
            keys.find(f"made up {number}")
    assert len(reads) == 1
    source.write_text(key_set(k1=KEY, k2=OTHER_KEY))
    clock.now += 31
    assert keys.find("k2")
    assert len(reads) == 2


def test_a_key_that_was_withdrawn_is_no_longer_good_after_an_hour(source: Path) -> None:
    clock = Clock()
    keys = Keys(str(source), clock)
    assert keys.find("k1")
    source.write_text(key_set(k2=OTHER_KEY))
    clock.now += 3601
    with pytest.raises(Unknown):
        keys.find("k1")


@pytest.mark.parametrize("broken", ["", "{}", "[]", '{"keys": []}', '{"keys": [1, {"kty": "x"}]}'])
def test_while_the_issuer_is_broken_the_keys_of_before_stay_good(source: Path, broken: str) -> None:
    clock = Clock()
    keys = Keys(str(source), clock)
    assert keys.find("k1")
    source.write_text(broken)
    clock.now += 3601
    assert keys.find("k1")


def test_symmetric_and_unnamed_keys_are_left_out() -> None:
    good = key_set(k1=KEY)[:-2]
    text = good + ', {"kty": "oct", "kid": "s", "k": "AAAA", "alg": "HS256"}, {"kty": "RSA"}]}'
    assert list(_parse(text.encode())) == ["k1"]


@pytest.mark.parametrize("kid", [None, "", 3, ["k1"], {"k1": 1}])
def test_a_token_must_name_its_key(source: Path, kid: object) -> None:
    with pytest.raises(Unknown):
        Keys(str(source)).find(kid)


def test_no_redirect_is_followed() -> None:
    """An issuer's address that points elsewhere makes the server ask nobody else."""
    asked = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(302)
            self.send_header("location", "/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with pytest.raises(OSError, match="302"):
            fetch(f"http://127.0.0.1:{server.server_port}/keys")
        server.shutdown()
        thread.join()
    assert asked == ["/keys"]

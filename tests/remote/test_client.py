"""What is sent to a registry, what is believed of its answers, and what is tried again."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest

from catalog.errors import (
    CatalogError,
    DigestMismatch,
    NotAuthorised,
    NotFound,
    StoreError,
    UsageError,
)
from catalog.manifest import Entry
from catalog.remote import client as clients
from catalog.remote.blob import open_blob
from catalog.remote.choose import choose_registry
from catalog.remote.client import Client
from catalog.remote.connect import about, client_of, connect
from catalog.remote.place import parse_place
from catalog.remote.send import send
from tests.remote.stub import ABOUT, error, serving, told

DATA = bytes(range(256)) * 4000
ENTRY = Entry("model.onnx", len(DATA), f"sha256:{hashlib.sha256(DATA).hexdigest()}")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    """Pauses are counted, not waited for; nobody's list of stores is read."""
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    monkeypatch.setenv("CATALOG_CONFIG", str(tmp_path / "stores.yaml"))
    for name in ("CATALOG_REGISTRY", "CATALOG_TOKEN", "CATALOG_PLAIN_HTTP"):
        monkeypatch.delenv(name, raising=False)
    return waited


def client(url: str, token: str = "") -> Client:
    return Client(parse_place(url), token)


def header(asked: tuple[str, str, dict[str, str], bytes], name: str) -> str | None:
    return {key.lower(): value for key, value in asked[2].items()}.get(name)


@pytest.mark.parametrize(
    "address",
    [
        "http://models.example.org", "ftp://models.example.org", "models.example.org", "https://",
        "https://me:secret@models.example.org", "https://models.example.org?token=secret",
        "https://models.example.org/#secret", "https://models.example.org:x", "http://10.0.0.1",
        "https://models.exam ple.org", "https://models.example.org\n", "http://localhost.evil.org",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_and_no_secret_repeated(address: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_place(address)
    assert "secret" not in caught.value.message + caught.value.hint


def test_one_registry_has_one_spelling() -> None:
    for told_so in ("https://a.org:8000", "https://a.org:8000/", "https://A.ORG:8000/api/v1/"):
        assert parse_place(told_so).url == "https://a.org:8000"
    assert parse_place("http://[::1]:8000").url == "http://[::1]:8000"
    assert parse_place("https://a.org/lab/").url == "https://a.org/lab"


def test_plain_http_elsewhere_is_for_who_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOG_PLAIN_HTTP", "1")
    assert not parse_place("http://models.example.org").local


def test_a_redirect_is_not_followed_and_the_token_stays() -> None:
    with serving(told(ABOUT)) as other:
        for status in (301, 302, 303, 307, 308):
            with serving((status, {"location": f"{other.url}/api/v1/"}, b"")) as stub:
                with pytest.raises(StoreError, match="sends us on to"):
                    client(stub.url, "hepcat_secret").json("GET", "/")
                assert len(stub.asked) == 1
        assert other.asked == []


def test_the_token_is_for_its_registry_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOG_TOKEN", "hepcat_secret")
    with serving(told(ABOUT)) as ours, serving(told(ABOUT)) as other:
        monkeypatch.setenv("CATALOG_REGISTRY", ours.url)
        connect().json("GET", "/")
        assert header(ours.asked[0], "authorization") == "Bearer hepcat_secret"
        client_of(f"registry+{other.url}").json("GET", "/")
        choose_registry(other.url, "search")
        connect().json("GET", "/")
        assert [header(it, "authorization") for it in other.asked] == [None, None]


def test_a_named_registry_has_its_own_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with serving(told(ABOUT)) as stub:
        listed = f"stores:\n  lab: {{uri: 'registry+{stub.url}', token_env: LAB_TOKEN}}\n"
        (tmp_path / "stores.yaml").write_text(listed)
        monkeypatch.setenv("LAB_TOKEN", "hepcat_lab")
        monkeypatch.setenv("CATALOG_TOKEN", "hepcat_other")
        for by in ("lab", stub.url, f"{stub.url}/"):
            monkeypatch.setenv("CATALOG_REGISTRY", by)
            connect().json("GET", "/")
        assert {header(it, "authorization") for it in stub.asked} == {"Bearer hepcat_lab"}
        with pytest.raises(NotFound, match="no registry is named 'lob'"):
            connect("lob")


def test_a_token_is_never_shown_and_never_another_header() -> None:
    with pytest.raises(NotAuthorised) as caught:
        client("http://localhost", "hepcat_secret\r\nHost: evil")
    assert "secret" not in str(caught.value)
    assert "hepcat" not in repr(client("http://localhost", "hepcat_secret"))


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error(401, "the token is not valid here"), NotAuthorised, "not valid here"),
        (error(403, "that needs the role admin"), NotAuthorised, "the role admin"),
        (error(404, "no model 'x'", "GET /api/v1/models"), NotFound, "no model 'x'"),
        (error(400, "not a cursor"), UsageError, "not a cursor"),
        (error(422, "2 problem(s)"), CatalogError, "2 problem"),
        (error(413, "too large"), StoreError, "too large"),
        (error(500, "internal error"), StoreError, r"internal error \(request r1\)"),
        ((404, {}, b"<html>"), StoreError, "no registry of models: it answers 404"),
        ((200, {}, b"<html>"), StoreError, "it answers something else"),
        ((407, {}, b""), NotAuthorised, "not as a registry does"),
        ((200, {}, b"[" * 100_000), StoreError, "it answers something else"),
    ],
)  # fmt: skip
def test_refusals_are_errors_of_ours(answer: Any, kind: type[CatalogError], words: str) -> None:
    with serving(answer) as stub:
        with pytest.raises(kind, match=words) as caught:
            client(stub.url).json("GET", "/models/x")
        assert "GET /" not in caught.value.hint
        assert len(stub.asked) == 1


def test_what_may_be_repeated_is_tried_again_when_the_server_says(no_waiting: list[float]) -> None:
    for method in ("GET", "PUT", "DELETE"):
        no_waiting.clear()
        with serving(error(503, retry_after="7"), error(429), told({"a": 1})) as stub:
            assert client(stub.url).json(method, "/x") == {"a": 1}
            assert no_waiting[0] == 7
            assert 0 < no_waiting[1] < 2


def test_what_may_not_be_repeated_is_asked_once() -> None:
    with serving(error(503, "busy"), told({})) as stub:
        with pytest.raises(StoreError, match="busy"):
            client(stub.url).json("POST", "/x")
        assert len(stub.asked) == 1


def test_a_server_cannot_make_us_wait_for_ever(no_waiting: list[float]) -> None:
    with serving(error(503, retry_after="86400")) as stub, pytest.raises(StoreError):
        client(stub.url).json("GET", "/x")
    with serving(error(503)) as stub:
        with pytest.raises(StoreError):
            client(stub.url).json("GET", "/x")
        assert len(stub.asked) == len(clients.PAUSES) + 1
    assert sum(no_waiting) < 60


def test_no_server_is_said_in_words() -> None:
    with serving(told({})) as stub:
        url = stub.url
    with pytest.raises(StoreError, match=r"the registry at .* does not answer: Connection refused"):
        client(url).json("GET", "/")


def test_an_answer_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "_MAX_JSON", 1000)
    with serving(told("x" * 2000)) as stub, pytest.raises(StoreError, match="something else"):
        client(stub.url).json("GET", "/")


@pytest.mark.parametrize("answer", [{"version": "0.0.9", "store": "lab"}, {}, [], "x"])
def test_an_older_server_is_told_as_one(answer: Any) -> None:
    with serving(told(answer)) as stub, pytest.raises(StoreError, match="too old"):
        about(client(stub.url))


def cut_after(size: int) -> Any:
    """Promise all that was asked for and send `size` bytes of it."""

    def answer(handler: Any) -> None:
        start = int(handler.headers.get("range", "bytes=0-")[6:-1])
        handler.send_response(206 if start else 200)
        handler.send_header("content-length", str(len(DATA) - start))
        handler.end_headers()
        handler.wfile.write(DATA[start : start + size])
        handler.close_connection = True

    return answer


def test_a_download_that_breaks_off_goes_on_where_it_was() -> None:
    with serving(cut_after(300_000)) as stub:
        with open_blob(client(stub.url), ENTRY) as file:
            assert file.read() == DATA
        asked = [header(it, "range") for it in stub.asked]
        assert asked == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]


def test_a_server_without_ranges_is_read_over() -> None:
    answers = (cut_after(1000), (200, {}, DATA))
    with serving(*answers) as stub, open_blob(client(stub.url), ENTRY) as file:
        assert file.read() == DATA


def test_a_download_that_gets_nowhere_ends(no_waiting: list[float]) -> None:
    with serving(cut_after(0)) as stub, open_blob(client(stub.url), ENTRY) as file:
        with pytest.raises(StoreError, match="does not answer"):
            file.read()
        assert len(stub.asked) == len(clients.PAUSES) + 1


def test_no_byte_beyond_the_size_is_read() -> None:
    with serving((200, {}, DATA + b"more")) as stub, open_blob(client(stub.url), ENTRY) as file:
        assert file.read() == DATA


def here(offset: int) -> Any:
    part = {"digest": ENTRY.digest, "size": ENTRY.size, "offset": offset, "complete": False}
    return told({"files": [part]})


def bodies(stub: Any) -> list[tuple[str, int]]:
    return [(path.partition("?")[2], len(body)) for method, path, _, body in stub.asked
            if method == "PUT"]  # fmt: skip


def test_an_upload_goes_on_where_it_was() -> None:
    with serving(here(700_001), told({})) as stub:
        send(client(stub.url), "u", ENTRY, io.BytesIO(DATA))
        assert bodies(stub) == [("offset=700001", len(DATA) - 700_001)]
        assert stub.asked[-1][3] == DATA[700_001:]


def test_what_lay_there_from_before_and_is_wrong_is_sent_anew() -> None:
    with serving(here(5), error(422, "its bytes are others"), here(0), told({})) as stub:
        send(client(stub.url), "u", ENTRY, io.BytesIO(DATA))
        assert bodies(stub) == [("offset=5", len(DATA) - 5), ("offset=0", len(DATA))]


@pytest.mark.parametrize("data", [DATA[:-1] + b"x", DATA[:-1], DATA + b"x", b""])
def test_the_last_of_wrong_bytes_is_never_sent(data: bytes) -> None:
    with serving(here(0), told({})) as stub:
        with pytest.raises(DigestMismatch):
            send(client(stub.url), "u", ENTRY, io.BytesIO(data))
        assert all(len(body) < len(DATA) for *_, body in stub.asked)


def test_a_busy_server_gets_the_file_later(no_waiting: list[float]) -> None:
    with serving(here(0), error(503, retry_after="3"), here(0), told({})) as stub:
        send(client(stub.url), "u", ENTRY, io.BytesIO(DATA))
        assert no_waiting == [3]
        assert len(bodies(stub)) == 2

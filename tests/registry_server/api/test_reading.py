"""Finding and showing over HTTP: the JSON of the command line, in pages that a client keeps."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from house import House, build

from catalog.index.present import as_dict
from catalog.index.query import Query
from catalog.showcase import describe
from catalog.stores import Committed, Foreign

SHAPE = {"code", "message", "hint", "request_id"}
_LEAKS = re.compile(r"/tmp/|/home/|Traceback|\.py\b|SELECT |sqlite")


@pytest.fixture(scope="module")
def house(either: None, tmp_path_factory: pytest.TempPathFactory) -> House:
    house = build(tmp_path_factory.mktemp("house"))
    for name in ("alpha", "beta", "gamma", "delta", "epsilon"):
        house.publish(name)
    house.publish("alpha", depth=7.0)
    house.publish("hadrons", detector="par04-scipb")
    return house


def get(house: House, path: str, **more: Any) -> Any:
    answer = house.ask("reader", "GET", path, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def check_error(answer: Any, status: int, code: str) -> dict[str, str]:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    error: dict[str, str] = answer.json()["error"]
    assert set(error) == SHAPE
    assert error["code"] == code
    assert error["request_id"] == answer.headers["x-request-id"]
    assert not _LEAKS.search(answer.text), answer.text
    return error


def test_search_and_show_give_the_json_of_the_command_line(house: House) -> None:
    with house.registry.index() as index:
        total, rows = index.search(Query(detector="clic-siw"), "memory:")
        printed = {
            "total": total,
            "total_is_exact": True,
            "models": [as_dict(row, index.places(row)) for row in rows],
        }
        version = Committed(rows[0].name, rows[0].version, rows[0].digest)
        shown = describe(version, index, "memory:", "memory:")
    assert total == 6
    assert get(house, "/models?detector=clic-siw") == {
        **json.loads(json.dumps(printed)),
        "next": None,
    }
    path = f"/models/{version.name}/versions/{version.version}"
    assert get(house, path) == json.loads(json.dumps(shown))
    assert get(house, f"{path}/card") == shown["card"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_put_together_are_the_whole_list(house: House, limit: int) -> None:
    whole = get(house, "/models")["models"]
    found, cursor = [], ""
    while cursor is not None:
        page = get(house, f"/models?limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
        assert len(page["models"]) <= limit
        found += page["models"]
        cursor = page["next"]
    assert found == whole
    assert len(whole) == 7


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("q=bet", ["beta"]),
        ("detector=ecal&energy=1..100&q=alpha", ["alpha", "alpha"]),
        ("particle=gamma&q=gamma", ["gamma"]),
        ("particle=mu-", []),
        ("validated=true", []),
        ("detector=par04-scipb", ["hadrons"]),
        ("store=elsewhere", []),
    ],
)
def test_filters_are_those_of_the_command_line(house: House, asked: str, names: list[str]) -> None:
    assert [it["name"] for it in get(house, f"/models?{asked}")["models"]] == names


def test_a_version_is_found_by_number_alias_and_digest(house: House) -> None:
    house.store.point("alpha", "best", 2)
    digest = get(house, "/models/alpha/versions/2")["digest"]
    for word in ("best", digest, digest[:20]):
        assert get(house, f"/models/alpha/versions/{word}")["version"] == 2
    page = get(house, "/models/alpha")
    assert (page["versions"], page["newest"]["version"]) == ([1, 2], 2)
    assert [it["version"] for it in get(house, "/models/alpha/versions")["models"]] == [2, 1]


def test_an_answer_that_the_client_has_is_not_sent_again(house: House) -> None:
    first = house.ask("reader", "GET", "/models")
    etag = first.headers["etag"]
    again = house.ask("reader", "GET", "/models", headers={"if-none-match": f'"x", W/{etag}'})
    assert (again.status_code, again.content) == (304, b"")
    other = house.ask("reader", "GET", "/models?q=beta", headers={"if-none-match": etag})
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/models/nothing", 404, "not_found"),
        ("/models/alpha/versions/9", 404, "not_found"),
        ("/models/alpha/versions/nobody", 404, "not_found"),
        ("/models/alpha/versions/latest", 400, "bad_request"),
        ("/models/alpha@1/versions/1", 400, "bad_request"),
        ("/models/mlflow:alpha/versions/1", 400, "bad_request"),
        ("/models/alpha/versions/1?store=mlflow%2Bhttp://169.254.169.254/", 404, "not_found"),
        ("/models/alpha%00/versions/1", 400, "bad_request"),
        ("/models/alpha%00", 400, "bad_request"),
        ("/models/..%2f..%2fetc%2fpasswd/versions/1", 404, "not_found"),
        ("/models/..%5c..%5cetc/versions/1", 400, "bad_request"),
        ("/models?detectr=ecal", 400, "bad_request"),
        ("/models?=false", 400, "bad_request"),
        ("/models?limit=0", 422, "refused"),
        ("/models?limit=1e9", 422, "refused"),
        ("/models?particle=x", 400, "bad_request"),
        ("/models?energy=-1", 400, "bad_request"),
        ("/models?cursor=zzz", 400, "bad_request"),
        ("/models?cursor=WzEwMDAwMDAwMDAwMF0", 400, "bad_request"),
        ("/nothing", 404, "not_found"),
        ("/../v2/models", 404, "not_found"),
        ("/models/a%0a", 400, "bad_request"),
        ("/blobs/sha256:" + "0" * 64, 404, "not_found"),
        ("/blobs/..%2f..%2fserver.db", 404, "not_found"),
        ("/blobs/sha256:0", 422, "refused"),
    ],
)
def test_every_error_has_the_one_shape_and_tells_no_path(
    house: House, path: str, status: int, code: str
) -> None:
    check_error(house.ask("reader", "GET", path), status, code)


def test_a_wrong_method_has_the_one_shape_too(house: House) -> None:
    answer = house.ask("admin", "PATCH", "/models")
    check_error(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


def test_a_host_name_that_is_not_ours_has_the_one_shape_too(house: House) -> None:
    answer = house.ask("reader", "GET", "/models", headers={"host": "evil.example"})
    check_error(answer, 400, "bad_request")


def test_what_a_store_says_when_it_fails_is_for_the_log(house: House, monkeypatch, caplog) -> None:
    from catalog.errors import StoreError

    def fail(_name: str) -> Any:
        raise StoreError("GET https://user@internal.example/secret failed: /home/someone")

    monkeypatch.setattr(house.store, "manifest", fail)
    answer = house.ask("reader", "GET", "/models/beta/versions/1/files")
    check_error(answer, 502, "store_failed")
    assert "internal.example" not in answer.text
    assert "internal.example" in caplog.text
    monkeypatch.setattr(house.store, "manifest", lambda _: 1 / 0)
    answer = house.ask("reader", "GET", "/models/beta/versions/1/files")
    error = check_error(answer, 500, "internal_error")
    assert f"request {error['request_id']}" in caplog.text


def test_a_version_without_a_card_is_shown_as_the_store_tells_it(house: House) -> None:
    from catalog.sync import sync

    house.store.register(
        "foreign", {"model.pkl": b"\x80\x04"}, Foreign("sklearn", "a <b>classifier</b>")
    )
    with house.registry.index() as index:
        sync(house.store, "memory:", index, lambda _: None)
    shown = get(house, "/models/foreign/versions/1")
    assert (shown["documented"], shown["card"], shown["told"]["framework"]) == (
        False,
        None,
        "sklearn",
    )
    check_error(house.ask("reader", "GET", "/models/foreign/versions/1/card"), 404, "not_found")
    check_error(house.ask("reader", "GET", "/models/foreign/versions/1/files"), 404, "not_found")


def test_stores_are_told_without_their_addresses(house: House) -> None:
    (it,) = get(house, "/stores")["stores"]
    assert (it["name"], it["default"], it["versions"]) == ("memory:", True, 8)
    assert "uri" not in it
    assert "credential" not in it


def test_a_protected_alias_must_be_earned_here_too(house: House) -> None:
    answer = house.ask("admin", "PUT", "/models/beta/aliases/champion", json={"version": 1})
    assert "validat" in check_error(answer, 422, "refused")["message"]
    answer = house.ask("admin", "PUT", "/models/beta/aliases/trial", json={"version": 1})
    assert answer.json()["aliases"][0]["ref"] == "beta@1"
    assert house.ask("admin", "DELETE", "/models/beta/aliases/trial").json()["aliases"] == []
    check_error(house.ask("admin", "DELETE", "/models/beta/aliases/trial"), 404, "not_found")


def test_no_body_is_read_beyond_its_limit(tmp_path: Path) -> None:
    from registry_server.api.registry import Bounds

    house = build(tmp_path, Bounds(json=1000))
    answer = house.ask("admin", "POST", "/sync", content=b'{"full": ' + b" " * 2000 + b"true}")
    check_error(answer, 413, "too_large")
    for body in (b"", b"{", b"[1]", b'{"full": 3}', b'"\xff"', b"[" * 999, b'{"store": "\\ud800"}'):
        answer = house.ask("admin", "POST", "/sync", content=body)
        assert answer.status_code in (400, 422), (body, answer.text)
        check_error(
            answer, answer.status_code, {400: "bad_request", 422: "refused"}[answer.status_code]
        )

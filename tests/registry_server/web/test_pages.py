"""Pages say what the command line says, work behind any prefix, and refuse what they must."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from house import House, build
from starlette.testclient import TestClient

from catalog.domain import load_detector
from registry_server.api.registry import Bounds
from registry_server.auth.door import SESSION
from registry_server.auth.policy import PAGES
from registry_server.web.app import PARTS
from registry_server.web.known import known_detectors, vector_of_detector
from tests.toys import shower_file

READABLE = ["/", "/models/alpha", "/models/beta/2", "/models/beta/2?against=1", "/fit", "/map",
            "/compare", "/compare?ref=alpha@1&ref=beta@2", "/runs", "/stores"]  # fmt: skip


def get(house: House, path: str, who: str = "reader", **headers: str) -> Any:
    headers = {"accept": "text/html", **house.headers[who], **headers}
    return house.client.get(path, headers=headers, follow_redirects=False)


def secret(house: House, who: str) -> str:
    return house.headers[who]["authorization"].removeprefix("Bearer ")


def post(
    house: House, path: str, who: str = "", origin: str = "http://testserver", **data: str
) -> Any:
    """A form as a browser sends it, with the cookie of who is signed in."""
    headers = {"accept": "text/html", "content-type": "application/x-www-form-urlencoded"}
    if origin:
        headers["origin"] = origin
    if who:
        headers["cookie"] = f"{SESSION}={secret(house, who)}"
    return house.client.post(path, content=urlencode(data), headers=headers, follow_redirects=False)


def key(house: House, who: str) -> str:
    """The form key of a page of who is signed in."""
    headers = {"accept": "text/html", "cookie": f"{SESSION}={secret(house, who)}"}
    return re.search(r'data-form="(\w+)"', house.client.get("/stores", headers=headers).text)[1]


def test_every_page_is_in_the_table_and_nothing_else_is() -> None:
    assert sorted(route.name for part in PARTS for route in part.routes) == sorted(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_is_not_in_the_table_is_shown_to_nobody(
    house: House, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = next(it for part in PARTS for it in part.routes if it.name == name)
    path = route.path.format(name="alpha", version="1", job="0" * 32)
    monkeypatch.delitem(PAGES, name)
    (method,) = route.methods
    answer = house.client.request(method, path, headers=house.headers["admin"])
    assert answer.status_code == 403


@pytest.mark.parametrize("path", READABLE)
def test_a_stranger_gets_the_form_to_sign_in_and_no_word_of_the_page(
    house: House, path: str
) -> None:
    answer = get(house, path, "nobody")
    assert answer.status_code == 401
    assert 'name="token"' in answer.text
    assert "alpha" not in answer.text
    for who in ("revoked", "expired"):
        assert get(house, path, who).status_code == 401


@pytest.mark.parametrize("path", [*READABLE, "/sign-in", "/nowhere", "/?particle=x"])
def test_the_policy_of_every_page_forbids_all_that_is_inside_or_from_elsewhere(
    house: House, path: str
) -> None:
    answer = get(house, path)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    text = answer.text
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text, re.IGNORECASE)
    links = re.findall(r"(?:src|href|action)=\"([^\"]*)\"", text)
    assert links
    assert not [it for it in links if re.match(r"[a-z]*:?//|/", it)]  # all relative, none outside


@pytest.mark.parametrize("path", READABLE)
def test_every_link_of_a_page_leads_somewhere_also_below_a_prefix(house: House, path: str) -> None:
    """As behind a proxy that takes /lab/catalog off."""
    inner = house.app

    async def proxy(scope: Any, receive: Any, send: Any) -> None:
        assert scope["path"].startswith("/lab/catalog/"), scope["path"]
        cut = {**scope, "path": scope["path"][12:], "raw_path": scope["raw_path"][12:]}
        await inner(cut, receive, send)

    client = TestClient(proxy)
    headers = {"accept": "text/html", **house.headers["reader"]}
    page = client.get(f"/lab/catalog{path}", headers=headers)
    assert page.status_code == 200
    for link in set(re.findall(r"(?:src|href)=\"([^\"#]+)\"", page.text)):
        where = page.request.url.join(html.unescape(link))
        assert client.get(str(where), headers=headers).status_code == 200, link


def test_find_shows_what_search_finds(house: House) -> None:
    for query in ("", "q=toy", "family=toy&detector=ecal", "particle=22&energy=2..50", "q=nothing",
                  "material=PbWO4", "licence=MIT&validated=true"):  # fmt: skip
        text = get(house, f"/?{query}").text
        found = house.ask("reader", "GET", f"/models?{query}").json()["models"]
        assert re.findall(r'name="ref" value="([^"]*)"', text) == [it["ref"] for it in found]
        assert all(html.escape(it["summary"]) in text for it in found)
        assert bool(found) != ("No model matches" in text)


def test_facets_narrow_to_as_many_as_they_say(house: House) -> None:
    text = get(house, "/").text
    facets = re.findall(r'<a href="\./(\?[^"]*)" data-keep><bdi>([^<]*)</bdi>.*?> (\d+)<', text)
    assert len(facets) > 8
    for query, value, count in facets:
        narrowed = get(house, f"/{html.unescape(query)}").text
        assert f"<b>{count}</b> version" in narrowed, value


def test_a_model_page_shows_what_show_tells(house: House) -> None:
    told = house.ask("reader", "GET", "/models/beta/versions/2").json()
    files = house.ask("reader", "GET", "/models/beta/versions/2/files").json()["files"]
    text = html.unescape(get(house, "/models/beta/2").text)
    card = told["card"]
    for fact in (told["digest"], card["summary"], card["licence"], card["family"],
                 "catalog pull beta@2", *(it["path"] for it in files),
                 *(it["digest"] for it in files),
                 *(it["name"] for it in card["inputs"])):  # fmt: skip
        assert fact in text
    assert json.dumps(told["ref"]) in text  # as Python code
    assert "Not signed" in text


def test_the_difference_of_two_cards_is_shown(house: House) -> None:
    text = html.unescape(get(house, "/models/beta/2?against=1").text)
    assert '<ins>+ "summary": "the second one"' in text
    assert get(house, "/models/beta/2?against=9").status_code == 400


def test_compare_marks_what_differs(house: House) -> None:
    text = get(house, "/compare?ref=alpha@1&ref=beta@1").text
    found = re.findall(r'<tr( class="differs")?><th scope="row">([^<]*)', text)
    rows = {name: mark for mark, name in found}
    assert rows["Licence"]
    assert rows["Detector"]
    assert not rows["Family"]
    for wrong in ("", "?ref=alpha@1", "?" + "&".join(f"ref={i}" for i in range(5))):
        assert "mark two to 4" in get(house, f"/compare{wrong}").text.lower()


@pytest.mark.parametrize(
    ("path", "status"),
    [("/nowhere", 404), ("/models/none", 404), ("/models/alpha/9", 404), ("/?particle=x", 400),
     ("/?energy=-1", 400), ("/?detectr=ecal", 400), ("/?page=0", 400), ("/?page=x", 400),
     ("/fit/xyz", 400), (f"/fit/{'0' * 32}", 404), ("/static/../app.py", 404),
     ("/static/app.py", 404), ("/models/alpha/1?store=elsewhere", 404)],
)  # fmt: skip
def test_an_error_is_a_page_that_says_what_to_do(house: House, path: str, status: int) -> None:
    answer = get(house, path)
    assert answer.status_code == status
    assert "<h1>" in answer.text
    assert "Find a model</a>" in answer.text
    assert "Traceback" not in answer.text


def test_signing_in_gives_a_cookie_that_pages_alone_take(house: House) -> None:
    assert post(house, "/sign-in", token="hepcat_wrong").status_code == 403
    answer = post(house, "/sign-in", token=f" {secret(house, 'reader')} ")
    assert (answer.status_code, answer.headers["location"]) == (303, "./")
    cookie = answer.headers["set-cookie"].lower()
    for word in ("httponly", "samesite=strict"):
        assert word in cookie
    assert "path" not in cookie
    assert "secure" not in cookie
    sent = {"accept": "text/html", "cookie": f"{SESSION}={secret(house, 'reader')}"}
    assert house.client.get("/", headers=sent).status_code == 200
    assert house.client.get("/api/v1/models", headers=sent).status_code == 401
    assert house.client.get("/v2/models/alpha", headers=sent).status_code == 401
    gone = {"cookie": f"{SESSION}={secret(house, 'revoked')}", "accept": "text/html"}
    assert house.client.get("/", headers=gone).status_code == 401
    assert house.client.get("/sign-in", headers=gone).status_code == 200
    assert secret(house, "reader") not in json.dumps(house.audited())
    house.client.cookies.clear()
    over_tls = {"origin": "https://testserver", "content-type": "application/x-www-form-urlencoded"}
    answer = house.client.post(
        "/sign-in", content=f"token={secret(house, 'reader')}", headers=over_tls,
        follow_redirects=False,
    )  # fmt: skip
    assert "secure" in answer.headers["set-cookie"].lower()


def test_a_form_of_another_page_does_nothing(house: House) -> None:
    good = key(house, "admin")
    assert good != key(house, "reader")
    for origin, form in (
        ("http://evil.example", good), ("null", good), ("", good), ("http://testserver", ""),
        ("http://testserver", key(house, "reader")),
    ):  # fmt: skip
        answer = post(house, "/stores/sync", "admin", origin, form=form)
        assert answer.status_code == 403, (origin, form)
    assert post(house, "/stores/sync", "reader", form=key(house, "reader")).status_code == 403
    answer = post(house, "/stores/sync", "admin", form=good, store="memory:")
    assert answer.status_code == 303
    shown = get(house, answer.headers["location"].removeprefix(".."), "admin")
    assert "Waiting for its turn" in shown.text
    assert get(house, answer.headers["location"].removeprefix(".."), "reader").status_code == 404


def test_a_known_detector_becomes_a_job(house: House) -> None:
    form = key(house, "reader")
    fields = {"form": form, "detector": "clic-siw", "particle": "gamma", "energy": "1..50"}
    answer = post(house, "/fit/detector", "reader", **fields)
    assert answer.status_code == 303
    for wrong in ({"detector": "x"}, {"particle": "mu-"}, {"energy": "1..1e9"}, {"energy": "x"}):
        assert post(house, "/fit/detector", "reader", **{**fields, **wrong}).status_code == 400
    (job,) = house.ask("reader", "GET", "/jobs").json()["jobs"]
    post(house, f"/fit/{job['id']}/cancel", "reader", form=form)
    assert "cancelled" in get(house, f"/fit/{job['id']}").text


def test_showers_over_the_limit_are_refused_while_they_arrive(tmp_path: Path) -> None:
    house = build(tmp_path, Bounds(showers=10_000))
    headers = {"cookie": f"{SESSION}={secret(house, 'reader')}", "origin": "http://testserver",
               "x-form": key(house, "reader"),
               "content-type": "application/octet-stream"}  # fmt: skip
    read = 0

    def pieces() -> Any:
        nonlocal read
        for _ in range(1000):
            read += 1000
            yield b"\x89HDF" * 250

    answer = house.client.post("/fit/upload", content=pieces(), headers=headers)
    assert answer.status_code == 413
    small = shower_file(tmp_path / "toy.h5", 40).read_bytes()[:9000]
    answer = house.client.post("/fit/upload", content=small, headers=headers)
    assert (answer.status_code, answer.json()["page"][:4]) == (202, "fit/")
    without = {**headers, "x-form": ""}
    assert house.client.post("/fit/upload", content=small, headers=without).status_code == 403
    kept = list((house.registry.settings.home / "jobs").iterdir())
    assert [it.stat().st_size for it in kept] == [len(small)]


def test_the_map_of_known_detectors_is_what_the_simulation_gives() -> None:
    import numpy as np

    names, vectors = known_detectors()
    at = [name for name, _ in names].index("pbwo4-block")
    assert np.allclose(vectors[at], vector_of_detector(load_detector("pbwo4-block")), rtol=1e-3)


def test_the_first_page_is_small(house: House) -> None:
    """Even uncompressed it is below what was promised for it compressed."""
    page = get(house, "/")
    size = len(page.content)
    for link in re.findall(r"(?:src|href)=\"(\./static/[^\"]*)\"", page.text):
        size += len(get(house, link[1:]).content)
    assert size < 150_000


def test_a_foreign_host_name_is_refused(house: House) -> None:
    assert get(house, "/", host="evil.example").status_code == 400

"""Everybody x every route: what happens is what the policy table says."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jwt
import pytest
from fastapi.openapi.utils import get_openapi
from house import KEY, OTHER_KEY, House, bearer, build, public_pem

from catalog.adapt.log import Adaptation
from catalog.stores import Alias
from registry_server.api.app import PARTS
from registry_server.api.jobs import Jobs
from registry_server.api.publishing import uploads_of
from registry_server.auth.caller import Caller
from registry_server.auth.policy import OUTSIDE, POLICY, need_outside

OWNER = Caller("token:owner", "publisher")
QUESTION = {"pdg": 22, "incident_gev": [10.0], "theta_rad": [0.0, 0.0]}
RUN = Adaptation(
    family="toy", strategy="tuned", model="", model_ref="", target="clic-siw", target_digest="",
    pdg=22, showers=100, steps=10, seed=0, zero_shot=None, reached=0.25, floor=0.125, seconds=3.0,
    device="cpu", date="2026-11-23",
)  # fmt: skip


@pytest.fixture(scope="module")
def house(either: None, tmp_path_factory: pytest.TempPathFactory) -> House:
    house = build(tmp_path_factory.mktemp("house"))
    house.publish("toy")
    house.registry.owners.give("memory:", "toy", OWNER.name)
    return house


def hs256_with_the_public_key() -> str:
    """What a library that lets the token choose would check with the public key as a secret."""
    import base64
    import hashlib
    import hmac
    import json

    def part(value: Any) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    claims = jwt.decode(bearer(), options={"verify_signature": False})
    body = part({"alg": "HS256", "typ": "JWT", "kid": "k1"}) + b"." + part(claims)
    digest = hmac.digest(public_pem(), body, hashlib.sha256)
    return (body + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")).decode()


ADMINS = ("admins",)
STRANGERS = {
    "no token": lambda: None,
    "unknown token": lambda: "hepcat_" + "A" * 43,
    "expired bearer": lambda: bearer(roles=ADMINS, exp=time.time() - 60),
    "not valid yet": lambda: bearer(roles=ADMINS, nbf=time.time() + 600),
    "no expiry": lambda: bearer(roles=ADMINS, exp=None),
    "wrong audience": lambda: bearer(roles=ADMINS, aud="another-service"),
    "no audience": lambda: bearer(roles=ADMINS, aud=None),
    "wrong issuer": lambda: bearer(roles=ADMINS, iss="https://sso.example.org/evil"),
    "algorithm none": lambda: bearer(None, "none", roles=ADMINS),
    "HS256 with the public key": hs256_with_the_public_key,
    "RS512, which is not configured": lambda: bearer(KEY, "RS512", roles=ADMINS),
    "another key": lambda: bearer(OTHER_KEY, roles=ADMINS),
    "unknown key": lambda: bearer(OTHER_KEY, kid="k2", roles=ADMINS),
    "no key named": lambda: bearer(kid=None, roles=ADMINS),
    "no role": lambda: bearer(roles=("visitors",)),
    "roles of another shape": lambda: bearer(access="admins"),
    "nonsense": lambda: "a.b.c",
}
KNOWN = ("reader", "other", "owner", "admin", "bearer publisher", "bearer admin")


def credentials(house: House, who: str) -> dict[str, str]:
    if who in house.headers:
        return house.headers[who]
    if who == "basic":
        return {"authorization": "Basic YWRtaW46YWRtaW4="}
    if who.startswith("bearer "):
        return {"authorization": f"Bearer {bearer(roles=(who.split()[1] + 's',))}"}
    secret = STRANGERS[who]()
    return {"authorization": f"Bearer {secret}"} if secret else {}


Sent = tuple[str, str, dict[str, Any]]


def prepared(house: House) -> dict[str, Sent]:
    """A request to each route that succeeds for whoever may make it: method, path, what to send."""
    database, settings = house.registry.database, house.registry.settings
    database.run("DELETE FROM uploads")
    database.run("DELETE FROM jobs")
    entries = parsed(house).entries
    toy, digest = "/models/toy", entries[0].digest
    upload = uploads_of(house.registry).begin(OWNER, "toy", list(entries))
    job = Jobs(database, house.registry.bounds).add(OWNER, "sync", {"store": None, "full": False})
    house.registry.owners.give("memory:", "toy", OWNER.name)
    house.store.point("toy", "blessed", 1)
    with house.registry.index() as index:
        index.set_alias(settings.store, Alias("toy", "blessed", 1))
    house.ask("admin", "GET", f"{toy}/versions/1/files")
    files = [{"path": e.path, "size": e.size, "digest": e.digest} for e in entries]
    requests: dict[str, Sent] = {
        "openapi": ("GET", "/openapi.json", {}),
        "about": ("GET", "/", {}),
        "list_models": ("GET", "/models", {}),
        "get_model": ("GET", toy, {}),
        "list_versions": ("GET", f"{toy}/versions", {}),
        "get_version": ("GET", f"{toy}/versions/1", {}),
        "get_card": ("GET", f"{toy}/versions/blessed/card", {}),
        "list_files": ("GET", f"{toy}/versions/1/files", {}),
        "get_blob": ("GET", f"/blobs/{digest}", {}),
        "list_aliases": ("GET", f"{toy}/aliases", {}),
        "set_alias": ("PUT", f"{toy}/aliases/blessed", {"json": {"version": 1}}),
        "remove_alias": ("DELETE", f"{toy}/aliases/blessed", {}),
        "get_owner": ("GET", f"{toy}/owner", {}),
        "set_owner": ("PUT", f"{toy}/owner", {"json": {"owner": "token:owner"}}),
        "start_upload": ("POST", "/uploads", {"json": {"name": "toy", "files": files}}),
        "get_upload": ("GET", f"/uploads/{upload.id}", {}),
        "put_bytes": (
            "PUT", f"/uploads/{upload.id}/files/{digest}", {"content": b"a"}
        ),
        "commit_upload": ("POST", f"/uploads/{upload.id}/commit", {}),
        "drop_upload": ("DELETE", f"/uploads/{upload.id}", {}),
        "get_stores": ("GET", "/stores", {}),
        "start_sync": ("POST", "/sync", {"json": {}}),
        "start_recommend": ("POST", "/recommend", {"content": b"\x89HDF"}),
        "list_runs": ("GET", "/runs", {}),
        "list_jobs": ("GET", "/jobs", {}),
        "get_job": ("GET", f"/jobs/{job}", {}),
        "follow_job": ("GET", f"/jobs/{job}/events", {}),
        "cancel_job": ("POST", f"/jobs/{job}/cancel", {}),
        "look_up": ("GET", "/lookup?name=toy", {}),
        "list_names": ("GET", "/names", {}),
        "list_uploads": ("GET", f"/uploads?name=toy&digest={parsed(house).digest}", {}),
        "list_missing": ("GET", f"{toy}/versions/1/missing", {}),
        "make_shortlist": ("POST", "/shortlist", {"json": QUESTION}),
        "add_adaptations": ("POST", "/adaptations", {"json": {"runs": [asdict(RUN)]}}),
        "put_card": ("PUT", f"{toy}/versions/1/card", {"json": {"card": "name: toy"}}),
        "start_verify": ("POST", "/verify", {"json": {"name": "toy", "version": 1}}),
    }  # fmt: skip
    return requests


def parsed(house: House) -> Any:
    from catalog.manifest import parse_manifest

    return parse_manifest(house.store.manifest(next(house.store.versions("toy"))), "toy")


def test_every_route_is_in_the_table_and_nothing_else_is() -> None:
    names = [route.name for part in PARTS for route in part.routes]
    assert sorted(names) == sorted(POLICY)


def test_a_route_that_is_not_in_the_table_answers_nobody(tmp_path: Path, monkeypatch) -> None:
    house = build(tmp_path)
    assert house.ask("reader", "GET", "/models").status_code == 200
    monkeypatch.delitem(POLICY, "list_models")
    assert house.ask("admin", "GET", "/models").status_code == 403


@pytest.fixture(scope="module")
def requests(house: House) -> dict[str, Sent]:
    return prepared(house)


@pytest.mark.parametrize("who", [*STRANGERS, "revoked", "expired", "basic"])
@pytest.mark.parametrize("route", POLICY)
def test_strangers_get_nothing(
    house: House, requests: dict[str, Sent], route: str, who: str
) -> None:
    method, path, sent = requests[route]
    headers = credentials(house, who)
    answer = house.client.request(method, f"/api/v1{path}", headers=headers, **sent)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "hint", "request_id"}
    assert error["message"] in ("who are you?", "the token is not valid here")  # and not why


@pytest.mark.parametrize("who", KNOWN)
@pytest.mark.parametrize("route", POLICY)
def test_those_we_know_may_do_what_the_table_says(house: House, route: str, who: str) -> None:
    method, path, sent = prepared(house)[route]
    if route == "follow_job":
        house.registry.database.run("UPDATE jobs SET state = 'done'")  # else it never ends
    headers = credentials(house, who)
    status = house.client.request(method, f"/api/v1{path}", headers=headers, **sent).status_code
    need = POLICY[route]
    role = {"reader": "reader", "admin": "admin", "bearer admin": "admin"}.get(who, "publisher")
    if not need.allows(Caller(who, role)):
        assert status == 403
    elif need.also and who != "owner" and role != "admin":
        assert status == {"owner": 403, "own": 404}[need.also]
    else:
        wanted = {"start_upload": 201, "drop_upload": 204, "start_sync": 202,
                  "start_recommend": 202, "commit_upload": 409, "put_card": 202,
                  "start_verify": 202}  # fmt: skip
        assert status == wanted.get(route, 200)


def test_every_address_of_the_inference_protocol_is_in_the_table(house: House) -> None:
    plain = {getattr(route, "path", "") for route in house.app.routes} - {"", "/api", "/api/v1"}
    listed = get_openapi(title="", version="1", routes=house.app.routes)["paths"]
    assert "/v2/models/{name}/infer" in listed
    for path in {*plain, *listed}:
        assert any(need_outside(path) is need for _, need in OUTSIDE), path


@pytest.mark.parametrize(
    ("path", "who", "allowed"),
    [
        ("/v2/health/live", "nobody", True),
        ("/v2/health/ready", "nobody", True),
        ("/v2/health/live", "revoked", False),
        ("/v2", "nobody", False),
        ("/v2/models/toy", "nobody", False),
        ("/v2/models/toy", "expired", False),
        ("/v2", "reader", True),
        ("/v2/repository/models/toy/load", "nobody", False),
        ("/v2/repository/models/toy/load", "owner", False),
        ("/v2/repository/models/toy/load", "admin", True),
        ("/v2/health/livefoo", "nobody", False),
        ("//v2/health/live", "nobody", False),
        ("/nowhere", "owner", True),
        ("/nowhere", "admin", True),
        ("/metrics", "nobody", False),
    ],
)
def test_inference_is_behind_the_same_door(
    house: House, path: str, who: str, allowed: bool
) -> None:
    answer = house.client.get(f"http://testserver{path}", headers=house.headers[who])
    assert (answer.status_code not in (401, 403)) is allowed
    if not allowed:
        assert list(answer.json()) == ["error"]
        assert isinstance(answer.json()["error"], str)  # the shape of that protocol

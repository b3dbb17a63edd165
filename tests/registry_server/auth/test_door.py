"""What the door does besides asking who it is: pages of other sites, floods, the audit log."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from house import Places, bearer, build

from catalog.errors import BadFile, UsageError
from registry_server.api.setup import access_for, is_loopback
from registry_server.auth.oidc import read_issuer
from registry_server.auth.rate import Rate
from registry_server.auth.tokens import KnownTokens, create_token, list_tokens, revoke_token
from registry_server.database import open_database


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"origin": "http://testserver"}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"origin": "http://evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "http://testserver.evil.example"}, False),
        ({"origin": "http://testserver:81"}, False),
        ({"origin": "http://["}, False),
        ({"origin": "http://[::1"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
    ],
)
def test_a_page_of_another_site_cannot_make_a_browser_change_anything(
    tmp_path: Path, headers: dict[str, str], allowed: bool
) -> None:
    """Also where no token is asked for, which on loopback is the default."""
    house = build(tmp_path, nobody="admin")
    status = house.ask("nobody", "POST", "/sync", json={}, headers=headers).status_code
    assert status == (202 if allowed else 403)


def test_a_caller_that_asks_too_often_waits_and_the_others_do_not(tmp_path: Path) -> None:
    house = build(tmp_path, per_second=0.001, burst=3)
    statuses = [house.ask("reader", "GET", "/").status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    refused = house.ask("reader", "GET", "/")
    assert int(refused.headers["retry-after"]) > 100
    assert refused.json()["error"]["code"] == "too_many_requests"
    assert house.ask("owner", "GET", "/").status_code == 200


@pytest.mark.parametrize("who", ["nobody", "revoked"])
@pytest.mark.parametrize("path", ["/v2", "/api/v1/models"])
def test_strangers_that_ask_too_often_wait_and_callers_at_their_address_do_not(
    tmp_path: Path, who: str, path: str
) -> None:
    house = build(tmp_path, per_second=0.001, burst=3)
    asked = [house.client.get(path, headers=house.headers[who]) for _ in range(5)]
    assert [it.status_code for it in asked] == [401, 401, 401, 429, 429]
    assert int(asked[-1].headers["retry-after"]) > 100
    assert house.client.get(path, headers=house.headers["reader"]).status_code == 200


def test_a_bucket_fills_again_at_its_rate_and_never_beyond_its_burst() -> None:
    rate = Rate(per_second=2.0, burst=4.0)
    assert [rate.wait("a", 0.0) for _ in range(5)] == [0, 0, 0, 0, 0.5]
    assert rate.wait("a", 0.5) == 0
    assert [rate.wait("a", 1000.0) for _ in range(5)] == [0, 0, 0, 0, 0.5]


def test_any_number_of_callers_needs_bounded_memory() -> None:
    rate = Rate(1.0, 1.0)
    for number in range(25_000):
        rate.wait(str(number), 0.0)
    assert len(rate._buckets) == 10_000


def test_changes_and_refusals_are_audited_and_secrets_are_not(tmp_path: Path) -> None:
    house = build(tmp_path)
    house.publish("toy")
    house.ask("reader", "GET", "/models")
    house.ask("admin", "PUT", "/models/toy/owner", json={"owner": "token:owner"})
    house.ask("reader", "PUT", "/models/toy/owner", json={"owner": "token:reader"})
    answer = house.ask("revoked", "GET", "/models")
    lines = house.audited()
    assert [(it["who"], it["what"], it["outcome"]) for it in lines] == [
        ("token:admin", "PUT /api/v1/models/toy/owner", 200),
        ("token:reader", "PUT /api/v1/models/toy/owner", 403),
        ("unknown at testclient", "GET /api/v1/models", 401),
    ]
    assert lines[-1]["request_id"] == answer.headers["x-request-id"]
    path = house.registry.settings.home / "audit.jsonl"
    assert "hepcat_" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_strangers_cannot_fill_the_audit_log(tmp_path: Path) -> None:
    house = build(tmp_path)
    for _ in range(100):
        assert house.ask("revoked", "GET", "/models").status_code == 401
    assert len(house.audited()) < 40


def test_a_token_is_refused_from_the_moment_it_is_revoked(tmp_path: Path) -> None:
    """By another process, as `catalog token revoke` is one."""
    house = build(tmp_path)
    assert house.ask("reader", "GET", "/models").status_code == 200
    program = "from catalog.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "token", "revoke", "reader", "--json"],
        env={"CATALOG_HOME": str(tmp_path / "home"), "PATH": ""}, capture_output=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout)["tokens"][0]["state"] == "revoked"
    assert house.ask("reader", "GET", "/models").status_code == 401
    assert house.ask("owner", "GET", "/models").status_code == 200


def test_the_secret_of_a_token_is_kept_nowhere(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    secret, made = create_token(database, "maria", "publisher", 90)
    assert len(secret) >= len("hepcat_") + 43  # 256 bits
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret.encode() not in kept
    assert secret.removeprefix("hepcat_").encode() not in kept
    assert stat.S_IMODE((tmp_path / "server.db").stat().st_mode) == 0o600
    assert list_tokens(database) == [made]
    assert KnownTokens(database).caller(secret, made.created).name == "token:maria"


def test_a_token_is_revoked_by_id_and_its_namesake_stays(tmp_path: Path) -> None:
    database = Places.database(Places.settings(tmp_path))
    old, new = (create_token(database, "maria", "reader", 1)[1] for _ in range(2))
    revoke_token(database, old.id)
    assert {it.id: it.state for it in list_tokens(database)} == {
        old.id: "revoked", new.id: "valid",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "role", "days"),
    [("Maria", "reader", 1), ("", "reader", 1), ("m" * 65, "reader", 1), ("a b", "reader", 1),
     ("maria", "owner", 1), ("maria", "reader", 0), ("maria", "reader", float("nan"))],
)  # fmt: skip
def test_what_cannot_be_a_token_is_refused(tmp_path: Path, name, role, days) -> None:
    with pytest.raises(UsageError):
        create_token(open_database(tmp_path), name, role, days)


@pytest.mark.parametrize(
    ("host", "auth", "tokens", "nobody"),
    [
        ("127.0.0.1", None, False, "admin"),
        ("localhost", None, False, "admin"),
        ("::1", None, False, "admin"),
        ("127.0.0.1", True, True, None),
        ("127.0.0.1", True, False, "refused"),
        ("0.0.0.0", None, True, None),
        ("0.0.0.0", None, False, "refused"),
        ("::", None, False, "refused"),
        ("models.example.org", True, True, None),
        ("models.example.org", False, False, "reader"),
    ],
)
def test_without_a_token_one_can_do_something_only_where_the_admin_said_so(
    tmp_path: Path, host: str, auth: bool | None, tokens: bool, nobody: str | None
) -> None:
    house = build(tmp_path)
    if not tokens:
        house.registry.database.run("DELETE FROM tokens")
    if nobody == "refused":
        with pytest.raises(UsageError, match="there is none"):
            access_for(house.registry, host, auth=auth)
    else:
        assert access_for(house.registry, host, auth=auth).nobody == nobody


def test_with_an_issuer_tokens_are_asked_for_on_loopback_too(tmp_path: Path) -> None:
    house = build(tmp_path)
    access = access_for(house.registry, "127.0.0.1", oidc=tmp_path / "oidc.yaml")
    assert access.nobody is None
    assert access.issuer.caller(bearer()).name == "oidc:eve"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost.evil.example", ""])
def test_only_loopback_is_loopback(host: str) -> None:
    assert not is_loopback(host)


GOOD = (
    "issuer: https://x\naudience: a\nkeys: https://x/keys\nroles: {r: reader}\n"
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (GOOD + "algorithms: [HS256]", "algorithms"),
        (GOOD + "algorithms: [none]", "algorithms"),
        (GOOD + "algorithms: []", "algorithms"),
        (GOOD + "roles2: {}", "expected only"),
        (GOOD.replace("reader", "root"), "roles"),
        (GOOD.replace("https://x/keys", "http://x/keys"), "keys"),
        (GOOD.replace("https://x/keys", "file:///etc/x"), "keys"),
        (GOOD.replace("audience: a\n", ""), "audience"),
        (GOOD.replace("audience: a", "audience: ''"), "audience"),
        ("[]", "expected only"),
        ("a: [", "YAML"),
    ],
)
def test_a_wrong_issuer_is_refused_by_field(tmp_path: Path, text: str, field: str) -> None:
    path = tmp_path / "oidc.yaml"
    path.write_text(GOOD)
    assert read_issuer(path).algorithms == ("RS256",)
    path.write_text(text)
    with pytest.raises(BadFile, match=field):
        read_issuer(path)

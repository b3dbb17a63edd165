"""A whole server with a catalog behind it, and everybody who might come to its door."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI
from starlette.testclient import TestClient

from catalog.index import open_index
from catalog.publish import publish
from catalog.settings import Settings
from catalog.stores.memory import MemoryStore
from registry_server.api.registry import Bounds, Registry
from registry_server.api.setup import add_registry
from registry_server.app import create_app
from registry_server.auth.audit import Audit
from registry_server.auth.door import Access
from registry_server.auth.oidc import Verifier, read_issuer
from registry_server.auth.tokens import KnownTokens, create_token, revoke_token
from registry_server.database import Database, open_database
from registry_server.engine import MemorySource
from tests.toys import generator_folder

if TYPE_CHECKING:
    from tests.postgres_server import Server

ISSUER, AUDIENCE = "https://sso.example.org/lab", "model-catalog"


def make_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


KEY, OTHER_KEY = make_key(), make_key()
CONFIG = f"""
issuer: {ISSUER}
audience: {AUDIENCE}
keys: keys.json
role_claim: access.roles
roles: {{readers: reader, publishers: publisher, admins: admin}}
"""


def key_set(**keys: rsa.RSAPrivateKey) -> str:
    found = []
    for kid, key in keys.items():
        it = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
        found.append({**it, "kid": kid, "use": "sig", "alg": "RS256"})
    return json.dumps({"keys": found})


def bearer(
    key: Any = KEY, alg: str = "RS256", kid: str | None = "k1", roles: Any = ("publishers",),
    **claims: Any,
) -> str:  # fmt: skip
    """A token of the issuer; a claim of None is left out."""
    now = time.time()
    said = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "eve", "iat": now, "exp": now + 300,
        "access": {"roles": list(roles)}, **claims,
    }  # fmt: skip
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(said, key, alg, headers={"kid": kid} if kid else {})


def public_pem() -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return KEY.public_key().public_bytes(serialization.Encoding.PEM, form)


@dataclass
class House:
    """`client` asks in this process, where no job is done; `headers[who]` are credentials."""

    folder: Path
    store: MemoryStore
    registry: Registry
    app: FastAPI
    client: TestClient
    headers: dict[str, dict[str, str]]

    def ask(self, who: str, method: str, path: str, **more: Any) -> Any:
        headers = {**self.headers[who], **more.pop("headers", {})}
        return self.client.request(method, f"/api/v1{path}", headers=headers, **more)

    def publish(self, name: str, **how: Any) -> Path:
        """A version that is in the store already, put there past the server."""
        folder = generator_folder(self.folder / f"{name}-{time.monotonic_ns()}", name, **how)
        with open_index(self.registry.settings) as index:
            publish(folder, self.store, "memory:", index, lambda _: None)
        return folder

    def audited(self) -> list[dict[str, Any]]:
        path = self.registry.settings.home / "audit.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]


class Places:
    """Where houses keep what they know: in files, or in databases of `server`."""

    server: Server | None = None
    opened: ClassVar[list[Database | KnownTokens | Audit | Registry]] = []

    @classmethod
    def settings(cls, folder: Path) -> Settings:
        """An empty catalog."""
        index = ""
        if cls.server:
            import psycopg

            name = f"house_{secrets.token_hex(6)}"
            with psycopg.connect(cls.server.url(), autocommit=True) as db:
                db.execute(f"CREATE DATABASE {name}")
            index = cls.server.url(name)
        return Settings(folder / "home", folder / "cache", "memory:", index=index)

    @classmethod
    def database(cls, where: Settings) -> Database:
        """Of a server; `close` closes it."""
        cls.opened.append(database := open_database(where))
        return database

    @classmethod
    def close(cls, keep: int = 0) -> None:
        """All that is open but the first few: a server allows only so many connections."""
        while len(cls.opened) > keep:
            cls.opened.pop().close()


def build(folder: Path, bounds: Bounds | None = None, nobody: Any = None, **rate: float) -> House:
    settings = Places.settings(folder)
    store, database = MemoryStore(), Places.database(settings)
    registry = Registry(settings, database, bounds or Bounds(), lambda _: store)
    Places.opened.append(registry)
    (folder / "keys.json").write_text(key_set(k1=KEY))
    (folder / "oidc.yaml").write_text(CONFIG)
    headers: dict[str, dict[str, str]] = {"nobody": {}}
    for who, role in (
        ("reader", "reader"), ("owner", "publisher"), ("other", "publisher"), ("admin", "admin"),
        ("revoked", "admin"), ("expired", "admin"),
    ):  # fmt: skip
        secret, _ = create_token(database, who, role, 1)
        headers[who] = {"authorization": f"Bearer {secret}"}
    revoke_token(database, "revoked")
    database.run("UPDATE tokens SET expires = ? WHERE name = 'expired'", time.time() - 1)
    issuer = Verifier(read_issuer(folder / "oidc.yaml"))
    rate = {"per_second": 1e6, "burst": 1e6} | rate
    tokens, audit = KnownTokens(database), Audit(settings.home, database)
    Places.opened += [tokens, audit]
    access = Access(tokens, audit, issuer, nobody, **rate)
    app = create_app(MemorySource([]), [], any_model=True, allow_hosts=["testserver"])
    add_registry(app, registry, access)
    client = TestClient(app, raise_server_exceptions=False)
    return House(folder, store, registry, app, client, headers)

"""API tokens: 256 random bits, of which only the SHA-256 is kept."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

from catalog.errors import NotFound, UsageError
from registry_server.auth.caller import ROLES, Caller, Role, Unknown
from registry_server.database import Database

PREFIX = "hepcat_"  # so that scanners for leaked secrets can find one
_NAME = re.compile(r"^[a-z0-9][a-z0-9._@-]{0,63}$")
_ID = 10  # hex digits of the hash: enough to name a token, no help in finding it
_MAX_DAYS = 3660


@dataclass(frozen=True)
class Token:
    """What is known of a token; `revoked` is None while it holds. Times in seconds since 1970."""

    id: str
    name: str
    role: Role
    created: float
    expires: float
    revoked: float | None

    @property
    def state(self) -> str:
        """`valid`, `revoked` or `expired`."""
        if self.revoked is not None:
            return "revoked"
        return "valid" if time.time() < self.expires else "expired"


def create_token(database: Database, name: str, role: str, days: float) -> tuple[str, Token]:
    """Make a token; the secret is returned here and kept nowhere.

    Raises
    ------
    UsageError
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:100]!r} cannot name a token: lower-case letters, digits, '.', '_', '-', '@', "
            "at most 64",
            "for example: catalog token create maria --role publisher",
        )
    found = next((it for it in ROLES if it == role), None)
    if found is None:
        raise UsageError(f"no role {role!r}", f"one of: {', '.join(ROLES)}")
    if not 0 < days <= _MAX_DAYS:
        raise UsageError(f"a token holds for 1 to {_MAX_DAYS} days, not {days:g}", "--days 90")
    secret, now = PREFIX + secrets.token_urlsafe(32), time.time()
    kept, expires = _hash(secret), now + days * 86400
    database.run("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, NULL)", kept, name, found, now, expires)
    return secret, Token(kept[:_ID], name, found, now, expires, None)


def list_tokens(database: Database) -> list[Token]:
    """Every token, oldest first."""
    rows = database.rows("SELECT * FROM tokens ORDER BY created, hash")
    return [Token(row.pop("hash")[:_ID], **row) for row in rows]


def revoke_token(database: Database, wanted: str) -> list[Token]:
    """End a token by its id, or all tokens of a name; servers that run notice at once.

    Raises
    ------
    NotFound
    """
    ended = [it for it in list_tokens(database) if wanted in (it.id, it.name)]
    if not ended:
        raise NotFound(f"no token {wanted[:100]!r}", "catalog token ls")
    for it in ended:
        database.run(
            "UPDATE tokens SET revoked = ? WHERE substr(hash, 1, ?) = ? AND revoked IS NULL",
            time.time(), _ID, it.id,
        )  # fmt: skip
    return [it for it in list_tokens(database) if it.id in {old.id for old in ended}]


class KnownTokens:
    """All tokens in memory, read again only when somebody has written to them.

    With SQLite a token is refused from the moment it is revoked, with PostgreSQL as soon as its
    notice arrives: milliseconds later.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._changes = database.changes()
        self._seen: object = None
        self._rows: dict[str, dict[str, Any]] = {}

    def caller(self, secret: str, now: float) -> Caller:
        """Who holds this token.

        Raises
        ------
        Unknown
        Unreachable
            The database has been away for so long that nobody can say.
        """
        kept = _hash(secret)
        row = self._current().get(kept)
        # The look-up takes a hash, of which an attacker can choose no prefix; still no shortcut.
        if row is None or not hmac.compare_digest(row["hash"], kept):
            raise Unknown("no such token")
        if row["revoked"] is not None:
            raise Unknown(f"token {kept[:_ID]} of {row['name']} is revoked")
        if now >= row["expires"]:
            raise Unknown(f"token {kept[:_ID]} of {row['name']} has expired")
        return Caller(f"token:{row['name']}", row["role"])

    def any_valid(self) -> bool:
        """Whether anybody at all could come in with a token."""
        return any(it.state == "valid" for it in list_tokens(self._database))

    def close(self) -> None:
        """Look no more, until asked again."""
        with self._lock:
            self._changes.close()
            self._seen = None

    def _current(self) -> dict[str, dict[str, Any]]:
        with self._lock:
            mark = self._changes.mark()
            if mark != self._seen:
                rows = self._database.rows("SELECT * FROM tokens")
                self._rows = {row["hash"]: row for row in rows}
                self._seen = mark
            return self._rows


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()

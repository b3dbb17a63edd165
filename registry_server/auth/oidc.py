"""OpenID Connect bearer tokens of one configured issuer (a laboratory's single sign-on).

    issuer: https://auth.example.org/realms/lab
    audience: model-catalog
    algorithms: [RS256]
    keys: https://auth.example.org/realms/lab/protocol/openid-connect/certs   # or a file
    role_claim: roles                        # a dot goes one level down: realm_access.roles
    roles: {catalog-readers: reader, catalog-publishers: publisher, catalog-admins: admin}

Everything a token could be tempted to choose (algorithm, key, where keys lie) is fixed here:
CVE-2022-29217 and its kin. Nothing is fetched but `keys`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.errors import BadFile, UsageError
from catalog.strict_yaml import load_yaml
from registry_server.auth.caller import ROLES, Caller, Role, Unknown
from registry_server.auth.keys import Keys

# Signatures that need a private key; no HMAC, where whoever can check can also sign.
ALGORITHMS = frozenset(
    ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
)
_LEEWAY = 10  # seconds by which two clocks may differ
_MAX_TOKEN = 16_384
_MAX_FILE = 100_000
_FIELDS = {
    "issuer": str, "audience": str, "algorithms": list, "keys": str, "role_claim": str,
    "roles": dict, "name_claim": str,
}  # fmt: skip


@dataclass(frozen=True)
class Issuer:
    """Whose tokens are believed, and what their claims mean here."""

    issuer: str
    audience: str
    keys: str
    algorithms: tuple[str, ...] = ("RS256",)
    role_claim: str = "roles"
    roles: Mapping[str, Role] | None = None
    name_claim: str = "sub"


def read_issuer(path: Path) -> Issuer:
    """Read the configuration.

    Raises
    ------
    BadFile
        Naming the field that is wrong.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE + 1)
        if len(data) > _MAX_FILE:
            raise ValueError(f"larger than {_MAX_FILE:,} bytes")
        return _parse(load_yaml(data.decode("utf-8")), path.parent)
    except (OSError, ValueError) as exc:
        raise BadFile(f"{path}: {exc}", "docs/registry.md has an example") from exc


def _parse(document: Any, folder: Path) -> Issuer:
    if not isinstance(document, dict) or not set(document) <= set(_FIELDS):
        raise ValueError(f"expected only the keys {', '.join(_FIELDS)}")
    for key, value in document.items():
        if not isinstance(value, _FIELDS[key]) or not value:
            raise ValueError(f"{key}: expected {_FIELDS[key].__name__}, and not empty")
    if absent := {"issuer", "audience", "keys", "roles"} - set(document):
        raise ValueError(f"{', '.join(sorted(absent))}: missing")
    algorithms = document.get("algorithms", ["RS256"])
    if wrong := [str(it) for it in algorithms if it not in ALGORITHMS]:
        raise ValueError(f"algorithms: {', '.join(wrong)}: none of {', '.join(sorted(ALGORITHMS))}")
    if wrong := [str(it) for it in document["roles"].values() if it not in ROLES]:
        raise ValueError(f"roles: {', '.join(wrong)}: none of {', '.join(ROLES)}")
    keys = document["keys"]
    if "://" not in keys:
        keys = str((folder / keys).absolute())
    elif not keys.startswith("https://"):
        raise ValueError("keys: a file, or an https:// address")
    return Issuer(**{**document, "algorithms": tuple(algorithms), "keys": keys})


class Verifier:
    """Checks bearer tokens of one issuer. Safe for threads; may wait for the issuer's keys."""

    def __init__(self, issuer: Issuer) -> None:
        try:
            import jwt
            from jwt.algorithms import has_crypto
        except ModuleNotFoundError as exc:
            raise _lacking() from exc
        if not has_crypto:
            raise _lacking()
        self._jwt = jwt
        self._issuer = issuer
        self._keys = Keys(issuer.keys)

    def caller(self, token: str) -> Caller:
        """Who holds this token.

        Raises
        ------
        Unknown
        """
        it, jwt = self._issuer, self._jwt
        if len(token) > _MAX_TOKEN:
            raise Unknown("bearer token too long")
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in it.algorithms:
                raise Unknown(f"bearer token signed by {str(header.get('alg'))[:20]!r}")
            claims = jwt.decode(
                token,
                self._keys.find(header.get("kid")),
                algorithms=list(it.algorithms),
                issuer=it.issuer,
                audience=it.audience,
                leeway=_LEEWAY,
                options={
                    "require": ["exp", "iat", "iss", "aud", "sub"],
                    "enforce_minimum_key_length": True,
                },
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as exc:
            raise Unknown(f"bearer token: {exc}") from exc
        return Caller(f"oidc:{self._name(claims)}", self._role(claims))

    def _name(self, claims: Mapping[str, Any]) -> str:
        name = claims.get(self._issuer.name_claim)
        if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable():
            raise Unknown(f"bearer token: claim {self._issuer.name_claim} names nobody")
        return name

    def _role(self, claims: Mapping[str, Any]) -> Role:
        """The highest role that the claim gives; one who has none is nobody here."""
        found: Any = claims
        for step in self._issuer.role_claim.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
        groups = [found] if isinstance(found, str) else found if isinstance(found, list) else []
        given = self._issuer.roles or {}
        roles = [given[group] for group in groups if isinstance(group, str) and group in given]
        if not roles:
            raise Unknown(f"bearer token: {self._issuer.role_claim} gives no role here")
        return max(roles, key=ROLES.index)


def _lacking() -> UsageError:
    return UsageError("--oidc needs PyJWT with cryptography", "pip install 'pyjwt[crypto]'")

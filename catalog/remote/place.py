"""Where a registry is, from the address that the user gave; a token goes nowhere else."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from catalog.address import shown
from catalog.errors import UsageError

API = "/api/v1"
_HINT = "give its address, for example: catalog --registry https://models.example.org search"


@dataclass(frozen=True)
class Place:
    """One registry: `url` has no slash at its end; `local`: on this machine."""

    url: str
    local: bool

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def parse_place(told: str) -> Place:
    """Read `https://host[:port][/prefix]`; `http` only on this machine.

    CATALOG_PLAIN_HTTP=1 allows it elsewhere: whoever listens then reads the token.

    Raises
    ------
    UsageError
    """
    try:
        parts = urlsplit(told)
        port = parts.port
    except ValueError as exc:
        raise UsageError("the address of the registry is malformed", _HINT) from exc
    if "@" in parts.netloc:
        raise UsageError(
            "the address of a registry must not carry a user name or password",
            "export CATALOG_TOKEN=...",
        )
    plain = told.isascii() and told.isprintable() and " " not in told
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise UsageError(f"not the address of a registry: {shown(told)[:200]!r}", _HINT)
    if parts.query or parts.fragment:
        raise UsageError(f"the address of a registry has no options: {shown(told)[:200]}", _HINT)
    local = _is_local(parts)
    if parts.scheme == "http" and not local and os.environ.get("CATALOG_PLAIN_HTTP") != "1":
        raise UsageError(
            f"{told[:200]}: not https, so that anybody on the way could read the token and change "
            "the models",
            f"https://{parts.netloc}, or if you must: export CATALOG_PLAIN_HTTP=1",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/").removesuffix(API)
    return Place(f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}", local)


def _is_local(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

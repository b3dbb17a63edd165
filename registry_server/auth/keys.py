"""The public keys of an issuer: read once, kept, and read again only now and then."""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

from registry_server.auth.caller import Unknown

_FRESH = 3600.0  # seconds for which keys are believed without asking again
_PAUSE = 30.0  # at most one look in this time, however many unknown keys are named to us
_TIMEOUT = 5.0
_MAX_BYTES = 1_000_000
_MAX_KEYS = 100
_log = logging.getLogger(__name__)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None  # then urllib raises: keys come from the configured address or not at all


class Keys:
    """A JSON Web Key Set, from a file or from the one configured address.

    A key that is not known makes us look again, at most once in 30 s, so that nobody can make us
    hammer the issuer; while the issuer is down the keys of before stay good.
    """

    def __init__(self, source: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._source, self._clock = source, clock
        self._lock = threading.Lock()
        self._keys: dict[str, Any] = {}
        self._read_at = self._tried_at = float("-inf")

    def find(self, kid: object) -> Any:
        """The key of that id, as PyJWT takes it.

        Raises
        ------
        Unknown
        """
        if not isinstance(kid, str) or not kid:
            raise Unknown("bearer token: names no key")
        now = self._clock()
        if kid not in self._keys or now - self._read_at > _FRESH:
            with self._lock:
                if now - self._tried_at > _PAUSE:
                    self._tried_at = now
                    self._refresh(now)
        found = self._keys.get(kid)
        if found is None:
            raise Unknown(f"bearer token: the issuer has no key {kid[:80]!r}")
        return found

    def _refresh(self, now: float) -> None:
        try:
            self._keys = _parse(self._read())
            self._read_at = now
        except (OSError, ValueError, HTTPException) as exc:
            _log.warning("keys of the issuer: %s: %s", self._source, exc)

    def _read(self) -> bytes:
        if not self._source.startswith("https://"):
            with Path(self._source).open("rb") as file:
                return file.read(_MAX_BYTES + 1)
        return fetch(self._source)


def fetch(address: str) -> bytes:
    """What lies at the configured address, and nowhere else: no redirect is followed."""
    opener = urllib.request.build_opener(_NoRedirects)
    with opener.open(address, timeout=_TIMEOUT) as answer:
        data: bytes = answer.read(_MAX_BYTES + 1)
    return data


def _parse(data: bytes) -> dict[str, Any]:
    """Signing keys by id; symmetric ones and those of unknown kinds are left out."""
    from jwt import PyJWK, PyJWTError

    if len(data) > _MAX_BYTES:
        raise ValueError("too large")
    document = json.loads(data)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ValueError("no JSON Web Key Set")  # noqa: TRY004  as for all that is wrong with it
    found = {}
    for it in listed[:_MAX_KEYS]:
        if not isinstance(it, dict) or it.get("kty") not in ("RSA", "EC", "OKP"):
            continue
        if it.get("use", "sig") == "sig" and isinstance(it.get("kid"), str):
            try:
                found[it["kid"]] = PyJWK.from_dict(it)
            except PyJWTError:
                _log.warning("keys of the issuer: key %r is of an unknown kind", it["kid"][:80])
    if not found:
        raise ValueError("no signing key in it")
    return found

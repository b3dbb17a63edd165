"""HTTP to a registry: what is sent, what is believed of the answer, what is tried again.

A redirect is an error, so that the token stays with the host it is for. What an answer may hold is
bounded while it is read. Only what may be repeated is tried again, with growing pauses, or those
that the server asks for.
"""

from __future__ import annotations

import http.client
import json
import random
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from catalog.errors import NotAuthorised, StoreError
from catalog.remote.place import API, Place
from catalog.remote.refusal import Lost, refused

PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds before another attempt
_LONGEST = 60.0  # seconds that a server may make us wait
_PATIENCE = 60.0  # seconds without a byte
_MAX_JSON = 64_000_000  # bytes
_PAGE = 1000  # entries, the most that a registry gives
Query = Mapping[str, object]
_T = TypeVar("_T")


class _NoRedirect(HTTPRedirectHandler):
    """Whatever a server answers, nothing is sent to another address."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Client:
    """One registry, and who we are there. Safe for threads; holds no connection."""

    def __init__(self, place: Place, token: str = "") -> None:
        if not all("!" <= sign <= "~" for sign in token):
            raise NotAuthorised(
                "the token of the registry holds characters that no token has",
                "export CATALOG_TOKEN=... again, without spaces or line ends",
            )
        self.place = place
        self._token = token
        # A proxy is for the way to others: nothing in clear leaves this machine through one.
        proxies = [ProxyHandler({})] if place.local else []
        self._opener = build_opener(_NoRedirect, *proxies)

    def json(
        self, method: str, path: str, query: Query | None = None, body: Any = None,
        *, again: bool | None = None, patience: float = _PATIENCE,
    ) -> Any:  # fmt: skip
        """Ask, and read the JSON of the answer.

        Parameters
        ----------
        path : below /api/v1, with its parts quoted (`part`)
        again : whether it may be repeated; else as HTTP has it (not POST)
        patience : seconds to wait for the server to think

        Raises
        ------
        CatalogError
            What the server refused, in its words, or that there is none.
        """
        data, headers = None, {}
        if body is not None:
            data, headers = json.dumps(body).encode(), {"content-type": "application/json"}

        def ask() -> Any:
            with self.open(method, path, query, data, headers, patience) as answer:
                return _read(answer, self.place)

        may = method != "POST" if again is None else again
        return self.persist(ask) if may else self.once(ask)

    def open(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        data: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float = _PATIENCE,
    ) -> Any:
        """One attempt; the answer as a stream. Raises `OSError` and HTTPException besides ours."""
        asked = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        url = f"{self.place.url}{API}{path}{'?' if asked else ''}{urlencode(asked)}"
        request = Request(url, data, dict(headers or {}), method=method)  # noqa: S310  see Place
        request.add_header("accept", "application/json, application/octet-stream")
        if self._token:
            # Unredirected: urllib itself never takes it to another request.
            request.add_unredirected_header("authorization", f"Bearer {self._token}")
        try:
            return self._opener.open(request, timeout=patience)
        except HTTPError as exc:
            with exc:
                raise refused(exc, self.place) from None

    def persist(self, ask: Callable[[], _T]) -> _T:
        """Ask until it is answered, or it is hopeless."""
        for pause in (*PAUSES, None):
            try:
                return self.once(ask)
            except StoreError as exc:
                wait = getattr(exc, "wait", None)
                if pause is None or wait is None or wait > _LONGEST:
                    raise
                time.sleep(max(wait, pause * random.uniform(0.5, 1.5)))  # noqa: S311
        raise AssertionError  # the last attempt returned or raised

    def once(self, ask: Callable[[], _T]) -> _T:
        """Ask, and say in our words what went wrong on the way."""
        try:
            return ask()
        except (OSError, http.client.HTTPException) as exc:
            raise self.lost(exc) from exc

    def lost(self, exc: Exception) -> StoreError:
        """The error for a registry that does not answer."""
        reason = exc.reason if isinstance(exc, URLError) else exc
        if isinstance(reason, ssl.SSLCertVerificationError):
            return StoreError(
                f"{self.place.url}: its certificate is not trusted: {reason.verify_message}",
                "of your laboratory's own authority? export SSL_CERT_FILE=its-certificates.pem",
            )
        said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
        return Lost(
            f"the registry at {self.place.url} does not answer: {said}",
            f"is the address right, and the server up? try: curl {self.place.url}/v2/health/live",
        )


def pages(
    client: Client, path: str, query: Query, most: int | None = None
) -> Iterator[dict[str, Any]]:
    """The pages of a list, with `most` entries at most."""
    cursor, key = None, path.rpartition("/")[2]
    key = "models" if key == "versions" else key
    while most is None or most > 0:
        limit = _PAGE if most is None else min(most, _PAGE)
        page = client.json("GET", path, {**query, "limit": limit, "cursor": cursor})
        yield page
        cursor = page["next"]
        if cursor is None or not page[key]:
            return
        most = None if most is None else most - len(page[key])


def part(text: str) -> str:
    """One part of a path."""
    return quote(text, safe="")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read(answer: Any, place: Place) -> Any:
    """The JSON of an answer; nothing of one without a body."""
    data = answer.read(_MAX_JSON + 1)
    if answer.status == 204:
        return None
    with suppress(ValueError, RecursionError):
        if len(data) <= _MAX_JSON:
            return json.loads(data)
    raise StoreError(
        f"{place.url} is no registry of models: it answers something else",
        "give the address that `catalog serve` prints, without /api/v1",
    )

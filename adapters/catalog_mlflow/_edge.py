"""The edge to MLflow: every foreign exception becomes one of ours, every retry is bounded."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from catalog.errors import CatalogError, NotAuthorised, NotFound, StoreError
from catalog.stores.edge import translated
from catalog.stores.secret import Secret
from catalog.text import one_line

T = TypeVar("T")

_RETRIES = 3
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
# Two processes wrote the same row (say, the same tag): MLflow passes the database's refusal on.
_LOST_RACES = ("IntegrityError", "UniqueViolation")
_SECRETS = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD")
_ALIVE = "is the server running, and is its address right? try: curl {}/health"


class Transient(StoreError):
    """The store failed in a way that another attempt may cure."""


class Edge:
    """Calls one registry and speaks for it in messages."""

    def __init__(self, label: str, uri: str, secret: Secret | None = None) -> None:
        self._label = label
        self._uri = uri
        self._secret = secret or Secret()
        self._hint = _ALIVE.format(uri) if uri.startswith("http") else ""

    def call(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Call something idempotent; failures that may pass are retried for some seconds."""
        for attempt in range(_RETRIES):
            try:
                return self.once(function, *args, **kwargs)
            except Transient:
                if attempt == _RETRIES - 1:
                    raise
            time.sleep((0.3 + random.random() * 0.3) * 3**attempt)  # noqa: S311
        raise AssertionError  # pragma: no cover

    def once(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Call something that must not be repeated blindly."""
        with self.translated():
            return function(*args, **kwargs)

    def paged(self, search: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """All that a search of MLflow's finds, page by page and only as far as it is read."""
        token = None
        while True:
            page = self.call(search, *args, page_token=token, **kwargs)
            yield from page
            token = page.token
            if not token:
                return

    def translated(self) -> AbstractContextManager[None]:
        """Turn what MLflow, requests or the file system raise into errors of the catalog."""
        return translated(self.error)

    def error(self, exc: Exception) -> CatalogError:
        """The catalog's words for a foreign exception."""
        if isinstance(exc, OSError) and exc.filename:
            return folder_error(exc, str(exc.filename))
        code = getattr(exc, "get_http_status_code", None)
        status = int(code()) if code else 0
        if getattr(exc, "error_code", "") in ("CUSTOMER_UNAUTHORIZED", "UNAUTHENTICATED"):
            status = 401
        text = str(getattr(exc, "message", exc)) or type(exc).__name__
        if "out-of-date database schema" in text:
            return StoreError(
                f"{self._label} was written by another version of MLflow",
                f"make a copy of it, then: mlflow db upgrade {self._uri}",
            )
        if text.startswith("API request to endpoint") and status not in (401, 403):
            return StoreError(
                f"{self._label} does not speak MLflow's language: {self._short(text)}", self._hint
            )
        if _broke_off(exc, text):
            return Transient(f"{self._label} does not answer: {self._reason(text)}", self._hint)
        return self.refusal(status, text)

    def refusal(self, status: int, text: str) -> CatalogError:
        """The catalog's error for an HTTP status (0: none) and the store's own words."""
        if status in (401, 403):
            ways = "MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            return NotAuthorised(
                f"{self._label} refused who we are ({status})",
                f"set {self._secret.source or ways}; ask its administrator for the permission",
            )
        if status == 404:
            return NotFound(f"{self._label}: {self._short(text)}")
        lost_race = any(name in text for name in _LOST_RACES)
        kind = Transient if lost_race or status in _TRANSIENT else StoreError
        return kind(f"{self._label} failed: {self._short(text)}", "look into its log, or try again")

    def _reason(self, text: str) -> str:
        """What the nested sentences of urllib3 come down to."""
        known = re.search(r"\[Errno -?\d+\] ([\w ]+)|too many (\d+ error) responses|SSLError", text)
        if known:
            return known[1] or known[2] or "the TLS handshake failed; is it https?"
        return "it took too long" if "timed out" in text else self._short(text)

    def _short(self, text: str) -> str:
        """One line of the store's own words, without anybody's credentials."""
        told = [os.environ.get(name) for name in _SECRETS]
        for secret in (*told, self._secret.token, self._secret.password):
            if secret:
                text = text.replace(secret, "***")
        return one_line(text.partition("[SQL:")[0])


def folder_error(exc: OSError, folder: str) -> StoreError:
    """The catalog's words for a disk that is full, read-only or not ours."""
    return StoreError(
        f"{folder}: {exc.strerror or exc}", "is the disk full? may you write there? try: df -h"
    )


def is_already_there(exc: CatalogError) -> bool:
    """Whether MLflow refused to create something because it exists."""
    return getattr(exc.__cause__, "error_code", "") == "RESOURCE_ALREADY_EXISTS"


def _broke_off(exc: Exception, text: str) -> bool:
    """Whether the connection failed, or the server answered 5xx.

    MLflow wraps whatever `requests` raises into an exception with only a sentence.
    """
    libraries = {base.__module__.partition(".")[0] for base in type(exc).__mro__}
    wrapped = text.startswith("API request to http")
    return wrapped or not libraries.isdisjoint(("requests", "urllib3"))

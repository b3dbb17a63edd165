"""The edge to OCI: every foreign exception becomes one of ours.

Retries are the SDK's, with the bounds that `_client` sets: one layer of them, not two.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from catalog.errors import (
    BadFile,
    CatalogError,
    DigestMismatch,
    NotAuthorised,
    NotFound,
    StoreError,
)
from catalog.stores.edge import translated
from catalog.text import one_line

T = TypeVar("T")

_NETWORK = ("requests", "urllib3", "http", "ssl", "socket")
_CONFIG = (
    "ConfigFileNotFound", "ProfileNotFound", "InvalidConfig", "InvalidPrivateKey",
    "InvalidKeyFilePath", "MissingPrivateKeyPassphrase", "InvalidResourcePrincipalArguments",
)  # fmt: skip


class ChangedError(StoreError):
    """Somebody else changed it since it was read (412)."""


class TakenError(StoreError):
    """The service refuses because of what is there already (409)."""


class BrokenOffError(StoreError):
    """No answer, or half of one: what was asked for may have happened."""


class Edge:
    """Calls one catalog and speaks for it in messages."""

    def __init__(self, label: str) -> None:
        self._label = label

    def call(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
        """Call the SDK; what it raises becomes an error of the catalog."""
        with self.translated():
            return function(*args, **kwargs)

    def translated(self) -> AbstractContextManager[None]:
        """Turn what the SDK, requests, zipfile or the file system raise into our errors."""
        return translated(self._error)

    def _error(self, exc: Exception) -> CatalogError:
        if isinstance(exc, zipfile.BadZipFile):
            return _bad_zip(self._label, exc)
        status = getattr(exc, "status", None)
        if isinstance(status, int):
            code = str(getattr(exc, "code", "") or "")
            return self._refusal(status, code, str(getattr(exc, "message", "") or ""))
        kind = type(exc).__name__
        if kind in _CONFIG:
            return NotAuthorised(
                f"{self._label}: cannot sign requests: {one_line(str(exc))}",
                "check ~/.oci/config and the profile in the store's URI: oci setup config",
            )
        if kind == "MultipartUploadError":
            return BrokenOffError(f"{self._label}: the upload to the bucket broke off", _AGAIN)
        if isinstance(exc, OSError) and exc.filename:
            return StoreError(
                f"{exc.filename}: {exc.strerror or exc}", "is the disk full? try: df -h"
            )
        libraries = {base.__module__.partition(".")[0] for base in type(exc).__mro__}
        if not libraries.isdisjoint(_NETWORK) or isinstance(exc, OSError):
            return BrokenOffError(
                f"{self._label} does not answer: {_reason(str(exc))}",
                "is this machine online, and the region right? try again later",
            )
        return StoreError(f"{self._label} failed: {kind}: {one_line(str(exc))}", _AGAIN)

    def _refusal(self, status: int, code: str, text: str) -> CatalogError:
        """The catalog's error for an HTTP status and the service's own words."""
        words = f"{status} {code}: {one_line(text)}" if code else str(status)
        if status in (401, 403):
            return NotAuthorised(
                f"{self._label} refused who we are ({words})",
                "check the key or session in ~/.oci/config (oci session authenticate), this "
                "machine's clock, and the policy: allow group ... to manage data-science-models",
            )
        if status == 404:
            return NotFound(
                f"{self._label}: not there, or not for us ({words})",
                "check the OCIDs in the store's URI, and your group's policy",
            )
        kinds = {409: TakenError, 412: ChangedError}
        kind = kinds.get(status, BrokenOffError if status >= 500 else StoreError)
        return kind(f"{self._label} failed: {words}", _AGAIN)


_AGAIN = "try again; nothing is half-published, and what was sent is kept"


def _bad_zip(label: str, exc: Exception) -> CatalogError:
    if "CRC-32" in str(exc):
        return DigestMismatch(
            f"{label}: the artifact is damaged: {one_line(str(exc))}",
            "pull it from another store; an artifact never changes, so that mending it means to "
            "delete the model and publish again",
        )
    return BadFile(f"{label}: the artifact is no zip that can be read: {one_line(str(exc))}")


def _reason(text: str) -> str:
    """What the nested sentences of urllib3 come down to."""
    for sign, words in (
        ("timed out", "it took too long"),
        ("Connection refused", "connection refused"),
        ("Name or service not known", "no such host"),
        ("Failed to resolve", "no such host"),
        ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted"),
        ("IncompleteRead", "the connection broke off"),
        ("Connection aborted", "the connection broke off"),
    ):
        if sign in text:
            return words
    return one_line(text)

"""Bytes of one file of a registry, by digest; a download that breaks off is continued."""

from __future__ import annotations

import http.client
import io
import time
from typing import Any, BinaryIO, cast

from catalog.manifest import Entry
from catalog.remote.client import PAUSES, Client


def open_blob(client: Client, entry: Entry) -> BinaryIO:
    """Open a file for reading. Whoever reads it verifies the digest.

    Raises
    ------
    NotFound, StoreError, NotAuthorised
    """
    return cast(BinaryIO, _Blob(client, entry))


class _Blob(io.RawIOBase):
    """Reads on where it was when the connection broke; never beyond the size it shall have."""

    def __init__(self, client: Client, entry: Entry) -> None:
        super().__init__()
        self._client, self._entry = client, entry
        self._at, self._breaks = 0, 0
        self._answer: Any = client.persist(self._ask)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")[: self._entry.size - self._at]
        while len(view):
            try:
                count: int = self._answer.readinto(view)
            except (OSError, http.client.HTTPException) as exc:
                self._again(exc)
                continue
            if count:
                self._at += count
                self._breaks = 0
                return count
            self._again(ConnectionError("it broke off"))
        return 0

    def close(self) -> None:
        if not self.closed:
            self._answer.close()
        super().close()

    def _ask(self) -> Any:
        # A server that ignores Range, as it may, begins again: those bytes are read over.
        headers = {"range": f"bytes={self._at}-"} if self._at else {}
        answer = self._client.open("GET", f"/blobs/{self._entry.digest}", None, None, headers)
        if self._at and answer.status != 206:
            left = self._at
            while left and (chunk := answer.read(min(left, 1 << 16))):
                left -= len(chunk)
        return answer

    def _again(self, exc: Exception) -> None:
        """Ask for the rest, unless it breaks off again and again without a byte."""
        self._answer.close()
        if self._breaks == len(PAUSES):
            raise self._client.lost(exc) from exc
        time.sleep(PAUSES[self._breaks])
        self._breaks += 1
        self._answer = self._client.persist(self._ask)

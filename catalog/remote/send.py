"""Bytes of one file on their way to a registry; an upload that breaks off is continued."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from typing import BinaryIO

from catalog.errors import CatalogError, DigestMismatch
from catalog.manifest import Entry, copy_verified
from catalog.remote.client import PAUSES, Client
from catalog.remote.refusal import Lost, Unfit
from catalog.streams import CHUNK


def send(client: Client, upload: str, entry: Entry, source: BinaryIO) -> None:
    """Send what the registry does not have of a file.

    Parameters
    ----------
    source : at its beginning; if it can seek, a broken connection is continued

    Raises
    ------
    DigestMismatch
        The source has other bytes; the registry never gets the last of them.
    StoreError, NotAuthorised, NotFound
    """
    start = source.tell() if source.seekable() else None
    for pause in (*PAUSES, None):
        offset = _offset(client, upload, entry)
        try:
            _put(client, upload, entry, source, offset)
        except Unfit as exc:
            # What lay there from before was wrong, and has been dropped: begin anew.
            if offset == 0 or start is None or pause is None:
                raise DigestMismatch(exc.message, "publish it again") from exc
        except DigestMismatch:
            raise
        except CatalogError as exc:
            wait = getattr(exc, "wait", None)
            if wait is None and start is not None and _complete(client, upload, entry):
                source.seek(start)  # another sent it meanwhile
                check(source, entry)
                return
            if wait is None or start is None or pause is None:
                raise
            time.sleep(max(wait, pause))
        else:
            return
        source.seek(start)


def check(source: BinaryIO, entry: Entry) -> None:
    """Hold bytes that nobody needs against their digest.

    Raises
    ------
    DigestMismatch
    """
    copy_verified(source, _Nowhere(), entry)


class _Nowhere:
    def write(self, data: bytes, /) -> int:
        return len(data)


def _offset(client: Client, upload: str, entry: Entry) -> int:
    """How much of it is there; all, if it is complete."""
    for it in client.json("GET", f"/uploads/{upload}")["files"]:
        if it["digest"] == entry.digest:
            return min(int(it["offset"]), entry.size)
    return 0


def _complete(client: Client, upload: str, entry: Entry) -> bool:
    """Whether it is all there, also where the upload was committed."""
    try:
        files = client.json("GET", f"/uploads/{upload}")["files"]
    except CatalogError:
        return False
    return any(it["digest"] == entry.digest and it["complete"] for it in files)


def _put(client: Client, upload: str, entry: Entry, source: BinaryIO, offset: int) -> None:
    headers = {
        "content-type": "application/octet-stream",
        "content-length": str(entry.size - offset),
    }
    path = f"/uploads/{upload}/files/{entry.digest}"

    def ask() -> None:
        pieces = _pieces(source, entry, offset)
        with client.open("PUT", path, {"offset": offset}, pieces, headers) as answer:
            answer.read(CHUNK)

    try:
        client.once(ask)
    except Lost:
        # A server that refuses before it has read all closes the line: ask it why.
        client.json("GET", f"/uploads/{upload}")
        raise


def _pieces(source: BinaryIO, entry: Entry, offset: int) -> Iterator[bytes]:
    """The bytes from `offset` on, the last of them only if all were right."""
    sha, seen, held = hashlib.sha256(), 0, b""
    while chunk := source.read(min(CHUNK, entry.size - seen + 1)):
        before, seen = seen, seen + len(chunk)
        if seen > entry.size:
            break
        sha.update(chunk)
        if seen > offset:
            if held:
                yield held
            held = chunk[max(0, offset - before) :]
    if seen != entry.size or f"sha256:{sha.hexdigest()}" != entry.digest:
        raise DigestMismatch(
            f"{entry.path}: its bytes are not those of {entry.digest[:19]}...",
            "it changed meanwhile? try again",
        )
    if held:
        yield held

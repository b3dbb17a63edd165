"""Requests and replies, and the errors in the service's words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

_CHUNK = 1 << 20


class RefusedError(Exception):
    """Answered with this status and this code."""

    def __init__(self, status: int, code: str, message: str = "refused by the double") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass
class Reply:
    """`body` is JSON, or a part of a file: (path, start, stop)."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    file: tuple[Path, int, int] | None = None


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: Any
    body: BinaryIO

    def chunks(self) -> Iterator[bytes]:
        """The body, whether its length was told or it comes in chunks."""
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while size := int(self.body.readline().split(b";")[0], 16):
                yield self.body.read(size)
                self.body.readline()
            self.body.readline()
            return
        left = int(self.headers.get("content-length") or 0)
        while left:
            data = self.body.read(min(left, _CHUNK))
            if not data:
                raise ConnectionError("the client went away in the middle of a body")
            left -= len(data)
            yield data

    def json(self) -> Any:
        """The JSON body, once: the signature check has read it before."""
        return self.document

    def load(self) -> bytes:
        """Read a JSON body of sensible size."""
        if int(self.headers.get("content-length") or 0) > 1_000_000:
            raise RefusedError(413, "RequestEntityTooLarge")
        data = b"".join(self.chunks())
        try:
            self.document = json.loads(data) if data else None
        except ValueError as exc:
            raise RefusedError(400, "InvalidParameter", "not JSON") from exc
        return data

    def page(self, rows: list[Any]) -> Reply:
        """One page of a list, bare, with the token of the next."""
        limit = int(self.query.get("limit", 50))
        if not 1 <= limit <= 100:
            raise RefusedError(400, "InvalidParameter", "limit must be 1..100")
        start = int(self.query.get("page") or 0)
        more = start + limit < len(rows)
        headers = {"opc-next-page": str(start + limit)} if more else {}
        return Reply(200, rows[start : start + limit], headers)


def ranged(request: Request, path: Path, headers: dict[str, str]) -> Reply:
    """A file, or the part of it that one Range header names (RFC 9110, section 14)."""
    size = path.stat().st_size
    wanted = request.headers.get("range")
    if not wanted:
        return Reply(200, None, headers, (path, 0, size))
    unit, _, span = wanted.partition("=")
    first, _, last = span.partition("-")
    if unit != "bytes" or "," in span or not (first or last):
        raise RefusedError(400, "InvalidParameter", "one byte range, please")
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= size:
        raise RefusedError(416, "RangeNotSatisfiable")
    headers = headers | {"content-range": f"bytes {start}-{stop - 1}/{size}"}
    return Reply(206, None, headers, (path, start, stop))

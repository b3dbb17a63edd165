"""The artifact folder of one version behind an MLflow server's artifact proxy."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO
from urllib.parse import quote, urlsplit

from catalog.errors import DigestMismatch, StoreError
from catalog.manifest import Entry
from catalog.stores.secret import Secret
from catalog.streams import CHUNK, Hasher
from catalog_mlflow._client import request
from catalog_mlflow._edge import Edge
from catalog_mlflow._folder import walk

_SERVICE = "/api/2.0/mlflow-artifacts/artifacts"
_SECONDS = (10, 600)  # to connect; between bytes, or until a slow bucket behind has stored it


class HttpFolder:
    """Streams files to and from the server; nothing is ever held whole."""

    def __init__(self, server: str, path: str, edge: Edge, secret: Secret | None = None) -> None:
        self._server = server
        self._path = path
        self._edge = edge
        self._secret = secret

    def put(self, entry: Entry, source: BinaryIO) -> None:
        """Send the file; its last bytes only once all of it has been verified.

        Bytes that are not the promised ones therefore never complete a request, and the server
        keeps nothing of a request that breaks off.
        """
        body = _VerifiedBody(source, entry)
        headers = {"Content-Type": "application/octet-stream"}
        try:
            answer = self._request(self._url(entry.path), "PUT", data=body, extra_headers=headers)
        except StoreError:
            if body.error:
                raise body.error from None
            raise
        answer.close()

    @contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """Stream one file."""
        headers = {"Accept-Encoding": "identity"}
        answer = self._request(self._url(path), "GET", stream=True, extra_headers=headers)
        try:
            yield io.BufferedReader(_Stream(answer.raw, self._edge), CHUNK)
        finally:
            answer.close()

    def sizes(self, paths: Iterable[str]) -> dict[str, int]:
        """List each sub-folder once."""
        wanted = set(paths)
        found: dict[str, int] = {}
        for parent in sorted({posixpath.dirname(path) for path in wanted}):
            sizes = self._list(parent)
            found |= {path: size for path, size in sizes if path in wanted and size is not None}
        return found

    def damaged(self, entries: Iterable[Entry]) -> list[Entry]:
        """Unknown: it would have to fetch them."""
        return []

    def files(self) -> list[tuple[str, int]]:
        """List every sub-folder."""
        return walk(self._list)

    def _list(self, parent: str) -> list[tuple[str, int | None]]:
        """(path, size, or None for a folder) of what lies in one folder."""
        where = posixpath.join(self._path, parent) if parent else self._path
        answer = self._edge.call(self._request, _SERVICE, "GET", params={"path": where})
        with self._edge.translated():
            return [
                (
                    posixpath.join(parent, str(file["path"])),
                    None if file.get("is_dir") else int(file.get("file_size", 0)),
                )
                for file in answer.json().get("files", [])
            ]

    def _url(self, path: str) -> str:
        return f"{_SERVICE}/{quote(self._path)}/{quote(path)}"

    def _request(self, endpoint: str, method: str, **kwargs: Any) -> Any:
        answer = self._edge.once(
            request, self._server, endpoint, method, self._secret, timeout=_SECONDS, **kwargs
        )
        if answer.status_code != 200:
            with answer:
                text = f"HTTP {answer.status_code} for {method} {endpoint}"
                raise self._edge.refusal(answer.status_code, text)
        return answer


def proxied_path(server: str, uri: str) -> str | None:
    """The path behind the server's proxy that an artifact URI means; None if it is no such URI.

    The URI is the server's word: another host would be sent our credentials, so it is refused.

    Raises
    ------
    StoreError
    """
    parts = urlsplit(uri)
    if parts.scheme == "mlflow-artifacts":
        path = parts.path
    elif parts.scheme in ("http", "https"):
        _, found, path = parts.path.partition(_SERVICE)
        if not found:
            raise StoreError(f"{server} names an artifact address of an unknown kind")
    else:
        return None
    if parts.netloc not in ("", urlsplit(server).netloc):
        raise StoreError(
            f"{server} keeps its artifacts at another server, {parts.hostname}",
            "your credentials are not sent there; ask its administrator for --serve-artifacts",
        )
    steps = path.strip("/").split("/")
    if ".." in steps or parts.query or parts.fragment:
        raise StoreError(f"{server} names an artifact address that leaves its folder")
    return "/".join(steps)


class _VerifiedBody:
    """A request body of known length that ends only if its bytes are the promised ones."""

    def __init__(self, source: BinaryIO, entry: Entry) -> None:
        self._source = source
        self._entry = entry
        self.error: Exception | None = None

    def __len__(self) -> int:
        return self._entry.size

    def __iter__(self) -> Iterator[bytes]:
        left, held = self._entry.size, b""
        with Hasher() as hasher:
            while left and (chunk := self._read(min(CHUNK, left))):
                hasher.update(chunk)
                if held:
                    yield held
                left -= len(chunk)
                held = chunk
            found = hasher.digest()
        if left or self._read(1) or found != self._entry.digest:
            self.error = DigestMismatch(
                f"{self._entry.path}: these are not the {self._entry.size} bytes "
                f"{self._entry.digest[:19]}... that the manifest promises",
                "the file changed while it was being published: publish again",
            )
            raise self.error
        if held:
            yield held

    def _read(self, size: int) -> bytes:
        try:
            return self._source.read(size)
        except Exception as exc:
            self.error = exc  # the source's fault: MLflow would report it as the server's
            raise


class _Stream(io.RawIOBase):
    """A response's bytes, with the errors of the network in the catalog's words."""

    def __init__(self, raw: Any, edge: Edge) -> None:
        super().__init__()
        self._raw = raw
        self._edge = edge

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._edge.translated():
            data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

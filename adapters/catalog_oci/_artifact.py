"""A model's artifact: sent as a stream, read in ranges, never held whole."""

from __future__ import annotations

import base64
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from catalog.errors import BadFile, NotFound, StoreError
from catalog_oci._client import Clients
from catalog_oci._edge import BrokenOffError, Edge, TakenError
from catalog_oci._zip import Body, Member, zip_length

_CHUNK = 1 << 20
_TAIL = 1 << 18  # bytes at the end of an artifact that one request brings: directory, small files
_MAX_READ = 1 << 26  # a directory of files larger than this is no model's
_ATTEMPTS = 3

Fetch = Callable[[int, int], Any]  # (start, stop) -> a response that streams these bytes


@dataclass(frozen=True)
class Remote:
    """An artifact that can be read: its size, its last bytes, and how to get others."""

    size: int
    tail: bytes
    fetch: Fetch


def artifact_size(clients: Clients, edge: Edge, model_id: str) -> tuple[int, str]:
    """Size and MD5 (base64, "" if it is not told) of a complete artifact.

    Raises
    ------
    NotFound
        The model has none.
    """
    headers = edge.call(clients.science.head_model_artifact, model_id).headers
    return int(headers.get("content-length") or 0), str(headers.get("content-md5") or "")


def send(clients: Clients, edge: Edge, model_id: str, members: list[Member]) -> None:
    """Upload the artifact of a model that has none, and see that it arrived.

    An answer that was lost is not trusted either way: the service is asked what it has.

    Raises
    ------
    StoreError
        It did not arrive, or another artifact is there already.
    """
    for attempt in range(_ATTEMPTS):
        body = Body(members)
        try:
            edge.call(
                clients.carrier.create_model_artifact,
                model_id,
                body,
                content_length=str(len(body)),
                content_disposition=f"attachment; filename={model_id}.zip",
            )
        except (BrokenOffError, TakenError) as exc:
            if _arrived(clients, edge, model_id, members, ""):
                return
            if attempt == _ATTEMPTS - 1 or isinstance(exc, TakenError):
                raise
        else:
            md5 = base64.b64encode(body.md5).decode()
            if not _arrived(clients, edge, model_id, members, md5):
                raise StoreError(f"{model_id}: the artifact that arrived is not the one sent")
            return


def _arrived(clients: Clients, edge: Edge, model_id: str, members: list[Member], md5: str) -> bool:
    try:
        size, told = artifact_size(clients, edge, model_id)
    except NotFound:
        return False
    return size == zip_length(members) and (not md5 or not told or told == md5)


def ranged(answer: Any) -> Any:
    """The response that streams a range, if it is one.

    Raises
    ------
    StoreError
        The whole was sent instead.
    """
    if answer.status != 206:
        answer.data.close()
        raise StoreError("the service sends artifacts whole where a range was asked for")
    return answer.data


def open_remote(edge: Edge, size: int, fetch: Fetch) -> Remote:
    """Fetch the end of an artifact, once for all its small files."""
    start = max(0, size - _TAIL)
    with edge.translated(), fetch(start, size) as answer:
        tail = answer.raw.read(size - start)
    if len(tail) != size - start:
        raise BrokenOffError("the end of an artifact broke off", "try again")
    return Remote(size, tail, fetch)


def list_members(remote: Remote, edge: Edge) -> list[zipfile.ZipInfo]:
    """What the artifact's directory tells, without reading any file."""
    with (
        edge.translated(),
        io.BufferedReader(_RangeFile(remote, edge), _CHUNK) as file,
        zipfile.ZipFile(file) as archive,
    ):
        return archive.infolist()


@contextmanager
def open_member(remote: Remote, edge: Edge, path: str) -> Iterator[BinaryIO]:
    """One file of the artifact, streamed.

    Raises
    ------
    NotFound
    """
    raw = _RangeFile(remote, edge)
    with io.BufferedReader(raw, _CHUNK) as file:
        with edge.translated():
            archive = zipfile.ZipFile(file)
            try:
                info = archive.getinfo(path)
            except KeyError as exc:
                raise NotFound(f"no file {path} in the artifact") from exc
            after = (i.header_offset for i in archive.infolist())
            raw.bound = min((at for at in after if at > info.header_offset), default=0)
            member = archive.open(info)
        with member:
            yield io.BufferedReader(_Translated(member, edge), _CHUNK)


class _RangeFile(io.RawIOBase):
    """Reads ranges as a file: one request for as long as reading goes straight on."""

    def __init__(self, remote: Remote, edge: Edge) -> None:
        super().__init__()
        self._remote = remote
        self._edge = edge
        self._position = 0
        self._answer: Any = None
        self.bound = 0  # no further than here in one request, while reading before it

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._remote.size}
        position = max(0, base[whence] + offset)
        if position != self._position:
            self._hang_up()
        self._position = position
        return position

    def readinto(self, buffer: Any) -> int:
        if len(buffer) > _MAX_READ:
            raise BadFile("the artifact's directory of files is too large")
        start = self._remote.size - len(self._remote.tail)
        if self._position >= start:
            self._hang_up()
            data = self._remote.tail[self._position - start :][: len(buffer)]
        else:
            data = self._stream(min(len(buffer), start - self._position))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._hang_up()
        super().close()

    def _stream(self, size: int) -> bytes:
        """The next bytes; a connection that breaks off is taken up where it broke."""
        for attempt in range(_ATTEMPTS):
            try:
                with self._edge.translated():
                    if self._answer is None:
                        stop = self._remote.size - len(self._remote.tail)
                        if self._position < self.bound < stop:
                            stop = self.bound
                        self._answer = self._remote.fetch(self._position, stop)
                    data: bytes = self._answer.raw.read(size)
                if data:
                    return data
                raise BrokenOffError("a download broke off", "try again")
            except BrokenOffError:
                self._hang_up()
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError  # pragma: no cover

    def _hang_up(self) -> None:
        if self._answer is not None:
            self._answer.close()
            self._answer = None


class _Translated(io.RawIOBase):
    """A member's bytes, with damage and a broken network in the catalog's words."""

    def __init__(self, file: Any, edge: Edge) -> None:
        super().__init__()
        self._file = file
        self._edge = edge

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with self._edge.translated():
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Tails:
    """The ends of the artifacts read last, so that the files of one version share a request."""

    _MAX = 16

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, Remote] = {}

    def get(self, model_id: str, make: Callable[[], Remote]) -> Remote:
        """The one that is kept, or a new one; artifacts never change."""
        with self._lock:
            known = self._kept.pop(model_id, None)
        remote = known or make()
        with self._lock:
            self._kept[model_id] = remote
            while len(self._kept) > self._MAX:
                self._kept.pop(next(iter(self._kept)))
        return remote

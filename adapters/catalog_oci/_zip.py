"""One zip of plainly stored files, written as a stream of known length.

`zipfile` either seeks back or appends data descriptors, which some readers of stored entries
refuse; sizes and checksums are known here before the first byte (PKWARE APPNOTE 6.3, 4.3 to 4.5).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 1 << 20
_LIMIT = 0xFFFFFFFF  # from here on numbers need 64 bits
_WIDE = 0xFFFFFFFF  # "look into the 64-bit field"
_DATE = (1980 - 1980) << 9 | 1 << 5 | 1  # the first day there is: the same files, the same zip


@dataclass(frozen=True)
class Member:
    """One file: its name, size, CRC-32, and where its bytes are."""

    name: str
    size: int
    crc: int
    source: Path | bytes


def zip_length(members: list[Member]) -> int:
    """Bytes of the whole archive."""
    heads = sum(len(_local(member)) + member.size for member in members)
    return heads + len(_directory(members))


def zip_chunks(members: list[Member]) -> Iterator[bytes]:
    """The archive, a piece at a time."""
    for member in members:
        yield _local(member)
        if isinstance(member.source, bytes):
            yield member.source
            continue
        with member.source.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    yield _directory(members)


class Body:
    """A request's body of known length, hashed while it is read."""

    def __init__(self, members: list[Member]) -> None:
        self._length = zip_length(members)
        self._chunks = zip_chunks(members)
        self._held = b""
        self._md5 = hashlib.md5(usedforsecurity=False)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read(_CHUNK):
            yield data

    def read(self, size: int = -1) -> bytes:
        """Exactly `size` bytes, until the end."""
        pieces, found = [self._held], len(self._held)
        while size < 0 or found < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            pieces.append(chunk)
            found += len(chunk)
        data = b"".join(pieces)
        stop = len(data) if size < 0 else size
        data, self._held = data[:stop], data[stop:]
        self._md5.update(data)
        return data

    @property
    def md5(self) -> bytes:
        """Of all that was read; what the service says of what it received."""
        return self._md5.digest()


def _local(member: Member) -> bytes:
    extra = _extra(member.size, member.size) if member.size >= _LIMIT else b""
    size = _short(member.size)
    name = member.name.encode()
    fields = (45 if extra else 20, 0x800, 0, 0, _DATE, member.crc, size, size, len(name))
    return b"PK\x03\x04" + struct.pack("<HHHHHIIIHH", *fields, len(extra)) + name + extra


def _directory(members: list[Member]) -> bytes:
    entries, offset = [], 0
    for member in members:
        entries.append(_entry(member, offset))
        offset += len(_local(member)) + member.size
    directory = b"".join(entries)
    count, size = len(members), len(directory)
    wide = b""
    if offset >= _LIMIT or count >= 0xFFFF:
        record = struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, size, offset)
        locator = struct.pack("<IQI", 0, offset + size, 1)
        wide = b"PK\x06\x06" + record + b"PK\x06\x07" + locator
    short = (min(count, 0xFFFF),) * 2
    end = struct.pack("<HHHHIIH", 0, 0, *short, size, _short(offset), 0)
    return directory + wide + b"PK\x05\x06" + end


def _entry(member: Member, offset: int) -> bytes:
    large = [value for value in (member.size, member.size, offset) if value >= _LIMIT]
    extra = _extra(*large) if large else b""
    size = _short(member.size)
    name = member.name.encode()
    made = 3 << 8 | 45  # on Unix, so that the permissions below are read
    fields = (made, 45 if extra else 20, 0x800, 0, 0, _DATE, member.crc, size, size, len(name))
    rest = (len(extra), 0, 0, 0, 0o100644 << 16, _short(offset))
    return b"PK\x01\x02" + struct.pack("<HHHHHHIIIHHHHHII", *fields, *rest) + name + extra


def _extra(*values: int) -> bytes:
    return struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values)


def _short(value: int) -> int:
    return _WIDE if value >= _LIMIT else value

"""gRPC on HTTP/2: headers, messages, statuses.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple
from urllib.parse import quote

from catalog.errors import UsageError
from registry_server.errors import TooLarge, TooSlow, Unsupported, quoted
from registry_server.http2.headers import Fields, block
from registry_server.http2.stream import Stream
from registry_server.inference_grpc.wire import Part
from registry_server.tensors import Limits

PREFIX = 5  # bytes before a message: compressed or not, and its length
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_KIND = b"application/grpc"
# What is printable ASCII but '%': anything else of a message is percent-encoded.
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
# The name and the value of `:status: 200` are number 8 of HTTP's own table.
HEAD = b"\x88" + block([(b"content-type", _KIND), (b"grpc-accept-encoding", b"identity")])
OK = block([(b"grpc-status", b"0")])
NOT_GRPC = block([(b":status", b"415")])


class Status(IntEnum):
    """What of gRPC's statuses we answer."""

    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class Asked(NamedTuple):
    """The header of a call.

    method : `/package.Service/Method`
    tokens : every `authorization`, as it came
    seconds : that the client will wait; None is for ever
    coding : of its messages
    """

    method: str
    tokens: tuple[bytes, ...]
    seconds: float | None
    coding: bytes
    is_grpc: bool


def read_header(fields: Fields) -> Asked:
    """Read a header. A timeout that is none is no timeout: the client keeps its own."""
    found = dict(fields)
    timeout = _TIMEOUT.fullmatch(found.get(b"grpc-timeout", b""))
    kind = found.get(b"content-type", b"")
    return Asked(
        method=found[b":path"].decode("ascii", "replace"),
        tokens=tuple(value for name, value in fields if name == b"authorization"),
        seconds=int(timeout[1]) * _UNITS[timeout[2]] if timeout else None,
        coding=found.get(b"grpc-encoding", b"identity"),
        is_grpc=found[b":method"] == b"POST" and (kind == _KIND or kind[:17] == _KIND + b"+"),
    )


def trailers(status: Status, text: str) -> bytes:
    """The header block that ends a call which failed."""
    message = quote(text, safe=_PLAIN).encode("ascii")
    return block([(b"grpc-status", b"%d" % status), (b"grpc-message", message)])


def framed(parts: Sequence[Part]) -> bytes:
    """The message of these parts, with what is before it."""
    return b"".join([b"\0", sum(map(len, parts)).to_bytes(4, "big"), *parts])


async def next_message(
    stream: Stream[Asked], limits: Limits, seconds: float, late: str
) -> bytearray | None:
    """The next message of a call; None at its end.

    late : what to say if it has not come after so many seconds

    Raises
    ------
    CatalogError
    """
    if stream.ended:  # what there is has come
        return await _message(stream, limits)
    try:
        async with asyncio.timeout(seconds):
            return await _message(stream, limits)
    except TimeoutError as exc:
        raise TooSlow(late) from exc


async def _message(stream: Stream[Asked], limits: Limits) -> bytearray | None:
    prefix = await stream.take(PREFIX)
    if not prefix:
        return None
    size = int.from_bytes(prefix[1:], "big")
    if prefix[0]:
        # We bound what arrives, not what it becomes: 1 MB can hold 1 GB of zeros.
        coding = quoted(stream.asked.coding.decode("ascii", "replace"))
        raise Unsupported(f"grpc-encoding {coding}", "send the message uncompressed")
    if size > limits.body:
        raise TooLarge(
            f"a message of {size} bytes, above the limit of {limits.body}",
            "send several smaller requests, or start the server with a larger --max-body-mb",
        )
    message = await stream.take(size)
    if len(prefix) < PREFIX or len(message) < size:
        raise UsageError("the call ended within a message")
    return message

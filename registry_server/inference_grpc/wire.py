"""Protobuf below the messages, so that the bytes of a tensor are never copied into one.

A message is a row of fields: a tag (number << 3 | kind), then the value; kind 2 has its length
before it (https://protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from collections.abc import Iterable

from catalog.errors import UsageError
from registry_server.errors import TooLarge

Part = bytes | memoryview
_FIXED = {1: 8, 5: 4}  # bytes
_VARINT, _BYTES = 0, 2
_MOST = 4096  # fields: what is parsed takes far more memory than two bytes of it on the wire


def split(message: bytes | bytearray, number: int) -> tuple[bytes, list[memoryview]]:
    """Take the byte strings of one field out of a message: the rest of it, and them.

    Raises
    ------
    UsageError
    """
    whole = memoryview(message)
    rest: list[memoryview] = []
    taken: list[memoryview] = []
    wanted = number << 3 | _BYTES
    at = kept = 0
    for _ in range(_MOST):
        if at == len(message):
            rest.append(whole[kept:])
            return b"".join(rest), taken
        start = at
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            at = _varint(message, at)[1]
        elif kind == _BYTES:
            size, at = _varint(message, at)
            at += size
        else:
            at += _FIXED.get(kind) or _broken()
        if at > len(message):
            _broken()
        if tag == wanted:
            rest.append(whole[kept:start])
            taken.append(whole[at - size : at])
            kept = at
    raise TooLarge(f"the message has more than {_MOST} fields, the limit")


def field(number: int, values: Iterable[Part]) -> list[Part]:
    """The parts of a repeated field of bytes."""
    parts: list[Part] = []
    for value in values:
        parts += [_number(number << 3 | _BYTES), _number(len(value)), value]
    return parts


def nested(number: int, parts: list[Part]) -> list[Part]:
    """The parts of a field that is the message of these parts."""
    return [_number(number << 3 | _BYTES), _number(sum(map(len, parts))), *parts]


def _varint(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Seven bits a byte, the lowest first; the last byte is below 128."""
    value = 0
    for i, byte in enumerate(data[at : at + 10]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, at + i + 1
    return _broken(), at


def _number(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*found, value))


def _broken() -> int:
    raise UsageError("the bytes sent are no protobuf message")

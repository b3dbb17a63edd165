"""Frames as bytes, and the two kinds of error: one ends a stream, the other its connection."""

from __future__ import annotations

import struct
from enum import IntEnum

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_SIZE = 9  # bytes: length (3), type, flags, stream
LARGEST = 16384  # bytes of a frame, unless a setting says more
MOST = (1 << 31) - 1  # of a window, and of a stream's number

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9

END_STREAM, ACK, END_HEADERS, PADDED, PRIORITISED = 0x1, 0x1, 0x4, 0x8, 0x20

ENABLE_PUSH, MOST_STREAMS, INITIAL_WINDOW, MAX_FRAME, MAX_HEADER_LIST = 2, 3, 4, 5, 6

_HEAD = struct.Struct(">IBI")  # length and type share four bytes
_SETTING = struct.Struct(">HI")


class Code(IntEnum):
    """Why a stream or a connection ended (RFC 9113, section 7)."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    ENHANCE_YOUR_CALM = 11


class Broken(Exception):
    """The peer broke a rule after which the connection cannot go on."""

    def __init__(self, code: Code, why: str) -> None:
        super().__init__(why)
        self.code, self.why = code, why


class BrokenStream(Exception):
    """The peer broke a rule that concerns one stream only."""

    def __init__(self, code: Code) -> None:
        super().__init__(code.name)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A whole frame."""
    return _HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def frame_head(kind: int, flags: int, stream: int, size: int) -> bytes:
    """What is before a payload of `size` bytes."""
    return _HEAD.pack(size << 8 | kind, flags, stream)


def read_head(data: bytes | bytearray, at: int) -> tuple[int, int, int, int]:
    """(length, type, flags, stream) of the frame that begins there."""
    mixed, flags, stream = _HEAD.unpack_from(data, at)
    return mixed >> 8, mixed & 0xFF, flags, stream & MOST


def number(payload: bytes) -> int:
    """The one number that a payload is.

    Raises
    ------
    Broken
    """
    if len(payload) != 4:
        raise Broken(Code.FRAME_SIZE_ERROR, "expected four bytes")
    return int.from_bytes(payload, "big")


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(*item) for item in values.items()))


def read_settings(payload: bytes) -> list[tuple[int, int]]:
    """What a SETTINGS frame says, in its order.

    Raises
    ------
    Broken
    """
    if len(payload) % _SETTING.size:
        raise Broken(Code.FRAME_SIZE_ERROR, "SETTINGS has half a setting")
    found = list(_SETTING.iter_unpack(payload))
    for key, value in found:
        if key == INITIAL_WINDOW and value > MOST:
            raise Broken(Code.FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE is too large")
        if (key == MAX_FRAME and not LARGEST <= value < 1 << 24) or (
            key == ENABLE_PUSH and value > 1
        ):
            raise Broken(Code.PROTOCOL_ERROR, f"setting {key} cannot be {value}")
    return found


def unpadded(payload: bytes, flags: int) -> bytes:
    """A payload without its padding and its priority.

    Raises
    ------
    Broken
    """
    skipped = padding = 0
    if flags & PADDED:
        skipped, padding = 1, payload[0] if payload else len(payload)
    if flags & PRIORITISED:
        skipped += 5
    if skipped + padding > len(payload):
        raise Broken(Code.PROTOCOL_ERROR, "more padding than payload")
    return payload[skipped : len(payload) - padding]

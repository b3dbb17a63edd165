"""The other side of a connection, frame by frame."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from hpack import Decoder, Encoder

from registry_server.http2 import frames
from registry_server.http2.frames import PREFACE, Code, frame

HELLO = PREFACE + frames.settings({})
LAST = frames.END_HEADERS | frames.END_STREAM


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def code(self) -> Code:
        """Why, of RST_STREAM and GOAWAY."""
        at = 4 if self.kind == frames.GOAWAY else 0
        return Code(int.from_bytes(self.payload[at : at + 4], "big"))


def header(path: str, *more: tuple[str, str], **pseudo: str) -> list[tuple[str, str]]:
    first = {"method": "POST", "scheme": "http", "path": path, **pseudo}
    return [(f":{name}", value) for name, value in first.items()] + list(more)


def block(path: str, *more: tuple[str, str]) -> bytes:
    """A header that no table is needed for."""
    return Encoder().encode([(name, value, True) for name, value in header(path, *more)])


def request(number: int, path: str, body: bytes = b"") -> bytes:
    """A whole request; its body fits a frame."""
    if not body:
        return frame(frames.HEADERS, LAST, number, block(path))
    return frame(frames.HEADERS, frames.END_HEADERS, number, block(path)) + frame(
        frames.DATA, frames.END_STREAM, number, body
    )


def window(number: int, size: int) -> bytes:
    return frame(frames.WINDOW_UPDATE, 0, number, struct.pack(">I", size))


class Peer:
    """A connection that has said hello."""

    def __init__(self, address: tuple[str, int], hello: bytes = HELLO) -> None:
        self.line = socket.create_connection(address, timeout=20)
        self.decoder = Decoder()
        self.data = b""
        self.ended: set[int] = set()
        self.send(hello)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.line.close()

    def send(self, *data: bytes) -> None:
        self.line.sendall(b"".join(data))

    def frames(self) -> Iterator[Frame]:
        """What comes, until the other side closes."""
        while True:
            while len(self.data) >= 9:
                size, kind, flags, stream = frames.read_head(self.data, 0)
                if len(self.data) < 9 + size:
                    break
                payload, self.data = self.data[9 : 9 + size], self.data[9 + size :]
                yield Frame(kind, flags, stream, payload)
            try:
                piece = self.line.recv(65536)
            except ConnectionResetError:
                return
            if not piece:
                return
            self.data += piece

    def answers(self, count: int) -> dict[int, bytes]:
        """The bodies of the next `count` answers; a reset stream is its code's name.

        What comes for a stream that has ended, such as the reset of an upload that an answer made
        needless, is no other answer.
        """
        bodies: dict[int, bytes] = {}
        ended = len(self.ended)
        for it in self.frames():
            if it.kind == frames.HEADERS:
                self.decoder.decode(it.payload)
            if it.kind == frames.DATA:
                bodies[it.stream] = bodies.get(it.stream, b"") + it.payload
            if it.kind == frames.RST_STREAM and it.stream not in self.ended:
                bodies[it.stream] = it.code.name.encode()
                self.ended.add(it.stream)
            if it.kind in (frames.DATA, frames.HEADERS) and it.flags & frames.END_STREAM:
                bodies.setdefault(it.stream, b"")
                self.ended.add(it.stream)
            if it.kind == frames.GOAWAY:
                raise AssertionError(it)
            if len(self.ended) == ended + count:
                return bodies
        raise AssertionError(f"closed after {sorted(self.ended)}")

    def end(self) -> Code:
        """Why the other side ends the connection; it must close after saying so."""
        said = [it for it in self.frames() if it.kind == frames.GOAWAY]
        assert len(said) == 1
        return said[0].code

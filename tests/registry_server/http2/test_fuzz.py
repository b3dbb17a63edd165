"""Conversations with damage: the server stays, holds nothing afterwards, and says why it left."""

from __future__ import annotations

import random
import resource
import socket
import struct

import pytest
from echo import Echo
from peer import HELLO, Peer, block, request, window

from registry_server.http2 import frames
from registry_server.http2.frames import Code, frame

TALK = [
    frame(frames.HEADERS, frames.END_HEADERS, 1, block("/echo")),
    frame(frames.DATA, 0, 1, b"a" * 300),
    window(0, 70_000),
    frame(frames.DATA, frames.END_STREAM, 1, b"b" * 20),
    request(3, "/bytes/100000"),
    frames.settings({frames.INITIAL_WINDOW: 100, frames.MAX_FRAME: 20_000}),
    request(5, "/wait"),
    frame(frames.PING, 0, 0, bytes(8)),
    frame(frames.RST_STREAM, 0, 5, bytes(4)),
    frame(frames.HEADERS, 0, 7, block("/echo")[:7]),
    frame(frames.CONTINUATION, frames.END_HEADERS, 7, block("/echo")[7:]),
    frame(frames.PRIORITY, 0, 7, bytes(5)),
    frame(frames.DATA, frames.END_STREAM | frames.PADDED, 7, b"\x03abc\0\0\0"),
    request(9, "/echo", b"x" * 16_000),
]


def any_frame(chance: random.Random) -> bytes:
    payload = chance.randbytes(chance.choice([0, 1, 4, 5, 8, 40, 16_384]))
    stream = chance.choice([0, 1, 2, 3, 5, 7, 9, 11, 1 << 30, (1 << 32) - 1])
    size = chance.choice([len(payload)] * 4 + [0, 3, 20_000, (1 << 24) - 1])
    head = struct.pack(">IBI", size << 8 | chance.randrange(12), chance.randrange(256), stream)
    return head + payload


def damaged(chance: random.Random) -> bytes:
    talk = list(TALK)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(talk))
        how = chance.randrange(7)
        if how == 0:
            talk.insert(at, any_frame(chance))
        elif how == 1:
            talk[at:at] = [talk[chance.randrange(len(talk))]] * chance.choice([1, 2, 3000])
        elif how == 2 and len(talk) > 1:
            del talk[at]
        elif how == 3:
            chance.shuffle(talk)
        elif how == 4:
            talk[at] = talk[at][: chance.randrange(len(talk[at]) + 1)]
        else:
            changed = bytearray(talk[at] or b"\0")
            for _ in range(chance.randint(1, 3)):
                changed[chance.randrange(min(len(changed), 40))] = chance.randrange(256)
            talk[at] = bytes(changed)
    hello = HELLO if chance.random() < 0.95 else HELLO[: chance.randrange(len(HELLO))]
    return hello + b"".join(talk)


def last_words(echo: Echo, data: bytes) -> Code | None:
    """What the server says at the end of a conversation that we end too."""
    with Peer(echo.address, b"") as peer:
        try:
            peer.send(data)
            peer.line.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has closed while we were still sending
        try:
            said = [it.code for it in peer.frames() if it.kind == frames.GOAWAY]
        except ConnectionError:
            said = []
    assert len(said) <= 1
    return said[0] if said else None


@pytest.mark.parametrize("seed", range(8))
def test_damaged_conversations_harm_nobody(echo: Echo, seed: int) -> None:
    """Eight hundred in all. The fixture sees that nothing is left running, open or held."""
    chance = random.Random(seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = set()
    for _ in range(100):
        found.add(last_words(echo, damaged(chance)))
    assert Code.INTERNAL_ERROR not in found
    assert {Code.PROTOCOL_ERROR, Code.FRAME_SIZE_ERROR} <= found
    with Peer(echo.address) as peer:
        peer.send(request(1, "/echo", b"alive"))
        assert peer.answers(1) == {1: b"alive"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10  # kB


def test_random_bytes_after_hello_harm_nobody(echo: Echo) -> None:
    chance = random.Random(1)
    for _ in range(100):
        assert last_words(echo, HELLO + chance.randbytes(500)) is not Code.INTERNAL_ERROR
    with Peer(echo.address) as peer:
        peer.send(request(1, "/echo", b"alive"))
        assert peer.answers(1) == {1: b"alive"}

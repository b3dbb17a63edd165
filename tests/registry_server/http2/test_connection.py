"""Flow control, cancellation, and the end of streams and connections."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

import pytest
from echo import WAITING, Echo
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from peer import HELLO, LAST, PREFACE, Peer, block, request, window

from registry_server.http2 import connection, frames, stream
from registry_server.http2.frames import Code, frame


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def split(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def test_many_streams_of_one_connection_are_answered(echo: Echo) -> None:
    with Peer(echo.address) as peer:
        peer.send(*(request(1 + 2 * i, "/echo", bytes([i])) for i in range(16)))
        assert peer.answers(16) == {1 + 2 * i: bytes([i]) for i in range(16)}


@pytest.mark.parametrize("size", [1, 7, 64])
def test_frames_may_come_in_pieces(echo: Echo, size: int) -> None:
    with Peer(echo.address, b"") as peer:
        for piece in split(HELLO + request(1, "/echo", b"abc") + request(3, "/echo"), size):
            peer.send(piece)
        assert peer.answers(2) == {1: b"abc", 3: b""}


def test_a_header_may_come_in_several_frames_with_padding_and_priority(echo: Echo) -> None:
    data = block("/echo", ("x", "y" * 50))
    first = b"\x04" + b"\0\0\0\0\x10" + data[:9] + bytes(4)
    flags = frames.PADDED | frames.PRIORITISED
    with Peer(echo.address) as peer:
        peer.send(
            frame(frames.HEADERS, flags, 1, first),
            frame(frames.CONTINUATION, 0, 1, data[9:20]),
            frame(frames.CONTINUATION, frames.END_HEADERS, 1, data[20:]),
            frame(frames.DATA, frames.PADDED | frames.END_STREAM, 1, b"\x02abc\0\0"),
        )
        assert peer.answers(1) == {1: b"abc"}


def test_fields_after_a_body_end_it(echo: Echo) -> None:
    with Peer(echo.address) as peer:
        peer.send(
            frame(frames.HEADERS, frames.END_HEADERS, 1, block("/echo")),
            frame(frames.DATA, 0, 1, b"abc"),
            frame(frames.HEADERS, LAST, 1, b"\0\x01x\x01y"),
        )
        assert peer.answers(1) == {1: b"abc"}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    initial=st.integers(0, 1000), size=st.integers(0, 200_000), steps=st.integers(1, 60_000),
    later=st.integers(0, 70_000),
)  # fmt: skip
def test_an_answer_never_overruns_a_window_and_always_arrives(
    echo: Echo, initial: int, size: int, steps: int, later: int
) -> None:
    """The stream's window begins small, grows by a setting, then by steps; so does the other."""
    with Peer(echo.address, PREFACE + frames.settings({frames.INITIAL_WINDOW: initial})) as peer:
        peer.send(request(1, f"/bytes/{size}"))
        peer.send(frames.settings({frames.INITIAL_WINDOW: later}))
        of_stream, of_all, got = later, 65535, 0
        for it in peer.frames():
            if it.kind == frames.DATA:
                got += len(it.payload)
                assert len(it.payload) <= frames.LARGEST
                assert got <= max(of_stream, initial)
                assert got <= of_all
            if it.flags & frames.END_STREAM and it.kind in (frames.DATA, frames.HEADERS):
                break
            while got < size and got >= min(of_stream, of_all):
                grown = max(steps, 5000)
                if got >= of_stream:
                    peer.send(window(1, got - of_stream + grown))
                    of_stream = got + grown
                if got == of_all:
                    peer.send(window(0, grown))
                    of_all += grown
            if it.kind == frames.SETTINGS and it.flags & frames.ACK and not got and not later:
                peer.send(window(1, 5000))
                of_stream += 5000
        assert got == size


def test_the_windows_of_a_peer_are_refilled_for_as_long_as_it_sends(echo: Echo) -> None:
    """Four times what one connection may have on its way."""
    body = b"\1" * frames.LARGEST
    with Peer(echo.address) as peer:
        of_stream, of_all = stream.ROOM, connection._ROOM
        coming = peer.frames()
        for number in range(1, 9, 2):
            of_stream, left = stream.ROOM, 4 << 20
            peer.send(frame(frames.HEADERS, frames.END_HEADERS, number, block("/echo")))
            while left:
                while left and min(of_stream, of_all) >= len(body):
                    left -= len(body)
                    of_stream -= len(body)
                    of_all -= len(body)
                    flags = 0 if left else frames.END_STREAM
                    peer.send(frame(frames.DATA, flags, number, body))
                if not left:
                    break
                it = next(coming)
                if it.kind == frames.WINDOW_UPDATE:
                    more = int.from_bytes(it.payload, "big")
                    of_stream += more if it.stream == number else 0
                    of_all += more if it.stream == 0 else 0
            peer.send(frame(frames.RST_STREAM, 0, number, bytes(4)))
            until(lambda: echo.held == 0)


def test_who_sends_more_than_its_window_is_stopped(echo: Echo) -> None:
    piece = frame(frames.DATA, 0, 1, bytes(frames.LARGEST))
    with Peer(echo.address) as peer:
        peer.send(frame(frames.HEADERS, frames.END_HEADERS, 1, block("/wait")))
        peer.send(*[piece] * (stream.ROOM // frames.LARGEST + 1))
        assert peer.answers(1) == {1: b"FLOW_CONTROL_ERROR"}
        until(lambda: echo.running == 0)
        peer.send(request(3, "/echo", b"on"))
        assert peer.answers(1) == {3: b"on"}


def test_bytes_of_all_connections_together_are_bounded(echo: Echo) -> None:
    ahead = [frame(frames.DATA, 0, 1, bytes(frames.LARGEST))] * (stream.ROOM // frames.LARGEST)
    peers = [Peer(echo.address) for _ in range(WAITING // stream.ROOM)]
    try:
        for peer in peers:
            peer.send(frame(frames.HEADERS, frames.END_HEADERS, 1, block("/wait")), *ahead)
        until(lambda: echo.held == WAITING)
        with Peer(echo.address) as late:
            late.send(request(1, "/echo", b"one byte more"))
            assert late.answers(1) == {1: b"INTERNAL_ERROR"}  # what Echo makes of the refusal
            late.send(request(3, "/bytes/70000"))
            assert late.answers(1) == {3: b"INTERNAL_ERROR"}  # nor what it has to keep
    finally:
        for peer in peers:
            peer.line.close()
    until(lambda: echo.held == 0)


def test_a_stream_that_is_reset_stops_what_runs(echo: Echo) -> None:
    with Peer(echo.address) as peer:
        peer.send(request(1, "/wait"))
        until(lambda: echo.running == 1)
        peer.send(frame(frames.RST_STREAM, 0, 1, bytes(4)))
        until(lambda: echo.running == 0)
        peer.send(frame(frames.DATA, 0, 1, b"was on its way"), request(3, "/echo", b"on"))
        assert peer.answers(1) == {3: b"on"}


def test_a_connection_that_is_lost_stops_what_runs(echo: Echo) -> None:
    with Peer(echo.address) as peer:
        peer.send(*(request(1 + 2 * i, "/wait") for i in range(16)))
        until(lambda: echo.running == 16)
    until(lambda: echo.running == 0)


def test_a_failure_ends_its_stream_and_no_other(echo: Echo, caplog) -> None:
    with Peer(echo.address) as peer:
        peer.send(request(1, "/fail"), request(3, "/echo", b"on"))
        assert peer.answers(2) == {1: b"INTERNAL_ERROR", 3: b"on"}
    assert "on purpose" in caplog.text


def test_one_stream_too_many_is_refused_and_may_be_asked_again(echo: Echo) -> None:
    with Peer(echo.address) as peer:
        peer.send(*(request(1 + 2 * i, "/wait") for i in range(17)))
        assert peer.answers(1) == {33: b"REFUSED_STREAM"}
        peer.send(frame(frames.RST_STREAM, 0, 1, bytes(4)))
        until(lambda: echo.running == 15)
        peer.send(request(35, "/echo", b"on"))
        assert peer.answers(1) == {35: b"on"}


def test_pings_and_settings_are_acknowledged(echo: Echo) -> None:
    with Peer(echo.address) as peer:
        peer.send(frame(frames.PING, 0, 0, b"12345678"), frame(77, 0, 5, b"of no known type"))
        seen = []
        for it in peer.frames():
            seen.append(it)
            if it.kind == frames.PING:
                break
        assert seen[-1][1:] == (frames.ACK, 0, b"12345678")
        assert any(it.kind == frames.SETTINGS and it.flags & frames.ACK for it in seen)
        greeting = dict(frames.read_settings(seen[0].payload))
        assert greeting[frames.MOST_STREAMS] == 16


def test_idle_connections_are_told_to_go(echo: Echo, monkeypatch) -> None:
    monkeypatch.setattr(connection, "_PATIENCE", 0.2)
    monkeypatch.setattr(connection, "_LOOK", 0.05)
    with Peer(echo.address) as peer, Peer(echo.address, b"PRI") as silent:
        assert peer.end() is Code.NO_ERROR
        assert silent.end() is Code.NO_ERROR


def test_who_does_not_read_is_given_up(echo: Echo, monkeypatch) -> None:
    monkeypatch.setattr(connection, "_PATIENCE", 0.3)
    monkeypatch.setattr(connection, "_LOOK", 0.05)
    wide = PREFACE + frames.settings({frames.INITIAL_WINDOW: frames.MOST}) + window(0, 1 << 30)
    with Peer(echo.address, HELLO) as shut, Peer(echo.address, wide) as deaf:
        shut.send(request(1, "/bytes/70000"))  # its window is never opened
        deaf.send(request(1, "/bytes/8000000"))  # its window is open, but it does not read
        until(lambda: not echo.others)


def test_a_crowd_makes_the_longest_idle_leave(echo: Echo) -> None:
    peers = [Peer(echo.address) for _ in range(64)]
    try:
        for peer in peers[1:]:
            peer.send(request(1, "/wait"))
        until(lambda: echo.running == 63)
        with Peer(echo.address) as late:
            late.send(request(1, "/echo", b"in"))
            assert late.answers(1) == {1: b"in"}
        assert len(list(peers[0].frames())) <= 3  # a greeting, no more, and the end
    finally:
        for peer in peers:
            peer.line.close()


BROKEN: dict[str, tuple[bytes, Code]] = {
    "no preface": (b"GET / HTTP/1.1\r\n\r\n", Code.PROTOCOL_ERROR),
    "no settings": (PREFACE + request(1, "/echo"), Code.PROTOCOL_ERROR),
    "settings of a stream": (PREFACE + frame(frames.SETTINGS, 0, 1), Code.PROTOCOL_ERROR),
    "half a setting": (PREFACE + frame(frames.SETTINGS, 0, 0, b"abc"), Code.FRAME_SIZE_ERROR),
    "a window setting too large": (
        PREFACE + frames.settings({frames.INITIAL_WINDOW: 1 << 31}), Code.FLOW_CONTROL_ERROR
    ),
    "a frame setting too small": (
        PREFACE + frames.settings({frames.MAX_FRAME: 100}), Code.PROTOCOL_ERROR
    ),
    "an acknowledgement with content": (
        HELLO + frame(frames.SETTINGS, frames.ACK, 0, bytes(6)), Code.FRAME_SIZE_ERROR
    ),
    "a frame too large": (HELLO + b"\x00\x40\x01" + bytes(6), Code.FRAME_SIZE_ERROR),
    "an even stream": (HELLO + request(2, "/echo"), Code.PROTOCOL_ERROR),
    "stream 0": (HELLO + request(0, "/echo"), Code.PROTOCOL_ERROR),
    "data of no stream": (HELLO + frame(frames.DATA, 0, 5, b"x"), Code.PROTOCOL_ERROR),
    "reset of no stream": (HELLO + frame(frames.RST_STREAM, 0, 5, bytes(4)), Code.PROTOCOL_ERROR),
    "a window of no stream": (HELLO + window(5, 1), Code.PROTOCOL_ERROR),
    "half a reset": (HELLO + frame(frames.RST_STREAM, 0, 1, b"ab"), Code.FRAME_SIZE_ERROR),
    "a promise": (HELLO + frame(frames.PUSH_PROMISE, 4, 1, bytes(4)), Code.PROTOCOL_ERROR),
    "a short ping": (HELLO + frame(frames.PING, 0, 0, b"1"), Code.FRAME_SIZE_ERROR),
    "a ping of a stream": (HELLO + frame(frames.PING, 0, 1, bytes(8)), Code.PROTOCOL_ERROR),
    "a window that grows by nothing": (HELLO + window(0, 0), Code.PROTOCOL_ERROR),
    "a window beyond all": (HELLO + window(0, frames.MOST), Code.FLOW_CONTROL_ERROR),
    "more padding than payload": (
        HELLO + frame(frames.HEADERS, 0xD, 1, b"\xff" + block("/echo")), Code.PROTOCOL_ERROR
    ),
    "a header that is not completed": (
        HELLO + frame(frames.HEADERS, 0, 1, b"\x88") + frame(frames.PING, 0, 0, bytes(8)),
        Code.PROTOCOL_ERROR,
    ),
    "a continuation of nothing": (
        HELLO + frame(frames.CONTINUATION, 4, 1, b"\x88"), Code.PROTOCOL_ERROR
    ),
    "a header that is no header": (
        HELLO + frame(frames.HEADERS, LAST, 1, b"\xff\xff\xff\xff\xff\x7f"), Code.COMPRESSION_ERROR
    ),
    "priority of nothing": (HELLO + frame(frames.PRIORITY, 0, 0, bytes(5)), Code.PROTOCOL_ERROR),
    "continuations without end": (
        HELLO + frame(frames.HEADERS, 0, 1, b"") + frame(frames.CONTINUATION, 0, 1) * 100,
        Code.ENHANCE_YOUR_CALM,
    ),
    "a header without end": (
        HELLO + frame(frames.HEADERS, 0, 1, bytes(16000)) +
        frame(frames.CONTINUATION, 0, 1, bytes(16000)),
        Code.ENHANCE_YOUR_CALM,
    ),
    "pings": (HELLO + frame(frames.PING, 0, 0, bytes(8)) * 3000, Code.ENHANCE_YOUR_CALM),
    "settings": (HELLO + frames.settings({4: 65535}) * 3000, Code.ENHANCE_YOUR_CALM),
    "windows": (HELLO + window(0, 1) * 3000, Code.ENHANCE_YOUR_CALM),
    "priorities": (
        HELLO + frame(frames.PRIORITY, 0, 1, bytes(5)) * 3000, Code.ENHANCE_YOUR_CALM
    ),
    "empty data": (
        HELLO + frame(frames.HEADERS, 4, 1, block("/wait")) + frame(frames.DATA, 0, 1) * 3000,
        Code.ENHANCE_YOUR_CALM,
    ),
    "frames of no known type": (HELLO + frame(99, 0, 0, b"x") * 3000, Code.ENHANCE_YOUR_CALM),
    "requests that are reset at once": (
        HELLO + b"".join(
            request(1 + 2 * i, "/wait") + frame(frames.RST_STREAM, 0, 1 + 2 * i, bytes(4))
            for i in range(3000)
        ),
        Code.ENHANCE_YOUR_CALM,
    ),
    "requests that are no requests": (
        HELLO + b"".join(frame(frames.HEADERS, LAST, 1 + 2 * i, b"\x84") for i in range(3000)),
        Code.ENHANCE_YOUR_CALM,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_ends_the_connection_with_its_name(echo: Echo, case: str) -> None:
    data, code = BROKEN[case]
    with Peer(echo.address, data) as peer:
        assert peer.end() is code
    with Peer(echo.address) as peer:
        peer.send(request(1, "/echo", b"alive"))
        assert peer.answers(1) == {1: b"alive"}


STREAM_RULES: dict[str, tuple[bytes, Code]] = {
    "a header that is no request": (
        frame(frames.HEADERS, LAST, 1, b"\x84"), Code.PROTOCOL_ERROR
    ),
    "a window that grows by nothing": (request(1, "/wait") + window(1, 0), Code.PROTOCOL_ERROR),
    "a window beyond all": (
        request(1, "/wait") + window(1, frames.MOST), Code.FLOW_CONTROL_ERROR
    ),
    "data after the end": (
        request(1, "/wait") + frame(frames.DATA, 0, 1, b"x"), Code.STREAM_CLOSED
    ),
    "a header after the end": (
        request(1, "/wait") + frame(frames.HEADERS, LAST, 1, block("/x")), Code.STREAM_CLOSED
    ),
    "a second header that ends nothing": (
        frame(frames.HEADERS, 4, 1, block("/wait")) + frame(frames.HEADERS, 4, 1, block("/x")),
        Code.PROTOCOL_ERROR,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STREAM_RULES)
def test_a_broken_rule_of_a_stream_ends_that_stream(echo: Echo, case: str) -> None:
    data, code = STREAM_RULES[case]
    with Peer(echo.address) as peer:
        peer.send(data, request(3, "/echo", b"on"))
        assert peer.answers(2) == {1: code.name.encode(), 3: b"on"}


def test_a_window_that_a_setting_makes_too_large_ends_the_connection(echo: Echo) -> None:
    with Peer(echo.address) as peer:
        peer.send(request(1, "/wait"), window(1, frames.MOST - 65535))
        peer.send(struct.pack(">IBIHI", 6 << 8 | frames.SETTINGS, 0, 0, 4, 65536))
        assert peer.end() is Code.FLOW_CONTROL_ERROR

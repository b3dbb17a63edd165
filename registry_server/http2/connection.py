"""One HTTP/2 connection: frames to streams and back, within bounds (RFC 9113).

A peer may be anybody, and anything that costs us more than it costs the peer is bounded: what it
may send ahead, how many streams run, how long a header is, how many frames it sends that ask for
nothing, how long it says nothing or reads too little.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any, Generic, TypeVar

from registry_server.http2 import frames
from registry_server.http2.frames import Broken, BrokenStream, Code, frame
from registry_server.http2.headers import MOST_BLOCK, MOST_LIST, Heads
from registry_server.http2.outgoing import Outgoing
from registry_server.http2.service import Service
from registry_server.http2.stream import ROOM, Stream

T = TypeVar("T")
_log = logging.getLogger(__name__)
_ROOM = 4 << 20  # bytes that a peer may send before we say that they came
_NOISE = 2000  # frames that ask for nothing, in _LOOK seconds, beyond four for every answer
_PIECES = 16  # CONTINUATION frames of one header
_PATIENCE = 60.0  # seconds without a call, or in which too little is read
_LOOK = 5.0  # seconds between two looks at a connection
_LINGER = 2.0  # seconds for a peer that broke a rule to read why


class Connection(asyncio.Protocol, Generic[T]):
    """One connection of those in `others`, which it joins and leaves by itself."""

    def __init__(self, service: Service[T], others: set[Connection[T]], most: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.meter, self.peer = service.meter, ""
        self._service, self._others, self._most = service, others, most
        self._heads = Heads(service.read)
        self._streams: dict[int, Stream[T]] = {}
        self._rest: bytes | bytearray = b""
        self._block: tuple[int, int, bytearray] | None = None  # a header that is not complete
        self._greeted = self._settled = self._leaving = self._ended = False
        self._last = self._pieces = self._noise = self._sent_before = 0
        self._room, self._since = _ROOM, self.loop.time()

    @property
    def idle_since(self) -> float | None:
        """When its last call ended, in seconds of the loop; None while one is answered."""
        return None if self._streams else self._since

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Greet; where there are too many, the longest idle one leaves."""
        self._transport, self.out = transport, Outgoing(self.loop, transport)
        self._timer = self.loop.call_later(_LOOK, self._look)
        self.peer = str((transport.get_extra_info("peername") or ("?",))[0])
        secure = transport.get_extra_info("ssl_object")
        if secure is not None and secure.selected_alpn_protocol() != "h2":
            transport.abort()  # RFC 9113, section 3.2: no HTTP/2 was agreed on
            return
        if len(self._others) >= self._most:
            idle = [it for it in self._others if it.idle_since is not None]
            (min(idle, key=lambda it: it.idle_since or 0.0) if idle else self).abort()
        self._others.add(self)
        greeting = {
            frames.MOST_STREAMS: self._service.most_streams,
            frames.INITIAL_WINDOW: ROOM,
            frames.MAX_HEADER_LIST: MOST_LIST,
        }
        self.out.put(frames.settings(greeting))
        self.let_send(0, _ROOM - 65535)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits for the answers any more."""
        self._ended = True
        self._timer.cancel()
        self._others.discard(self)
        self._cancel_all()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def leave(self) -> None:
        """Take no more requests; close once those that run are answered."""
        if self._leaving or self._ended:
            return
        self._leaving = True
        self._go_away(Code.NO_ERROR, "")
        self._close_if_done()

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        if self._ended:
            return
        whole = self._rest + data if self._rest else data
        try:
            used = self._read(whole)
        except Broken as exc:
            self._break(exc.code, exc.why)
        except Exception:  # noqa: BLE001  the boundary: what a peer sends never ends the server
            _log.exception("a connection of %s", self.peer)
            self._break(Code.INTERNAL_ERROR, "")
        else:
            self._rest = whole[used:]

    # ---- what comes

    def _read(self, data: bytes | bytearray) -> int:
        """Take every whole frame; how many bytes those were."""
        at = 0
        if not self._greeted:
            size = len(frames.PREFACE)
            if data[:size] != frames.PREFACE[: len(data)]:
                raise Broken(Code.PROTOCOL_ERROR, "this is no HTTP/2")
            if len(data) < size:
                return 0
            self._greeted, at = True, size
        while len(data) - at >= frames.HEAD_SIZE:
            length, kind, flags, number = frames.read_head(data, at)
            if length > frames.LARGEST:
                raise Broken(Code.FRAME_SIZE_ERROR, "the frame is too large")
            start = at + frames.HEAD_SIZE
            if start + length > len(data):
                break
            at = start + length
            if not self._settled and kind != frames.SETTINGS:
                raise Broken(Code.PROTOCOL_ERROR, "SETTINGS come first")
            if self._block is not None and kind != frames.CONTINUATION:
                raise Broken(Code.PROTOCOL_ERROR, "a header was not completed")
            take = _TAKES.get(kind)
            if take is None:
                self._useless()
            else:
                take(self, flags, number, data[start:at])
        return at

    def _data(self, flags: int, number: int, payload: bytes) -> None:
        size = len(payload)
        self._room -= size
        if self._room < 0:
            raise Broken(Code.FLOW_CONTROL_ERROR, "more bytes than the connection's window")
        if self._room < _ROOM // 2:
            self.let_send(0, _ROOM - self._room)
            self._room = _ROOM
        if flags & frames.PADDED:
            payload = frames.unpadded(payload, frames.PADDED)
        stream = self._known(number)
        ended = bool(flags & frames.END_STREAM)
        if not payload and not ended:
            self._useless()
        if stream is None:
            self._useless()  # was on its way when we ended the stream
        elif stream.ended:
            self._reset(stream, Code.STREAM_CLOSED)
        elif not stream.receive(payload, size, ended):
            self._reset(stream, Code.FLOW_CONTROL_ERROR)

    def _headers(self, flags: int, number: int, payload: bytes) -> None:
        if not number & 1:
            raise Broken(Code.PROTOCOL_ERROR, "a stream of a client has an odd number")
        payload = frames.unpadded(payload, flags)
        if flags & frames.END_HEADERS:
            self._request(flags, number, bytes(payload))
        else:
            self._block, self._pieces = (flags, number, bytearray(payload)), 0

    def _continuation(self, flags: int, number: int, payload: bytes) -> None:
        if self._block is None or self._block[1] != number:
            raise Broken(Code.PROTOCOL_ERROR, "CONTINUATION of nothing")
        first, _, block = self._block
        block += payload
        self._pieces += 1
        if self._pieces > _PIECES or len(block) > MOST_BLOCK:
            raise Broken(Code.ENHANCE_YOUR_CALM, "the header is too long")
        if flags & frames.END_HEADERS:
            self._block = None
            self._request(first, number, bytes(block))

    def _request(self, flags: int, number: int, block: bytes) -> None:
        ended = bool(flags & frames.END_STREAM)
        if number <= self._last or self._leaving:
            self._heads.skip(block)
            stream = self._known(number) if number <= self._last else None
            if stream is None:
                self._useless()
            elif stream.ended or not ended:
                self._reset(stream, Code.STREAM_CLOSED if stream.ended else Code.PROTOCOL_ERROR)
            else:
                stream.receive(b"", 0, True)
            return
        self._last = number
        try:
            asked = self._heads.request(block)
        except BrokenStream as exc:
            self._refuse(number, exc.code)
            return
        if len(self._streams) >= self._service.most_streams:
            self._refuse(number, Code.REFUSED_STREAM)
            return
        stream = self._streams[number] = Stream(self, number, asked, self.out.initial)
        stream.ended = ended
        stream.task = self.loop.create_task(self._service.serve(stream))
        stream.task.add_done_callback(partial(self._served, stream))

    def _rst_stream(self, flags: int, number: int, payload: bytes) -> None:
        frames.number(payload)
        stream = self._known(number)
        self._useless()
        if stream is not None:
            self._give_up(stream)

    def _settings(self, flags: int, number: int, payload: bytes) -> None:
        self._of_connection(number)
        self._useless()
        if flags & frames.ACK:
            if payload:
                raise Broken(Code.FRAME_SIZE_ERROR, "an acknowledgement says nothing")
            return
        for key, value in frames.read_settings(payload):
            if key == frames.INITIAL_WINDOW:
                for stream in self._streams.values():
                    stream.window += value - self.out.initial
                    if stream.window > frames.MOST:
                        raise Broken(Code.FLOW_CONTROL_ERROR, "a window is too large")
                self.out.initial = value
            elif key == frames.MAX_FRAME:
                self.out.resized(value)
        self._settled = True
        self.out.put(frame(frames.SETTINGS, frames.ACK, 0))

    def _ping(self, flags: int, number: int, payload: bytes) -> None:
        self._of_connection(number)
        self._useless()
        if len(payload) != 8:
            raise Broken(Code.FRAME_SIZE_ERROR, "a PING has eight bytes")
        if not flags & frames.ACK:
            self.out.put(frame(frames.PING, frames.ACK, 0, payload))

    def _window_update(self, flags: int, number: int, payload: bytes) -> None:
        more = frames.number(payload) & frames.MOST
        self._useless()
        if number == 0:
            self.out.window += more
            if not more or self.out.window > frames.MOST:
                code = Code.FLOW_CONTROL_ERROR if more else Code.PROTOCOL_ERROR
                raise Broken(code, "a window grows by 1 to 2147483647, in all")
        elif stream := self._known(number):
            stream.window += more
            if not more or stream.window > frames.MOST:
                self._reset(stream, Code.FLOW_CONTROL_ERROR if more else Code.PROTOCOL_ERROR)
        self.out.flush_soon()

    def _priority(self, flags: int, number: int, payload: bytes) -> None:
        if not number or len(payload) != 5:
            code = Code.FRAME_SIZE_ERROR if number else Code.PROTOCOL_ERROR
            raise Broken(code, "no PRIORITY of a stream")
        self._useless()

    def _push_promise(self, flags: int, number: int, payload: bytes) -> None:
        raise Broken(Code.PROTOCOL_ERROR, "a client promises nothing")

    def _goaway(self, flags: int, number: int, payload: bytes) -> None:
        self._of_connection(number)
        self._useless()  # it will close, or be idle

    def _known(self, number: int) -> Stream[T] | None:
        """The stream of that number; None if it is over."""
        if not number & 1 or number > self._last:
            raise Broken(Code.PROTOCOL_ERROR, "no such stream yet")
        stream = self._streams.get(number)
        return None if stream is None or stream.gone else stream

    def _of_connection(self, number: int) -> None:
        if number:
            raise Broken(Code.PROTOCOL_ERROR, "this is of no stream")

    def _useless(self) -> None:
        self._noise += 1
        if self._noise > _NOISE + 4 * (self.out.sent - self._sent_before):
            raise Broken(Code.ENHANCE_YOUR_CALM, "too many frames that ask for nothing")

    # ---- what goes

    def pause_writing(self) -> None:
        """The peer reads more slowly than we write."""
        self.out.pause()

    def resume_writing(self) -> None:
        """The peer has read nearly all."""
        self.out.resume()

    def let_send(self, number: int, size: int) -> None:
        """Let the peer send more bytes, of a stream or (0) of all."""
        self.out.put(frame(frames.WINDOW_UPDATE, 0, number, size.to_bytes(4, "big")))

    def _refuse(self, number: int, code: Code) -> None:
        self._useless()
        self.out.put(frame(frames.RST_STREAM, 0, number, code.to_bytes(4, "big")))

    def _reset(self, stream: Stream[T], code: Code) -> None:
        self._refuse(stream.number, code)
        self._give_up(stream)

    def _give_up(self, stream: Stream[T]) -> None:
        """Nobody wants the answer. Until its task has ended the stream counts as one that runs."""
        stream.gone = True
        if stream.task is not None:
            stream.task.cancel()

    def _served(self, stream: Stream[T], task: asyncio.Task[None]) -> None:
        del self._streams[stream.number]
        stream.close()
        if not task.cancelled() and (exc := task.exception()) is not None:
            _log.error("a request of %s", self.peer, exc_info=exc)
        if self._ended:
            return
        if stream.gone:
            pass
        elif not stream.answered:
            self._refuse(stream.number, Code.INTERNAL_ERROR)
        elif not stream.ended:  # it need not send the rest
            self.out.put(
                frame(frames.RST_STREAM, 0, stream.number, Code.NO_ERROR.to_bytes(4, "big"))
            )
        self._since = self.loop.time()
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self._leaving and not self._streams and not self._ended:
            self.out.flush()
            self._transport.close()

    def _go_away(self, code: Code, why: str) -> None:
        said = (
            self._last.to_bytes(4, "big") + code.to_bytes(4, "big") + why.encode("ascii", "replace")
        )
        self.out.put(frame(frames.GOAWAY, 0, 0, said))

    def _break(self, code: Code, why: str) -> None:
        """Say why and close, but let the peer read it: what it still sends is dropped."""
        _log.debug("%s: %s: %s", self.peer, code.name, why)
        self._ended, self._rest = True, b""
        self._cancel_all()
        self._go_away(code, why)
        self.out.flush()
        self.loop.call_later(_LINGER, self._transport.abort)
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _cancel_all(self) -> None:
        for stream in list(self._streams.values()):
            self._give_up(stream)

    def _look(self) -> None:
        now = self.loop.time()
        self._timer = self.loop.call_later(_LOOK, self._look)
        self._noise, self._sent_before = 0, self.out.sent
        idle = not self._streams and now - self._since >= _PATIENCE
        if self.out.stuck(now, _PATIENCE):
            self._transport.abort()  # close() would wait for what is not read
        elif idle and self._leaving:
            self._transport.close()
        elif idle:  # the peer closes when it has read that; if not, the next look does
            self._leaving = True
            self._go_away(Code.NO_ERROR, "")


# What a frame of each type does. Any other type has no meaning here, and is skipped.
_TAKES: dict[int, Any] = {
    frames.DATA: Connection._data,
    frames.HEADERS: Connection._headers,
    frames.PRIORITY: Connection._priority,
    frames.RST_STREAM: Connection._rst_stream,
    frames.SETTINGS: Connection._settings,
    frames.PUSH_PROMISE: Connection._push_promise,
    frames.PING: Connection._ping,
    frames.GOAWAY: Connection._goaway,
    frames.WINDOW_UPDATE: Connection._window_update,
    frames.CONTINUATION: Connection._continuation,
}

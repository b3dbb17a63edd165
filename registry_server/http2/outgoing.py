"""What a connection sends: within the peer's windows, no faster than it reads."""

from __future__ import annotations

import asyncio
from typing import Any

from registry_server.http2 import frames
from registry_server.http2.frames import frame, frame_head

_AT_ONCE = 256 << 10  # bytes that wait for one write
_FRAME = 64 << 10  # bytes of the largest frame that we send, if the peer takes it
_LEAST = 1 << 20  # bytes that a peer reads of what we have for it, before we give it up


class Answer:
    """What is still to be sent of one stream: a header block, bytes, a last header block.

    window : bytes that the peer takes of this stream
    begun, answered : the first header block was sent, and the last one
    """

    def __init__(self, number: int, window: int) -> None:
        self.number, self.window = number, window
        self.first, self.left, self.last = b"", memoryview(b""), b""
        self.begun = self.answered = False
        self.sent: asyncio.Future[None] | None = None


class Outgoing:
    """Frames on their way to one peer.

    window : bytes that the peer takes of all streams together
    initial, frame : what its settings say of a new stream's window, and of a frame
    sent : answers, or parts of large ones, that were written
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._loop, self._transport = loop, transport
        self.window = self.initial = 65535
        self.frame = frames.LARGEST
        self.sent = 0
        self._pieces: list[Any] = []
        self._size = self._written = 0  # bytes of the pieces; of all that was ever written
        self._waiting: dict[Answer, None] = {}
        self._soon = self._paused = False
        self._stuck: tuple[float, int] | None = None  # since when, and what was read by then

    def put(self, data: bytes) -> None:
        """Send a frame that no window bounds."""
        self._pieces.append(data)
        self._size += len(data)
        self.flush_soon()

    async def send(self, answer: Answer) -> None:
        """Send all of an answer; returns once it is on its way."""
        if self.fits(answer):
            self._emit(answer)
            self.flush_soon()
            return
        answer.sent = self._loop.create_future()
        self._waiting[answer] = None
        self.flush_soon()
        try:
            await answer.sent
        finally:
            self._waiting.pop(answer, None)

    def fits(self, answer: Answer) -> bool:
        """Whether all of an answer can go now."""
        size = len(answer.left)
        return (
            size <= answer.window
            and size <= self.window
            and self._size + size <= _AT_ONCE
            and not self._paused
        )

    def resized(self, frame: int) -> None:
        """Obey the peer's largest frame."""
        self.frame = min(frame, _FRAME)

    def flush_soon(self) -> None:
        """Write at the end of this round of the loop, so that answers share one write."""
        if not self._soon:
            self._soon = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what is there, and what windows have opened for."""
        self._soon = False
        for answer in list(self._waiting):
            if self._paused or self._size >= _AT_ONCE:
                break
            del self._waiting[answer]
            if not self._emit(answer):
                self._waiting[answer] = None  # behind the others
            elif answer.sent is not None and not answer.sent.done():
                answer.sent.set_result(None)
        if not self._pieces:
            return
        pieces, self._pieces = self._pieces, []
        self._written += self._size
        self._size = 0
        if not self._transport.is_closing():
            self._transport.writelines(pieces)
        if self._waiting and not self._paused:
            self.flush_soon()

    def pause(self) -> None:
        """The peer reads more slowly than we write."""
        self._paused = True

    def resume(self) -> None:
        """The peer has read nearly all."""
        self._paused = False
        self.flush_soon()

    def stuck(self, now: float, patience: float) -> bool:
        """Whether the peer has read next to nothing for so long while there was something."""
        left = self._transport.get_write_buffer_size()
        if not (self._waiting or left):
            self._stuck = None
            return False
        read = self._written - left
        if self._stuck is None or read - self._stuck[1] >= _LEAST:
            self._stuck = now, read
        return now - self._stuck[0] >= patience

    def _emit(self, answer: Answer) -> bool:
        """Write of an answer what the windows let; whether that was all."""
        number, left = answer.number, answer.left
        if answer.first:
            self._piece(frame(frames.HEADERS, frames.END_HEADERS, number, answer.first))
            answer.first, answer.begun = b"", True
        while size := len(left):
            size = min(size, self.frame, answer.window, self.window)
            if size <= 0 or self._size >= _AT_ONCE:
                answer.left = left
                return False
            self._piece(frame_head(frames.DATA, 0, number, size))
            self._piece(left[:size])
            left = left[size:]
            answer.window -= size
            self.window -= size
            self.sent += 1
        answer.left = left
        if answer.last:
            flags = frames.END_HEADERS | frames.END_STREAM
            self._piece(frame(frames.HEADERS, flags, number, answer.last))
            answer.last, answer.answered = b"", True
            self.sent += 1
        return True

    def _piece(self, data: bytes | memoryview) -> None:
        self._pieces.append(data)
        self._size += len(data)

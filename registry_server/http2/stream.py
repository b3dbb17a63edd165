"""One request and its answer, as a service sees them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from catalog.errors import CatalogError
from registry_server.http2.outgoing import Answer

if TYPE_CHECKING:
    from registry_server.http2.connection import Connection

T = TypeVar("T")
ROOM = 256 << 10  # bytes that a peer may send ahead of who reads them


class Stream(Answer, Generic[T]):
    """A request, of which the body may still be on its way.

    asked : what the service made of the header
    ended : the peer has sent all
    gone : nobody wants the answer any more
    """

    def __init__(self, connection: Connection[T], number: int, asked: T, window: int) -> None:
        super().__init__(number, window)
        self.connection, self.asked = connection, asked
        self.ended = self.gone = False
        self.task: asyncio.Task[None] | None = None
        self._data = bytearray()
        self._room = ROOM  # that the peer has left
        self._held = self._wanted = 0
        self._more: asyncio.Future[None] | None = None
        self._refused: CatalogError | None = None

    @property
    def peer(self) -> str:
        """The address of the other side."""
        return self.connection.peer

    async def take(self, size: int) -> bytearray:
        """The next `size` bytes of the body, or fewer where it ends.

        Raises
        ------
        CatalogError
            The server holds too many bytes to take more.
        """
        if len(self._data) < size and not self.ended and self._refused is None:
            self._wanted = size
            self._refill()
            self._more = self.connection.loop.create_future()
            try:
                await self._more
            finally:
                self._wanted, self._more = 0, None
        if self._refused is not None:
            raise self._refused
        data = self._data
        if len(data) <= size:
            self._data = bytearray()
            return data
        self._data = data[size:]
        del data[size:]
        return data

    def done_with(self, size: int) -> None:
        """Hold that many bytes of the body no longer."""
        size = min(size, self._held)
        self._held -= size
        self.connection.meter.release(size)

    def close(self) -> None:
        """Hold nothing any more."""
        self.done_with(self._held)
        self._data = bytearray()

    async def send(self, first: bytes, payload: bytes, last: bytes) -> None:
        """Send a header block, bytes and a last header block; an empty one is left out.

        Waits until the peer's windows and its reading have let all of it go.

        Raises
        ------
        CatalogError
            It cannot go at once, and the server holds too many bytes to keep it.
        """
        out, meter = self.connection.out, self.connection.meter
        self.first, self.left, self.last = first, memoryview(payload), last
        if out.fits(self):
            await out.send(self)
            return
        meter.hold(len(payload))
        try:
            await out.send(self)
        finally:
            meter.release(len(payload))

    def receive(self, data: bytes | bytearray, size: int, ended: bool) -> bool:
        """Take bytes of the body; False if there are more than the peer may send.

        size : in the peer's count, which has padding
        """
        self._room -= size
        if self._room < 0:
            return False
        if data and self._refused is None:
            try:
                self.connection.meter.hold(len(data))
            except CatalogError as exc:
                self._refused = exc
                self._data.clear()
                self.done_with(self._held)
            else:
                self._held += len(data)
                self._data += data
        self.ended = ended
        if self._more is not None and not self._more.done():
            if ended or self._refused is not None or len(self._data) >= self._wanted:
                self._more.set_result(None)
            else:
                self._refill()
        return True

    def _refill(self) -> None:
        """Let the peer send on: what somebody waits for, and no more than ROOM ahead of that."""
        ahead = max(0, len(self._data) - self._wanted)
        free = ROOM - ahead - self._room
        if free >= ROOM // 2:
            self._room += free
            self.connection.let_send(self.number, free)

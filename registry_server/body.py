"""Reading request bodies without ever holding more than the limits allow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from starlette.requests import ClientDisconnect, Request

from catalog.errors import UsageError
from registry_server.errors import Busy, TooLarge, TooSlow, Unsupported, quoted
from registry_server.tensors import Limits

# A body a little too large is read to its end and dropped, because a client that is still
# sending when we answer sees a broken connection instead of the reason.
_READ_AND_DROP = 4


class Intake:
    """Reads bodies, and knows how many bytes of them are held at this moment."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytearray]:
        """The whole body, counted as held until the block ends.

        Raises
        ------
        TooLarge, TooSlow, Busy, Unsupported, UsageError
        """
        coding = request.headers.get("content-encoding", "identity")
        if coding != "identity":
            raise Unsupported(f"Content-Encoding {quoted(coding)}", "send the body uncompressed")
        data = bytearray()
        try:
            try:
                async with asyncio.timeout(self._limits.body_seconds):
                    await self._fill(data, request)
            except TimeoutError as exc:
                raise TooSlow(
                    f"the body did not arrive within {self._limits.body_seconds:g} s"
                ) from exc
            except ClientDisconnect as exc:
                raise UsageError("the connection closed before the body was complete") from exc
            yield data
        finally:
            self._held -= len(data)

    @contextmanager
    def holding(self, size: int) -> Iterator[None]:
        """Count bytes that came otherwise, until the block ends.

        Raises
        ------
        Busy
        """
        self.hold(size)
        try:
            yield
        finally:
            self.release(size)

    def hold(self, size: int) -> None:
        """Count bytes that came otherwise, until they are released.

        Raises
        ------
        Busy
        """
        if self._held + size > self._limits.waiting:
            raise Busy("the server holds as many request bytes as it may", "try again")
        self._held += size

    def release(self, size: int) -> None:
        """Count these bytes no longer."""
        self._held -= size

    async def _fill(self, data: bytearray, request: Request) -> None:
        limit = self._limits.body
        too_large = TooLarge(
            f"the body is above the limit of {limit} bytes",
            "send several smaller requests, or start the server with a larger --max-body-mb",
        )
        if int(request.headers.get("content-length", "0")) > _READ_AND_DROP * limit:
            raise too_large
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > _READ_AND_DROP * limit:
                break
            if size > limit:
                continue
            self.hold(len(chunk))
            data += chunk
        if size > limit:
            raise too_large

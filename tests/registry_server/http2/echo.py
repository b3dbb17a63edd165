"""A service that needs no gRPC: what the connection does, and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

from registry_server.body import Intake
from registry_server.http2.connection import Connection
from registry_server.http2.headers import Fields
from registry_server.http2.headers import block as header_block
from registry_server.http2.stream import Stream
from registry_server.tensors import Limits

WAITING = 8 << 20
HEAD, TAIL = b"\x88", header_block([(b"done", b"yes")])


class Echo:
    """/echo gives the body back, /bytes/N gives N bytes, /wait never answers, /fail fails."""

    most_streams = 16

    def __init__(self) -> None:
        self.meter = Intake(Limits(waiting=WAITING))
        self.running = 0
        self.others: set[Connection[str]] = set()
        self.address = ("127.0.0.1", 0)

    @property
    def held(self) -> int:
        """Bytes that are held now."""
        return self.meter._held

    def read(self, fields: Fields) -> str:
        return dict(fields)[b":path"].decode()

    async def serve(self, stream: Stream[str]) -> None:
        self.running += 1
        try:
            await self._answer(stream)
        finally:
            self.running -= 1

    async def _answer(self, stream: Stream[str]) -> None:
        kind, _, size = stream.asked[1:].partition("/")
        if kind == "wait":
            await asyncio.Event().wait()
        if kind == "fail":
            raise RuntimeError("on purpose")
        data: Any = bytes(int(size)) if kind == "bytes" else await stream.take(1 << 30)
        await stream.send(HEAD, data, TAIL)

"""What a connection needs of whoever answers its requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from registry_server.http2.headers import Fields

if TYPE_CHECKING:
    from registry_server.http2.stream import Stream

T = TypeVar("T")


class Meter(Protocol):
    """Counts bytes that are held for all peers together."""

    def hold(self, size: int) -> None:
        """Count them, or raise a CatalogError."""

    def release(self, size: int) -> None:
        """Count them no longer."""


class Service(Protocol[T]):
    """What answers."""

    @property
    def meter(self) -> Meter:
        """What counts the bytes that are held."""

    @property
    def most_streams(self) -> int:
        """Of one connection at a time."""

    def read(self, fields: Fields) -> T:
        """What the header of a request means; asked once for headers that are alike."""

    async def serve(self, stream: Stream[T]) -> None:
        """Answer one request."""

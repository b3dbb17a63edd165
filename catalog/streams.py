"""Moving large files at the speed of the disk: hash, write and flush side by side."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Protocol

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

# Bytes read, hashed and written at once. For writes of 1 MiB and more ext4 asks for huge pages;
# a virtual machine that had to be given new ones took five times as long to copy.
CHUNK = 1 << 19
_FLUSH = 1 << 25


class Sink(Protocol):
    """Whatever takes bytes."""

    def write(self, data: bytes, /) -> int:
        """Take them all."""
        ...


class Hasher:
    """SHA-256 of what it is fed, in order, one chunk behind whoever feeds it.

    hashlib lets go of the interpreter, so that reading and writing go on meanwhile. Never more
    than one chunk waits, and a short one starts no thread.
    """

    def __init__(self) -> None:
        self._sha = hashlib.sha256()
        self._pool: ThreadPoolExecutor | None = None
        self._last: Future[None] | None = None

    def __enter__(self) -> Hasher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool:
            self._pool.shutdown()

    def update(self, chunk: bytes) -> None:
        """Hash a chunk after all before it."""
        self._wait()
        if len(chunk) < CHUNK:
            self._sha.update(chunk)
            return
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor  # slow to import: not for a search

            self._pool = ThreadPoolExecutor(1)
        self._last = self._pool.submit(self._sha.update, chunk)

    def digest(self) -> str:
        """`sha256:<hex>` of all that was fed."""
        self._wait()
        return f"sha256:{self._sha.hexdigest()}"

    def _wait(self) -> None:
        if self._last:
            self._last.result()
            self._last = None


class Flushing:
    """A file whose bytes set out for the disk while more are written, so that `sync` is short."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = self._begun = 0

    def write(self, data: bytes, /) -> int:
        """Write through; now and then tell the kernel to begin with what it has."""
        self._size += len(data)
        written = self._file.write(data)
        if self._size - self._begun >= _FLUSH and hasattr(os, "posix_fadvise"):
            # Of pages not yet on the disk this forgets none: it only begins to write them.
            span = (self._begun, self._size - self._begun)
            os.posix_fadvise(self._file.fileno(), *span, os.POSIX_FADV_DONTNEED)
            self._begun = self._size
        return written

    def sync(self) -> None:
        """Wait until every byte is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())


def clone(source: Path, target: Path) -> None:
    """Copy a file within the kernel; file systems that can, share its blocks until one changes."""
    with source.open("rb") as file, target.open("wb") as sink:
        # Not every system, nor every pair of places, can: the rest is then copied as usual.
        with suppress(AttributeError, OSError):
            while os.copy_file_range(file.fileno(), sink.fileno(), 1 << 30):
                pass
        shutil.copyfileobj(file, sink, CHUNK)

"""What callers have open in this process at this moment, with a bound for each of them."""

from __future__ import annotations

import errno
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from catalog.errors import CatalogError
from registry_server.errors import Busy

_SPARE = 1 << 30  # bytes of the disk that are left free
_FULL = {errno.ENOSPC, errno.EDQUOT}


class Open:
    """Counted on the event loop, so without a lock."""

    def __init__(self) -> None:
        self._of: Counter[str] = Counter()
        self._bytes = 0

    @contextmanager
    def one(self, caller: str, most: int, refusal: CatalogError, size: int = 0) -> Iterator[None]:
        """Count one of a caller, and the bytes that it may come to, until the block ends.

        Raises
        ------
        CatalogError
            `refusal`, if there would be more than `most` of this caller.
        """
        if self._of[caller] >= most:
            raise refusal
        self._of[caller] += 1
        self._bytes += size
        try:
            yield
        finally:
            self._of[caller] -= 1
            self._bytes -= size
            self._of += Counter()  # forget who has none

    @property
    def bytes(self) -> int:
        """What all of them may come to."""
        return self._bytes


def need_room(folder: Path, size: int) -> None:
    """See whether the disk has room.

    Raises
    ------
    Busy
    """
    if shutil.disk_usage(folder).free < size + _SPARE:
        raise no_room()


@contextmanager
def full_is_busy() -> Iterator[None]:
    """Make a disk that ran full the refusal that it is.

    Raises
    ------
    Busy
    """
    try:
        yield
    except OSError as exc:
        if exc.errno not in _FULL:
            raise
        raise no_room() from exc


def no_room() -> Busy:
    """The refusal."""
    return Busy("the server has no room for that now", "try again later")

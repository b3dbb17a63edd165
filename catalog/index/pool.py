"""Open indexes that many threads share: to open one costs more than most searches."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple
from weakref import finalize

from catalog.errors import CatalogError, StoreError
from catalog.index.index import Index
from catalog.index.open import open_index

if TYPE_CHECKING:
    from catalog.settings import Settings

_KEPT = 16  # that nobody uses


class _Held(NamedTuple):
    opened: Index
    stack: ExitStack
    file: object


class IndexPool:
    """Lends an index to one thread at a time; as many are open as are used at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: deque[_Held] = deque()
        self.close = finalize(self, _close_all, self._idle)

    @contextmanager
    def lend(self) -> Iterator[Index]:
        """An index for this block; one that failed is not lent again.

        Raises
        ------
        StoreError, MissingExtra
            As of `open_index`.
        """
        held = self._take()
        try:
            yield held.opened
        except BaseException as exc:
            if isinstance(exc, CatalogError) and not isinstance(exc, StoreError):
                self._give(held)  # it answered; what it said was not liked
            else:
                _close_all(self._idle)  # what they were connected to may be gone, too
                held.stack.__exit__(type(exc), exc, exc.__traceback__)
            raise
        self._give(held)

    def _take(self) -> _Held:
        file = self._file()
        while self._idle:
            try:
                held = self._idle.pop()
            except IndexError:  # another thread was faster
                break
            if held.file == file:
                return held
            held.stack.close()  # the file was deleted, which is how a damaged one is made anew
        stack = ExitStack()
        index = stack.enter_context(open_index(self._settings))
        return _Held(index, stack, self._file())

    def _give(self, held: _Held) -> None:
        if len(self._idle) < _KEPT and self.close.alive:
            self._idle.append(held)
        else:
            held.stack.close()

    def _file(self) -> object:
        try:
            told = (self._settings.home / "index.db").stat()
        except OSError:
            return None
        return told.st_dev, told.st_ino


def _close_all(idle: deque[_Held]) -> None:
    while idle:
        idle.pop().stack.close()

"""What `Index` needs of a database; SQLite and PostgreSQL differ in no more than this.

The SQL of the index is written once, in what both understand. Every value is bound at a `?`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

Values = Sequence[object]


class Found(NamedTuple):
    """What finds words: `condition` on a row of `versions`, or on a row of `source`.

    To go through `source` by `place` gives the matches in the order of a search, one by one.
    """

    condition: str
    value: str
    source: str
    of_source: str
    place: str


class Database(Protocol):
    """One connection, of one thread at a time.

    What goes wrong is a `StoreError` when it leaves the block of `open_index`.
    """

    def ask(self, sql: str, values: Values = ()) -> list[tuple[Any, ...]]:
        """Read. A lost connection is made again, once, outside a transaction."""
        ...

    def run(self, sql: str, many: Iterable[Values]) -> None:
        """Write, once for each of `many` values; inside a transaction only."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """Writes in this block are saved all or none, and one process writes at a time."""
        ...

    def found(self, words: Sequence[Sequence[str]], terms: Sequence[str] = ()) -> Found:
        """What finds versions with one of each of `words`, and all `terms`.

        A word with a `*` stands for all that begin like it.
        """
        ...

    def joined(self, line: str, order: str) -> str:
        """The aggregate that joins texts without line breaks, each on its line, in that order."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...

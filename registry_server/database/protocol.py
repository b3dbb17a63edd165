"""What the server needs of a database; SQLite and PostgreSQL differ in no more than this.

The SQL is written once, in what both understand. Every value is bound at a `?`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol


class Block(Protocol):
    """Statements, one after the other."""

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Read."""
        ...

    def run(self, sql: str, *values: object) -> int:
        """Write with one statement; how many rows it changed."""
        ...


class Changes(Protocol):
    """Whether somebody may have written to the tokens, asked before every request."""

    def mark(self) -> object:
        """Equal to the one before, if nobody has.

        Raises
        ------
        Unreachable
            It has not been known for too long.
        """
        ...

    def close(self) -> None:
        """Look no more, until asked again."""
        ...


class Database(Block, Protocol):
    """Short transactions. Safe for threads and processes; outside of one, each statement is one.

    clock : SQL of the seconds since 1970, by one clock for all processes
    skip_locked : SQL after a SELECT of rows to be taken: not those that somebody else is taking
    shared : whether processes on other machines use it, too
    """

    clock: str
    skip_locked: str
    shared: bool

    def transaction(self, alone: str = "") -> AbstractContextManager[Block]:
        """Everything in the block, or nothing; no two at once that are `alone` in the same."""
        ...

    def lock(self, what: str, patience: float) -> AbstractContextManager[None]:
        """Keep other threads and processes out of a long block; a killed process is out at once.

        Raises
        ------
        Busy
            Another one has been in it for `patience` seconds.
        """
        ...

    def changes(self) -> Changes:
        """A watch on the tokens."""
        ...

    def close(self) -> None:
        """Give connections back, until they are needed again."""
        ...

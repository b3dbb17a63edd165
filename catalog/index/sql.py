"""Pieces of SQL that SQLite and PostgreSQL both understand, and values that both take."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from catalog.index.row import Row

T = TypeVar("T")

# Of `versions`: filtered. Of `texts`: shown.
FILTERED = (
    "store", "name", "version", "digest", "task", "family", "detector", "detector_type",
    "e_low", "e_high", "licence", "validated", "parent", "gone",
)  # fmt: skip
TEXTS = ("summary", "card", "told", "particles", "materials")
SHOWN = (*FILTERED, *TEXTS)
JOINED = "versions JOIN texts ON texts.version_id = versions.id"

_CHUNK = 200  # values bound at once, of the 999 that an old SQLite takes


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Parts that one statement can take."""
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))


def marks(count: int, each: int = 0) -> str:
    """`?, ?` for that many values, or `(?, ?), (?, ?)` for that many tuples of `each`."""
    return ", ".join([f"({marks(each)})" if each else "?"] * count)


def asked(key: Sequence[str], count: int, columns: str, where: str = "true") -> str:
    """SELECT the versions with any of `count` keys; SQLite uses no index for an IN of tuples."""
    same = " AND ".join(f"versions.{column} = asked.{column}" for column in key)
    return (
        f"WITH asked ({', '.join(key)}) AS (VALUES {marks(count, len(key))}) "  # noqa: S608
        f"SELECT {columns} FROM asked JOIN versions ON {same} AND {where}"
    )


def plain(values: Iterable[object]) -> tuple[Any, ...]:
    """Values as both databases keep them: text is UTF-8 without NUL."""
    return tuple(_plain(value) if isinstance(value, str) else value for value in values)


def _plain(text: str) -> str:
    if text.isascii() and "\0" not in text:
        return text
    # A stranger's text may hold what no UTF-8 can; PostgreSQL refuses NUL.
    return (
        text.encode("utf-8", "backslashreplace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    )


def read_row(item: Sequence[Any]) -> Row:
    """The row that was read as `SHOWN`."""
    fields = dict(zip(SHOWN, item, strict=True))
    fields["validated"] = bool(fields["validated"])
    fields["particles"] = tuple(json.loads(fields["particles"]))
    fields["materials"] = tuple(json.loads(fields["materials"]))
    return Row(**fields)

"""A page of a search as the JSON text that a server sends.

A server that made every answer of a hundred models from their fields would spend most of its time
on that. So the text of a version is kept beside it, and used where nothing else must be told of it:
no alias, no other place, nothing gone. The database joins a page to one text, because each row that
is fetched costs every thread of the process a turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from catalog.index.protocol import Database
from catalog.index.query import Query
from catalog.index.where import hits_of

_ALONE = """gone = '' AND digest != '' AND NOT EXISTS (
  SELECT 1 FROM versions AS it WHERE it.digest = versions.digest AND it.id != versions.id
) AND NOT EXISTS (
  SELECT 1 FROM versions AS it
  WHERE it.name = versions.name AND it.version = versions.version AND it.id != versions.id
) AND NOT EXISTS (
  SELECT 1 FROM aliases AS it WHERE it.name = versions.name AND it.store = versions.store
  AND it.version = versions.version
)"""


class Page(NamedTuple):
    """`total` as of `Index.search`, and the JSON of each model."""

    total: int
    models: list[str]


def read_page(
    db: Database, query: Query, prefer: str, told: Callable[[Sequence[int]], dict[int, str]]
) -> Page:
    """A page of a search; `told` gives the JSON of versions by their numbers."""
    hits, values = hits_of(query, db)
    sql = f"""
WITH hits AS ({hits}), page AS (
  SELECT id AS number, place AS at FROM hits ORDER BY place LIMIT ? OFFSET ?
), lines AS (
  SELECT at, CASE WHEN {_ALONE} THEN CASE WHEN store = ? THEN here ELSE there END || shown
    ELSE CAST(id AS text) END AS line
  FROM page JOIN versions ON versions.id = page.number
  JOIN texts ON texts.version_id = page.number ORDER BY at
)
SELECT (SELECT count(*) FROM hits), {db.joined("line", "at")} FROM lines"""  # noqa: S608
    ((total, text),) = db.ask(sql, (*values, query.limit, query.skip, prefer))
    models: list[str] = text.split("\n") if text else []
    if others := [int(line) for line in models if line[0] != "{"]:
        known = told(others)
        models = [line if line[0] == "{" else known[int(line)] for line in models]
    return Page(int(total), models)

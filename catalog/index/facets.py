"""Counts beside every filter of a search: what is left if one chose it.

A facet is counted with all filters but its own, so that its other values can be chosen instead. The
technology of a detector is no column: it is told by the vocabulary, else by one card of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from catalog.index.protocol import Database
from catalog.index.query import DETECTOR_TYPES, Query
from catalog.index.sql import chunks, marks, plain
from catalog.index.where import where_of

COLUMNS = {"detector": "detector_type", "task": "task", "family": "family", "licence": "licence",
           "validated": "validated", "store": "store"}  # fmt: skip
_JOINED = {"material": ("materials", "material"), "particle": ("particles", "pdg")}
_MOST = 12  # values of one facet
_DETECTORS = 500  # names whose technology is looked up
# Edges in GeV, three per decade, at which the number of models that cover them is counted.
LEVELS_GEV = tuple(round(10 ** (step / 3), 4) for step in range(-4, 13))


@dataclass(frozen=True)
class Facets:
    """`counts`: {filter: [(value, versions)]}, the most frequent first; `covered`: versions whose
    domain holds each of `LEVELS_GEV`.
    """

    counts: dict[str, list[tuple[Any, int]]]
    covered: list[int]


def count_facets(db: Database, query: Query, technology: str = "") -> Facets:
    """Count everything that a search can be narrowed by.

    technology : narrows like a filter of `query`, by the detectors of that technology
    """
    known = technologies(db)
    narrowed = with_technology(query, technology, known)
    counts = {
        name: _by_column(db, _without(narrowed, name), column) for name, column in COLUMNS.items()
    }
    counts["validated"] = [(True, number) for value, number in counts["validated"] if value]
    for name, (table, column) in _JOINED.items():
        counts[name] = _by_join(db, _without(narrowed, name), table, column)
    counts["technology"] = _by_technology(db, query, known)
    return Facets(counts, _covered(db, replace(narrowed, energy_gev=None)))


def technologies(db: Database) -> dict[str, str]:
    """{detector: technology} of the detectors that the index names."""
    from catalog.domain.vocabulary import detector_names

    sql = (
        "SELECT detector, min(id) FROM versions WHERE gone = '' AND detector IS NOT NULL "
        "GROUP BY detector ORDER BY detector LIMIT ?"
    )
    first = {str(name): int(number) for name, number in db.ask(sql, [_DETECTORS])}
    vocabulary = set(detector_names())
    found = {name: _of_vocabulary(name) for name in first if name in vocabulary}
    others = [number for name, number in first.items() if name not in found]
    for chunk in chunks(others):
        sql = f"SELECT card FROM texts WHERE version_id IN ({marks(len(chunk))})"  # noqa: S608
        for (text,) in db.ask(sql, chunk):
            detector = json.loads(text or "{}").get("domain", {}).get("detector", {})
            found[detector.get("name", "")] = detector.get("technology") or ""
    return {name: technology for name, technology in found.items() if technology}


def with_technology(query: Query, technology: str, known: dict[str, str]) -> Query:
    """The query for models of detectors of one technology; "" asks for any."""
    if not technology:
        return query
    names = tuple(name for name, found in known.items() if found == technology)
    return replace(query, detectors=names or ("",))


@cache
def _of_vocabulary(name: str) -> str:
    from catalog.domain.vocabulary import load_detector

    return load_detector(name).technology or ""


def _without(query: Query, name: str) -> Query:
    """The query without one of its filters; a detector's name is not of the facet of types."""
    if name == "validated":
        return replace(query, validated=False)
    if name == "detector" and query.detector not in DETECTOR_TYPES:
        return query
    changes: dict[str, Any] = {name: None}
    return replace(query, **changes)


def _by_column(db: Database, query: Query, column: str) -> list[tuple[Any, int]]:
    where, values = where_of(query, db)
    sql = (
        f"SELECT {column}, count(*) FROM versions{where} GROUP BY {column} "  # noqa: S608
        f"ORDER BY 2 DESC, 1 LIMIT {_MOST + 1}"
    )
    return [(value, int(n)) for value, n in db.ask(sql, plain(values)) if value is not None][:_MOST]


def _by_join(db: Database, query: Query, table: str, column: str) -> list[tuple[Any, int]]:
    where, values = where_of(query, db)
    sql = (
        f"SELECT {column}, count(*) FROM {table} JOIN versions ON id = version_id{where} "  # noqa: S608
        f"GROUP BY {column} ORDER BY 2 DESC, 1 LIMIT {_MOST}"
    )
    return [(value, int(n)) for value, n in db.ask(sql, plain(values))]


def _by_technology(db: Database, query: Query, known: dict[str, str]) -> list[tuple[Any, int]]:
    where, values = where_of(query, db)
    sql = f"SELECT detector, count(*) FROM versions{where} GROUP BY detector"  # noqa: S608
    counts: dict[str, int] = {}
    for name, number in db.ask(sql, plain(values)):
        if technology := known.get(name):
            counts[technology] = counts.get(technology, 0) + int(number)
    return sorted(counts.items(), key=lambda it: (-it[1], it[0]))


def _covered(db: Database, query: Query) -> list[int]:
    where, values = where_of(query, db)
    each = ", ".join(
        f"sum(CASE WHEN e_low <= {level} AND e_high >= {level} THEN 1 ELSE 0 END)"
        for level in LEVELS_GEV
    )
    (found,) = db.ask(f"SELECT {each} FROM versions{where}", plain(values))  # noqa: S608
    return [int(number or 0) for number in found]

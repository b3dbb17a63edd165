"""A search as SQL: every value is bound, none is pasted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from catalog.index.protocol import Database
from catalog.index.query import DETECTOR_TYPES, Query
from catalog.index.sql import marks
from catalog.index.words import term, words_of

_MOST = 200  # known words that begin like one
_SUBSETS = {
    "material": "id IN (SELECT version_id FROM materials WHERE material = ?)",
    "particle": "id IN (SELECT version_id FROM particles WHERE pdg = ?)",
}


def where_of(query: Query, db: Database) -> tuple[str, tuple[Any, ...]]:
    """The WHERE clause of all that a search matches, and its values."""
    parts, values = _beside(query)
    for field, value in _named(query):
        parts.append(_SUBSETS.get(field, f"{field} = ?"))
        values.append(value)
    if words := _known_words(query, db):
        told = db.found(words)
        parts.append(told.condition)
        values.append(told.value)
    return " WHERE " + " AND ".join(parts), tuple(values)


def hits_of(query: Query, db: Database) -> tuple[str, tuple[Any, ...]]:
    """SELECT id and place of the first matches in order, and its values.

    Filters are words here: the database goes through what has all of them, and stops early.
    """
    parts, values = _beside(query)
    words, terms = _known_words(query, db), [term(*it) for it in _named(query)]
    source, place = "versions", "place"
    if words or terms:
        told = db.found(words, terms)
        source, place = told.source, told.place
        parts.append(told.of_source)
        values.append(told.value)
    sql = (
        f"SELECT id, {place} AS place FROM {source} WHERE {' AND '.join(parts)} "  # noqa: S608
        f"ORDER BY {place} LIMIT ?"
    )
    return sql, (*values, query.counted + 1)


def _known_words(query: Query, db: Database) -> list[list[str]]:
    """For each word of the text all known words that begin like it.

    To look up some words is far cheaper than to let a database merge all that a beginning fits. For
    more than some there is no other way: then it is the beginning with a `*`.
    """
    sql = "SELECT word FROM vocabulary WHERE word >= ? AND word < ? ORDER BY word LIMIT ?"
    found = []
    for word in words_of(query.text):
        known = [str(it) for (it,) in db.ask(sql, (word, word + "\U0010ffff", _MOST + 1))]
        found.append([f"{word}*"] if len(known) > _MOST else known or [word])
    return found


def _beside(query: Query) -> tuple[list[str], list[Any]]:
    """What no word says."""
    parts, values = ["gone != ''" if query.gone else "gone = ''"], list[Any]()
    if not query.store:
        parts.append("twin = 0")
    if query.detectors:
        parts.append(f"detector IN ({marks(len(query.detectors))})")
        values += query.detectors
    if query.energy_gev:  # the model must cover the whole window
        parts.append("e_low <= ? AND e_high >= ?")
        values += query.energy_gev
    return parts, values


def _named(query: Query) -> Iterator[tuple[str, Any]]:
    """(field, value) of the filters that ask for one value; `terms_of` has them of a row."""
    if query.detector:
        kind = "detector_type" if query.detector in DETECTOR_TYPES else "detector"
        yield kind, query.detector
    if query.material:
        yield "material", query.material.lower()
    if query.particle is not None:
        yield "particle", query.particle
    for field in ("store", "task", "family", "licence"):
        if value := getattr(query, field):
            yield field, value
    if query.validated:
        yield "validated", 1

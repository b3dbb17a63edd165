"""A search as SQL: every value is bound, none is pasted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from catalog.index.query import DETECTOR_TYPES, Query
from catalog.index.words import words_of


def where_of(
    query: Query, found: Callable[[Sequence[str]], tuple[str, str]]
) -> tuple[str, tuple[Any, ...]]:
    """The WHERE clause of a search, and its values; `found` is the database's."""
    parts: list[str] = ["gone != ''" if query.gone else "gone = ''"]
    values: list[Any] = []

    def add(sql: str, *bound: object) -> None:
        parts.append(sql)
        values.extend(bound)

    if query.store:
        add("store = ?", query.store)
    else:
        parts.append("twin = 0")
    if query.detector in DETECTOR_TYPES:
        add("detector_type = ?", query.detector)
    elif query.detector:
        add("detector = ?", query.detector)
    if query.material:
        add("id IN (SELECT version_id FROM materials WHERE material = ?)", query.material.lower())
    if query.particle is not None:
        add("id IN (SELECT version_id FROM particles WHERE pdg = ?)", query.particle)
    if query.energy_gev:  # the model must cover the whole window
        add("e_low <= ? AND e_high >= ?", *query.energy_gev)
    for column in ("task", "family", "licence"):
        if value := getattr(query, column):
            add(f"{column} = ?", value)
    if query.validated:
        add("validated = 1")
    if words := words_of(query.text):
        add(*found(words))
    return " WHERE " + " AND ".join(parts), tuple(values)

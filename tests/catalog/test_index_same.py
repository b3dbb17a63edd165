"""SQLite and PostgreSQL answer alike, whatever is in them and whatever is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.index import Index, Query, Row, open_index
from catalog.index.present import as_dict
from catalog.index.sql import plain
from catalog.index.where import where_of
from catalog.stores import Alias, Changes, Committed
from tests.catalog.index_places import database
from tests.postgres_server import Server

# Few values, so that they meet; names and texts from everything that can be written.
NAMES = st.sampled_from(
    ["a", "b", "B", "a b", "a-b", "_", "é", "É", "ﬁ", "日本", "a\0", "\U0001f600"]
)
TEXT = st.text(max_size=12) | st.sampled_from(
    ["clic-siw", "Électron Straße", "x_y.z@w/1e-5", "ﬁne ﬁ", "İstanbul", "e\u0301", "²3 ½", "ნ"]
)
ROWS = st.builds(
    Row,
    store=st.sampled_from(["mlflow", "lab", "Z"]),
    name=NAMES,
    version=st.integers(1, 3),
    digest=st.sampled_from(["", "sha256:1", "sha256:2", "sha256:3"]),
    task=st.sampled_from([None, "shower-generation", "jet-tagging"]),
    family=st.sampled_from([None, "cvae"]),
    detector=st.sampled_from([None, "clic-siw"]),
    detector_type=st.sampled_from([None, "ecal", "hcal"]),
    e_low=st.none() | st.floats(0, 100),
    e_high=st.none() | st.floats(0, 100),
    validated=st.booleans(),
    parent=st.sampled_from([None, "sha256:1"]),
    summary=TEXT,
    card=st.sampled_from(["", "{}"]),
    gone=st.sampled_from(["", "", "2026-01-01"]),
    particles=st.lists(st.sampled_from([11, -11, 22]), max_size=3).map(tuple),
    materials=st.lists(st.sampled_from(["W", "w", "Å"]) | TEXT, max_size=2).map(tuple),
    vector=st.binary(max_size=3),
    words=TEXT,
)
QUERIES = st.builds(
    Query,
    text=st.just("") | TEXT | st.characters() | NAMES,
    detector=st.sampled_from([None, None, "ecal", "clic-siw"]),
    material=st.sampled_from([None, None, "W", "å"]),
    particle=st.sampled_from([None, None, 11, 13]),
    energy_gev=st.none() | st.floats(0, 100).map(lambda it: (it, it)),
    task=st.sampled_from([None, "jet-tagging"]),
    family=st.sampled_from([None, None, "cvae"]),
    validated=st.booleans(),
    store=st.sampled_from([None, None, "lab"]),
    gone=st.booleans(),
    limit=st.sampled_from([1, 2, 100]),
    skip=st.sampled_from([0, 0, 1, 50]),
    detectors=st.sampled_from([(), (), ("clic-siw", "other")]),
)


def _change(index: Index, rows: list[Row], seen: list[Row], forgotten: str | None) -> None:
    index.put(*rows)
    there = tuple(Committed(row.name, row.version, row.digest) for row in seen)
    index.finish("mlflow", Changes("t", there, True, (), ()), "2026-11-23")
    index.put(*reversed(seen))
    for row in rows[:2]:
        index.set_alias(row.store, Alias(row.name, "best", row.version))
    if forgotten:
        index.forget_store(forgotten)


def _told(index: Index, queries: list[Query]) -> list[Any]:
    found = [index.search(query, prefer) for query in queries for prefer in ("", "lab", "mlflow")]
    rows = [row for _, page in found for row in page]
    names = {row.name for row in rows}
    return [
        found,
        index.all_places(rows),
        [index.lookup(it, store=None, version=None, digest=None) for it in sorted(names)],
        index.by_digest("sha256:1"),
        index.children("sha256:1"),
        sorted(index.names()),
        index.known("lab"),
        index.vectors().keys(),
    ]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(ROWS, max_size=8),
    seen=st.lists(ROWS, max_size=3),
    queries=st.lists(QUERIES, min_size=1, max_size=4),
    forgotten=st.sampled_from([None, "lab"]),
)
def test_the_same_cards_and_questions_get_the_same_answers(
    rows: list[Row],
    seen: list[Row],
    queries: list[Query],
    forgotten: str | None,
    indexes: tuple[Index, Index],
) -> None:
    told = []
    for index in indexes:
        for store in ("mlflow", "lab", "Z"):
            index.forget_store(store)
        _change(index, rows, seen, forgotten)
        told.append(_told(index, queries))
    assert told[0] == told[1]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(ROWS, max_size=8),
    seen=st.lists(ROWS, max_size=3),
    queries=st.lists(QUERIES, min_size=1, max_size=4),
    prefer=st.sampled_from(["lab", "mlflow", "Z"]),
)
def test_a_server_tells_in_one_text_what_a_search_finds_in_rows(
    rows: list[Row], seen: list[Row], queries: list[Query], prefer: str,
    indexes: tuple[Index, Index],
) -> None:  # fmt: skip
    for index in indexes:
        for store in ("mlflow", "lab", "Z"):
            index.forget_store(store)
        _change(index, rows, seen, None)
        for query in queries:
            total, found = index.search(query, prefer)
            page = index.page(query, prefer)
            told = [as_dict(*it) for it in zip(found, index.all_places(found), strict=True)]
            assert page.total == total
            assert page.models == [json.dumps(it, separators=(",", ":")) for it in told]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(queries=st.lists(QUERIES, min_size=1, max_size=4), rows=st.lists(ROWS, max_size=8))
def test_a_search_goes_through_what_a_count_of_all_matches_finds(
    rows: list[Row], queries: list[Query], indexes: tuple[Index, Index]
) -> None:
    """Filters are words to the one and columns to the other."""
    for index in indexes:
        for store in ("mlflow", "lab", "Z"):
            index.forget_store(store)
        index.put(*rows)
        for query in queries:
            where, values = where_of(query, index._db)
            sql = f"SELECT count(*) FROM versions{where}"
            assert index.search(query)[0] == index._db.ask(sql, plain(values))[0][0]


@pytest.fixture
def indexes(tmp_path: Path, postgres: Server) -> Any:
    with (
        open_index(database(tmp_path, None)) as ours,
        open_index(database(tmp_path, postgres)) as theirs,
    ):
        yield ours, theirs

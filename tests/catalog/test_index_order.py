"""Versions keep the order of their names, however they come, and in every database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.index import Index, Query, Row, open_index
from catalog.index.put import put_rows
from tests.catalog.index_places import database

NAMES = st.text("abyz_-é日\U0001f600", min_size=1, max_size=3)
KEYS = st.tuples(NAMES, st.integers(1, 4), st.sampled_from(["lab", "mlflow"]))


@pytest.fixture(params=["sqlite", "postgres"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Index]:
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    with open_index(database(tmp_path, server)) as index:
        yield index


def _put(index: Index, *keys: tuple[str, int, str]) -> None:
    index.put(*[Row(store, name, version, "", summary="w") for name, version, store in keys])


def _order(index: Index, query: Query) -> list[tuple[str, int, str]]:
    return [(it.name, it.version, it.store) for it in index.search(query)[1]]


@pytest.mark.parametrize(("step", "room"), [(1, 1), (2, 1), (4, 3), (1 << 32, 1 << 16)])
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(batches=st.lists(st.lists(KEYS, min_size=1, max_size=4), max_size=12))
def test_rows_put_in_any_order_are_found_in_that_of_their_names(
    index: Index, step: int, room: int, batches: list[list[tuple[str, int, str]]]
) -> None:
    """With numbers so near to each other that there is soon none left between them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("catalog.index.order._STEP", step)
        patch.setattr("catalog.index.order._ROOM", room)
        for store in ("lab", "mlflow"):
            index.forget_store(store)
        there: set[tuple[str, int, str]] = set()
        for batch in batches:
            _put(index, *batch)
            there |= set(batch)
            for query in (Query(limit=500), Query(text="w", limit=500)):
                assert _order(index, query) == sorted(there)


@pytest.mark.parametrize("turn", [1, -1])
def test_two_hundred_versions_one_after_the_other_stay_in_order(index: Index, turn: int) -> None:
    """Each comes between the same two, forwards or backwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("catalog.index.order._STEP", 64)
        patch.setattr("catalog.index.order._ROOM", 8)
        _put(index, ("a", 1, "lab"), ("c", 1, "lab"))
        numbers = list(range(1, 201))[::turn]
        with index._db.transaction():
            for number in numbers:
                put_rows(index._db, [Row("lab", "b", number, "", summary="w")])
    expected = [("a", 1, "lab"), *(("b", n, "lab") for n in range(1, 201)), ("c", 1, "lab")]
    assert _order(index, Query(text="w", limit=500)) == expected


def test_a_store_that_takes_another_name_takes_its_place_in_the_order(index: Index) -> None:
    _put(index, ("a", 1, "lab"), ("a", 1, "old"), ("b", 1, "lab"))
    index.rename_store("old", "first")
    assert _order(index, Query()) == [("a", 1, "first"), ("a", 1, "lab"), ("b", 1, "lab")]
    assert _order(index, Query(store="first")) == [("a", 1, "first")]
    assert _order(index, Query(store="old")) == []

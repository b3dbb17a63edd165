"""Indexes that are kept open: none is used twice at once, and none outlives its file."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from catalog.errors import NotFound, StoreError
from catalog.index import Query, Row, open_index
from catalog.index.pool import IndexPool
from catalog.settings import Settings

ROW = Row("lab", "a", 1, "sha256:a")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with open_index(tmp_path) as index:
        index.put(ROW)
    return tmp_path


def test_an_index_is_lent_to_one_at_a_time_and_then_again(home: Path) -> None:
    pool = IndexPool(Settings(home, home, "lab"))
    with pool.lend() as one, pool.lend() as other:
        assert one is not other
    with pool.lend() as again:
        assert again in (one, other)
    pool.close()


def test_threads_share_indexes_and_read_what_others_write(home: Path) -> None:
    pool = IndexPool(Settings(home, home, "lab"))

    def write(number: int) -> int:
        with pool.lend() as index:
            index.put(Row("lab", f"b{number}", 1, f"sha256:{number}"))
        with pool.lend() as index:
            return index.search(Query(text=f"b{number}"))[0]

    with ThreadPoolExecutor(8) as threads:
        assert min(threads.map(write, range(40))) > 0
    with pool.lend() as index:
        assert index.search(Query())[0] == 41
    pool.close()


def test_one_that_failed_is_not_lent_again_and_one_that_found_nothing_is(home: Path) -> None:
    pool = IndexPool(Settings(home, home, "lab"))
    with pytest.raises(NotFound), pool.lend() as first:
        raise NotFound("nothing", "")
    with pytest.raises(StoreError, match="index"), pool.lend() as second:
        raise sqlite3.OperationalError("disk I/O error")
    with pool.lend() as third:
        assert third.search(Query())[0] == 1
    assert first is second and third is not second
    pool.close()


def test_a_file_that_was_deleted_to_make_it_anew_is_read_no_longer(home: Path) -> None:
    pool = IndexPool(Settings(home, home, "lab"))
    with pool.lend() as index:
        assert index.search(Query())[0] == 1
    for path in home.glob("index.db*"):
        path.unlink()
    with pool.lend() as index:
        assert index.search(Query())[0] == 0
    pool.close()

"""The index's file: what older and later catalogs wrote, damage, and how much a search reads."""

from __future__ import annotations

import gzip
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from catalog.errors import StoreError
from catalog.index import Query, Row, open_index
from catalog.stores import Alias


def _unpack(schema: int, folder: Path) -> None:
    old = Path(__file__).with_name(f"index-schema-{schema}.db.gz")
    (folder / "index.db").write_bytes(gzip.decompress(old.read_bytes()))


def test_an_index_of_schema_3_keeps_its_rows(tmp_path: Path) -> None:
    """The file was written by the code of schema 3."""
    _unpack(3, tmp_path)
    for _ in range(2):
        with open_index(tmp_path) as index:
            total, rows = index.search(Query(), "mlflow")
            assert (total, [r.ref for r in rows]) == (4, ["Theirs@1", "a@1", "a@2", "b@1"])
            assert index.places(rows[1]).stores == ("lab", "mlflow")
            assert rows[2].aliases == ("champion",) and rows[2].validated
            assert rows[3].particles == (11, -11) and rows[3].card == '{"name": "b"}'
            assert index.search(Query(text="model", material="PbWO4"))[0] == 1
            assert index.vectors() == dict.fromkeys(
                ["sha256:a1", "sha256:a2", "sha256:b1"], b"\1\2"
            )
            assert index.token("mlflow") == ("", "")
            assert index.count("lab") == 1


def test_an_index_of_schema_4_keeps_its_rows_and_tokens(tmp_path: Path) -> None:
    """The file was written by the code of schema 4."""
    _unpack(4, tmp_path)
    for _ in range(2):
        with open_index(tmp_path) as index:
            total, rows = index.search(Query(), "mlflow")
            assert (total, [r.ref for r in rows]) == (3, ["a@1", "a@2", "lab:theirs@1"])
            assert rows[2].aliases == ("best",)
            assert (index.token("lab"), index.address("lab")) == (("t:7", "2026-11-20"), "")


def test_an_index_of_schema_6_keeps_its_rows_words_and_tokens(tmp_path: Path) -> None:
    """The file was written by the code of schema 6."""
    _unpack(6, tmp_path)
    for _ in range(2):
        with open_index(tmp_path) as index:
            total, rows = index.search(Query(), "mlflow")
            assert (total, [r.ref for r in rows]) == (2, ["a@1", "b@2"])
            assert [it.ref for it in index.search(Query(gone=True), "mlflow")[1]] == ["old@1"]
            assert rows[1].aliases == ("champion",) and rows[1].card == '{"name": "b"}'
            assert rows[0].told == "{}" and rows[0].particles == (11, -11)
            assert index.places(rows[1]).stores == ("lab", "mlflow")
            assert index.search(Query(text="framework torch electrons"))[0] == 1
            assert index.search(Query(material="w", particle=22, validated=True))[0] == 1
            assert (index.token("mlflow"), index.address("mlflow")) == (
                ("t:9", "2026-11-23"),
                "here",
            )
            assert index.vectors() == {"sha256:b2": b"\1\2"}


@pytest.mark.parametrize(("schema", "lacked"), [(2, ["vectors"]), (1, ["vectors", "aliases"])])
def test_an_index_without_the_tables_of_later_schemas_gains_them(
    tmp_path: Path, schema: int, lacked: list[str]
) -> None:
    _unpack(3, tmp_path)
    with closing(sqlite3.connect(tmp_path / "index.db", isolation_level=None)) as connection:
        for table in lacked:
            connection.execute(f"DROP TABLE {table}")
        connection.execute(f"PRAGMA user_version = {schema}")
    with open_index(tmp_path) as index:
        assert (index.search(Query(), "mlflow")[0], index.vectors()) == (4, {})
        index.set_alias("mlflow", Alias("b", "best", 1))
        assert index.search(Query(text="b"))[1][-1].aliases == ("best",)


@pytest.mark.parametrize("schema", [4, 6])
def test_an_upgraded_index_is_a_new_one_with_the_same_rows(tmp_path: Path, schema: int) -> None:
    """Tables, indexes and triggers alike: nothing of the old file stays behind."""
    _unpack(schema, tmp_path)
    (tmp_path / "new").mkdir()
    shapes = []
    for folder in (tmp_path, tmp_path / "new"):
        with open_index(folder):
            pass
        with closing(sqlite3.connect(folder / "index.db")) as connection:
            sql = "SELECT name, sql FROM sqlite_master WHERE name != 'syncs' ORDER BY name"
            shapes.append(connection.execute(sql).fetchall())
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert shapes[0] == shapes[1]


def test_an_upgrade_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    _unpack(4, tmp_path)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("catalog.index.schema.put_rows", fail)
        with open_index(tmp_path):
            pass
    with open_index(tmp_path) as index:
        assert index.search(Query())[0] == 3


def test_an_index_of_a_later_catalog_is_refused_and_left_alone(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.put(Row("mlflow", "a", 1, "sha256:a"))
    with closing(sqlite3.connect(tmp_path / "index.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = (tmp_path / "index.db").read_bytes()
    with pytest.raises(StoreError, match="later version"), open_index(tmp_path):
        pass
    assert (tmp_path / "index.db").read_bytes() == before


def test_several_that_upgrade_an_index_at_once_all_find_it(tmp_path: Path) -> None:
    _unpack(3, tmp_path)

    def look(_: int) -> int:
        with open_index(tmp_path) as index:
            return index.search(Query())[0]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(look, range(4))) == [4] * 4


def test_a_damaged_index_says_how_to_rebuild_it(tmp_path: Path) -> None:
    (tmp_path / "index.db").write_bytes(b"not a database, but long enough to be read as one" * 99)
    with pytest.raises(StoreError, match="index") as caught, open_index(tmp_path):
        pass
    assert "catalog sync" in caught.value.hint


def test_a_file_in_the_way_of_the_home_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(StoreError, match="home"), open_index(tmp_path / "home"):
        pass


def test_where_a_version_lies_is_found_without_reading_its_model(tmp_path: Path) -> None:
    """A model may have thousands of versions, and a search asks for each one that it shows."""
    steps = []
    with open_index(tmp_path) as index:
        index.put(*[Row("memory", "m", n, f"sha256:{n:064x}", task="x") for n in range(1, 2001)])
        found = index.search(Query(limit=50), "memory")[1]
        connection = index._db._connection
        connection.set_progress_handler(lambda: steps.append(1), 1000)
        assert all(index.places(row).stores == ("memory",) for row in found)
        connection.set_progress_handler(None, 0)
    assert len(steps) < 50  # thousands of the database's own steps; to read all would be 1,000s


@pytest.fixture
def only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home as on CVMFS: a file system says that nobody may write, which root cannot be told."""
    with open_index(tmp_path) as index:
        index.put(*[Row("lab", "m", n, f"sha256:{n}", task="x", card="{}") for n in (1, 2)])
    monkeypatch.setattr("catalog.index.sqlite.os.access", lambda *_: False)
    return tmp_path


def test_a_home_that_cannot_be_written_is_searched_and_left_alone(only_read: Path) -> None:
    before = sorted(only_read.iterdir())
    content = (only_read / "index.db").read_bytes()
    with open_index(only_read) as index:
        assert index.search(Query(task="x"))[0] == 2
        assert len(index.page(Query(text="m"), "lab").models) == 2
        assert index.lookup("m", store=None, version=2, digest=None)[0].card == "{}"
    with pytest.raises(StoreError, match="readonly"), open_index(only_read) as index:
        index.put(Row("lab", "n", 1, ""))
    assert sorted(only_read.iterdir()) == before
    assert (only_read / "index.db").read_bytes() == content


def test_an_old_index_that_cannot_be_written_says_what_to_do(only_read: Path) -> None:
    _unpack(4, only_read)
    with pytest.raises(StoreError, match="earlier version.*search it once"), open_index(only_read):
        pass


@pytest.mark.skipif(not os.geteuid(), reason="root may write everywhere")
def test_a_folder_without_permission_to_write_is_searched(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.put(Row("lab", "m", 1, "sha256:1"))
    (tmp_path / "index.db").chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        with open_index(tmp_path) as index:
            assert index.search(Query())[0] == 1
    finally:
        tmp_path.chmod(0o700)


def test_a_search_of_many_reads_a_page_of_them(tmp_path: Path) -> None:
    """Filters and words are gone through in the order that is shown, and no further."""
    steps = []
    rows = [Row("lab", f"m{n:05}", 1, f"sha256:{n}", task="x", summary="w") for n in range(5000)]
    with open_index(tmp_path) as index:
        index.put(*rows)
        connection = index._db._connection
        connection.set_progress_handler(lambda: steps.append(1), 1000)
        for query in (Query(), Query(task="x"), Query(text="w", task="x")):
            assert index.page(query, "lab").total == query.counted + 1
        connection.set_progress_handler(None, 0)
    assert len(steps) < 150  # thousands of the database's own steps, for the three of them

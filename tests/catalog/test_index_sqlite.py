"""The index's file: what older and later catalogs wrote, damage, and how much a search reads."""

from __future__ import annotations

import gzip
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


def test_an_upgraded_index_is_a_new_one_with_the_same_rows(tmp_path: Path) -> None:
    """Tables, indexes and triggers alike: nothing of the old file stays behind."""
    _unpack(4, tmp_path)
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

"""The server's own tables: the same in both databases, brought up to date, never half written."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from house import Places

from catalog.errors import CatalogError, StoreError
from catalog.settings import Settings
from registry_server.database import Database, open_database
from registry_server.database.sqlite_schema import STEPS
from registry_server.errors import Busy

OWNER = "INSERT INTO owners VALUES (?, ?, ?, ?)"


@pytest.fixture
def where(either: None, tmp_path: Path) -> Settings:
    return Places.settings(tmp_path)


@pytest.fixture
def database(where: Settings) -> Database:
    return Places.database(where)


def test_a_block_that_fails_leaves_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction() as db:
        db.run(OWNER, "lab", "toy", "token:maria", 1.5)
        raise ZeroDivisionError
    assert database.rows("SELECT * FROM owners") == []
    with database.transaction("owners") as db:
        assert db.run(OWNER, "lab", "toy", "token:maria", 1.5) == 1
    (row,) = database.rows("SELECT * FROM owners")
    assert row == {"store": "lab", "model": "toy", "owner": "token:maria", "since": 1.5}


def test_text_that_no_database_can_hold_is_held(database: Database) -> None:
    database.run(OWNER, "lab", "nul \0 and \ud800", "token:maria", 0)
    assert len(database.rows("SELECT * FROM owners WHERE model = ?", "nul \0 and \ud800")) == 1


def test_no_two_are_alone_in_the_same_at_once(where: Settings) -> None:
    """Counted and then written, by many: each sees what the one before wrote."""

    def add(database: Database) -> None:
        for _ in range(10):
            with database.transaction("count") as db:
                count = db.rows("SELECT count(*) AS n FROM owners")[0]["n"]
                db.run(OWNER, "lab", f"model {count}", "token:maria", 0)

    databases = [Places.database(where) for _ in range(2)]
    threads = [threading.Thread(target=add, args=(it,)) for it in databases * 3]
    for it in threads:
        it.start()
    for it in threads:
        it.join()
    assert databases[0].rows("SELECT count(*) AS n FROM owners")[0]["n"] == 60


def test_a_clock_is_that_of_the_world(database: Database) -> None:
    assert abs(database.rows(f"SELECT {database.clock} AS now")[0]["now"] - time.time()) < 60


def test_a_lock_keeps_others_out_and_other_locks_do_not(where: Settings) -> None:
    one, other = Places.database(where), Places.database(where)
    with one.lock("a", 1):
        with pytest.raises(Busy), other.lock("a", 0.3):
            pass
        with pytest.raises(Busy), one.lock("a", 0.3):  # nor is it a matter of the process
            pass
        with other.lock("b", 1):
            pass
    with other.lock("a", 1):
        pass


def test_the_lock_of_a_killed_process_is_free(where: Settings) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom catalog.settings import Settings\n"
        "from registry_server.database import open_database\n"
        "home, index = sys.argv[1:]\n"
        "database = open_database(Settings(Path(home), Path(home), 'memory:', index=index))\n"
        "with database.lock('a', 1):\n    print('in', flush=True)\n    time.sleep(600)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(where.home), where.index], stdout=subprocess.PIPE
    )
    assert child.stdout and child.stdout.readline() == b"in\n"
    database = Places.database(where)
    with pytest.raises(Busy), database.lock("a", 0.3):
        pass
    child.kill()
    child.wait()
    child.stdout.close()
    with database.lock("a", 10):
        pass


def test_tables_of_a_later_catalog_are_refused_and_left_alone(where: Settings) -> None:
    database = Places.database(where)
    later = "UPDATE schema_version SET version = 99" if where.index else "PRAGMA user_version = 99"
    database.run(later)
    with pytest.raises(CatalogError, match="later version") as caught:
        open_database(where)
    assert "pip install" in caught.value.hint


def test_both_databases_have_the_same_tables(tmp_path: Path, postgres) -> None:
    with closing(open_database(tmp_path)) as files:
        tables = {
            row["name"]: {it["name"] for it in files.rows(f"PRAGMA table_info({row['name']})")}
            for row in files.rows("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
    Places.server = postgres
    where = Places.settings(tmp_path)
    Places.server = None
    with closing(open_database(where)) as server:
        rows = server.rows(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = 'catalog_server'"
        )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["table_name"], set()).add(row["column_name"])
    assert set(found) - set(tables) == {"audit", "schema_version"}
    assert {name: found[name] for name in tables} == tables


def test_a_file_of_the_first_release_is_brought_up_to_date_with_its_rows(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "server.db")) as db:
        db.executescript(STEPS[0] + "PRAGMA user_version = 1;")
        db.execute("INSERT INTO uploads VALUES ('a', 'token:maria', 'toy', '{}', 1.0, NULL)")
        db.commit()
    (row,) = open_database(tmp_path).rows("SELECT * FROM uploads")
    assert (row["model"], row["place"]) == ("toy", "")


def test_many_that_start_at_once_on_an_empty_database_all_find_it(where: Settings) -> None:
    def start() -> None:
        Places.database(where).run(OWNER, "lab", str(threading.get_ident()), "token:maria", 0)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for it in threads:
        it.start()
    for it in threads:
        it.join()
    assert Places.database(where).rows("SELECT count(*) AS n FROM owners")[0]["n"] == 6


def test_a_connection_that_was_lost_is_made_again(tmp_path: Path, postgres) -> None:
    Places.server = postgres
    where = Places.settings(tmp_path)
    Places.server = None
    with closing(open_database(where)) as database:
        for number in range(3):
            database.run(OWNER, "lab", str(number), "token:maria", 0)
            with closing(open_database(where)) as other:
                other.rows(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
                    "pg_backend_pid() AND application_name = 'catalog-server'"
                )
        assert len(database.rows("SELECT * FROM owners")) == 3


def test_a_server_that_cannot_be_reached_is_named_without_the_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    where = Settings(tmp_path, tmp_path, "lab")
    where = replace(where, index="postgresql://me:hunter2@127.0.0.1:1/db")
    with pytest.raises(StoreError, match="127.0.0.1") as caught:
        open_database(where)
    assert "hunter2" not in str(caught.value) + caught.value.hint + repr(where)

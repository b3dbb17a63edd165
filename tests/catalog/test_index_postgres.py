"""What only a server can do to an index: start twice, go away, refuse, and keep a secret."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.errors import NotAuthorised, StoreError, UsageError
from catalog.index import Query, Row, open_index
from catalog.settings import Settings, load_settings
from tests.catalog.index_places import database
from tests.postgres_server import ABSENT, Server, programs, running_postgres

psycopg = pytest.importorskip("psycopg")
from catalog.index.postgres_schema import STEPS  # noqa: E402

ROW = Row("mlflow", "a", 1, "sha256:a1", summary="a model")


def _version(number: int) -> Row:
    return replace(ROW, version=number, digest=f"sha256:a{number}")


@pytest.fixture
def where(tmp_path: Path, postgres: Server) -> Settings:
    return database(tmp_path, postgres)


@pytest.fixture(scope="module")
def mortal() -> Iterator[Server]:
    """A server that a test may stop."""
    if not programs():
        pytest.skip(ABSENT)
    with running_postgres("fsync=off") as server:
        yield server


def _do(where: Settings, *statements: str) -> None:
    with psycopg.connect(where.index, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def _drop_connections(where: Settings) -> None:
    _do(where, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'catalog'")  # fmt: skip


def _run(where: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from catalog.cli import main; main()", *arguments],
        env={**os.environ, "CATALOG_HOME": str(where.home), "CATALOG_INDEX": where.index},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_every_verb_uses_the_database_that_the_environment_names(
    where: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOG_INDEX", where.index)
    assert load_settings().index == where.index
    with open_index(where) as index:
        index.put(ROW)
    done = _run(where, "search", "--json")
    assert json.loads(done.stdout)["models"][0]["name"] == "a", done.stderr
    assert not (where.home / "index.db").exists()


def test_no_verb_opens_the_file_past_the_setting() -> None:
    import catalog

    sources = [it.read_text(encoding="utf-8") for it in Path(catalog.__file__).parent.rglob("*.py")]
    assert not [it for it in sources if "open_index(settings.home)" in it]


def test_several_that_start_at_once_on_an_empty_database_all_find_it(where: Settings) -> None:
    def put(number: int) -> int:
        with open_index(where) as index:
            index.put(_version(number + 1))
            return index.search(Query())[0]

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(put, range(8))) == 8


def test_a_step_that_fails_leaves_nothing(where: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("catalog.index.postgres.STEPS", ("CREATE TABLE versions (a int)", "x"))
        with pytest.raises(StoreError, match="syntax error"), open_index(where):
            pass
    with open_index(where) as index:
        assert index.search(Query()) == (0, [])


def test_an_older_schema_is_brought_up_to_date_with_its_rows(
    where: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_index(where) as index:
        index.put(ROW)
    later = (*STEPS, "ALTER TABLE versions ADD COLUMN later integer NOT NULL DEFAULT 7")
    monkeypatch.setattr("catalog.index.postgres.STEPS", later)
    with open_index(where) as index:
        assert index.search(Query())[0] == 1
        assert index._db.ask("SELECT later FROM versions") == [(7,)]


def test_an_index_of_schema_1_keeps_its_rows(where: Settings) -> None:
    """As the code of schema 1 wrote them: two places of one version, words that were cut."""
    columns = "store, name, version, digest, task, validated, gone, twin, words"
    _do(
        where, "CREATE SCHEMA catalog", "CREATE TABLE catalog.schema_version (version integer)",
        "INSERT INTO catalog.schema_version VALUES (1)",
        f"SET search_path TO catalog; {STEPS[0]}; INSERT INTO versions ({columns}) VALUES "
        "('lab', 'b', 1, 'sha256:b', 'jet-tagging', 1, '', 0, 'b tags jets'), "
        "('mlflow', 'b', 1, 'sha256:b', 'jet-tagging', 1, '', 1, 'b tags jets'), "
        "('lab', 'a', 2, 'sha256:a', NULL, 0, '', 0, 'a told by a stranger'); "
        "INSERT INTO texts SELECT id, name, '{}', '', '[22]', '[\"W\"]' FROM versions; "
        "INSERT INTO vectors SELECT id, '\\x0102' FROM versions WHERE name = 'a'",
    )  # fmt: skip
    for _ in range(2):
        with open_index(where) as index:
            assert [it.ref for it in index.search(Query(), "lab")[1]] == ["a@2", "b@1"]
            assert index.search(Query(text="stranger", material="w"))[0] == 1
            assert index.search(Query(task="jet-tagging", validated=True))[0] == 1
            assert index.search(Query(particle=22, store="mlflow"))[0] == 1
            assert '"stores":["lab","mlflow"]' in index.page(Query(text="tag"), "lab").models[0]
            assert index.vectors() == {"sha256:a": b"\1\2"}


def test_an_index_of_a_later_catalog_is_refused_and_left_alone(where: Settings) -> None:
    with open_index(where) as index:
        index.put(ROW)
    _do(where, "UPDATE catalog.schema_version SET version = 99")
    with pytest.raises(StoreError, match="later version") as caught, open_index(where):
        pass
    assert "pip install" in caught.value.hint
    _do(where, f"UPDATE catalog.schema_version SET version = {len(STEPS)}")
    with open_index(where) as index:
        assert index.search(Query())[0] == 1


def test_a_lost_connection_is_made_again_for_whoever_reads(where: Settings) -> None:
    with open_index(where) as index:
        index.put(ROW)
        for _ in range(3):
            _drop_connections(where)
            assert index.search(Query())[0] == 1


def test_a_connection_lost_while_writing_saves_nothing_and_says_so(where: Settings) -> None:
    def rows() -> Iterator[Row]:
        yield from [_version(n) for n in range(1, 501)]
        _drop_connections(where)
        yield ROW

    with open_index(where) as index:
        index.put(ROW)
        with pytest.raises(StoreError, match="postgresql://") as caught, index._db.transaction():
            from catalog.index.put import forget, put_rows

            forget(index._db, "mlflow")
            put_rows(index._db, rows())
        assert "again" in caught.value.hint
        assert [it.version for it in index.search(Query())[1]] == [1]
        index.put(_version(2))  # the next writer finds a connection
        assert index.search(Query())[0] == 2


def test_a_connection_lost_before_writing_is_made_again(where: Settings) -> None:
    with open_index(where) as index:
        index.put(ROW)
        _drop_connections(where)
        index.put(_version(2))
        assert index.search(Query())[0] == 2


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "crashed"])
def test_a_server_that_restarts_is_waited_for(
    mortal: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: signal.Signals
) -> None:
    monkeypatch.setattr("catalog.index.postgres._PAUSES", (0.0, *[0.25] * 200))
    with open_index(database(tmp_path, mortal)) as index:
        index.put(ROW)
        mortal.stop(kind)
        again = threading.Timer(0.2, mortal.start)
        again.start()
        assert index.search(Query())[0] == 1
        again.join()


def test_a_server_that_stays_away_is_named_and_missed_no_longer_once_it_is_back(
    mortal: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.index.postgres._PAUSES", (0.0, 0.0))
    with open_index(database(tmp_path, mortal)) as index:
        index.put(ROW)
        mortal.stop()
        for act in (lambda: index.search(Query()), lambda: index.put(ROW)):
            with pytest.raises(StoreError, match="127.0.0.1") as caught:
                act()
            assert "server runs" in caught.value.hint
        mortal.start()
        assert index.search(Query())[0] == 1


def test_a_writer_that_waits_too_long_says_why(
    where: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("catalog.index.postgres._SESSION",
                        "SET search_path TO catalog; SET lock_timeout TO '50ms'")  # fmt: skip
    with open_index(where) as one, open_index(where) as other:
        other.put(ROW)
        with (
            one._db.transaction(),
            pytest.raises(StoreError, match="another process has been writing"),
        ):
            other.put(ROW)
        assert other.search(Query())[0] == 1  # readers wait for nobody
        other.put(ROW)


@pytest.mark.parametrize("place", ["lost.example:1", "127.0.0.1:1"])
def test_a_server_that_cannot_be_reached_is_named_without_the_password(
    where: Settings, place: str
) -> None:
    where = replace(where, index=f"postgresql://me:hunter2@{place}/db?connect_timeout=2")
    done = _run(where, "search")
    assert done.returncode == 1
    assert place.partition(":")[0] in done.stderr and "me@" in done.stderr
    assert "hunter2" not in done.stderr + done.stdout + repr(where)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:hunter2/hunter2@host/db",
        "postgresql://me:12/hunter2@host/db",
        "postgresql://me:hunter2@hunter2@host/db",
        "mysql://me:hunter2@host/db",
        "hunter2",
        "host=hunter2",
        "postgresql://[hunter2",
    ],
)
def test_an_address_that_is_none_is_refused_without_repeating_it(
    tmp_path: Path, address: str
) -> None:
    where = Settings(tmp_path, tmp_path, "mlflow", index=address)
    with pytest.raises(UsageError, match="CATALOG_INDEX") as caught, open_index(where):
        pass
    assert "CATALOG_INDEX=postgresql://" in caught.value.hint
    assert "hunter2" not in str(caught.value) + caught.value.hint


def test_who_is_not_let_in_is_told_where_passwords_go(where: Settings, postgres: Server) -> None:
    _do(where, "DROP ROLE IF EXISTS locked", "CREATE ROLE locked LOGIN PASSWORD 'right'")
    for password in ("", ":hunter2"):
        url = postgres.url(user=f"locked{password}")
        locked = replace(where, index=url)
        with pytest.raises(NotAuthorised, match="password") as caught, open_index(locked):
            pass
        assert "PGPASSWORD" in caught.value.hint
        assert "hunter2" not in str(caught.value) + caught.value.hint
    _do(where, "DROP ROLE locked")


def test_who_may_only_read_searches_and_writes_nothing(where: Settings, postgres: Server) -> None:
    with open_index(where) as index:
        index.put(ROW)
    _do(where, "DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN",
        "GRANT USAGE ON SCHEMA catalog TO reader",
        "GRANT SELECT ON ALL TABLES IN SCHEMA catalog TO reader")  # fmt: skip
    with open_index(replace(where, index=postgres.url(user="reader"))) as index:
        assert index.search(Query(text="model"))[0] == 1
        with pytest.raises(NotAuthorised, match="permission denied"):
            index.put(_version(2))
    _do(where, "DROP OWNED BY reader", "DROP ROLE reader")


def test_a_database_that_cannot_hold_every_name_is_refused(
    where: Settings, postgres: Server
) -> None:
    _do(where, "DROP DATABASE IF EXISTS latin", "CREATE DATABASE latin ENCODING 'LATIN1' "
        "LOCALE 'C' LOCALE_PROVIDER libc TEMPLATE template0")  # fmt: skip
    latin = replace(where, index=postgres.url("latin"))
    with pytest.raises(StoreError, match="LATIN1") as caught, open_index(latin):
        pass
    assert "createdb --encoding=UTF8" in caught.value.hint
    _do(where, "DROP DATABASE latin")


def test_without_psycopg_the_extra_is_named(where: Settings) -> None:
    code = (
        "import sys\nsys.modules['psycopg'] = None\nfrom catalog.cli import main\n"
        "sys.argv = ['catalog', 'search']\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "CATALOG_HOME": str(where.home), "CATALOG_INDEX": where.index},
    )  # fmt: skip
    assert done.returncode == 1
    assert "pip install 'hep-model-catalog[postgres]'" in done.stderr


def test_a_search_in_the_file_imports_no_client_of_a_server(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom catalog.index import Query, open_index\n"
        "with open_index(Path(sys.argv[1])) as index: index.search(Query(text='a'))\n"
        "assert not {'psycopg', 'numpy', 'pydantic', 'catalog.index.postgres'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)

"""Search finds what matches, and nothing else."""

from __future__ import annotations

import gzip
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from catalog.errors import StoreError, UsageError
from catalog.index import Query, Row, open_index
from catalog.index.query import parse_energy, parse_particle


def row(name: str, version: int = 1, **fields: object) -> Row:
    defaults: dict[str, object] = {
        "task": "shower-generation", "family": "cvae", "detector": "clic-siw",
        "detector_type": "ecal", "e_low": 1.0, "e_high": 100.0, "licence": "Apache-2.0",
        "summary": f"model {name}", "particles": (22,), "materials": ("W", "Si"),
    }  # fmt: skip
    return Row("mlflow", name, version, f"sha256:{name}{version}", **{**defaults, **fields})


ROWS = [
    row("a"),
    row("b", detector="pbwo4-block", particles=(11, -11), materials=("PbWO4",), family="3dgan"),
    row("c", detector="fe-scint", detector_type="hcal", particles=(-211,), e_low=5.0, e_high=80.0),
    row("d", task="jet-tagging", detector="cms", detector_type="whole", particles=(), e_low=None,
        e_high=None, summary="Tags boosted top jets", materials=(), validated=True),
    row("a", 2, validated=True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (Query(), ["a@1", "a@2", "b@1", "c@1", "d@1"]),
        (Query(detector="ecal"), ["a@1", "a@2", "b@1"]),
        (Query(detector="pbwo4-block"), ["b@1"]),
        (Query(detector="ECAL'; DROP TABLE versions; --"), []),
        (Query(material="pbwo4"), ["b@1"]),
        (Query(particle=-11), ["b@1"]),
        (Query(energy_gev=(2, 2)), ["a@1", "a@2", "b@1"]),
        (Query(energy_gev=(50, 200)), []),
        (Query(family="3dgan"), ["b@1"]),
        (Query(task="jet-tagging"), ["d@1"]),
        (Query(validated=True), ["a@2", "d@1"]),
        (Query(text="boosted TOP"), ["d@1"]),
        (Query(text="clic-siw"), ["a@1", "a@2"]),
        (Query(text='"unbalanced ( quote* NOT'), []),
        (Query(detector="ecal", validated=True), ["a@2"]),
    ],
)
def test_search_returns_exactly_the_matches(
    tmp_path: Path, query: Query, wanted: list[str]
) -> None:
    with open_index(tmp_path) as index:
        index.replace_store("mlflow", ROWS)
        total, rows = index.search(query)
    assert [r.ref for r in rows] == wanted
    assert total == len(wanted)


def test_the_total_counts_what_the_limit_cuts(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.replace_store("mlflow", ROWS)
        total, rows = index.search(Query(limit=2))
    assert (total, len(rows)) == (5, 2)


def test_putting_a_row_twice_keeps_one(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.put(ROWS[0])
        index.put(row("a", summary="better words"))
        assert index.search(Query(text="better"))[0] == 1
        assert index.search(Query())[0] == 1


def test_replacing_one_store_leaves_the_others(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.put(Row("elsewhere", "z", 1, "sha256:z"))
        index.replace_store("mlflow", ROWS)
        index.replace_store("mlflow", ROWS[:1])
        assert [r.ref for r in index.search(Query())[1]] == ["a@1", "z@1"]


def test_a_failed_replacement_changes_nothing(tmp_path: Path) -> None:
    def rows():
        yield ROWS[0]
        raise RuntimeError("the store went away")

    with open_index(tmp_path) as index:
        index.replace_store("mlflow", ROWS)
        with pytest.raises(RuntimeError):
            index.replace_store("mlflow", rows())
        assert index.search(Query())[0] == 5


def test_an_index_of_schema_3_keeps_its_rows(tmp_path: Path) -> None:
    """The file was written by the code of schema 3."""
    old = Path(__file__).with_name("index-schema-3.db.gz")
    (tmp_path / "index.db").write_bytes(gzip.decompress(old.read_bytes()))
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
    old = Path(__file__).with_name("index-schema-4.db.gz")
    (tmp_path / "index.db").write_bytes(gzip.decompress(old.read_bytes()))
    for _ in range(2):
        with open_index(tmp_path) as index:
            total, rows = index.search(Query(), "mlflow")
            assert (total, [r.ref for r in rows]) == (3, ["a@1", "a@2", "lab:theirs@1"])
            assert rows[2].aliases == ("best",)
            assert (index.token("lab"), index.address("lab")) == (("t:7", "2026-11-20"), "")


def test_an_index_of_a_later_catalog_is_refused_and_left_alone(tmp_path: Path) -> None:
    with open_index(tmp_path) as index:
        index.put(ROWS[0])
    with closing(sqlite3.connect(tmp_path / "index.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = (tmp_path / "index.db").read_bytes()
    with pytest.raises(StoreError, match="later version"), open_index(tmp_path):
        pass
    assert (tmp_path / "index.db").read_bytes() == before


def test_two_that_upgrade_an_index_at_once_both_find_it(tmp_path: Path) -> None:
    old = Path(__file__).with_name("index-schema-3.db.gz")
    (tmp_path / "index.db").write_bytes(gzip.decompress(old.read_bytes()))

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


@pytest.mark.parametrize("text", ["", "-5", "nan", "inf", "10..5", "1..x", "0"])
def test_a_wrong_energy_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_energy(text)


def test_particles_by_name_and_number() -> None:
    assert parse_particle("e-") == parse_particle("11") == 11
    assert parse_particle("GAMMA") == 22
    with pytest.raises(UsageError, match="unknown particle"):
        parse_particle("tachyon")


def test_where_a_version_lies_is_found_without_reading_its_model(tmp_path: Path) -> None:
    """A model may have thousands of versions, and a search asks for each one that it shows."""
    steps = []
    with open_index(tmp_path) as index:
        index.put(*[Row("memory", "m", n, f"sha256:{n:064x}", task="x") for n in range(1, 2001)])
        found = index.search(Query(limit=50), "memory")[1]
        index._db.set_progress_handler(lambda: steps.append(1), 1000)
        assert all(index.places(row).stores == ("memory",) for row in found)
        index._db.set_progress_handler(None, 0)
    assert len(steps) < 50  # thousands of the database's own steps; to read all would be 1,000s

"""Search finds what matches, and nothing else: the same in every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from catalog.errors import UsageError
from catalog.index import Query, Row, open_index
from catalog.index.query import COUNTED, parse_energy, parse_particle
from catalog.settings import Settings
from catalog.stores import Alias, Changes, Committed
from tests.catalog.index_places import database


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings of an empty index in one kind of database."""
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    return database(tmp_path, server)


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
        e_high=None, summary="Tags boosted top jets at Orsay-Palaiséau", materials=(),
        validated=True),
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
        (Query(text="PALAISEAU"), ["d@1"]),
        (Query(text="boo"), ["d@1"]),
        (Query(text="oosted"), []),
        (Query(text="clic-siw"), ["a@1", "a@2"]),
        (Query(text='"unbalanced ( quote* NOT'), []),
        (Query(text="q' | b:* & !(<->)"), []),
        (Query(text="top %s ? $1"), []),
        (Query(text="to\0p"), ["d@1"]),
        (Query(text="\udcff boosted"), ["d@1"]),
        (Query(detector="e\0cal"), []),
        (Query(detector="ecal", validated=True), ["a@2"]),
    ],
)
def test_search_returns_exactly_the_matches(
    where: Settings, query: Query, wanted: list[str]
) -> None:
    with open_index(where) as index:
        index.put(*ROWS)
        total, rows = index.search(query)
    assert [r.ref for r in rows] == wanted
    assert total == len(wanted)


def test_a_row_comes_back_as_it_was_put(where: Settings) -> None:
    full = row("b", parent="sha256:p", card='{"name": "b"}', told="{}", validated=True,
               particles=(11, -11), gone="2026-01-01")  # fmt: skip
    with open_index(where) as index:
        index.put(row("a", task=None, e_low=None, licence=None), full)
        index.set_alias("mlflow", Alias("b", "champion", 1))
        found = index.lookup("b", store=None, version=None, digest=full.digest[:9])
        (other,) = index.search(Query())[1]
    assert found == [Row(**{**vars(full), "aliases": ("champion",)})]
    assert (other.task, other.e_low, other.licence) == (None, None, None)


def test_the_total_counts_what_the_limit_cuts(where: Settings) -> None:
    with open_index(where) as index:
        index.put(*ROWS)
        total, rows = index.search(Query(limit=2))
    assert (total, len(rows)) == (5, 2)


def test_putting_a_row_twice_keeps_the_last(where: Settings) -> None:
    with open_index(where) as index:
        index.put(ROWS[0])
        index.put(row("a", summary="good words"), row("a", summary="better words", particles=(13,)))
        assert index.search(Query(text="better"))[0] == 1
        assert index.search(Query(text="good"))[0] == 0
        assert index.search(Query())[0] == 1
        assert index.search(Query(particle=22))[0] == 0


def test_a_version_that_changes_its_digest_leaves_its_twin_alone(where: Settings) -> None:
    twin = Row("lab", "a", 1, ROWS[0].digest)
    with open_index(where) as index:
        index.put(ROWS[0], twin)
        assert index.search(Query())[0] == 1
        index.put(Row("mlflow", "a", 1, "sha256:new"))
        assert index.search(Query())[0] == 2
        index.put(ROWS[0])
        assert [r.ref for r in index.search(Query(), "lab")[1]] == ["a@1"]


def test_forgetting_one_store_leaves_the_others(where: Settings) -> None:
    with open_index(where) as index:
        index.put(
            *ROWS, Row("elsewhere", "z", 1, "sha256:z"), Row("elsewhere", "a", 1, "sha256:a1")
        )
        index.set_alias("mlflow", Alias("a", "champion", 1))
        index.forget_store("mlflow")
        assert [r.ref for r in index.search(Query())[1]] == ["a@1", "z@1"]
        assert index.search(Query(text="boosted"))[0] == 0
        index.put(*ROWS)
        assert not index.search(Query())[1][0].aliases


def test_a_failed_put_changes_nothing(where: Settings) -> None:
    with open_index(where) as index:
        index.put(*ROWS)
        with pytest.raises(Exception, match="."):
            index.put(row("e"), row("f", e_low="not a number" * 2, summary=None))
        assert index.search(Query())[0] == 5
        index.put(row("e"))
        assert index.search(Query())[0] == 6


def test_a_finished_sync_marks_what_is_gone_and_what_came_back(where: Settings) -> None:
    everything = [Committed(r.name, r.version, r.digest) for r in ROWS]
    with open_index(where) as index:
        index.put(*ROWS)
        less = Changes("t1", tuple(everything[1:]), True, (), (Alias("b", "best", 1),))
        assert index.finish("mlflow", less, "2026-11-23", address="here") == 1
        assert index.token("mlflow") == ("t1", "2026-11-23")
        assert index.address("mlflow") == "here"
        assert (index.search(Query())[0], index.search(Query(gone=True))[0]) == (4, 1)
        assert index.count("mlflow") == 4
        back = Changes("t2", tuple(everything[:1]), False, ("a",), ())
        assert index.finish("mlflow", back, "2026-11-24", told_all=False) == 1  # a@2
        assert index.token("mlflow")[0] == "t1"
        assert [r.ref for r in index.search(Query(gone=True))[1]] == ["a@2"]
        assert index.search(Query(family="3dgan"))[1][0].aliases == ("best",)


def test_places_of_many_versions_are_those_of_each(where: Settings) -> None:
    with open_index(where) as index:
        index.put(*ROWS, Row("lab", "a", 1, "sha256:a1"), Row("lab", "b", 1, "sha256:other"))
        index.put(Row("lab", "nothing known", 1, ""), Row("lab", "copy", 1, "sha256:a1"))
        rows = index.search(Query(), "mlflow")[1]
        assert index.all_places(rows) == [index.places(it) for it in rows]
        assert index.places(rows[0]).stores == ("lab", "mlflow")
        (b,) = (it for it in rows if it.ref == "b@1")
        assert index.places(b).conflicts == (("lab", "sha256:other"),)
        assert index.all_places([]) == []


def test_a_store_takes_another_name_with_all_that_is_known_of_it(where: Settings) -> None:
    with open_index(where) as index:
        index.put(*ROWS, Row("lab", "old", 1, "sha256:old"))
        there = tuple(Committed(it.name, it.version, it.digest) for it in ROWS)
        index.finish("mlflow", Changes("t", there, True, (), ()), "2026-11-23")
        index.rename_store("mlflow", "lab")
        assert {r.store for r in index.search(Query())[1]} == {"lab"}
        assert index.token("lab")[0] == "t"
        assert sorted(index.names()) == ["a", "b", "c", "d"]


def test_names_are_ordered_by_their_bytes(where: Settings) -> None:
    """Whatever the language of the database: a page must not depend on where it was asked."""
    names = ["Zed", "_x", "a b", "a-b", "ab", "aé", "z", "Äh", "ß", "日本", "\U0001f600", "a\0c"]
    with open_index(where) as index:
        index.put(*[row(name) for name in names])
        found = [r.name for r in index.search(Query())[1]]
    told = [name.replace("\0", "\ufffd") for name in names]
    assert found == sorted(told, key=str.encode)


def test_text_that_no_database_keeps_is_found_again(where: Settings) -> None:
    odd = row("a\0b", summary="zero\0byte \ud800", words="x" * 100_000, told="\0")
    with open_index(where) as index:
        index.put(odd)
        assert index.search(Query(text="zero byte"))[0] == 1
        assert index.search(Query(text="x" * 70))[0] == 1
        (known,) = index.known("mlflow")
        there = (Committed("a\0b", 1, odd.digest),)
        changes = Changes("t\0", there, True, (), (Alias("a\0b", "\udcff", 1),))
        assert index.finish("mlflow", changes, "2026-11-23") == 0
        assert index.search(Query())[1][0].aliases == ("\\udcff",)
        assert known[0] == "a\N{REPLACEMENT CHARACTER}b"


def test_a_book_of_different_words_is_indexed(where: Settings) -> None:
    with open_index(where) as index:
        index.put(row("a", words=" ".join(f"{'日' * 60}{n}" for n in range(20_000))))
        assert index.search(Query(text="日"))[0] == 1


def test_vectors_are_bytes(where: Settings) -> None:
    with open_index(where) as index:
        index.put(row("a", vector=bytes(range(256))), row("b"))
        assert index.vectors() == {"sha256:a1": bytes(range(256))}


def test_many_writers_at_once_lose_nothing(where: Settings) -> None:
    """All of them write one model of two stores, so that they meet at the same rows."""

    def write(number: int) -> None:
        with open_index(where) as index:
            for version in range(1, 11):
                store = ("lab", "mlflow")[number % 2]
                index.put(Row(store, "m", version, f"sha256:{version}", summary=f"by {number}"))
                index.set_alias(store, Alias("m", "latest", version))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    with open_index(where) as index:
        total, rows = index.search(Query(), "lab")
        assert total == 10
        assert {index.places(it).stores for it in rows} == {("lab", "mlflow")}
        assert [it.version for it in rows if "latest" in it.aliases]


def test_a_total_says_when_there_is_more_than_was_counted(where: Settings) -> None:
    with open_index(where) as index:
        index.put(*[row(f"m{n:04}") for n in range(COUNTED + 5)])
        for query in (Query(limit=5), Query(text="model", limit=5), Query(limit=5, skip=200)):
            assert (index.search(query)[0], query.counted) == (COUNTED + 1, COUNTED)
        last = Query(limit=10, skip=COUNTED)
        total, rows = index.search(last)
        assert (total, len(rows), total <= last.counted) == (COUNTED + 5, 5, True)
        assert index.search(Query(limit=2000))[0] == COUNTED + 5
        assert index.search(Query(skip=5000))[0] == COUNTED + 5


@pytest.mark.parametrize(
    ("field", "value"),
    [("particle", 1 << 63), ("particle", -(1 << 63) - 1), ("limit", 1 << 63), ("skip", 1 << 63),
     ("skip", -1), ("energy_gev", (1.0, float("inf"))), ("energy_gev", (float("nan"), 1.0))],
)  # fmt: skip
def test_a_number_that_no_database_holds_is_refused_by_its_name(field: str, value: object) -> None:
    with pytest.raises(UsageError, match=field):
        Query(**{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", "-5", "nan", "inf", "10..5", "1..x", "0"])
def test_a_wrong_energy_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_energy(text)


def test_particles_by_name_and_number() -> None:
    assert parse_particle("e-") == parse_particle("11") == 11
    assert parse_particle("GAMMA") == 22
    with pytest.raises(UsageError, match="unknown particle"):
        parse_particle("tachyon")

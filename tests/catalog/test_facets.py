"""What a facet counts is what a search with it finds, in every database."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from catalog.index import Query, open_index
from catalog.index.facets import LEVELS_GEV
from catalog.settings import Settings
from tests.catalog.index_places import database
from tests.catalog.test_index import ROWS, row


@pytest.fixture(params=["sqlite", "postgres"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    server = request.getfixturevalue("postgres") if request.param == "postgres" else None
    return database(tmp_path, server)


OWN = row(
    "own", detector="drift-box", materials=("Ar",),
    card=json.dumps({"domain": {"detector": {"name": "drift-box", "technology": "gas"}}}),
)  # fmt: skip
ASKED = [
    Query(),
    Query(text="model"),
    Query(detector="ecal"),
    Query(detector="clic-siw"),
    Query(family="cvae", particle=22),
    Query(validated=True),
    Query(energy_gev=(2, 60)),
    Query(material="w", licence="Apache-2.0"),
    Query(text="nothing has this word"),
]


def chosen(query: Query, name: str, value: object) -> Query:
    """The query with one facet set to a value, as choosing it in a page does."""
    changes = {name: value}
    return replace(query, **changes)


@pytest.mark.parametrize("query", ASKED)
def test_every_count_is_what_choosing_the_value_finds(where: Settings, query: Query) -> None:
    with open_index(where) as index:
        index.put(*ROWS, OWN)
        facets = index.facets(query)
        for name, values in facets.counts.items():
            for value, count in values:
                if name == "technology":
                    total = index.search(index.of_technology(query, str(value)))[0]
                elif name == "detector" and query.detector == "clic-siw":
                    continue  # a name takes the place of a type
                else:
                    total = index.search(chosen(query, name, value))[0]
                assert total == count, (name, value)


def test_technologies_come_from_the_vocabulary_and_from_cards(where: Settings) -> None:
    with open_index(where) as index:
        index.put(*ROWS, OWN)
        counts = dict(index.facets(Query()).counts["technology"])
        _, found = index.search(index.of_technology(Query(), "gas"))
        _, none = index.search(index.of_technology(Query(), "no such technology"))
    assert counts == {"sampling": 3, "homogeneous": 1, "gas": 1}
    assert ([it.ref for it in found], none) == (["own@1"], [])


def test_a_level_is_covered_by_those_whose_energies_hold_it(where: Settings) -> None:
    with open_index(where) as index:
        index.put(*ROWS)
        covered = index.facets(Query(energy_gev=(1, 2))).covered
        for level, count in zip(LEVELS_GEV, covered, strict=True):
            assert index.search(Query(energy_gev=(level, level)))[0] == count

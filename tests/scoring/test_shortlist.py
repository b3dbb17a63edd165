"""Stage 1: who is run at all, and who is told why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from catalog.fingerprint import Kept, fingerprint
from catalog.index import Row
from catalog.index.rows import row_of
from catalog.scoring.shortlist import newest, shortlist, unranked
from catalog.showers import ShowerSet
from catalog.stores import Committed
from tests.toys import generator_card, shower_set


@pytest.fixture
def target(tmp_path: Path) -> ShowerSet:
    return shower_set(tmp_path / "f.h5", n=200)


def rows_at(target: ShowerSet, count: int, told: int = 0) -> tuple[list[Row], dict[str, bytes]]:
    """Models whose fingerprints lie further out one after the other; the last `told` lowest first.

    The last `told` of them are told the geometry.
    """
    vector = np.frombuffer(Kept(data=fingerprint(target)).vector, "<f4")
    rows, vectors = [], {}
    for i in range(count):
        card = generator_card(f"m{i:03}")
        if i >= count - told:
            spec = card.inputs[1].model_copy(
                update={"components": ("energy_gev", "critical_mev"), "shape": (-1, 2)}
            )
            card = card.model_copy(update={"inputs": (card.inputs[0], spec)})
        rows.append(row_of("memory", Committed(card.name, 1, f"sha256:{i}"), card))
        moved = vector.copy()
        moved[4::5] *= 1 + 0.02 * i
        vectors[f"sha256:{i}"] = moved.tobytes()
    return rows, vectors


def test_the_nearest_fingerprints_are_run_and_the_others_are_named_in_order(
    target: ShowerSet,
) -> None:
    rows, vectors = rows_at(target, 30)
    found = shortlist(target, rows[::-1], vectors, most=5)
    assert [e.row.name for e in found.chosen] == [f"m{i:03}" for i in range(5)]
    assert [e.row.name for e in found.others] == [f"m{i:03}" for i in range(5, 30)]
    assert found.excluded == ()


def test_all_of_a_small_catalog_are_run(target: ShowerSet) -> None:
    rows, vectors = rows_at(target, 10)
    assert len(shortlist(target, rows, vectors, most=5).chosen) == 10


def test_models_that_are_told_the_geometry_are_run_too_however_far_their_own_detector_is(
    target: ShowerSet,
) -> None:
    rows, vectors = rows_at(target, 40, told=6)
    chosen = shortlist(target, rows, vectors, most=5).chosen
    assert [(e.row.name, e.why) for e in chosen[5:]] == [
        (f"m{i:03}", "geometry") for i in range(34, 38)
    ]


def test_models_without_a_fingerprint_are_run_too_up_to_a_bound_and_said_to_be(
    target: ShowerSet,
) -> None:
    rows, vectors = rows_at(target, 40)
    few = {key: vector for key, vector in vectors.items() if int(key[7:]) < 30}
    chosen = shortlist(target, rows, few, most=5).chosen
    assert [(e.row.name, e.why) for e in chosen[5:]] == [
        (f"m{i:03}", "no fingerprint") for i in range(30, 34)
    ]
    assert all(np.isinf(e.distance) for e in chosen[5:])


def test_what_cannot_be_adapted_leaves_its_place_to_the_next(target: ShowerSet) -> None:
    rows, vectors = rows_at(target, 30)
    rows[0] = replace(rows[0], particles=(211,))
    rows[1] = replace(rows[1], e_low=200.0, e_high=300.0)
    rows[2] = replace(rows[2], card="{}")
    found = shortlist(target, rows, vectors, most=5)
    assert [e.row.name for e in found.chosen] == [f"m{i:03}" for i in range(3, 8)]
    assert [ref for ref, _ in found.excluded] == ["m000@1", "m001@1", "m002@1"]


def test_one_version_of_a_model_is_proposed_once_whatever_stores_it_lies_in(
    target: ShowerSet,
) -> None:
    row = rows_at(target, 1)[0][0]
    later = replace(row, version=2, digest="sha256:later")
    copies = [replace(each, store="other") for each in (row, later)]
    (only,) = newest([*copies, row, later], "memory")
    assert (only.store, only.version) == ("memory", 2)


def test_an_index_without_fingerprints_says_how_to_get_them(target: ShowerSet) -> None:
    rows, vectors = rows_at(target, 3)
    assert unranked(rows, vectors) == ""
    assert unranked(rows, {}).startswith("3 of 3 generators have no fingerprint in the index")
    assert unranked(rows, {}).endswith("run: catalog sync --full")
    bare = replace(rows[0], digest="", card="")  # undocumented: no sync gives it one
    assert unranked([bare, *rows[1:]], vectors) == ""

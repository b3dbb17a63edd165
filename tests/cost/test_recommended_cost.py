"""A recommendation says what adapting costs where it was asked for, and nothing where it cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from catalog.adapt.adapt import STEPS
from catalog.adapt.log import Adaptation, read_records
from catalog.cost.ask import priced
from catalog.cost.prices import all_prices
from catalog.errors import UsageError
from catalog.scoring.present import as_dict, human
from catalog.scoring.recommend import Recommendation
from tests.scoring.places import Place
from tests.toys import shower_set

SHIPPED = Path(__file__).parents[2] / "sample_models" / "evidence.jsonl"


@pytest.fixture
def log() -> list[Adaptation]:
    one = next(r for r in read_records(SHIPPED) if r.strategy != "scratch")
    return [
        replace(one, family="toy", steps=STEPS, showers=60, seconds=80.0, seed=seed)
        for seed in range(3)
    ]


@pytest.fixture
def found(tmp_path: Path, log: list[Adaptation]) -> Recommendation:
    pytest.importorskip("onnxruntime")
    place = Place(tmp_path)
    place.add("toy")
    return place.ask(shower_set(tmp_path / "few.h5"), log)


def test_the_cheapest_offer_of_the_place_is_told(
    found: Recommendation, log: list[Adaptation], tmp_path: Path
) -> None:
    costs = priced(found, log, all_prices(tmp_path), ["gcp"])
    quote = as_dict(found, costs)["ranking"][0]["quote"]
    assert quote["where"].startswith("gcp:")
    assert quote["usd"] > 0
    assert quote["co2_kg"] > 0
    assert quote["seconds"] > 80  # machines start first
    assert "COST" in human(found, "few.h5", costs)


def test_without_a_place_or_a_record_nothing_is_made_up(
    found: Recommendation, log: list[Adaptation], tmp_path: Path
) -> None:
    rows = all_prices(tmp_path)
    assert priced(found, log, rows, []) == {}
    assert priced(found, [], rows, ["gcp"]) == {}
    quote = as_dict(found)["ranking"][0]["quote"]
    assert (quote["usd"], quote["co2_kg"], quote["where"]) == (None, None, "here")
    assert "COST" not in human(found, "few.h5")
    with pytest.raises(UsageError, match="no price is known at 'moon'"):
        priced(found, log, rows, ["moon"])

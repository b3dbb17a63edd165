"""The recommendation: what is excluded and why, and what recorded runs change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from catalog.adapt.log import Adaptation, append_log, read_log
from catalog.card import Training
from catalog.compat import cannot_adapt, cannot_generate
from catalog.domain import Domain, load_detector
from catalog.errors import BadFile, UsageError
from catalog.index import open_index
from catalog.physics.validate import compare
from catalog.pull import fetch, read_folder
from catalog.scoring.present import as_dict, human
from catalog.seen import keys_of, refuse_seen, seen_by, write_seen
from catalog.showers import Layer, Mesh
from tests.scoring.places import Place
from tests.toys import generator_card, shower_set

RUN = Adaptation(
    family="toy", strategy="full", model="sha256:m", model_ref="m@1", target="elsewhere",
    target_digest="sha256:t", pdg=22, showers=150, steps=800, seed=0, zero_shot=2.0, reached=0.5,
    floor=0.1, seconds=30.0, device="cpu", date="2026-11-23",
)  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_nearer_model_comes_first_whatever_the_order_of_publishing(
    place: Place, tmp_path: Path
) -> None:
    target = shower_set(tmp_path / "f.h5", n=80, depth=6.0)
    for name, depth in (("a-far", 2.5), ("b-near", 6.0), ("c-middle", 4.0)):
        place.add(name, depth=depth)
    found = place.ask(target)
    assert [c.ref for c in found.ranking] == ["b-near@1", "c-middle@1", "a-far@1"]
    assert found.scratch is None
    assert all(c.prediction is None for c in found.ranking)
    assert "not calibrated" in human(found, "f.h5")


def test_a_recommendation_is_repeatable(place: Place, tmp_path: Path) -> None:
    target = shower_set(tmp_path / "f.h5", n=80)
    place.add("one")
    assert as_dict(place.ask(target)) == as_dict(place.ask(target))


def test_recorded_runs_turn_into_predictions_and_decide(place: Place, tmp_path: Path) -> None:
    target = shower_set(tmp_path / "f.h5", n=100)
    place.add("one")
    adapted = [replace(RUN, showers=100, seed=seed) for seed in range(3)]

    def scratch(reached: float) -> list[Adaptation]:
        fields = {"strategy": "scratch", "model": "", "zero_shot": None, "reached": reached}
        return [replace(run, **fields) for run in adapted]

    found = place.ask(target, adapted + scratch(1.0))
    best = found.ranking[0]
    assert best.prediction is not None
    assert best.prediction.low < best.prediction.predicted < best.prediction.high
    assert found.scratch is not None
    assert found.scratch.predicted == pytest.approx(1.0)
    assert place.ask(target, adapted + scratch(1e-3)).verdict == "scratch"
    assert place.ask(target, adapted + scratch(1e3)).verdict == "adapt"
    assert place.ask(target, adapted[:2] + scratch(1.0)).ranking[0].prediction is None


def test_a_family_that_nobody_has_adapted_is_not_predicted_and_comes_last(
    place: Place, tmp_path: Path
) -> None:
    target = shower_set(tmp_path / "f.h5", n=100, depth=6.0)
    place.add("stranger", depth=6.0, family="3dgan")
    place.add("known", depth=4.0)
    runs = [replace(RUN, showers=100, seed=seed) for seed in range(3)]
    assert [c.ref for c in place.ask(target).ranking] == ["stranger@1", "known@1"]
    found = place.ask(target, runs)
    assert [c.ref for c in found.ranking] == ["known@1", "stranger@1"]
    known, stranger = as_dict(found)["ranking"]
    assert known["predicted"] and known["not_predicted"] is None
    assert (stranger["predicted"], stranger["saved_showers"]) == (None, None)
    assert stranger["not_predicted"] == "too few recorded runs of the family 3dgan"
    assert "not predicted, and so ranked last: 3dgan" in human(found, "f.h5")


def test_no_number_of_a_recommendation_is_below_the_floor_beside_it(
    place: Place, tmp_path: Path
) -> None:
    target = shower_set(tmp_path / "f.h5", n=100)
    place.add("one")
    low = [replace(RUN, showers=100, seed=seed, reached=0.001) for seed in range(3)]
    scratch = [replace(run, strategy="scratch", model="", zero_shot=None) for run in low]
    found = as_dict(place.ask(target, low + scratch))
    ends = [found["ranking"][0], found["scratch"]]
    assert found["floor"] == RUN.floor
    assert found["floor_of"] == "recorded runs"
    assert min(each[key] for each in ends for key in ("predicted", "low", "high")) == RUN.floor
    alone = as_dict(place.ask(target))
    assert (alone["floor"], alone["floor_of"]) == (alone["zero_shot_floor"], "these showers")


def test_models_that_cannot_be_adapted_say_why(tmp_path: Path) -> None:
    target = shower_set(tmp_path / "f.h5")
    card = generator_card("m")
    assert cannot_adapt(card, target) is None
    domain = card.domain
    for changed, words in (
        ({"domain": domain.model_copy(update={"particles": (211,)})}, "other particles"),
        ({"domain": domain.model_copy(update={"energy_gev": (200, 300)})}, "200..300 GeV only"),
        ({"domain": domain.model_copy(update={"shape": None})}, "no mesh"),
        ({"family": None}, "names no family"),
        ({"training": Training(dataset_digest=target.digest)}, "these very showers"),
        ({"task": "energy-regression"}, "generates no showers"),
    ):
        assert words in (cannot_adapt(card.model_copy(update=changed), target) or "")
    inclined = replace(target, theta_rad=np.full(len(target), 0.6))
    assert "at 0..0 rad" in (cannot_generate(card, inclined) or "")


def test_a_model_is_not_ranked_or_judged_on_showers_that_trained_it(
    place: Place, tmp_path: Path
) -> None:
    """Not even when the file was cut, re-ordered and written again."""
    showers = shower_set(tmp_path / "f.h5", n=120)
    place.add("trained", seen=showers.part(0, 60))
    place.add("clean", depth=5.0)
    other = replace(showers.part(30, 90), digest="sha256:another")
    found = place.ask(other)
    assert [c.ref for c in found.ranking] == ["clean@1"]
    assert found.excluded == (("trained@1", "trained on 30 of these 60 showers"),)
    folder = tmp_path / "trained"
    pulled = read_folder(folder)
    with pytest.raises(UsageError, match="30 of these 60 showers trained it") as caught:
        refuse_seen({"it": pulled}, other, 30, "--skip")
    assert caught.value.hint == "leave them out: --skip 60"
    refuse_seen({"it": pulled}, showers.part(60), 60)


def test_energies_on_a_grid_are_not_taken_for_the_same_showers(tmp_path: Path) -> None:
    showers = shower_set(tmp_path / "f.h5", n=60)
    grid = replace(showers, incident_gev=np.repeat([10.0, 50.0], 30))
    write_seen(tmp_path, keys_of(grid), keys_of(showers))
    assert len(seen_by(tmp_path, grid)) == 0
    assert len(seen_by(tmp_path, showers)) == 60


def test_an_empty_catalog_says_that_nothing_fits(place: Place, tmp_path: Path) -> None:
    found = place.ask(shower_set(tmp_path / "f.h5"))
    assert (found.verdict, found.ranking) == ("nothing-fits", ())


def test_too_few_showers_or_layers_are_refused(place: Place, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="too few"):
        place.ask(shower_set(tmp_path / "f.h5", n=10))
    showers = shower_set(tmp_path / "g.h5")
    edges = (-45.0, 45.0)
    coarse = Mesh(
        tuple(Layer(i * 50.0, i * 50 + 50.0, "cartesian", edges, edges) for i in range(3))
    )
    thick = replace(showers, mesh=coarse, energies=showers.energies[:, :3])
    found = place.ask(thick)
    assert found.verdict == "nothing-fits"
    assert "3 readout layers" in found.reason
    assert as_dict(found)["ranking"] == []
    assert "nothing-fits" in human(found, "f.h5")


def test_a_detector_without_a_stack_is_told_what_to_add(place: Place, tmp_path: Path) -> None:
    showers = replace(shower_set(tmp_path / "f.h5"), detector=load_detector("clic-3dgan"))
    with pytest.raises(UsageError, match="no layer stack") as caught:
        place.ask(showers)
    assert "stack:" in caught.value.hint


def test_one_damaged_model_does_not_hide_the_others(place: Place, tmp_path: Path) -> None:
    place.add("good")
    place.add("bad", depth=5.0)
    for path in place.settings.cache.rglob("model.onnx"):
        if (path.parent / "card.yaml").read_text().count("name: bad"):
            path.write_bytes(b"broken")
    found = place.ask(shower_set(tmp_path / "f.h5"))
    assert [c.ref for c in found.ranking] == ["good@1"]
    assert found.excluded[0][0] == "bad@1"


def test_validation_is_at_the_floor_for_the_showers_themselves_and_above_it_for_a_toy(
    place: Place, tmp_path: Path
) -> None:
    place.add("one")
    with open_index(place.settings.home) as index:
        row = index.lookup("one", store=None, version=None, digest=None)[0]
    from catalog.stores import Committed

    pulled = fetch(Committed("one", 1, row.digest), place.settings, place.store)
    found = compare({"one": pulled}, shower_set(tmp_path / "f.h5", n=200))
    assert found.n == 100
    assert found.floor["w1_geomean"] < 0.3 < found.metrics["one"]["w1_geomean"]
    assert found.floor["auc"] == pytest.approx(0.5, abs=0.15)
    assert not all(gate.passed for gate in found.gates("one"))


def test_a_generator_that_gives_nan_is_refused_by_name(tmp_path: Path) -> None:
    from catalog.generate import generate

    class NanSessionDouble:
        def run(self, _names, feed):
            return [np.full((len(feed["noise"]), 25, 8, 5), np.nan, np.float32)]

    with pytest.raises(BadFile, match="gives NaN"):
        generate(NanSessionDouble(), generator_card("m"), np.ones(3), 22)


def test_the_log_keeps_the_last_record_of_an_experiment_and_survives_a_cut_line(
    tmp_path: Path,
) -> None:
    append_log(tmp_path, [RUN, replace(RUN, seed=1)])
    append_log(tmp_path, [replace(RUN, reached=0.4)])
    with (tmp_path / "adaptations.jsonl").open("a") as file:
        file.write('{"family": "toy", "strat')
    assert sorted((run.seed, run.reached) for run in read_log(tmp_path)) == [(0, 0.4), (1, 0.5)]


@pytest.mark.parametrize(
    ("task", "detector", "role"),
    [
        ("jet-tagging", {"name": "cms", "type": "whole"}, "features"),
        (
            "detector-response",
            {"name": "alice-tpc", "type": "tpc", "technology": "gas"},
            "features",
        ),
    ],
)
def test_what_is_no_calorimeter_is_described_published_and_found(
    place: Place, task: str, detector: dict[str, str], role: str
) -> None:
    from catalog.domain import TensorSpec
    from catalog.index import Query

    inputs = tuple(
        TensorSpec(name=name, dtype="float32", shape=(-1, 1), role=role)
        for name in ("noise", "energy_gev")
    )
    place.add(
        "other", task=task, family=None, inputs=inputs,
        domain=Domain.model_validate({"detector": detector}),
    )  # fmt: skip
    with open_index(place.settings.home) as index:
        assert index.search(Query(detector=detector["type"], task=task))[0] == 1
        assert index.search(Query(detector="ecal"))[0] == 0

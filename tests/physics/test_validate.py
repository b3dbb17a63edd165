"""What `catalog validate` decides before it compares, and what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from catalog.domain.geometry import geometry_of
from catalog.errors import UsageError
from catalog.physics import validate
from catalog.physics.present import as_dict, human
from catalog.physics.validate import Comparison, compare, sample_model
from catalog.pull import Pulled, read_folder
from catalog.showers import ShowerSet
from tests.toys import generator_folder, shower_set


def _unstated(showers: ShowerSet, times: float = 1.0) -> ShowerSet:
    """The same showers of a detector that states no sampling fraction, with scaled cells."""
    detector = showers.detector.model_copy(update={"sampling_fraction": None})
    return replace(showers, detector=detector, energies=showers.energies * np.float32(times))


@pytest.fixture(scope="module")
def showers(tmp_path_factory: pytest.TempPathFactory) -> ShowerSet:
    return shower_set(tmp_path_factory.mktemp("data") / "f.h5", n=300)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Pulled:
    return read_folder(generator_folder(tmp_path_factory.mktemp("model") / "m"))


def _response(found: Comparison) -> list[float]:
    return [gate.value for gate in found.gates("m") if gate.name == "response_bias"]


@pytest.mark.parametrize("times", [0.2, 5.0])
def test_cells_of_another_scale_fail_where_the_card_knows_the_fraction(
    showers: ShowerSet, model: Pulled, times: float
) -> None:
    right = compare({"m": model}, _unstated(showers))
    wrong = compare({"m": model}, _unstated(showers, times))
    assert right.fraction_known and wrong.fraction_known
    assert _response(wrong)[0] == pytest.approx((1 + _response(right)[0]) / times - 1)
    assert abs(_response(wrong)[0]) > 0.5
    assert not as_dict(wrong, "m")["passed"]


def test_a_stated_fraction_and_the_one_of_the_card_give_the_same_numbers(
    showers: ShowerSet, model: Pulled
) -> None:
    stated = compare({"m": model}, showers)
    assert stated.fraction_known
    assert compare({"m": model}, _unstated(showers)).metrics == stated.metrics


def test_without_any_fraction_the_response_is_not_judged_and_it_is_said(
    showers: ShowerSet, model: Pulled
) -> None:
    detector = showers.detector.model_copy(update={"name": "nobody-knows"})
    found = compare({"m": model}, _unstated(replace(showers, detector=detector)))
    assert not found.fraction_known and _response(found) == []
    assert "response is not judged" in human(found, "m")
    assert "response is not judged" not in human(compare({"m": model}, showers), "m")


@pytest.mark.parametrize("times", [0.98, 0.001, 30.0])
def test_without_any_fraction_no_scale_of_the_cells_is_judged(
    showers: ShowerSet, model: Pulled, times: float
) -> None:
    """A right model passes or fails as it does where the response is known to be right."""
    detector = showers.detector.model_copy(update={"name": "nobody-knows"})
    of_nobody = replace(showers, detector=detector)
    right, scaled = (compare({"m": model}, _unstated(of_nobody, k)) for k in (1.0, times))
    for metric, value in scaled.metrics["m"].items():
        assert value == pytest.approx(right.metrics["m"][metric], rel=1e-3, abs=1e-4), metric
    model_mean, twin_mean = (
        seen.column("response").mean()
        for seen in (scaled.observables["m"], scaled.floor_observables)
    )
    assert model_mean == pytest.approx(twin_mean, rel=1e-6)


def test_a_stack_that_is_read_out_whole_has_sampling_fraction_one(
    showers: ShowerSet, model: Pulled
) -> None:
    stack = tuple(
        part.model_copy(
            update={"slabs": tuple(s.model_copy(update={"active": True}) for s in part.slabs)}
        )
        for part in showers.detector.stack
    )
    changes = {"name": "nobody-knows", "stack": stack, "sampling_fraction": None}
    whole = replace(showers, detector=showers.detector.model_copy(update=changes))
    found = compare({"m": model}, whole)
    assert found.fraction_known
    visible = (whole.visible_gev / whole.incident_gev)[:150].mean()
    response = found.floor_observables.column("response").mean()
    assert response == pytest.approx(visible, rel=0.05)


def test_both_halves_of_the_target_share_one_fraction(showers: ShowerSet, model: Pulled) -> None:
    """A second half of twice the energy must show in the floor."""
    detector = showers.detector.model_copy(update={"name": "nobody-knows"})
    energies = showers.energies.copy()
    energies[150:] *= 2
    found = compare({}, _unstated(replace(showers, detector=detector, energies=energies)))
    column = found.floor_observables.names.index("response")
    halves = (found.floor_observables, found.observables[validate.REFERENCE])
    low, high = (half.values[:, column].mean() for half in halves)
    assert high / low == pytest.approx(2, rel=0.1)


def test_a_model_gets_the_angles_and_the_geometry_of_the_target(
    showers: ShowerSet, model: Pulled, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def generate_spy(_session, _card, gev, _pdg, _seed, theta, where):
        asked.append(theta)
        assert where == geometry_of(showers.detector)
        return np.ones((len(gev), 25, 8, 5), np.float32)

    monkeypatch.setattr(validate, "generate", generate_spy)
    angles = np.linspace(0, 0.5, len(showers))
    tilted = replace(showers, theta_rad=angles)
    compare({"m": model}, tilted)
    sample_model(model, tilted, np.tile(tilted.incident_gev, 2))
    sample_model(model, tilted, tilted.incident_gev, theta_rad=angles + 1)
    for found, wanted in zip(asked, (angles[:150], np.tile(angles, 2), angles + 1), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_model_told_the_sampling_fraction_answers_in_visible_energy_of_the_target(
    showers: ShowerSet, model: Pulled
) -> None:
    """Its showers are for the target already; those of any other are moved by the two fractions."""
    told = tuple(
        spec.model_copy(update={"components": ("sampling_fraction",)})
        if spec.role == "condition"
        else spec
        for spec in model.card.inputs
    )
    other = model.card.domain.detector.model_copy(update={"sampling_fraction": 0.5})
    domain = model.card.domain.model_copy(update={"detector": other})
    moved = replace(model, card=model.card.model_copy(update={"domain": domain}))
    aware = replace(model, card=model.card.model_copy(update={"domain": domain, "inputs": told}))
    blind, knowing = (
        sample_model(m, showers, np.full(len(showers), 0.02688)).values[:, 0].mean()
        for m in (moved, aware)
    )
    assert knowing == pytest.approx(blind * 0.5 / 0.02688, rel=1e-3)


def test_what_is_no_generator_is_told_what_its_task_is(showers: ShowerSet, model: Pulled) -> None:
    card = model.card.model_copy(update={"task": "energy-regression"})
    with pytest.raises(UsageError, match="generates no showers: its task is energy-regression"):
        sample_model(replace(model, card=card), showers, showers.incident_gev)


def test_every_metric_has_an_error_that_is_shown(showers: ShowerSet, model: Pulled) -> None:
    found = compare({"m": model}, showers)
    assert found.errors["m"].keys() == found.metrics["m"].keys() == found.floor_errors.keys()
    assert min(found.floor_errors.values()) > 0
    assert compare({"m": model}, showers).errors == found.errors
    shown = as_dict(found, "m")
    assert shown["errors"] == found.errors["m"] and shown["floor_errors"] == found.floor_errors
    w1, error = found.metrics["m"]["w1_geomean"], found.errors["m"]["w1_geomean"]
    assert f"{w1:.4g} +- {error:.2g}" in human(found, "m")

"""What is shipped: small, documented, readable, and of physics that it claims."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from catalog.card import card_yaml, read_card
from catalog.domain import load_detector
from catalog.physics.distances import w1_geomean
from catalog.physics.observables import observe
from catalog.showers.reader import read_showers
from catalog.testvectors import check_test_vectors
from sample_models.data.make import SAMPLES, Sample, reduce

ROOT = Path(__file__).parents[2] / "sample_models"
DATA = sorted((ROOT / "data").glob("*.h5"))
VERSIONS = sorted(path.parent for path in (ROOT / "versions").glob("*/card.yaml"))


@pytest.mark.parametrize(("what", "limit"), [("versions", 25e6), ("data", 12e6)])
def test_what_is_shipped_is_small_and_no_file_is_above_5_mb(what: str, limit: float) -> None:
    shipped = (path for path in (ROOT / what).rglob("*") if "." not in path.parent.name)
    sizes = [path.stat().st_size for path in shipped if path.is_file()]
    assert sum(sizes) < limit
    assert max(sizes) < 5e6


def test_the_zoo_has_twelve_generators_of_three_families_over_six_detectors() -> None:
    cards = [read_card(folder) for folder in VERSIONS]
    generators = [card for card in cards if card.task == "shower-generation"]
    assert len(generators) >= 12
    assert len({card.family for card in generators}) >= 3
    assert len({card.domain.detector.name for card in generators}) >= 6


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda path: path.name)
def test_every_model_of_one_detector_is_validated_on_it(folder: Path) -> None:
    card = read_card(folder)
    if card.task == "shower-generation" and not folder.name.endswith("-sim"):
        (result,) = card.physics
        assert result.dataset
        assert (folder / "validation.json").is_file()


@pytest.mark.parametrize("path", DATA, ids=lambda path: path.stem)
def test_shipped_showers_tell_where_they_come_from(path: Path) -> None:
    with h5py.File(path) as file:
        said = json.loads(file.attrs["provenance"])
    assert said["simulator"] == "Geant4 11.3.2"
    assert {"physics", "seed", "selection", "reduction", "scoring"} <= set(said)


@pytest.mark.parametrize("path", DATA, ids=lambda path: path.stem)
def test_shipped_showers_have_the_response_of_their_detector(path: Path) -> None:
    showers = read_showers(path, limit=400)
    response = observe(showers).values[:, 0]
    assert 0.85 < response.mean() < 1.02
    assert showers.detector == load_detector(showers.detector.name)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_rounding_again_changes_nothing(sample: Sample) -> None:
    with h5py.File(ROOT / "data" / f"{sample.name}.h5") as file:
        assert len(file["showers"]) == sample.showers
        showers = file["showers"][:50]
    assert np.array_equal(reduce(showers, replace(sample, threshold_mev=0.0)), showers)


def test_reduction_rounds_and_cuts_and_does_nothing_else() -> None:
    sample = Sample("x", "par04-siw", 1, threshold_mev=0.1, bits=7)
    given = np.array([0.05, 0.1, 1.234567, 98.7654], np.float32)
    kept = reduce(given, sample)
    assert kept[0] == 0
    np.testing.assert_allclose(kept[1:], given[1:], rtol=2.0**-7)


def test_a_coarser_reduction_still_keeps_the_observables_below_the_floor() -> None:
    """The shipped file stands for the original: a coarser one moves little."""
    sample = next(s for s in SAMPLES if s.detector == "par04-siw")
    path = ROOT / "data" / f"{sample.name}.h5"
    showers = read_showers(path, limit=400)
    coarser = Sample(sample.name, sample.detector, 1, 2 * sample.threshold_mev, sample.bits - 1)
    mev = reduce(showers.energies * 1e3, coarser)
    moved = type(showers)(
        (mev * 1e-3).astype(np.float32), showers.incident_gev, showers.theta_rad, showers.mesh,
        showers.detector, showers.pdg,
    )  # fmt: skip
    original = observe(showers).values
    floor = w1_geomean(original[::2], original[1::2])
    assert w1_geomean(observe(moved).values, original) < 0.5 * floor


@pytest.mark.parametrize("folder", VERSIONS, ids=lambda folder: folder.name)
def test_shipped_versions_give_their_test_vectors(folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    card = read_card(folder)
    assert card.name == folder.name
    assert card_yaml(card) == (folder / "card.yaml").read_text(encoding="utf-8")
    assert check_test_vectors(folder, card) == []


def test_the_samples_are_not_all_generators() -> None:
    assert len({read_card(folder).task for folder in VERSIONS}) == 2

"""When nothing fits and when scratch wins, asked with full simulation and with what is no such."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from catalog.adapt.log import Adaptation, read_records
from catalog.domain import load_detector
from catalog.domain.mesh import Layer, Mesh, rebin
from catalog.scoring.doubts import doubt, notes
from catalog.scoring.present import as_dict
from catalog.showers import ShowerSet
from catalog.showers.reader import read_showers
from catalog.simulate.beam import draw_beam
from catalog.simulate.run import simulate
from tests.scoring.places import Place
from tests.toys import generator_card

ROOT = Path(__file__).parents[2] / "sample_models"
FILES = sorted(path.stem for path in (ROOT / "data").glob("*.h5"))


@cache
def full(name: str) -> ShowerSet:
    return read_showers(ROOT / "data" / f"{name}.h5", limit=100)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Two toy generators of electromagnetic showers, 1 to 100 GeV."""
    place = Place(tmp_path)
    place.add("near", depth=5.0)
    place.add("far", depth=3.0)
    return place


def evidence() -> list[Adaptation]:
    """Recorded runs, said to be of the family of the toys."""
    return [replace(run, family="toy") for run in read_records(ROOT / "evidence.jsonl")]


def scaled(showers: ShowerSet, cells: float, incident: float = 1.0) -> ShowerSet:
    return replace(
        showers,
        energies=(showers.energies * np.float32(cells)),
        incident_gev=showers.incident_gev * incident,
    )


def test_pions_fit_no_model_of_electrons(place: Place) -> None:
    detector = load_detector("fe-scint")
    edges = tuple((np.arange(25) - 12) * 30.0)
    layers = (Layer(i * 26.45, (i + 1) * 26.45, "cartesian", edges, edges) for i in range(40))
    beam = draw_beam(-211, 60, (5.0, 80.0), seed=1)
    found = place.ask(simulate(detector, Mesh(tuple(layers)), beam, 1))
    assert found.verdict == "nothing-fits"
    assert "made for other particles than PDG -211 (2 of 2)" in found.reason


@pytest.mark.parametrize("name", FILES)
def test_energies_that_no_model_covers_fit_none(place: Place, name: str) -> None:
    found = place.ask(scaled(full(name), 200.0, 200.0))
    assert found.verdict == "nothing-fits"
    assert "covers 1..100 GeV only, 0% of these showers (2 of 2)" in found.reason


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("factor", [1e3, 1e-3])
def test_showers_in_other_units_than_the_energies_are_asked_about(
    place: Place, name: str, factor: float
) -> None:
    found = place.ask(scaled(full(name), factor))
    assert found.verdict == "nothing-fits"
    assert "are the units right?" in found.reason.lower()
    assert found.ranking == ()


@pytest.mark.parametrize(("factor", "words"), [(1e3, "MeV read as GeV"), (1e-3, "GeV read as MeV")])
def test_a_whole_file_in_other_units_is_asked_about(
    place: Place, factor: float, words: str
) -> None:
    found = place.ask(scaled(full("par04-siw-electron"), factor, factor))
    assert found.verdict == "nothing-fits"
    assert f"could be {words}" in found.reason


def test_cells_that_no_mesh_resolves_fit_nothing(place: Place) -> None:
    showers = full("par04-siw-electron")
    found = place.ask(coarser(showers, 5))
    assert found.verdict == "nothing-fits"
    assert "2.3 R_M in layers of 4 X0 do not resolve a shower" in found.reason
    assert doubt(showers) is None


def coarser(showers: ShowerSet, times: int) -> ShowerSet:
    """The same showers in cells and layers that many times as large."""
    fine = showers.mesh.layers
    edges = tuple(fine[0].a[::times])
    bounds = [fine[i].z0 for i in range(0, len(fine), times)] + [fine[-1].z1]
    layers = (Layer(low, high, "cartesian", edges, edges) for low, high in pairwise(bounds))
    mesh = Mesh(tuple(layers))
    return replace(showers, energies=rebin(showers.energies, showers.mesh, mesh), mesh=mesh)


@pytest.mark.parametrize("name", FILES)
def test_full_simulation_itself_raises_no_doubt(name: str) -> None:
    assert doubt(full(name)) is None


def emptied(showers: ShowerSet, rows: slice) -> ShowerSet:
    energies = showers.energies.copy()
    energies[rows] = 0
    return replace(showers, energies=energies)


def test_half_empty_showers_fit_nothing_and_say_why(place: Place) -> None:
    found = place.ask(emptied(full("clic-siw-photon"), slice(None, None, 2)))
    assert found.verdict == "nothing-fits"
    assert "50% of the showers hold no energy" in found.reason


def test_a_few_empty_showers_and_copies_are_said(place: Place) -> None:
    showers = full("clic-siw-photon")
    assert notes(showers) == ()
    rows = np.concatenate([np.arange(80), np.zeros(20, int)])
    odd = emptied(showers.take(rows), slice(1, 2))
    found = place.ask(odd)
    assert found.verdict != "nothing-fits"
    assert found.doubts == (
        "1.0% of the showers hold no energy, and are compared like all others",
        "20% of the showers are copies of others: there are fewer than it says",
    )
    assert as_dict(found)["doubts"] == list(found.doubts)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e-3])
def test_cells_that_no_detector_measures_are_refused_whoever_made_them(value: float) -> None:
    showers = full("pbwo4-electron")
    energies = showers.energies.copy()
    energies[3, 7] = value
    assert doubt(replace(showers, energies=energies)) is not None


def test_hadrons_may_pass_a_calorimeter_but_not_most_of_them() -> None:
    showers = replace(full("pbwo4-electron"), pdg=211)
    assert doubt(emptied(showers, slice(0, 30))) is None
    assert doubt(emptied(showers, slice(0, 60))) is not None


def test_models_of_another_energy_scale_are_never_put_forward(tmp_path: Path) -> None:
    """A card that says MeV of a model that gives GeV makes it a thousand times too dim."""
    place, card = Place(tmp_path), generator_card("dim")
    place.add("dim", outputs=(card.outputs[0].model_copy(update={"unit": "MeV"}),))
    found = place.ask(full("clic-siw-photon"))
    assert found.verdict == "nothing-fits"
    assert "gives 0.0011 times the visible energy" in found.reason
    assert "are the units and the sampling fraction right?" in found.reason


def test_scratch_is_the_answer_where_recorded_runs_say_that_it_ends_lower(place: Place) -> None:
    target, runs = full("clic-siw-photon"), evidence()

    def times(factor: float) -> list[Adaptation]:
        return [
            run if run.strategy == "scratch" else replace(run, reached=factor * run.reached)
            for run in runs
        ]

    told = [place.ask(target, log) for log in (times(0.5), times(4))]
    assert [found.verdict for found in told] == ["adapt", "scratch"]
    assert told[1].ranking
    assert as_dict(told[1])["scratch"]["predicted"] < as_dict(told[1])["ranking"][0]["predicted"]

"""MeV taken for GeV is noticed and said; nothing that detectors really do is mistaken for it."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.domain import Detector, load_detector
from catalog.domain.sampling import estimated_fraction
from catalog.errors import BadFile
from catalog.showers.checks import Checks, calibrated
from catalog.showers.reader import read_showers
from tests.toys import shower_file

HERE = Path("f.h5")
SAMPLING = st.floats(0.005, 0.2)


def check(visible: np.ndarray, incident: np.ndarray, fraction: float | None, pdg: int) -> None:
    detector = Detector(name="toy", type="ecal", sampling_fraction=fraction)
    checks = Checks(HERE, detector, pdg)
    checks.add(visible.astype(np.float32).reshape(-1, 1), incident, np.zeros(len(incident)))
    checks.finish()


def showers(n: int, low: float, response: float, spread: float, seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    incident = np.exp(rng.uniform(np.log(low), np.log(100 * low), n))
    fluctuation = np.clip(1 + spread * rng.normal(size=n) / np.sqrt(incident), 0.01, 3)
    return response * incident * fluctuation, incident


@given(
    SAMPLING,
    st.sampled_from([(1.0, 11), (0.9, 22), (0.5, 211), (0.1, -211), (0.05, 2212)]),
    st.sampled_from([0.05, 1.0, 1000.0]),
    st.integers(1, 200),
    st.integers(0, 10**6),
)
def test_real_responses_are_never_refused(
    fraction: float, kind: tuple[float, int], low: float, n: int, seed: int
) -> None:
    response, pdg = kind
    visible, incident = showers(n, low, response * fraction, 0.3, seed)
    check(visible, incident, fraction, pdg)
    check(visible, incident, None, pdg)


@given(SAMPLING, st.floats(0.4, 1.2), st.sampled_from([0.256, 1.0]), st.integers(0, 10**6))
def test_corrected_energies_are_never_refused(
    fraction: float, response: float, low: float, seed: int
) -> None:
    visible, incident = showers(50, low, response, 0.2, seed)
    check(visible, incident, fraction, 211)
    check(visible, incident, 1.0, 211)
    check(visible, incident, None, 211)


def test_muons_and_photons_that_pass_are_never_refused() -> None:
    incident = np.full(50, 100.0)
    check(np.full(50, 0.3 * 0.03), incident, 0.03, 13)
    check(np.r_[np.zeros(9), 2.7], np.full(10, 100.0), 0.03, 22)
    check(np.array([1e-6]), np.array([1.0]), 0.03, 22)  # one photon that did not convert


@given(SAMPLING, st.floats(0.5, 1.0), st.integers(10, 200), st.integers(0, 10**6))
def test_a_factor_of_1000_is_noticed_either_way(
    fraction: float, response: float, n: int, seed: int
) -> None:
    visible, incident = showers(n, 1.0, response * fraction, 0.2, seed)
    with pytest.raises(BadFile, match="times their incident energy") as high:
        check(visible * 1000, incident, fraction, 11)
    assert "cells seem to be MeV where GeV was taken" in high.value.hint
    with pytest.raises(BadFile, match="times their incident energy") as low:
        check(visible / 1000, incident, fraction, 11)
    assert "cells seem to be GeV where MeV was taken" in low.value.hint


@pytest.mark.parametrize("factor", [1e-3, 1e3])
@pytest.mark.parametrize("key", ["incident_energies", "showers"])
def test_one_dataset_in_the_wrong_unit(tmp_path: Path, key: str, factor: float) -> None:
    path = shower_file(tmp_path / "f.h5")
    with h5py.File(path, "r+") as file:
        file[key][:] = file[key][:] * factor
    with pytest.raises(BadFile, match="clic-siw shows 0.0269") as caught:
        read_showers(path)
    assert "check the units" in caught.value.hint


def test_a_stated_unit_is_believed(tmp_path: Path) -> None:
    path = shower_file(tmp_path / "f.h5")
    plain = read_showers(path)
    with h5py.File(path, "r+") as file:
        file["incident_energies"][:] = file["incident_energies"][:] / 1000
        file["incident_energies"].attrs["unit"] = "GeV"
    np.testing.assert_allclose(read_showers(path).incident_gev, plain.incident_gev)


@pytest.mark.parametrize(("name", "visible", "expected"), [
    ("par04-siw", 0.031, 0.03189), ("par04-siw", 0.97, 1.0), ("par04-siw", 0.1, 0.03189),
    ("pb-lar", 0.9, 1.0), ("pb-lar", 0.19, 0.189), ("pbwo4-block", 0.98, 1.0),
    ("calochallenge-siw", 0.5, 1.0),
])  # fmt: skip
def test_corrected_cells_are_told_from_visible_ones(
    name: str, visible: float, expected: float
) -> None:
    cells = np.full((5, 2), visible / 2, np.float32)
    detector = calibrated(load_detector(name), cells, np.ones(5))
    assert detector.sampling_fraction == expected


def stack_without_a_stated_fraction(name: str) -> Detector:
    return load_detector(name).model_copy(update={"sampling_fraction": None})


def read(detector: Detector, visible: np.ndarray, incident: np.ndarray, pdg: int) -> None:
    checks = Checks(HERE, detector, pdg)
    checks.add(visible.astype(np.float32).reshape(-1, 1), incident, np.zeros(len(incident)))


DEEP = ["cms-hgcal-ce-e", "ild-siw", "par04-siw", "par04-scipb", "pb-lar", "pbwo4-block"]


@pytest.mark.parametrize("name", [*DEEP, "allegro-lar", "atlas-lar-ecal", "lhcb-shashlik"])
@pytest.mark.parametrize("off", [0.8, 1.25])
def test_a_factor_of_10_is_noticed_from_the_stack_alone(name: str, off: float) -> None:
    detector = stack_without_a_stated_fraction(name)
    expected = estimated_fraction(detector)
    assert expected is not None
    visible, incident = showers(50, 1.0, off * expected, 0.2, seed=4)
    read(detector, visible, incident, 22)
    for factor in (1e-3, 0.1):
        with pytest.raises(BadFile, match=f"{name} shows about {expected:.3g}"):
            read(detector, visible * factor, incident, 22)
    with pytest.raises(BadFile) as caught:
        read(detector, visible * 1000, incident, 22)
    assert "cells seem to be MeV where GeV was taken" in caught.value.hint


@pytest.mark.parametrize("name", [*DEEP, "allegro-lar", "calice-ahcal"])
def test_corrected_energies_need_no_stated_fraction(name: str) -> None:
    visible, incident = showers(50, 1.0, 0.95, 0.1, seed=5)
    read(stack_without_a_stated_fraction(name), visible, incident, 22)


@pytest.mark.parametrize("name", ["fe-scint", "calice-ahcal"])
def test_hadrons_are_held_to_a_stack_that_holds_them(name: str) -> None:
    detector = stack_without_a_stated_fraction(name)
    expected = estimated_fraction(detector)
    assert expected is not None
    visible, incident = showers(50, 1.0, 0.7 * expected, 0.2, seed=6)
    read(detector, visible, incident, -211)
    with pytest.raises(BadFile) as caught:
        read(detector, visible / 10, incident, -211)
    assert "cells seem to be GeV where MeV was taken" in caught.value.hint
    thin = stack_without_a_stated_fraction("clic-siw")  # one interaction length
    read(thin, 0.1 * 0.0265 * incident, incident, -211)


@pytest.mark.parametrize(
    ("name", "simulated"),
    [("clic-siw", 0.02688), ("fe-scint", 0.02579), ("par04-siw", 0.03189), ("pb-lar", 0.189)],
)
def test_the_estimate_is_near_what_geant4_finds(name: str, simulated: float) -> None:
    assert estimated_fraction(load_detector(name)) == pytest.approx(simulated, rel=0.25)

"""Showers develop as physics says: depth, width, fluctuations, conservation."""

from dataclasses import replace

import numpy as np
import pytest

from catalog.domain import Detector, Slab, Stack, load_detector
from catalog.simulate import lateral, longitudinal
from catalog.simulate.medium import medium_of, planes_of
from catalog.simulate.run import simulate
from tests.simulate.beams import beam, rings

ELECTRON, PHOTON = 11, 22
WIDE = 2000.0
R_M = 19.59  # mm, PbWO4, tabulated by the PDG


@pytest.fixture(scope="module")
def block() -> Detector:
    return load_detector("pbwo4-block")


@pytest.fixture(scope="module")
def deep() -> Detector:
    """PbWO4, 45 X0 in slabs of half a radiation length: nothing leaks."""
    slab = Slab(material="PbWO4", mm=4.46, active=True)
    return Detector(
        name="deep", type="ecal", stack=(Stack(repeat=90, slabs=(slab,)),), sampling_fraction=1.0
    )


def mean_profile(detector: Detector, pdg: int, energy: float, n: int) -> tuple:
    """Mean share of the energy in layers of half a radiation length, and the layers' middles."""
    mesh = rings([0, WIDE], detector.depth_mm, 90)
    showers = simulate(detector, mesh, beam(pdg, energy, n), seed=1)
    profile = showers.energies.mean(0, dtype=np.float64)
    return profile / profile.sum(), (np.arange(90) + 0.5) * 4.46 / detector.x0_mm


def peak(profile: np.ndarray, depth: np.ndarray) -> float:
    """The maximum, from a parabola through the top of the profile."""
    top = profile > 0.8 * profile.max()
    a, b, _ = np.polyfit(depth[top], profile[top], 2)
    return float(-b / (2 * a))


def test_shower_maximum_follows_the_logarithm_of_the_energy(deep):
    """t_max = ln(E / Ec) + C with C near -0.5 for electrons (PDG; Rossi's Ec)."""
    energies = np.array([2.0, 10.0, 50.0])
    found = [peak(*mean_profile(deep, ELECTRON, e, 400)) for e in energies]
    slope, _ = np.polyfit(np.log(energies), found, 1)
    assert slope == pytest.approx(1.0, abs=0.1)
    offset = np.array(found) - np.log(energies * 1e3 / deep.ec_rossi_mev)
    assert offset == pytest.approx(-0.5, abs=0.35)


def test_photons_are_deeper_than_electrons(deep):
    """Full simulation: mean depth +0.83 X0 at 10 GeV, t_max nominally +1."""
    electron, depth = mean_profile(deep, ELECTRON, 10, 800)
    photon, _ = mean_profile(deep, PHOTON, 10, 3000)
    assert photon @ depth - electron @ depth == pytest.approx(0.83, abs=0.15)
    assert peak(photon, depth) - peak(electron, depth) == pytest.approx(0.85, abs=0.4)


def test_mean_depth_is_that_of_full_simulation(deep):
    """Geant4 in 25.8 X0: 8.34 X0 for electrons of about 10 GeV."""
    profile, depth = mean_profile(deep, ELECTRON, 9.86, 600)
    inside = depth < 25.8
    mean = profile[inside] @ depth[inside] / profile[inside].sum()
    assert mean == pytest.approx(8.34, abs=0.15)


def test_lead_tungstate_contains_what_full_simulation_does(block):
    """86.7 % within 1 R_M and 98.9 % within 3.5 R_M (nominal 90 % and 99 %)."""
    mesh = rings([0, R_M, 3.5 * R_M, WIDE], 230.0)
    energies = simulate(block, mesh, beam(ELECTRON, 10, 400), seed=2).energies.mean(0)
    share = np.cumsum(energies) / energies.sum()
    assert share[0] == pytest.approx(0.867, abs=0.015)
    assert share[1] == pytest.approx(0.989, abs=0.008)


@pytest.mark.parametrize("energy", [2.0, 10.0, 50.0])
def test_resolution_of_a_sampling_calorimeter(energy):
    """sigma / E = c / sqrt(E), with the detector's c; the mean is the sampling fraction."""
    detector = load_detector("par04-siw")
    n = 1000
    mesh = rings([0, WIDE], detector.depth_mm)
    total = simulate(detector, mesh, beam(ELECTRON, energy, n), seed=3).energies.sum(1)
    c = total.std() / total.mean() * np.sqrt(energy)
    assert c == pytest.approx(detector.response.stochastic, rel=4 / np.sqrt(2 * n))
    assert total.mean() / energy == pytest.approx(detector.sampling_fraction, rel=0.02)


@pytest.mark.parametrize("pdg", [ELECTRON, PHOTON])
def test_energy_is_conserved_where_nothing_leaks(deep, pdg):
    mesh = rings([0, 1e6], deep.depth_mm)
    total = simulate(deep, mesh, beam(pdg, 5, 64), seed=4).energies.sum(1)
    assert total.mean() == pytest.approx(5.0, rel=1e-3)
    assert total.min() > 4.95  # a photon may convert late
    assert (total <= 5.0 * (1 + 1e-5)).all()


def test_more_cells_hold_the_same_energy(block):
    coarse, fine = rings([0, 500], 230.0), rings([0, 10, 20, 500], 230.0, 25)
    particles = beam(ELECTRON, 10, 40)
    one = simulate(block, coarse, particles, seed=5).energies.sum(1)
    many = simulate(block, fine, particles, seed=5).energies.sum(1)
    assert many.mean() == pytest.approx(one.mean(), rel=0.01)


def test_shapes_stay_near_the_published_ones(block):
    """PbWO4 at 10 GeV, ln y 7.04: the paper's moments (three independent GFLASH codes).

    Ours describe what is left beside the early energy, so they differ, but by a few per cent.
    """
    medium = medium_of(block)
    spread = longitudinal.spread_of(medium, np.array([10.0]))
    assert float(np.exp(spread.mean_t[0])) == pytest.approx(np.exp(1.829), rel=0.05)
    assert float(np.exp(spread.mean_a[0])) == pytest.approx(np.exp(1.451), rel=0.05)
    assert spread.spread_t[0] == pytest.approx(0.134, rel=0.15)
    assert spread.spread_a[0] == pytest.approx(0.183, rel=0.15)
    assert spread.correlation[0] == pytest.approx(0.543, abs=1e-3)
    core, tail, weight = lateral.radii(medium, np.array([[0.5, 1.0, 2.0]]), np.array([10.0]))
    assert core[0] == pytest.approx([0.0775, 0.1226, 0.2128], abs=1e-4)
    assert tail[0] == pytest.approx([1.071, 0.7049, 0.8434], abs=1e-3)
    assert weight[0] == pytest.approx([0.9443, 0.8782, 0.5431], abs=2e-3)


def profile_of(medium, energy: float, depth: list[float], n: int = 2000) -> np.ndarray:
    """Mean energy of n electrons between depths, GeV."""
    drawn = longitudinal.draw_profiles(medium, np.full(n, energy), np.random.default_rng(9))
    return longitudinal.energies(medium, drawn, np.tile(depth, (n, 1))).mean(0)


@pytest.mark.parametrize("energy", [1.0, 10.0, 100.0])
def test_a_shower_begins_as_one_ionising_particle(block, energy):
    """Ec per X0 at the surface, whatever the energy (Rossi's definition of Ec)."""
    medium = medium_of(block)
    first = profile_of(medium, energy, [0.0, 0.01])[0] / 0.01
    assert first * 1e3 == pytest.approx(medium.ec_mev, rel=0.1)
    assert first == pytest.approx(medium.mip_gev_mm * medium.x0_mm, rel=0.1)


@pytest.mark.parametrize("name", ["pbwo4-block", "pb-lar"])
@pytest.mark.parametrize("energy", [0.1, 2.0, 100.0])
def test_a_profile_holds_all_of_the_energy(name, energy):
    found = profile_of(medium_of(load_detector(name)), energy, [0.0, *range(1, 100)]).sum()
    assert found == pytest.approx(energy, rel=0.012)


def test_samples_fade_as_showers_grow_old():
    """Pb-LAr, e/mip 0.77: the signal lies nearer to the front than the deposit does."""
    medium = medium_of(load_detector("pb-lar"))
    edges = np.arange(0, 41.0)
    seen = profile_of(medium, 10, list(edges))
    deposit = profile_of(replace(medium, e_mip=1.0), 10, list(edges))
    middle = 0.5 * (edges[1:] + edges[:-1])
    shift = seen @ middle / seen.sum() - deposit @ middle / deposit.sum()
    assert -0.3 < shift < -0.05


def test_some_electrons_shower_late(deep):
    """Depths of single showers are skewed: full simulation 1.0 (0.7 to 1.4 in six energies)."""
    mesh = rings([0, WIDE], deep.depth_mm, 90)
    energies = simulate(deep, mesh, beam(ELECTRON, 10, 3000), seed=1).energies
    depth = energies @ (np.arange(90.0) + 0.5) / energies.sum(1)
    pull = (depth - depth.mean()) / depth.std()
    assert 0.3 < (pull**3).mean() < 1.8
    assert depth.std() * 4.46 / deep.x0_mm == pytest.approx(0.87, abs=0.1)


@pytest.mark.parametrize("material", ["PbWO4", "BGO", "CsI"])
def test_nine_tenths_within_one_moliere_radius(material):
    """The nominal rule, which full simulation meets to 3 points (86.7 % in PbWO4)."""
    slab = Slab(material=material, mm=400, active=True)
    thick = Detector(name="thick", type="ecal", stack=(Stack(repeat=1, slabs=(slab,)),))
    mesh = rings([0, thick.rm_mm, WIDE], 400.0)
    energies = simulate(thick, mesh, beam(ELECTRON, 10, 200), seed=2).energies.mean(0)
    assert energies[0] / energies.sum() == pytest.approx(0.88, abs=0.03)


def test_planes_sample_all_of_the_shower_once():
    """Boundaries rise, every plane lies in a layer, and tungsten is passed before the silicon."""
    detector = load_detector("clic-siw")
    mesh = rings([0, WIDE], detector.depth_mm, 40)
    planes = planes_of(detector, mesh)
    assert (np.diff(planes.edges) > 0).all()
    assert (np.diff(planes.zone) > 0).all()
    assert planes.layer.tolist() == list(range(40))
    assert planes.z0[0] == pytest.approx(2.15)
    assert planes.edges[-1] == pytest.approx(detector.depth_mm / detector.x0_mm)


def test_a_mesh_that_is_shallower_than_the_stack_loses_the_rest(block):
    half = simulate(block, rings([0, WIDE], 60.0), beam(ELECTRON, 10, 64), seed=6).energies.sum(1)
    assert 3 < half.mean() < 7

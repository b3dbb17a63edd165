"""What the simulation promises: seeds, beams, meshes, refusals."""

import numpy as np
import pytest

from catalog.domain import load_detector
from catalog.domain.mesh import Layer, Mesh
from catalog.errors import UsageError
from catalog.simulate.beam import Beam, draw_beam
from catalog.simulate.cells import CellFinder
from catalog.simulate.medium import medium_of
from catalog.simulate.readout import readout_mesh
from catalog.simulate.run import blocks, simulate
from tests.simulate.beams import beam, rings

ELECTRON, PHOTON = 11, 22


@pytest.fixture(scope="module")
def clic():
    detector = load_detector("clic-siw")
    return detector, readout_mesh(detector)


def barycentre(energies: np.ndarray, mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Mean x of each layer (mm) and the layers' energies, over all showers."""
    layers, ny, nx = mesh.shape
    by_x = energies.reshape(-1, layers, ny, nx).sum((0, 2), dtype=np.float64)
    x = np.array(mesh.layers[0].b)
    return by_x @ (0.5 * (x[1:] + x[:-1])) / by_x.sum(1), by_x.sum(1)


def test_a_seed_gives_the_same_showers_and_another_seed_others(clic):
    detector, mesh = clic
    particles = draw_beam(PHOTON, 70, (1, 20), seed=3)
    one, again = (simulate(detector, mesh, particles, seed=3).energies for _ in range(2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, simulate(detector, mesh, particles, seed=4).energies)


def test_showers_do_not_depend_on_how_they_are_cut(clic):
    """The first 128 of 150 are those of 128, and blocks are the same as the whole."""
    detector, mesh = clic
    particles = draw_beam(ELECTRON, 150, (1, 20), seed=5)
    fewer = draw_beam(ELECTRON, 128, (1, 20), seed=5)
    assert np.array_equal(particles.energy[:128], fewer.energy)
    whole = simulate(detector, mesh, particles, seed=5).energies
    assert np.array_equal(whole[:128], simulate(detector, mesh, fewer, seed=5).energies)
    assert np.array_equal(whole, np.concatenate(list(blocks(detector, mesh, particles, 5))))


def test_blocks_are_independent(clic):
    """Equal particles in different blocks give different showers."""
    detector, mesh = clic
    energies = simulate(detector, mesh, beam(ELECTRON, 5, 128), seed=5).energies
    assert not np.array_equal(energies[0], energies[64])


def test_impact_point_and_charge(clic):
    detector, mesh = clic
    wide = readout_mesh(detector, 61)
    shifted = simulate(detector, wide, beam(ELECTRON, 10, 100, x=20.0), seed=1).energies
    centre, weight = barycentre(shifted, wide)
    assert centre[3:20] == pytest.approx(20.0, abs=1.5)
    assert np.average(centre, weights=weight) == pytest.approx(20.0, abs=0.3)
    electrons = simulate(detector, mesh, beam(ELECTRON, 10, 64), seed=1).energies
    positrons = simulate(detector, mesh, beam(-ELECTRON, 10, 64), seed=1).energies
    assert np.array_equal(electrons, positrons)


def test_an_inclined_shower_follows_its_axis(clic):
    """x = z tan(theta) at the silicon; the energy stays, the shower is shallower by cos(theta).

    To 4 mm: the side of the shower that lies deeper along the axis is brighter before the maximum
    and fainter behind it.
    """
    detector, _ = clic
    mesh = readout_mesh(detector, 61)
    theta = 0.4
    straight = simulate(detector, mesh, beam(ELECTRON, 10, 200), seed=2).energies
    inclined = simulate(detector, mesh, beam(ELECTRON, 10, 200, theta), seed=2).energies
    centre, weight = barycentre(inclined, mesh)
    z = np.arange(40) * 5.05 + 2.4
    assert centre[3:25] == pytest.approx(z[3:25] * np.tan(theta), abs=4)
    assert inclined.sum() == pytest.approx(straight.sum(), rel=0.03)
    _, upright = barycentre(straight, mesh)
    ratio = (weight @ z / weight.sum()) / (upright @ z / upright.sum())
    assert ratio == pytest.approx(np.cos(theta), rel=0.03)
    assert centre[10] == pytest.approx(
        -barycentre(_mirror(detector, mesh, theta), mesh)[0][10], abs=1
    )


def _mirror(detector, mesh, theta):
    return simulate(detector, mesh, beam(ELECTRON, 10, 200, -theta), seed=2).energies


@pytest.mark.parametrize("name", ["pbwo4-block", "pb-lar", "ild-siw", "lhcb-shashlik", "fe-scint"])
@pytest.mark.parametrize("pdg", [ELECTRON, PHOTON, 211])
def test_any_detector_and_particle(name, pdg):
    detector = load_detector(name)
    mesh = readout_mesh(detector, 15)
    energies = simulate(detector, mesh, beam(pdg, 3, 64), seed=1).energies
    assert np.isfinite(energies).all()
    assert (energies >= 0).all()
    assert energies.sum(1).mean() < 3 * 1.05 * medium_of(detector).visible
    assert energies.sum() > 0


@pytest.mark.parametrize("energy", [0.05, 0.3, 1500.0])
def test_the_ends_of_the_energy_range(energy):
    detector = load_detector("pbwo4-block")
    made = simulate(detector, rings([0, 2000], 230.0), beam(ELECTRON, energy, 20), seed=1)
    assert 0.6 * energy < made.energies.sum(1).mean() <= energy * 1.001


def test_rings_and_squares_agree_on_what_is_inside():
    detector = load_detector("par04-siw")
    side = np.linspace(-60, 60, 241)
    squares = Mesh((Layer(0, 153, "cartesian", tuple(side), tuple(side)),))
    middle = 0.5 * (side[1:] + side[:-1])
    inside = np.hypot(*np.meshgrid(middle, middle)).ravel() < 11
    particles = beam(ELECTRON, 10, 64)
    cells = simulate(detector, squares, particles, seed=1).energies.mean(0)
    ring = simulate(detector, rings([0, 11, 60], 153.0), particles, seed=1).energies.mean(0)
    assert cells[inside].sum() == pytest.approx(ring[0], rel=0.02)


def test_cells_are_found_in_uneven_and_mixed_layers():
    squares = Layer(0, 1, "cartesian", (0.0, 1.0, 3.0), (0.0, 1.0, 2.0, 4.0))
    polar = Layer(1, 2, "polar", (-np.pi, 0.0, np.pi), (0.0, 2.0, 5.0))
    finder = CellFinder(Mesh((squares, polar)))
    layer = np.array([0, 0, 0, 1, 1, 1])
    x = np.array([3.0, 0.5, 4.5, 1.0, 3.0, 6.0], np.float32)
    y = np.array([2.0, -0.1, 0.5, 1.0, -1.0, 0.0], np.float32)
    assert finder.find(layer, x, y).tolist() == [5, -1, -1, 2, 1, -1]


def test_readout_follows_the_stack():
    clic = readout_mesh(load_detector("clic-siw"))
    assert clic.shape == (40, 25, 25)
    assert clic.layers[1].z0 == pytest.approx(5.05)
    assert readout_mesh(load_detector("par04-siw")).shape == (45, 25, 25)
    assert readout_mesh(load_detector("pb-lar"), 9).shape == (80, 9, 9)  # 80 gaps are no thirds
    assert readout_mesh(load_detector("cms-ecal"), 5).shape == (1, 5, 5)
    assert readout_mesh(load_detector("cms-ecal"), 5, layers=10).shape == (10, 5, 5)
    thick = readout_mesh(load_detector("ild-siw"))
    widths = [layer.z1 - layer.z0 for layer in thick.layers]
    assert len(widths) == 30
    assert widths[25] > 1.3 * widths[5]
    with pytest.raises(UsageError, match="40 active slabs of 'clic-siw' cannot be shared by 7"):
        readout_mesh(load_detector("clic-siw"), layers=7)


def test_a_threshold_empties_soft_cells():
    detector = load_detector("clic-siw")
    mesh = readout_mesh(detector)
    response = detector.response.model_copy(update={"threshold_mev": 0.05})
    strict = detector.model_copy(update={"response": response})
    energies = simulate(strict, mesh, beam(ELECTRON, 10, 10), seed=1).energies
    assert energies[energies > 0].min() >= 5e-5
    loose = simulate(detector, mesh, beam(ELECTRON, 10, 10), seed=1).energies
    assert np.array_equal(np.where(loose < np.float32(5e-5), 0, loose), energies)


@pytest.mark.parametrize(
    ("pdg", "energy", "theta", "word"),
    [
        (13, 10.0, 0.0, "muons make no shower"),
        (12, 10.0, 0.0, "no parametrised shower"),
        (ELECTRON, -1.0, 0.0, "energies must lie in 0.05..10000 GeV"),
        (ELECTRON, np.nan, 0.0, "energies must lie in 0.05..10000 GeV"),
        (ELECTRON, 10.0, 1.5, "80 degrees"),
    ],
)
def test_beams_that_are_refused(pdg, energy, theta, word):
    with pytest.raises(UsageError, match=word):
        Beam(pdg, np.array([energy]), np.array([theta]), np.zeros((1, 2)))


def test_ranges_that_are_refused():
    with pytest.raises(UsageError, match="LOW..HIGH"):
        draw_beam(ELECTRON, 5, (10, 1))
    with pytest.raises(UsageError, match="angle range"):
        draw_beam(ELECTRON, 5, (1, 10), theta_rad=(1, 0))


def test_a_detector_without_a_stack_is_refused():
    detector = load_detector("clic-3dgan")
    with pytest.raises(UsageError, match="no layer stack"):
        simulate(detector, rings([0, 10], 10.0), beam(ELECTRON, 10, 1))


def test_a_uniform_spectrum_and_a_wide_beam():
    particles = draw_beam(
        ELECTRON, 4000, (1, 3), seed=1, theta_rad=(0.1, 0.2), spot_mm=(4, 8), spectrum="uniform"
    )
    assert particles.energy.mean() == pytest.approx(2.0, abs=0.05)
    assert 0.1 <= particles.theta.min() < particles.theta.max() <= 0.2
    assert np.abs(particles.impact).max(0) == pytest.approx([2, 4], rel=0.01)

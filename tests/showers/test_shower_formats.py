"""One test per layout: where each cell ends up, in which unit, and what the user must say."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from catalog.domain import load_detector
from catalog.errors import BadFile
from catalog.showers.reader import read_showers

SIW, CLIC, LAR = (load_detector(name) for name in ("par04-siw", "clic-siw", "pb-lar"))


def calogan(path: Path, n: int = 4, fraction: float = 0.19) -> Path:
    """Toy CaloGAN file: energy GeV, layers MeV, one hot cell per layer."""
    energy = np.linspace(10, 40, n).reshape(n, 1)
    with h5py.File(path, "w") as file:
        file["energy"] = energy
        file["overflow"] = np.zeros((n, 3))
        hot_cells = (
            ("layer_0", (3, 96), (1, 50)),
            ("layer_1", (12, 12), (2, 7)),
            ("layer_2", (12, 6), (9, 0)),
        )
        for key, shape, hot in hot_cells:
            cells = np.zeros((n, *shape))
            cells[:, hot[0], hot[1]] = energy[:, 0] * 1000 * fraction / 3
            file[key] = cells
    return path


def test_calogan_layers_keep_phi_slow_and_eta_fast(tmp_path: Path) -> None:
    showers = read_showers(calogan(tmp_path / "eplus.hdf5"), pdg=-11)
    assert (showers.detector.name, showers.mesh.voxels) == ("pb-lar", 504)
    assert showers.energies[0].sum() == pytest.approx(10 * 0.19, rel=1e-6)
    hot = [np.flatnonzero(showers.energies[0])[k] for k in range(3)]
    assert hot == [1 * 96 + 50, 288 + 2 * 12 + 7, 288 + 144 + 9 * 6 + 0]
    first, middle, last = showers.mesh.layers
    assert (first.b[1] - first.b[0], first.a[1] - first.a[0]) == (5, 160)
    assert (middle.z0, last.z0, last.z1) == (90, 437, 480)
    assert showers.incident_gev[0] == 10


def test_calogan_does_not_say_which_particle(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="which particle") as caught:
        read_showers(calogan(tmp_path / "f.hdf5"))
    assert "--particle" in caught.value.hint


def test_swapped_calogan_axes_are_refused(tmp_path: Path) -> None:
    path = calogan(tmp_path / "f.hdf5")
    with h5py.File(path, "r+") as file:
        swapped = file["layer_0"][:].transpose(0, 2, 1)
        del file["layer_0"]
        file["layer_0"] = swapped
    with pytest.raises(BadFile, match=r"layer_0 has shape \(4, 96, 3\).*\(N, phi, eta\)"):
        read_showers(path, pdg=11)


def test_cells_corrected_for_sampling_are_said_to_be(tmp_path: Path) -> None:
    showers = read_showers(calogan(tmp_path / "f.hdf5", fraction=0.95), pdg=11)
    assert showers.detector.sampling_fraction == 1.0
    assert showers.detector.name == "pb-lar"
    assert read_showers(calogan(tmp_path / "g.hdf5"), pdg=11).detector == LAR


def par04_cells(n: int, energy_mev: float, shape: tuple[int, int, int]) -> np.ndarray:
    """(n, r, phi, z) with one hot cell at r 2, phi 3, z 4."""
    cells = np.zeros((n, *shape), np.float32)
    cells[:, 2, 3, 4] = 0.03 * energy_mev
    return cells


@pytest.mark.parametrize("shape", [(9, 16, 45), (18, 50, 45)])
def test_par04_axes_are_turned_to_the_order_of_calochallenge(
    tmp_path: Path, shape: tuple[int, int, int]
) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["incident_energy"] = np.full(4, 50_000.0)
        file["showers"] = par04_cells(4, 50_000.0, shape)
        file["incident_theta"] = np.full(4, np.pi / 2 - 0.2)
    showers = read_showers(tmp_path / "f.h5", detector=SIW, pdg=11)
    n_r, n_phi, n_z = shape
    assert showers.mesh.shape == (n_z, n_phi, n_r)
    assert showers.energies.reshape(4, n_z, n_phi, n_r)[0, 4, 3, 2] == pytest.approx(1.5)
    assert showers.incident_gev[0] == 50
    assert showers.theta_rad[0] == pytest.approx(0.2)
    assert showers.mesh.layers[0].b[-1] == pytest.approx(41.85)
    assert showers.mesh.depth_mm == pytest.approx(153)


@pytest.mark.parametrize(
    "shape", [(45, 16, 9), (45, 50, 18), (16, 9, 45), (50, 18, 45), (9, 45, 16)]
)
def test_the_transposition_trap(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["incident_energy"] = np.full((4, 1), 50_000.0)
        file["showers"] = par04_cells(4, 50_000.0, shape)
    with pytest.raises(BadFile, match=r"\(N, r, phi, z\)|how large its cells"):
        read_showers(tmp_path / "f.h5", detector=SIW, pdg=11)


def test_lemurs_in_gev_is_told_from_par04_in_mev(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["incident_energy"] = np.array([[2.0], [500.0]])
        file["showers"] = par04_cells(2, 500.0, (9, 16, 45))
    with pytest.raises(BadFile, match="check the units|deposit"):  # 15 GeV of a 2 GeV particle
        read_showers(tmp_path / "f.h5", detector=SIW, pdg=22, limit=1)
    showers = read_showers(tmp_path / "f.h5", detector=SIW, pdg=22)
    assert showers.incident_gev.tolist() == [2, 500]


def test_an_ambiguous_unit_is_asked_for(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["incident_energy"] = np.array([[200.0], [500.0]])
        file["showers"] = par04_cells(2, 500.0, (9, 16, 45))
    with pytest.raises(BadFile, match="may be MeV or GeV"):
        read_showers(tmp_path / "f.h5", detector=SIW, pdg=22)
    with h5py.File(tmp_path / "f.h5", "r+") as file:
        file["incident_energy"].attrs["unit"] = "MeV"
    assert read_showers(tmp_path / "f.h5", detector=SIW, pdg=22).incident_gev[1] == 0.5


def test_the_vae_files_of_par04_give_their_energies_in_turns(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        for energy, n in ((64, 4), (8, 2), (256, 4)):
            cells = par04_cells(n, energy * 1000.0, (18, 50, 45))
            cells *= 1 + 0.01 * np.arange(n).reshape(n, 1, 1, 1)
            file[str(energy)] = cells
    showers = read_showers(tmp_path / "f.h5", detector=SIW, pdg=11)
    assert showers.incident_gev.tolist() == [64, 256, 8, 64, 256, 64, 256, 8, 64, 256]
    first = showers.energies.sum(1) / showers.incident_gev / 0.03 - 1
    assert first.round(3).tolist() == [0, 0, 0, 0.01, 0.01, 0.02, 0.02, 0.01, 0.03, 0.03]


def test_par04_needs_a_detector(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["64"] = par04_cells(3, 64_000.0, (18, 50, 45))
    with pytest.raises(BadFile, match="which detector") as caught:
        read_showers(tmp_path / "f.h5", pdg=11)
    assert "--detector" in caught.value.hint


def cloud(path: Path, transposed: bool = False, depth: str = "mm", **attributes: object) -> Path:
    """Toy point cloud of clic-siw: columns x, depth, z as CaloClouds keeps them."""
    rng = np.random.default_rng(1)
    n, points = 12, 200
    energy = rng.uniform(10, 90, (n, 1))
    events = np.zeros((n, points, 4), np.float32)
    place = rng.normal(0, 8, (2, n, points))
    layer = rng.gamma(4, 2.5, (n, points)).clip(0, 39).astype(int)
    events[..., 0], events[..., 2] = place
    events[..., 1] = layer if depth == "layer" else (layer + 0.5) * CLIC.depth_mm / 40
    events[..., 3] = energy * 0.027 / points
    events[:, :50] = 0  # padding in front, as CaloClouds-2 has it
    with h5py.File(path, "w") as file:
        file["energy"] = energy
        file["events"] = events.transpose(0, 2, 1) if transposed else events
        file.attrs.update(attributes)
    return path


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("depth", ["mm", "layer"])
def test_points_are_summed_in_the_cells_of_the_detector(
    tmp_path: Path, transposed: bool, depth: str
) -> None:
    path = cloud(tmp_path / "f.h5", transposed, depth)
    showers = read_showers(path, detector=CLIC, pdg=22)
    with h5py.File(path) as file:
        events = file["events"][:].transpose(0, 2, 1) if transposed else file["events"][:]
    assert showers.mesh.shape is not None
    cells = showers.energies.reshape(12, *showers.mesh.shape)
    inside = (np.abs(events[..., [0, 2]]) < showers.mesh.layers[0].b[-1]).all(-1)
    np.testing.assert_allclose(
        showers.energies.sum(1), np.where(inside, events[..., 3], 0).sum(1), rtol=1e-5
    )
    slow = np.average(np.arange(cells.shape[2]), weights=cells.sum((0, 1, 3)))
    mean = np.average(events[..., 0], weights=events[..., 3])
    assert (slow - cells.shape[2] // 2) * 5 == pytest.approx(mean, abs=0.5)


def test_the_ambiguous_cloud_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["energy"], file["events"] = np.ones((3, 1)), np.ones((3, 4, 4))
    with pytest.raises(BadFile, match="cannot be told apart"):
        read_showers(tmp_path / "f.h5", detector=CLIC, pdg=22)


def test_a_cloud_with_another_origin_is_refused_until_it_is_told(tmp_path: Path) -> None:
    path = cloud(tmp_path / "f.h5")
    with h5py.File(path, "r+") as file:
        events = file["events"][:]
        events[..., :3] += (40, 1811, -20)
        file["events"][:] = events
    with pytest.raises(BadFile, match="% of the energy lies outside") as caught:
        read_showers(path, detector=CLIC, pdg=22)
    assert "origin_mm" in caught.value.hint
    with h5py.File(path, "r+") as file:
        file.attrs["origin_mm"] = [40.0, 1811.0, -20.0]
    moved = read_showers(path, detector=CLIC, pdg=22)
    plain = read_showers(cloud(tmp_path / "g.h5"), detector=CLIC, pdg=22)
    close = np.isclose(moved.energies, plain.energies, rtol=1e-3, atol=1e-6)
    assert close.mean() > 0.999  # float32 positions near 1811 mm move a point over an edge


def test_the_orientation_of_a_cloud_is_read(tmp_path: Path) -> None:
    plain = read_showers(cloud(tmp_path / "f.h5"), detector=CLIC, pdg=22)
    turned = read_showers(
        cloud(tmp_path / "g.h5", orientation="hdf5:xyz==local:xzy"), detector=CLIC, pdg=22
    )
    shape = (12, *plain.mesh.shape)
    np.testing.assert_array_equal(
        plain.energies.reshape(shape), turned.energies.reshape(shape).transpose(0, 1, 3, 2)
    )
    with pytest.raises(BadFile, match="orientation is"):
        read_showers(cloud(tmp_path / "h.h5", orientation="up"), detector=CLIC, pdg=22)


BINNING = """<?xml version="1.0"?>
<Bins>
  <Bin pid="22" etaMin="20" etaMax="25" name="photon">
    <Layer id="0" r_edges="0,5,10" n_bin_alpha="1"/>
    <Layer id="1" r_edges="0,2,4,8" n_bin_alpha="10"/>
    <Layer id="4" r_edges="0" n_bin_alpha="1"/>
  </Bin>
</Bins>"""


@pytest.mark.parametrize("beside", ["binning_mine.xml", "mine_2.xml", "elsewhere.xml"])
def test_a_binning_xml_beside_the_file_or_given_places_the_voxels(
    tmp_path: Path, beside: str
) -> None:
    path = tmp_path / "mine_2.hdf5"
    with h5py.File(path, "w") as file:
        file["incident_energies"] = np.full((4, 1), 4000.0)
        file["showers"] = np.full((4, 32), 2.0)
    (tmp_path / beside).write_text(BINNING)
    given = tmp_path / beside if beside == "elsewhere.xml" else None
    showers = read_showers(path, binning=given, detector=CLIC)
    assert [layer.cells for layer in showers.mesh.layers] == [2, 30]
    assert showers.mesh.layers[1].b == (0, 2, 4, 8)
    assert showers.pdg == 22
    with pytest.raises(BadFile, match="no layer stack"):
        read_showers(path, binning=given)


def test_a_binning_of_other_voxels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.hdf5"
    with h5py.File(path, "w") as file:
        file["incident_energies"], file["showers"] = np.ones((4, 1)), np.ones((4, 33))
    (tmp_path / "mine.xml").write_text(BINNING)
    with pytest.raises(BadFile, match=r"33 voxels, but its geometry \(mine.xml\) has 32"):
        read_showers(path)

"""Readers: what is read, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from catalog.domain import load_detector
from catalog.errors import BadFile
from catalog.showers.calochallenge import published_sets
from catalog.showers.reader import read_showers
from tests.toys import shower_file


def test_energies_become_gev_and_the_first_showers_are_read(tmp_path: Path) -> None:
    path = shower_file(tmp_path / "f.h5", n=50)
    with h5py.File(path) as file:
        incident, cells = file["incident_energies"][:7, 0], file["showers"][:7]
    showers = read_showers(path, limit=7)
    assert len(showers) == 7
    np.testing.assert_allclose(showers.incident_gev, incident / 1000)
    np.testing.assert_allclose(showers.energies, cells / 1000, rtol=1e-6)
    assert showers.detector.name == "clic-siw"
    assert showers.digest.startswith("sha256:")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = shower_file(tmp_path / "f.h5")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BadFile, match="not a readable HDF5 file") as caught:
        read_showers(path)
    assert "download it again" in caught.value.hint


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04"])
def test_what_is_not_hdf5_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "f.h5"
    path.write_bytes(content)
    with pytest.raises(BadFile, match="not a readable HDF5"):
        read_showers(path)


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        ("showers", np.nan, "cell energies hold NaN"),
        ("showers", np.inf, "cell energies hold NaN"),
        ("showers", -1.0, "shower 3 has a negative cell energy"),
        ("incident_energies", np.nan, "incident energies hold NaN"),
        ("incident_energies", 0.0, "shower 3 has an incident energy of zero"),
    ],
)
def test_impossible_energies_are_refused(
    tmp_path: Path, where: str, value: float, words: str
) -> None:
    path = shower_file(tmp_path / "f.h5")
    with h5py.File(path, "r+") as file:
        file[where][3, 0] = value
    with pytest.raises(BadFile, match=words):
        read_showers(path)


def test_wrong_units_are_noticed(tmp_path: Path) -> None:
    path = shower_file(tmp_path / "f.h5")
    with h5py.File(path, "r+") as file:
        file["incident_energies"][:] = file["incident_energies"][:] / 1000  # GeV by mistake
    with pytest.raises(BadFile, match="check the units|deposit") as caught:
        read_showers(path)
    assert "MeV" in caught.value.hint


def test_an_unknown_voxel_count_names_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        file["incident_energies"], file["showers"] = np.ones((3, 1)), np.ones((3, 777))
    with pytest.raises(BadFile, match="777 voxels fit no known geometry.*40500"):
        read_showers(path)


def test_a_geometry_that_is_not_the_files_is_refused(tmp_path: Path) -> None:
    path = shower_file(tmp_path / "f.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["mesh_shape"] = [24, 9, 9]
    with pytest.raises(BadFile, match="2025 voxels, but its geometry"):
        read_showers(path)


@pytest.mark.parametrize("voxels", sorted(published_sets()))
def test_published_calochallenge_sets_are_recognised(tmp_path: Path, voxels: int) -> None:
    path = tmp_path / "f.hdf5"
    with h5py.File(path, "w") as file:
        file["incident_energies"] = np.full((4, 1), 2000.0)
        file["showers"] = np.full((4, voxels), 1500.0 / voxels)
    showers = read_showers(path)
    assert showers.mesh.voxels == voxels
    assert showers.pdg == published_sets()[voxels]["pdg"]
    assert showers.mesh.layers[0].kind == "polar"


def test_three_dimensional_showers_are_never_flattened_by_guess(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        file["incident_energies"] = np.ones((3, 1))
        file["showers"] = np.ones((3, 18, 50, 45))
    with pytest.raises(BadFile, match="flat"):
        read_showers(path)


def test_an_unknown_format_says_what_was_looked_for(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        file["jets"] = np.ones((3, 4))
    with pytest.raises(BadFile, match="holds jets; looked for: 3dgan.*calochallenge"):
        read_showers(path)


def test_data_in_another_file_is_not_followed(tmp_path: Path) -> None:
    shower_file(tmp_path / "secret.h5")
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["incident_energies"] = np.ones((3, 1))
        file["showers"] = h5py.ExternalLink("secret.h5", "/showers")
    with pytest.raises(BadFile, match="link"):
        read_showers(tmp_path / "f.h5")


def test_a_file_that_claims_to_be_enormous_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("incident_energies", (10**7, 1), "f4", chunks=(1000, 1), fillvalue=1)
        file.create_dataset("showers", (10**7, 6480), "f4", chunks=(1, 6480))
    with pytest.raises(BadFile, match="more than can be held"):
        read_showers(tmp_path / "f.h5")
    with pytest.raises(BadFile, match="deposits any energy"):  # five of them can be read
        read_showers(tmp_path / "f.h5", limit=5)


def test_a_detector_of_the_users_places_the_cells(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        file["incident_energies"], file["showers"] = np.full((3, 1), 1e5), np.ones((3, 25000))
    showers = read_showers(path, detector=load_detector("clic-siw"), pdg=22)
    assert showers.mesh.shape == (40, 25, 25)
    assert showers.mesh.depth_mm == pytest.approx(202.0)


@pytest.mark.parametrize("angle", ["theta", "mtheta"])
def test_variable_angle_3dgan_files_are_scaled_and_transposed(tmp_path: Path, angle: str) -> None:
    ecal = np.zeros((4, 5, 6, 7), np.float32)
    ecal[:, 1, 2, 3] = 50.0  # one deposited GeV
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["ECAL"], file["energy"] = ecal, np.full((4, 1), 60.0)
        file[angle] = np.full((4, 1), np.pi / 2 - 0.3)
    showers = read_showers(tmp_path / "f.h5")
    assert showers.energies.reshape(4, 7, 6, 5)[0, 3, 2, 1] == pytest.approx(1.0)
    assert showers.incident_gev[0] == 60
    assert showers.theta_rad[0] == pytest.approx(0.3)


def test_fixed_angle_3dgan_files_hold_gev(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["ECAL"] = np.full((4, 25, 25, 25), 1e-4, np.float32)
        file["target"] = np.tile([11.0, 80.0], (4, 1))
    showers = read_showers(tmp_path / "f.h5")
    assert showers.incident_gev[0] == 80
    assert showers.energies.sum(1)[0] == pytest.approx(1.5625, rel=1e-4)

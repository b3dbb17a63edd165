"""What is written reads back equal, and appears complete or not at all."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from catalog.domain import Detector, load_detector
from catalog.domain.mesh import Layer, Mesh
from catalog.errors import BadFile, CatalogError
from catalog.showers import ShowerSet
from catalog.showers.geometry import decode_mesh, encode_mesh, grid, rings
from catalog.showers.reader import read_showers
from catalog.showers.write import write_calochallenge, write_points
from tests.toys import shower_set

SMALL = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
MESHES = (
    grid(3, 5.05, 3, 5.0, 4, 4.0),
    Mesh(tuple(rings([0, 4.65, 9.3, 20], 6, i * 3.4, (i + 1) * 3.4) for i in range(4))),
    Mesh((Layer(0, 9, "cartesian", (-4, 0, 4), (-6, 6)), rings([1, 2, 7], 5, 9, 21))),
)
OWN = Detector(
    name="my-own", type="ecal", sampling_fraction=0.1, cell_mm=(1.5, 2.0), readout_layers=3
)  # fmt: skip


@st.composite
def shower_sets(draw: st.DrawFn) -> ShowerSet:
    """Any showers that the checks let pass, on any mesh, sparse or not."""
    mesh = draw(st.sampled_from(MESHES))
    detector = draw(st.sampled_from([load_detector("clic-siw"), load_detector("pbwo4-block"), OWN]))
    n = draw(st.integers(1, 6))
    fraction = detector.sampling_fraction or 1.0
    incident = draw(arrays.arrays(np.float64, n, elements=st.floats(1e-2, 1e4)))
    shares = draw(
        arrays.arrays(np.float64, (n, mesh.voxels), elements=st.floats(0, 1), fill=st.just(0.0))
    )
    shares[:, 0] += 0.5
    cells = fraction * incident[:, None] * shares / shares.sum(1, keepdims=True)
    theta = draw(arrays.arrays(np.float64, n, elements=st.floats(0, 1.5)))
    return ShowerSet(cells.astype(np.float32), incident, theta, mesh, detector, 11)


@SMALL
@given(shower_sets())
def test_a_calochallenge_file_comes_back(showers: ShowerSet) -> None:
    with TemporaryDirectory() as folder:
        back = read_showers(write_calochallenge(showers, Path(folder) / "f.hdf5"))
        again = read_showers(write_calochallenge(back, Path(folder) / "g.hdf5"))
    np.testing.assert_array_equal(back.energies, showers.energies)
    np.testing.assert_array_max_ulp(back.incident_gev, showers.incident_gev, 1)
    np.testing.assert_array_equal(back.theta_rad, showers.theta_rad)
    assert (back.mesh, back.detector, back.pdg) == (showers.mesh, showers.detector, showers.pdg)
    np.testing.assert_array_equal(again.incident_gev, back.incident_gev)
    np.testing.assert_array_equal(again.energies, back.energies)


@SMALL
@given(shower_sets())
def test_a_point_cloud_comes_back(showers: ShowerSet) -> None:
    with TemporaryDirectory() as folder:
        back = read_showers(write_points(showers, Path(folder) / "f.h5"))
    np.testing.assert_array_equal(back.energies, showers.energies)
    np.testing.assert_array_equal(back.incident_gev, showers.incident_gev)
    assert (back.mesh, back.detector, back.pdg) == (showers.mesh, showers.detector, showers.pdg)


@given(st.sampled_from(MESHES))
def test_a_mesh_comes_back(mesh: Mesh) -> None:
    assert decode_mesh(encode_mesh(mesh)) == mesh


def test_showers_that_were_read_are_stored_as_they_were(tmp_path: Path) -> None:
    showers = shower_set(tmp_path / "f.h5")
    path = write_calochallenge(showers, tmp_path / "g.h5")
    with h5py.File(path) as file:
        assert file["showers"].dtype == np.float32
        assert file["showers"].compression == "gzip"
        assert file["showers"].attrs["unit"] == "MeV"
        assert file.attrs["source_digest"] == showers.digest
        assert file.attrs["source"] == "f.h5"
    back = read_showers(path)
    np.testing.assert_array_equal(back.energies, showers.energies)
    np.testing.assert_array_equal(back.incident_gev, showers.incident_gev)


def test_the_same_showers_give_the_same_bytes(tmp_path: Path) -> None:
    showers = shower_set(tmp_path / "f.h5")
    one = write_calochallenge(showers, tmp_path / "a.h5").read_bytes()
    assert write_calochallenge(showers, tmp_path / "b.h5").read_bytes() == one


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from tests.toys import shower_set
from catalog.errors import CatalogError
from catalog.showers.write import write_calochallenge, write_points
folder = Path(sys.argv[1])
showers = shower_set(folder / "f.h5", n=400)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
for write in (write_calochallenge, write_points):
    try:
        write(showers, folder / "out.h5")
    except CatalogError as exc:
        print(exc.message)
"""


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True, text=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout.count("cannot write") == 2, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["f.h5"]


def test_a_failed_write_keeps_the_file_that_was_there(tmp_path: Path) -> None:
    showers = shower_set(tmp_path / "f.h5")
    before = (tmp_path / "f.h5").read_bytes()
    wrong = replace(showers, detector=replace_source(showers.detector, "x" * 70_000))
    with pytest.raises(CatalogError, match="too many for a file's attribute"):
        write_calochallenge(wrong, tmp_path / "f.h5")
    assert (tmp_path / "f.h5").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(CatalogError, match="cannot write"):
        write_points(showers, tmp_path / "no such folder" / "f.h5")


def replace_source(detector: Detector, source: str) -> Detector:
    return detector.model_copy(update={"source": source})


def test_writing_holds_little_beside_the_showers(tmp_path: Path) -> None:
    showers = shower_set(tmp_path / "f.h5", n=5000)
    assert showers.energies.nbytes > 40_000_000
    tracemalloc.start()
    try:
        write_calochallenge(showers, tmp_path / "g.h5")
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


def test_a_hostile_mesh_attribute_is_refused(tmp_path: Path) -> None:
    path = write_calochallenge(shower_set(tmp_path / "f.h5"), tmp_path / "g.h5")
    for text in ('{"cuts": [], "layers": []}', "[" * 20_000, '{"cuts": 1, "layers": [[0, 1, 0]]}',
                 '{"cuts": [["polar", [0, 1], [1, 0]]], "layers": [[0, 1, 0]]}',
                 '{"cuts": [["polar", [0, 1], [0, NaN]]], "layers": [[0, 1, 0]]}'):  # fmt: skip
        with h5py.File(path, "r+") as file:
            file.attrs["mesh"] = text
        with pytest.raises(BadFile, match="bad geometry attributes"):
            read_showers(path)

"""The file that `catalog simulate` writes: its content, and that it is complete or absent."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from catalog.domain import load_detector
from catalog.errors import CatalogError, UsageError
from catalog.showers.reader import read_showers
from catalog.simulate.beam import draw_beam
from catalog.simulate.readout import readout_mesh
from catalog.simulate.run import simulate
from catalog.simulate.write import write_showers

SIMULATE = [sys.executable, "-c", "from catalog.cli import main; main()", "simulate"]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def written(path: Path, name: str = "clic-siw", n: int = 70, pdg: int = 22, **more) -> tuple:
    detector = load_detector(name)
    mesh = readout_mesh(detector, 9)
    particles = draw_beam(pdg, n, (1, 10), seed=3, theta_rad=(0, 0.1), spot_mm=(5, 5))
    write_showers(path, detector, mesh, particles, 3, **more)
    return detector, mesh, particles


@pytest.mark.parametrize("name", ["clic-siw", "ild-siw", "pb-lar"])
def test_the_file_reads_back_as_what_was_simulated(tmp_path, name):
    path = tmp_path / "showers.h5"
    detector, mesh, particles = written(path, name)
    found = read_showers(path)
    made = simulate(detector, mesh, particles, seed=3)
    assert found.detector == detector
    assert found.pdg == 22
    assert found.incident_gev == pytest.approx(particles.energy, rel=1e-12)
    assert found.theta_rad == pytest.approx(particles.theta)
    assert np.allclose(found.energies, made.energies, rtol=1e-6, atol=0)
    for one, other in zip(found.mesh.layers, mesh.layers, strict=True):
        assert (one.z0, one.z1) == pytest.approx((other.z0, other.z1))
        assert one.b == pytest.approx(other.b)


def test_attributes_and_provenance(tmp_path):
    path = tmp_path / "showers.h5"
    written(path)
    with h5py.File(path) as file:
        attributes = dict(file.attrs)
        assert file["showers"].shape == (70, 40 * 81)
        assert file["impact_xy_mm"].shape == (70, 2)
    assert attributes["detector"] == "clic-siw"
    assert attributes["pdg"] == 22
    assert attributes["mesh_shape"].tolist() == [40, 9, 9]
    assert attributes["cell_mm"].tolist() == [5, 5]
    assert attributes["layer_mm"] == pytest.approx(5.05)
    provenance = json.loads(attributes["provenance"])
    assert "not full simulation" in provenance["what"]
    assert provenance["simulator"].startswith("hep-model-catalog ")
    assert provenance["seed"] == 3
    assert provenance["parameters"]["stochastic"] == 0.14
    assert provenance["parameters"]["sampling_fraction"] == 0.02688


def test_hadrons_are_said_to_be_rough(tmp_path):
    path = tmp_path / "showers.h5"
    written(path, "fe-scint", 5, 211)
    with h5py.File(path) as file:
        assert "rough" in json.loads(file.attrs["provenance"])["model"]


def test_a_detector_of_the_users_goes_into_the_file(tmp_path):
    detector = load_detector("clic-siw").model_copy(update={"name": "mine"})
    particles = draw_beam(11, 3, (1, 10))
    path = tmp_path / "showers.h5"
    write_showers(path, detector, readout_mesh(detector, 3), particles, 0)
    assert read_showers(path).detector == detector


def test_an_existing_file_is_kept(tmp_path):
    path = tmp_path / "showers.h5"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="exists"):
        written(path)
    assert path.read_text(encoding="utf-8") == "mine"
    written(path, force=True)
    assert len(read_showers(path)) == 70
    assert names(tmp_path) == ["showers.h5"]


def test_nothing_is_left_where_there_is_no_folder_or_no_stack(tmp_path):
    with pytest.raises(CatalogError, match="no such folder"):
        written(tmp_path / "no" / "showers.h5")
    particles = draw_beam(11, 3, (1, 10))
    mesh = readout_mesh(load_detector("clic-siw"), 3)
    with pytest.raises(UsageError, match="no layer stack"):
        write_showers(tmp_path / "s.h5", load_detector("clic-3dgan"), mesh, particles, 0)
    assert names(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits and signals")
def test_a_full_disk_leaves_nothing(tmp_path):
    """A limit on the size of files stands for the full disk: the same error at the same calls."""
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60000, 60000))\n"
        "sys.argv = ['catalog', 'simulate', *sys.argv[1:]]\n"
        "from catalog.cli import main\nmain()\n"
    )
    words = ["--detector", "clic-siw", "--n", "200", "-o", "showers.h5"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "cannot write showers.h5" in done.stderr
    assert names(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits and signals")
def test_a_stopped_job_leaves_nothing(tmp_path):
    words = ["--detector", "clic-siw", "--n", "1000000", "-o", "showers.h5"]
    job = subprocess.Popen([*SIMULATE, *words], cwd=tmp_path, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 30
        while not names(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert [name.endswith(".part") for name in names(tmp_path)] == [True]
        job.send_signal(signal.SIGTERM)
        job.communicate(timeout=30)
    finally:
        job.kill()
        job.communicate()
    assert job.returncode == 128 + signal.SIGTERM
    assert names(tmp_path) == []


def test_the_command(tmp_path):
    words = ["--detector", "pb-lar", "--particle", "gamma", "--energy", "5..20", "--n", "100"]
    more = ["--cells", "5", "--theta", "0.1", "--seed", "7", "-o", "s.h5", "--json"]
    done = subprocess.run(
        [*SIMULATE, *words, *more], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "file": "s.h5", "detector": "pb-lar", "pdg": 22, "showers": 100,
        "mesh_shape": [80, 5, 5], "seed": 7,
    }  # fmt: skip
    assert "simulating pb-lar 100/100" in done.stderr
    showers = read_showers(tmp_path / "s.h5")
    assert (showers.theta_rad == 0.1).all()
    assert 5 <= showers.incident_gev.min() < showers.incident_gev.max() <= 20


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--detector", "nothing"], 3, "no detector 'nothing'"),
        (["--detector", "clic-siw", "--energy", "lots"], 2, "no number and no range"),
        (["--detector", "clic-siw", "--energy", "9..1"], 2, "LOW..HIGH"),
        (["--detector", "clic-siw", "--particle", "mu-"], 2, "muons make no shower"),
        (["--detector", "atlas-barrel"], 2, "no layer stack"),
    ],
)
def test_wrong_words(tmp_path, words, code, message):
    done = subprocess.run(
        [*SIMULATE, *words, "-o", "s.h5"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert message in done.stderr
    assert names(tmp_path) == []

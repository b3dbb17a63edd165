"""Files larger than memory: chunks are the same showers, and hold only themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.domain import load_detector
from catalog.errors import BadFile, UsageError
from catalog.showers import reader
from catalog.showers.reader import iterate_showers, read_showers
from tests.showers.test_shower_formats import calogan, par04_cells
from tests.toys import shower_file

SIW = load_detector("par04-siw")


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(chunk=st.integers(1, 80), limit=st.one_of(st.none(), st.integers(1, 80)))
def test_chunks_are_the_showers(
    tmp_path_factory: pytest.TempPathFactory, chunk: int, limit: int | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "toy chunks.h5"
    if not path.exists():
        shower_file(path, n=60)
    whole = read_showers(path, limit=limit)
    parts = list(iterate_showers(path, limit=limit, chunk=chunk))
    assert {len(part) for part in parts[:-1]} <= {chunk}
    np.testing.assert_array_equal(np.concatenate([p.energies for p in parts]), whole.energies)
    np.testing.assert_array_equal(
        np.concatenate([p.incident_gev for p in parts]), whole.incident_gev
    )
    assert {(p.digest, p.detector, p.mesh, p.source) for p in parts} == {
        (whole.digest, whole.detector, whole.mesh, whole.source)
    }


def test_a_result_of_many_chunks_is_that_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shower_file(tmp_path / "f.h5", n=60)
    whole = read_showers(path)
    monkeypatch.setattr(reader, "_CHUNK_BYTES", 7 * 4 * whole.mesh.voxels)
    joined = read_showers(path)
    np.testing.assert_array_equal(joined.energies, whole.energies)
    np.testing.assert_array_equal(joined.theta_rad, whole.theta_rad)


def test_calibration_does_not_depend_on_the_chunk(tmp_path: Path) -> None:
    path = calogan(tmp_path / "f.hdf5", n=50, fraction=0.9)
    fractions = {
        part.detector.sampling_fraction
        for chunk in (1, 7, 50)
        for part in iterate_showers(path, pdg=11, chunk=chunk)
    }
    assert fractions == {1.0}


def test_energies_in_turns_are_the_same_in_chunks(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        for energy, n in ((1, 7), (32, 3), (1024, 5)):
            file[str(energy)] = par04_cells(n, energy * 1000.0, (18, 50, 45))
    whole = read_showers(tmp_path / "f.h5", detector=SIW, pdg=11)
    parts = list(iterate_showers(tmp_path / "f.h5", detector=SIW, pdg=11, chunk=2))
    np.testing.assert_array_equal(np.concatenate([p.energies for p in parts]), whole.energies)


def test_the_first_bad_shower_is_counted_from_the_start_of_the_file(tmp_path: Path) -> None:
    path = shower_file(tmp_path / "f.h5", n=60)
    with h5py.File(path, "r+") as file:
        file["showers"][43, 5] = -1
    parts = iterate_showers(path, chunk=10)
    assert [len(next(parts)) for _ in range(4)] == [10] * 4
    with pytest.raises(BadFile, match="shower 43 has a negative"):
        next(parts)


def test_impossible_requests_are_usage_errors(tmp_path: Path) -> None:
    path = shower_file(tmp_path / "f.h5")
    with pytest.raises(UsageError, match="chunk"):
        next(iterate_showers(path, chunk=0))
    with pytest.raises(UsageError, match="at least one"):
        read_showers(path, limit=0)


def test_more_than_memory_is_refused_in_one_piece_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = shower_file(tmp_path / "f.h5", n=60)
    monkeypatch.setattr(reader, "_memory", lambda: 600_000)
    with pytest.raises(BadFile, match="more than can be held in memory") as caught:
        read_showers(path)
    assert "iterate_showers" in caught.value.hint
    assert sum(len(part) for part in iterate_showers(path)) == 60


PEAK = r"""
import re, sys
from pathlib import Path
from catalog.showers.reader import iterate_showers
def peak():
    return int(re.search(r"VmHWM:\s+(\d+)", open("/proc/self/status").read())[1]) // 1024
parts = iterate_showers(Path(sys.argv[1]))
next(parts)
before, n = peak(), 0
for part in parts:
    n += len(part)
print(n, peak() - before, peak())
"""


def test_memory_stays_bounded(tmp_path: Path) -> None:
    path = tmp_path / "f.h5"  # 486 MB of cells in a small file
    with h5py.File(path, "w") as file:
        file["incident_energies"] = np.full((3000, 1), 50_000.0)
        cells = file.create_dataset(
            "showers", (3000, 40500), "f4", chunks=(10, 40500), compression="gzip",
            fillvalue=1.0,
        )  # fmt: skip
        cells[0] = 1.0
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True
    )
    n, grown, peak = (int(v) for v in done.stdout.split())
    assert n > 2500
    assert grown < 120, f"grew by {grown} MB"
    assert peak < 400

"""Validating files that do not fit in memory: the same answer, from a bounded amount of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from catalog.domain import load_detector
from catalog.errors import BadFile
from catalog.showers.reader import read_showers
from catalog.showers.showerfile import open_showers
from catalog.validate import validate
from tests.toys import generator_folder, shower_file

SHOWERS = 13_000


def large_file(path: Path, seed: int) -> Path:
    """The layout of CaloChallenge 2, 340 MB of cells; toy showers."""
    rng = np.random.default_rng(seed)
    depth = 0.8 * (np.arange(45) + 0.5)
    ring = np.exp(-np.arange(9) / 1.5) / 16 / np.exp(-np.arange(9) / 1.5).sum()
    gev = np.exp(rng.uniform(0, np.log(1000), (SHOWERS, 1)))
    with h5py.File(path, "w") as file:
        file["incident_energies"] = 1e3 * gev
        cells = file.create_dataset("showers", (SHOWERS, 6480), "f4", chunks=(100, 6480))
        for start in range(0, SHOWERS, 1000):
            here = gev[start : start + 1000]
            profile = depth ** (0.5 * np.log(here) + 2.5) * np.exp(-0.5 * depth)
            profile *= rng.gamma(9, 1 / 9, profile.shape) * 1e3 * here
            profile /= (profile / (1e3 * here)).sum(1, keepdims=True)
            profile *= rng.normal(1, 0.02, (1000, 1))
            block = profile[:, :, None, None] * np.ones((16, 1)) * ring
            cells[start : start + 1000] = block.reshape(len(here), -1)
    return path


LIMITED = """
import json, re, resource, sys
from pathlib import Path
from catalog.domain import load_detector
from catalog.showers.showerfile import open_showers
from catalog.validate import validate
import catalog.physics.validate, scipy.stats, scipy.sparse, h5py
one, other = (Path(name) for name in sys.argv[1:3])
size = 1024 * int(re.search(r"VmSize:\\s+(\\d+)", open("/proc/self/status").read())[1])
resource.setrlimit(resource.RLIMIT_AS, (size + int(sys.argv[3]),) * 2)
asked = dict(detector=load_detector("par04-siw"), pdg=11)
done = validate(open_showers(one, **asked), open_showers(other, **asked))
print(json.dumps([done.result.n, done.passed]))
""".replace("\\\\", "\\")


def test_two_files_are_compared_in_less_memory_than_one_takes(tmp_path: Path) -> None:
    files = [str(large_file(tmp_path / f"{seed}.h5", seed)) for seed in (0, 1)]
    held = 4 * 6480 * SHOWERS
    command = [sys.executable, "-c", LIMITED, *files, str(held)]
    # The limit counts addresses; an arena of each thread's own reserves many that it never uses.
    env = {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    n, passed = json.loads(done.stdout)
    assert n > 0.45 * SHOWERS and passed


@pytest.mark.parametrize("model", [True, False])
def test_the_answer_does_not_depend_on_where_the_cells_are(tmp_path: Path, model: bool) -> None:
    data = shower_file(tmp_path / "full.h5", n=300)
    fast = shower_file(tmp_path / "fast.h5", n=200, seed=1)
    if model:
        from catalog.pull import read_folder

        subject = read_folder(generator_folder(tmp_path / "toy"))
        in_file, in_memory = (
            validate(subject, target)
            for target in (open_showers(data, chunk=37), read_showers(data))
        )
    else:
        in_file = validate(open_showers(fast, chunk=11), open_showers(data, chunk=37))
        in_memory = validate(read_showers(fast), read_showers(data))
    one, other = in_file.document(), in_memory.document()
    numbers = ("metrics", "errors", "floor", "floor_errors")
    for name in numbers:
        assert one.pop(name) == pytest.approx(other.pop(name), rel=1e-6, abs=1e-9)
    gates = [[g.pop("value") for g in document["gates"]] for document in (one, other)]
    assert gates[0] == pytest.approx(gates[1], rel=1e-6, abs=1e-9)
    for document in (one, other):
        del document["checksum"]  # of all digits
        for gate in document["gates"]:
            gate["limit"], gate["error"] = (round(gate[k], 9) for k in ("limit", "error"))
    assert one == other


def test_a_part_of_a_file_is_that_part(tmp_path: Path) -> None:
    path = shower_file(tmp_path / "f.h5", n=60)
    rows = np.array([3, 4, 19, 20, 21, 57])
    parts = list(open_showers(path, chunk=20).take(rows).chunks())
    wanted = read_showers(path).take(rows)
    for name in ("energies", "incident_gev", "theta_rad"):
        found = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(found, getattr(wanted, name))


def test_a_file_that_changes_in_between_is_refused(tmp_path: Path) -> None:
    path = shower_file(tmp_path / "f.h5", n=60)
    opened = open_showers(path)
    shower_file(path, n=60, seed=5)
    with pytest.raises(BadFile, match="changed while it was read"):
        list(opened.chunks())


def test_progress_is_told_of_long_files_only(tmp_path: Path) -> None:
    said: list[tuple[str, int, int]] = []

    def watch(what: str) -> object:
        return lambda done, total: said.append((what, done, total))

    path = shower_file(tmp_path / "f.h5", n=60)
    list(open_showers(path, watch).chunks())
    assert said == []
    list(open_showers(path, watch, chunk=30).chunks())
    assert said == [(f"{verb} f.h5", n, 60) for verb in ("reading", "observing") for n in (30, 60)]


def test_another_detector_is_said_of_the_same_cells(tmp_path: Path) -> None:
    path = shower_file(tmp_path / "f.h5", n=20)
    other = load_detector("ild-siw")
    (part,) = open_showers(path).of(other).chunks()
    assert part.detector is other
    np.testing.assert_array_equal(part.energies, read_showers(path).energies)

"""`catalog fingerprint` as a user meets it."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from catalog.cli import main
from catalog.fingerprint import read_kept
from tests.toys import generator_folder, shower_file

KEYS = {
    "energy_gev", "theta_rad", "n", "response", "resolution", "shower_max_x0", "radius_rm", "hits",
}  # fmt: skip


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def run(place: Path, *words: str) -> Done:
    return catalog(place, "fingerprint", *words)


def catalog(place: Path, *words: str) -> Done:
    """What the command line prints and returns, without the second that a process takes."""
    printed, said, code = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["catalog", *words])
        patch.setenv("CATALOG_HOME", str(place / "home"))
        patch.setenv("CATALOG_CACHE", str(place / "cache"))
        patch.chdir(place)
        with redirect_stdout(printed), redirect_stderr(said):
            try:
                main()
            except SystemExit as left:
                code = int(left.code or 0)
    return Done(code, printed.getvalue(), said.getvalue())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("fingerprints")
    shower_file(place / "f.h5", n=120)
    done = run(place, "f.h5", "-o", "f.npz")
    assert done.returncode == 0, done.stderr
    return place


def test_a_file_prints_a_line_per_energy_bin_and_keeps_it(place: Path) -> None:
    done = run(place, "f.h5")
    assert done.returncode == 0
    assert done.stdout.startswith(f"120 showers, {read_kept(place / 'f.npz').best.digest}\n")
    lines = done.stdout.splitlines()
    assert lines[2].split() == [
        "GEV", "RAD", "N", "RESPONSE", "RESOLUTION", "MAX", "[X0]", "RADIUS", "[R_M]", "HITS",
    ]  # fmt: skip
    assert len(lines[3:]) == 6
    assert sum(int(line.split()[2]) for line in lines[3:]) == 120


def test_the_file_it_wrote_says_the_same(place: Path) -> None:
    assert run(place, "f.npz").stdout == run(place, "f.h5").stdout


def test_json_has_the_documented_keys(place: Path) -> None:
    value = json.loads(run(place, "f.npz", "--json").stdout)
    assert set(value) == {"format", "data", "samples"}
    assert value["samples"] is None
    assert set(value["data"]) == {"digest", "n", "outside", "response_known", "bins"}
    assert all(set(row) == KEYS for row in value["data"]["bins"])
    assert value["data"]["bins"][0]["energy_gev"] == [1.0, 2.154]


def test_a_model_in_a_folder_is_sampled_and_kept_with_it(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    generator_folder(tmp_path / "toy")
    none = run(tmp_path, "toy/")
    assert none.returncode == 3
    assert "catalog fingerprint toy/ --record" in none.stderr
    done = run(tmp_path, "toy/", "--record")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("500 showers that the model generates, sha256:")
    assert run(tmp_path, "toy/").stdout == done.stdout
    assert read_kept(tmp_path / "toy" / "fingerprint.npz").data is None


def test_a_reference_prints_what_the_version_keeps(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("mlflow")
    for name in ("kept", "bare"):
        generator_folder(tmp_path / name, name=name)
    said = run(tmp_path, "kept/", "--record").stdout
    for name in ("kept", "bare"):
        done = catalog(tmp_path, "publish", name)
        assert done.returncode == 0, done.stderr
    assert run(tmp_path, "kept").stdout == run(tmp_path, "kept@1").stdout == said
    none = run(tmp_path, "bare")
    assert none.returncode == 3
    assert "bare@1 keeps no fingerprint" in none.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["none.h5"], 1, "no such file"),
        (["none.npz"], 1, "cannot be read: No such file"),
        (["unknown"], 3, "no model 'unknown'"),
        (["f.h5", "-o", "f.npz"], 2, "f.npz exists"),
        (["f.h5", "-o", "f.h5", "--force"], 2, "-o f.npz"),
        (["f.h5", "-o", "none/f.npz"], 2, "none: no such folder"),
        (["absent.h5", "-o", "none/f.npz"], 2, "none: no such folder"),  # before any work
        (["f.h5", "-o", "/proc/f.npz"], 1, "/proc/f.npz: cannot be written"),
        (["f.h5", "--detector", "unheard-of"], 3, "unheard-of"),
        (["f.h5", "--record"], 2, "--record needs a version folder"),
        (["f.h5", "--frobnicate"], 2, "No such option"),
    ],
)
def test_what_goes_wrong_is_said_with_its_exit_code(
    place: Path, words: list[str], code: int, said: str
) -> None:
    done = run(place, *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_existing_fingerprint_is_replaced_only_when_forced(tmp_path: Path) -> None:
    shower_file(tmp_path / "f.h5", n=60)
    (tmp_path / "g.npz").write_bytes(b"precious")
    assert run(tmp_path, "f.h5", "-o", "g.npz").returncode == 2
    assert (tmp_path / "g.npz").read_bytes() == b"precious"
    assert run(tmp_path, "f.h5", "-o", "g.npz", "--force").returncode == 0
    assert len(read_kept(tmp_path / "g.npz").best) == 60
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f.h5", "g.npz"]

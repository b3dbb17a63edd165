"""`--binning FILE.xml`: the cells of CaloChallenge files, published or one's own."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from catalog.cli import build_app
from catalog.errors import BadFile, CatalogError, UsageError
from catalog.showers.geometry import published_sets
from catalog.showers.reader import read_showers
from tests.toys import shower_file

VERBS = ("adapt", "recommend", "report", "train", "validate")


def xml_of(layers: list[tuple[str, int]], pdg: int) -> str:
    lines = [
        f'<Layer id="{i}" r_edges="{edges}" n_bin_alpha="{sectors}"/>'
        for i, (edges, sectors) in enumerate(layers)
    ]
    return f'<Bins><Bin pid="{pdg}" name="x">{"".join(lines)}</Bin></Bins>'


def published(voxels: int) -> str:
    """The XML of a published set, with the empty layers that set 1 has in between."""
    known = published_sets()[voxels]
    cut = [(",".join(map(str, c["r_mm"])), c["alpha"]) for c in known["layers"]] * known["repeat"]
    return xml_of([cut[0], ("0", 1), *cut[1:]], known["pdg"])


def flat_file(path: Path, voxels: int, n: int = 300, seed: int = 0) -> Path:
    """Toy showers of 10 to 100 GeV, all cells alike, with a spread of a tenth."""
    rng = np.random.default_rng(seed)
    gev = rng.uniform(10, 100, (n, 1))
    with h5py.File(path, "w") as file:
        file["incident_energies"] = 1e3 * gev
        file["showers"] = 1e3 * gev * rng.gamma(100, 0.01, (n, voxels)) * 0.03 / voxels
    return path


@pytest.mark.parametrize("voxels", [368, 533, 6480])
def test_the_published_xml_says_what_the_number_of_voxels_says(tmp_path: Path, voxels: int) -> None:
    path = flat_file(tmp_path / "f.h5", voxels, n=5)
    (tmp_path / "cells.xml").write_text(published(voxels))
    told = read_showers(path, binning=tmp_path / "cells.xml")
    known = read_showers(path)
    assert (told.pdg, told.detector.name) == (known.pdg, known.detector.name)
    for one, other in zip(told.mesh.layers, known.mesh.layers, strict=True):
        assert one.kind == other.kind
        np.testing.assert_allclose(one.b, other.b)
        np.testing.assert_allclose(one.a, other.a)
        assert (one.z0, one.z1) == pytest.approx((other.z0, other.z1))


def test_irregular_cells_of_ones_own_are_validated(tmp_path: Path) -> None:
    layers = [("0,5,10,20,40,80", 1 + 3 * (i % 3)) for i in range(10)]
    (tmp_path / "mine.xml").write_text(xml_of(layers, 22))
    voxels = sum(5 * sectors for _, sectors in layers)
    fast = flat_file(tmp_path / "fast.h5", voxels, seed=1)
    full = flat_file(tmp_path / "full.h5", voxels)
    words = ["validate", str(fast), "--data", str(full), "--detector", "ild-siw", "--json"]
    refused = CliRunner().invoke(build_app("validate"), words).exception
    assert isinstance(refused, BadFile) and "readout_layers" in refused.hint
    done = CliRunner().invoke(
        build_app("validate"), [*words, "--binning", str(tmp_path / "mine.xml")]
    )
    assert json.loads(done.stdout)["n"] > 100


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_with_data_takes_it(tmp_path: Path, verb: str) -> None:
    data = str(flat_file(tmp_path / "f.h5", 100))
    own = {"train": ["cvae", "--out", str(tmp_path / "new")]}.get(verb, ["x"])
    words = [verb, *([] if verb == "recommend" else own), "--data", data]
    if verb in ("adapt", "report"):
        pytest.importorskip("onnxruntime")
        return_early = [verb, "--help"]
        assert "--binning" in CliRunner().invoke(build_app(verb), return_early).stdout
        return
    words[1:2] = [data] if verb == "validate" else words[1:2]
    done = CliRunner().invoke(build_app(verb), [*words, "--binning", str(tmp_path / "no.xml")])
    assert isinstance(done.exception, BadFile)
    assert "no.xml: no such file" in done.exception.message and "--binning" in done.exception.hint


BOMB = """<?xml version="1.0"?><!DOCTYPE Bins [<!ENTITY a "0,1">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<Bins><Bin pid="11"><Layer id="0" r_edges="&c;" n_bin_alpha="1"/></Bin></Bins>"""
HOSTILE = {
    "bomb": BOMB,
    "fetch": '<!DOCTYPE Bins SYSTEM "file:///etc/passwd"><Bins/>',
    "parameter": '<!DOCTYPE Bins [<!ENTITY % x SYSTEM "http://127.0.0.1:9/">%x;]><Bins/>',
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_named_xml_with_a_document_type_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "cells.xml").write_text(HOSTILE[kind])
    with pytest.raises(BadFile, match="declares a document type") as caught:
        read_showers(flat_file(tmp_path / "f.h5", 100), binning=tmp_path / "cells.xml")
    assert "--binning" in caught.value.hint


def test_the_xml_of_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cells.xml").write_text(published(368))
    with pytest.raises(BadFile, match="2025 voxels.*cells.xml.*has 368") as caught:
        read_showers(shower_file(tmp_path / "f.h5"), binning=tmp_path / "cells.xml")
    assert "beside its file" in caught.value.hint


def test_an_xml_for_another_layout_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["ECAL"] = np.full((4, 25, 25, 25), 1e-4)
        file["target"] = np.full((4, 2), 100.0)
    with pytest.raises(CatalogError, match="describes flat files only") as caught:
        read_showers(tmp_path / "f.h5", binning=tmp_path / "cells.xml")
    assert isinstance(caught.value, UsageError)
    assert len(read_showers(tmp_path / "f.h5", pdg=11)) == 4

"""The benchmark's figures mean what their names say."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import simulator
from catalog.domain import load_detector
from catalog.errors import NotFound
from catalog.simulate.beam import draw_beam
from catalog.simulate.readout import readout_mesh
from catalog.simulate.run import simulate
from catalog.simulate.write import write_showers


@pytest.fixture(scope="module")
def showers():
    detector = load_detector("clic-siw")
    particles = draw_beam(22, 240, (1, 30), seed=1, spot_mm=(5, 5))
    return simulate(detector, readout_mesh(detector), particles, seed=1)


def test_showers_do_not_deviate_from_themselves(showers):
    found = simulator.deviations(showers, showers)
    names = ["longitudinal_max_dev", "contain_1rm_dev", "contain_2rm_dev", "response_dev"]
    assert [found[name] for name in names] == [0, 0, 0, 0]
    assert found["resolution_dev"] == 0


def test_a_tenth_more_signal_is_seen(showers):
    louder = replace(showers, energies=showers.energies * np.float32(1.1))
    found = simulator.deviations(showers, louder)
    assert found["response_dev"] == pytest.approx(0.1, abs=1e-3)
    assert found["longitudinal_max_dev"] == pytest.approx(0, abs=1e-3)


def test_a_profile_that_is_one_layer_off_is_seen(showers):
    shifted = np.roll(showers.energies, 625, axis=1)
    found = simulator.deviations(showers, replace(showers, energies=shifted))
    assert found["longitudinal_max_dev"] > 0.1


def test_the_file_and_its_detector_are_found(tmp_path, monkeypatch):
    detector = load_detector("clic-siw")
    particles = draw_beam(22, 90, (1, 30), seed=1)
    write_showers(tmp_path / "a.h5", detector, readout_mesh(detector), particles, 1)
    monkeypatch.setenv("CATALOG_FULLSIM", str(tmp_path))
    monkeypatch.setattr(simulator, "speed", float)
    figures = simulator.measure(quick=True)
    assert figures["full_simulation"] == ["a"]
    bins = [name for name in figures if name.startswith("a ")]
    assert len(bins) == 3
    assert abs(figures[bins[0]]["response_dev"]) < 0.1
    nameless = detector.model_copy(update={"name": "clic-siw-photon"})
    assert simulator.known_detector(nameless).name == "clic-siw"
    monkeypatch.setenv("CATALOG_FULLSIM", str(tmp_path / "none"))
    with pytest.raises(NotFound):
        simulator.full_simulation()


def test_the_page_quotes_the_kept_result():
    root = Path(simulator.__file__).parent.parent
    kept = json.loads((root / "benchmarks/results/simulator.json").read_text(encoding="utf-8"))
    page = (root / "docs/simulate.md").read_text(encoding="utf-8")
    assert simulator.table(kept["figures"]) in page
    assert f"{kept['figures']['showers_per_s']:.0f} showers per second" in page

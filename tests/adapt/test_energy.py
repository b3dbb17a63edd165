"""Energy is what counters say, and unknown where there are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from catalog.adapt import energy


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two CPU packages, one with a part that must not be counted twice, and no GPU."""
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text("5000000\n")
    monkeypatch.setattr(energy, "_RAPL", tmp_path)
    monkeypatch.setattr(energy, "_gpus", dict)
    return tmp_path


def test_the_spent_energy_of_all_packages_is_added(packages: Path) -> None:
    meter = energy.Meter()
    for name in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0"):
        (packages / name / "energy_uj").write_text(str(5_000_000 + 3_600_000_000_000))
    assert meter.kwh() == pytest.approx(2.0)


def test_a_counter_that_wrapped_or_vanished_makes_it_unknown(packages: Path) -> None:
    meter = energy.Meter()
    (packages / "intel-rapl:1" / "energy_uj").write_text("1")
    assert meter.kwh() is None
    (packages / "intel-rapl:1" / "energy_uj").unlink()
    assert meter.kwh() is None


def test_without_counters_it_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "_RAPL", tmp_path / "none")
    monkeypatch.setattr(energy, "_gpus", dict)
    assert energy.Meter().kwh() is None

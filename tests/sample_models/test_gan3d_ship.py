"""A finished run becomes a version that passes the gate, and whose card does not flatter it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from catalog.adapt.family import Checkpoint, write_checkpoint  # noqa: E402
from catalog.gate import check_folder  # noqa: E402
from sample_models.gan3d import Gan3d, native_config  # noqa: E402
from sample_models.gan3d.ship import ship  # noqa: E402
from sample_models.half import rounded  # noqa: E402
from sample_models.tools import weights_of  # noqa: E402
from sample_models.zoo import DATA  # noqa: E402

SMALL = {"generator_filters": [4, 2, 2], "discriminator_filters": [2, 2, 2, 2]}


def finished(run: Path, steps: int, **more: Any) -> Path:
    """What a run leaves: an untrained model, and facts that claim `steps`."""
    config = native_config(8.92, 21.6, 9.2, 5.0) | SMALL
    made = rounded(Checkpoint("3dgan", config, weights_of(Gan3d(config))))
    write_checkpoint(made, run / "checkpoint.safetensors")
    phase = {
        "phase": "data", "showers": 800, "batch": 128, "steps": steps, "best_step": steps,
        "w1_geomean": 0.25, "device": "CPU", "seconds": 2.5,
    }  # fmt: skip
    facts = {
        "version": "fixed", "detector": "pbwo4-block", "pdg": 11, "data": "pbwo4-electron.h5",
        "energy_gev": [5.0, 100.0], "theta_rad": [0.0, 0.0], "seed": 1,
        "options": {"batch": 128}, "judged_on": 200, "phases": [phase],
    }  # fmt: skip
    (run / "run.json").write_text(json.dumps(facts | more))
    return run


def test_a_shipped_run_passes_the_gate_and_says_how_long_it_was(tmp_path: Path) -> None:
    card = ship(finished(tmp_path, 500), tmp_path / "gan", DATA)
    assert check_folder(tmp_path / "gan").card == card
    assert "500 steps of 128 Geant4 showers" in card.description
    assert "64,000 showers in all, where the reference trains 30 to 60 epochs" in card.description
    assert card.training is not None
    assert (card.training.steps, card.domain.energy_gev) == (500, (5.0, 100.0))
    assert (tmp_path / "gan" / "seen.npz").is_file()
    assert not card.summary.startswith("Placeholder")


def test_a_run_of_a_few_steps_is_called_a_placeholder(tmp_path: Path) -> None:
    card = ship(finished(tmp_path, 14), tmp_path / "gan", DATA)
    assert card.summary.startswith("Placeholder, not for use")


def test_a_run_on_simulated_showers_claims_no_full_simulation(tmp_path: Path) -> None:
    card = ship(finished(tmp_path, 500, data=""), tmp_path / "gan", DATA)
    assert card.domain.simulator is not None
    assert "not full simulation" in card.domain.simulator.physics
    assert not (tmp_path / "gan" / "seen.npz").exists()
